"""Version, settings, logs, jobs and workflows."""

from __future__ import annotations

from tests.doubles.misp.answers import Answer, Refused, saved
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Json
from tests.doubles.misp.search import ago

CLI_ONLY = {"Security.rest_client_enable_arbitrary_urls"}
SYSTEM = {"org": "SYSTEM", "email": "SYSTEM", "user_id": "0"}
RETURNED = "returned the following error: "
LOG_FILTERS = ("model", "action", "model_id", "email", "title")
TRIGGERS = (("event-publish", True), ("event-before-save", True), ("event-after-save", False))


@route("servers/getversion")
def version(call: Call) -> Answer:
    def may(permission: str) -> bool:
        return call.user.may(permission) and not call.read_only

    return Answer(
        {
            "version": "2.5.1",
            "pymisp_recommended_version": "2.5.1",
            "perm_sync": may("perm_sync"),
            "perm_sighting": may("perm_sighting"),
            "perm_galaxy_editor": may("perm_galaxy_editor"),
            "perm_analyst_data": may("perm_analyst_data"),
            "uuid": call.state.uuid if may("perm_sync") else "-",
            "request_encoding": ["gzip"],
            "filter_sightings": True,
        }
    )


@route("servers/getpymispversion")
def pymisp_version(_: Call) -> Answer:
    return Answer({"version": "2.5.1"})


@route("servers/posttest")
def post_test(call: Call) -> Answer:
    return Answer({"body": call.body, "headers": {}})


@route("servers/serversettingsedit", needs="perm_site_admin")
def edit_setting(call: Call) -> Answer:
    name = call.arg()
    if name in CLI_ONLY:
        raise Refused(405, "This setting can only be edited via the CLI.")
    call.state.settings[name] = call.document.get("value")
    return saved("Field updated", "/servers/serverSettingsEdit")


@route("servers/getsetting", needs="perm_site_admin")
def setting(call: Call) -> Answer:
    name = call.arg()
    told: Json = {"level": 0, "description": name, "value": call.state.settings.get(name)}
    return Answer(told | {"test": "", "type": "string", "name": name})


@route("logs/index", "admin/logs/index", needs="perm_audit")
def logs(call: Call) -> Answer:
    rows = call.state.logs
    if not call.user.may("perm_site_admin"):
        rows = [one for one in rows if one["org"] == call.user.org.name]
    if since := call.asked("created"):
        rows = [one for one in rows if one["created"] >= call.state.clock.text(ago(since))]
    for name in LOG_FILTERS:
        if wanted := call.asked(name):
            rows = [one for one in rows if str(one[name]) == wanted]
    limit, page = int(call.asked("limit") or 60), int(call.asked("page") or 1)
    return Answer([{"Log": one} for one in rows[(page - 1) * limit : page * limit]])


@route("jobs/getgeneratecorrelationprogress", needs="perm_site_admin")
def progress(call: Call) -> Answer:
    told = {}
    for one in call.arg().split(","):
        job = call.state.jobs.known(one)
        if job is not None:
            word = "Completed" if job.status == 4 else "Running"
            told[one] = {"job_status": word, "progress": job.progress}
    return Answer(told)


@route("workflows/triggers", needs="perm_site_admin")
def triggers(call: Call) -> Answer:
    on = call.state.settings.get("workflow:event-publish", False)
    return Answer(
        [
            {
                "id": name,
                "scope": "event",
                "name": name,
                "blocking": blocking,
                "misp_core_format": True,
                "disabled": not (on and name == "event-publish"),
            }
            for name, blocking in TRIGGERS
        ]
    )


@route("workflows/togglemodule", needs="perm_site_admin")
def toggle_module(call: Call) -> Answer:
    name, on = call.arg(), call.arg(1) == "1"
    call.state.settings[f"workflow:{name}"] = on
    word = "Enabled" if on else "Disabled"
    return saved(f"{word} module {name}", f"/workflows/toggle_module/{name}", name)


def stopped(why: str) -> str:
    """Return the title of the log row when a module stops a publish: only the log has it."""
    return f"Execution stopped. \nNode `eme_gate` (2) from Workflow `EME gate` (1) {RETURNED}{why}"


def went_on(why: str) -> str:
    """Return it where a module could not be run: the publish goes on."""
    node = "\nNode `eme_gate` (2) from Workflow `EME gate` (1) "
    return f"Execution encountered an error but continued. {node}{RETURNED}{why}"
