"""Server entries, the test of one, and the two ways events travel: pull and full push."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.doubles.misp.answers import Answer, NotSaved, Refused, saved
from tests.doubles.misp.organisations import short
from tests.doubles.misp.pull import pull
from tests.doubles.misp.push import NoServers, may_have, send
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import NO_RULES, Job, Json, Organisation, Server
from tests.doubles.misp.wire import Peer

if TYPE_CHECKING:
    from tests.doubles.misp.instance import Misp

FLAGS = (
    "push",
    "pull",
    "push_sightings",
    "push_galaxy_clusters",
    "push_analyst_data",
    "pull_analyst_data",
    "pull_galaxy_clusters",
    "publish_without_email",
    "unpublish_event",
    "self_signed",
    "internal",
    "skip_proxy",
    "remove_missing_tags",
    "caching_enabled",
)
PULL_RULES = (
    '{"tags":{"OR":[],"NOT":[]},"orgs":{"OR":[],"NOT":[]},"type_attributes":{"NOT":[]},'
    '"type_objects":{"NOT":[]},"url_params":""}'
)
KEY_LENGTH = "The authkey has to be exactly 40 characters long and consist of alphanumeric "


@route("servers/index", needs="perm_site_admin")
def index(call: Call) -> Answer:
    orgs, rows = call.state.organisations, []
    for one in call.state.servers.values():
        told = {k: v for k, v in _document(one).items() if k != "authkey"}
        remote = orgs.get(one.remote_org_id)
        rows.append(
            {
                "Server": told | {"cache_timestamp": False},
                "Organisation": _org(orgs[one.org_id]),
                "RemoteOrg": _org(remote) if remote else {},
                "User": [],
            }
        )
    return Answer(rows)


@route("servers/add", needs="perm_site_admin")
def add(call: Call) -> Answer:
    body = call.wrapped("Server")
    org = call.state.organisations.known(body.get("remote_org_id") or "0")
    if org is None:
        raise Refused(405, "No remote org ID set. Please pass it as remote_org_id")
    if errors := _errors(body):
        raise NotSaved("Could not add Server", errors, url="/servers/add")
    made = Server(body["url"].rstrip("/"), str(body.get("name") or ""), body["authkey"], org.id)
    made.org_id = call.user.org.id
    # nothing is switched on by itself
    made.flags = {name: bool(body.get(name)) for name in FLAGS}
    return Answer({"Server": _document(call.state.servers.put(made))})


@route("servers/edit", needs="perm_site_admin")
def edit(call: Call) -> Answer:
    server, body = _known(call), call.wrapped("Server")
    server.flags |= {name: bool(body[name]) for name in FLAGS if name in body}
    server.url = str(body.get("url") or server.url).rstrip("/")
    server.name = str(body.get("name") or server.name)
    server.authkey = str(body.get("authkey") or server.authkey)
    return Answer({"Server": _document(server)})


@route("servers/delete", needs="perm_site_admin")
def delete(call: Call) -> Answer:
    del call.state.servers[_known(call).id]
    # MISP writes its message into the place of the id
    return saved("Server deleted", "/servers/delete/Server deleted", "Server deleted")


@route("servers/testconnection", needs="perm_site_admin")
def test(call: Call) -> Answer:
    server, answer = _known(call), Answer()
    answer.after = lambda: Answer(_tested(server))
    return answer


@route("servers/pull", needs="perm_site_admin")
def start_pull(call: Call) -> Answer:
    server, url = _known(call), f"/servers/pull/{call.arg()}"
    wanted = call.arg(1) or "full"
    if call.misp.background:
        job = Job("default", "pull", f"Server: {server.id}")
        call.misp.queue(job, lambda row: _pull_job(call, server, wanted, row))
        message = f"Pull queued for background execution. Job ID: {job.id}"
        return saved(message, url, server.id)
    answer = Answer()
    answer.after = lambda: saved(pull(call.misp, server, call.user, wanted), url, server.id)
    return answer


@route("servers/push", needs="perm_site_admin")
def start_push(call: Call) -> Answer:
    server = _known(call)
    if call.misp.background:
        job = Job("default", "push", f"Server: {server.id}", message="Job done.")
        call.misp.queue(job, lambda _: push_all(call.misp, server))
        text = f"Push queued for background execution. Job ID: {job.id}"
        return saved("Server pushed", f"/servers/push/{text}", text)
    answer = Answer()
    answer.after = lambda: saved(
        _counted(*push_all(call.misp, server)), f"/servers/push/{server.id}", server.id
    )
    return answer


@route("events/filtereventidsforpush", needs="perm_sync")
def filter_ids(call: Call) -> Answer:
    wanted = []
    for row in call.body if isinstance(call.body, list) else []:
        event = row.get("Event") or {}
        known = call.state.events.by(uuid=str(event.get("uuid", "")).lower())
        newer = known is None or int(event.get("timestamp") or 0) > known.timestamp
        if newer and (known is None or known.locked):
            wanted.append(event.get("uuid"))
    return Answer(wanted)


def push_all(misp: Misp, server: Server) -> tuple[int, int]:
    """Push every published event that the server may have and lacks; return done and failed."""
    if not server.flags.get("push"):
        return 0, 0
    with misp.state.lock:
        offered = []
        for one in misp.state.events.values():
            try:
                if one.published and may_have(misp.state, one, server):
                    offered.append(one)
            except NoServers:
                continue
    try:
        with Peer(server) as peer:
            peer.get("/servers/getVersion")
            rows = [{"Event": {"uuid": e.uuid, "timestamp": str(e.timestamp)}} for e in offered]
            _, wanted = peer.post("/events/filterEventIdsForPush", rows)
            sent = [send(misp, one, server) for one in offered if one.uuid in (wanted or [])]
            peer.post("/events/index", {"minimal": 1, "published": 1})
            notes = _push_notes(misp, peer) if server.flags.get("push_analyst_data") else 0
    except (OSError, http.client.HTTPException):
        return 0, len(offered)
    return sum(sent) + notes, len(sent) - sum(sent)


def _push_notes(misp: Misp, peer: Peer) -> int:
    rows = {kind: misp.state.notes[kind] for kind in ("Note", "Opinion") if misp.state.notes[kind]}
    offered = {k: {one["uuid"]: one["modified"] for one in v} for k, v in rows.items()}
    _, wanted = peer.post("/analyst_data/filterAnalystDataForPush", offered or [])
    sent = 0
    for kind, several in rows.items():
        for one in several:
            if wanted and one["uuid"] in wanted.get(kind, ()):
                peer.post("/analyst_data/pushAnalystData", {kind: one | {"locked": True}})
                sent += 1
    return sent


def _counted(done: int, failed: int) -> str:
    return f"Push complete. {done} events pushed, {failed} events could not be pushed."


def _pull_job(call: Call, server: Server, wanted: str, job: Job) -> None:
    job.message = pull(call.misp, server, call.user, wanted)
    job.status, job.progress = 4, 100


def _tested(server: Server) -> Json:
    try:
        with Peer(server) as peer:
            status, told = peer.get("/servers/getVersion")
            if status != 200:
                return {"status": 4, "client_certificate": None}
            status, _ = peer.post("/servers/postTest", {"testString": "a test string"})
    except (OSError, http.client.HTTPException):
        return {"status": 2, "client_certificate": None}
    post = 1 if status == 200 else 8
    if not told.get("perm_sync"):
        extra = {"status": 1, "content-encoding": None}
        return {"status": 8, "info": told, "client_certificate": None, "post": extra}
    return {
        "status": 1,
        "local_version": "2.5.1",
        "version": told["version"],
        "mismatch": "proposal",
        "newer": False,
        "post": post,
        "response_encoding": None,
        "request_encoding": told["request_encoding"],
        "client_certificate": None,
        "uuid": told["uuid"],
    }


def _org(org: Organisation) -> Json:
    more = {"nationality": org.nationality, "sector": org.sector, "type": org.type}
    return short(org) | more


def _known(call: Call) -> Server:
    server = call.state.servers.known(call.arg() or "0")
    if server is None:
        raise Refused(404, "Invalid server")
    return server


def _errors(body: Json) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    key: Any = body.get("authkey")
    if not isinstance(key, str) or len(key) != 40 or not key.isalnum():
        errors["authkey"] = [KEY_LENGTH + "characters."]
    if urlsplit(str(body.get("url") or "")).scheme not in ("http", "https"):
        errors["url"] = ["Invalid baseurl, please make sure that the protocol is set."]
    return errors


def _document(server: Server) -> Json:
    pulled, pushed = server.lastpulledid, server.lastpushedid
    return {
        "id": str(server.id),
        "name": server.name,
        "url": server.url,
        "authkey": server.authkey,
        "org_id": str(server.org_id),
        **{name: bool(server.flags.get(name)) for name in FLAGS},
        "lastpulledid": None if pulled is None else str(pulled),
        "lastpushedid": None if pushed is None else str(pushed),
        "organization": None,
        "remote_org_id": str(server.remote_org_id),
        "pull_rules": PULL_RULES,
        "push_rules": NO_RULES,
        "cert_file": None,
        "client_cert_file": None,
        "priority": str(server.id),
    }
