"""Is a MISP ready for us, and what makes it so (`eme misp check`, `eme misp bootstrap`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from eme_connector.formats.misp_event.tables import OWN_OBJECTS, definition_bytes, tables
from eme_connector.ports.misp_setup import (
    KEEP_SESSION,
    ORGANISATION_CLAIM,
    MispAdministration,
    Setup,
)

Level = Literal["ok", "warning", "error"]
MAX_SKEW_S = 60.0
NEEDED = {
    "perm_add": "write events",
    "perm_modify": "edit events",
    "perm_publish": "publish events",
    "perm_tagger": "tag events",
    "perm_sighting": "write sightings",
    "perm_sharing_group": "see and use sharing groups",
    "perm_tag_editor": "make tags (without it MISP drops unknown ones silently)",
}
FLAGS = ("push", "pull", "push_sightings")
APPLY = "eme misp bootstrap --apply --admin-key-file KEY"
DISK = "/var/www/MISP/app/files/misp-objects/objects"
"""Where a MISP reads object templates from; where it is installed elsewhere, below its app/."""


@dataclass(frozen=True, slots=True)
class Change:
    """One call that mends something; a site admin's key is needed for it."""

    says: str
    make: Callable[[MispAdministration], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `fix` is what to do, `change` what bootstrap would do."""

    part: str
    level: Level
    detail: str
    fix: str = ""
    change: Change | None = None

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "part": self.part,
            "level": self.level,
            "detail": self.detail,
            "fix": self.fix,
            "change": self.change.says if self.change else None,
        }


def check(setup: Setup, organisation: str) -> list[Finding]:
    """Return everything that was looked at in *setup*; *organisation* is whose sidecar this is."""
    return [
        *_key(setup, organisation),
        *_clock(setup),
        *_taxonomies(setup),
        *_templates(setup),
        *_galaxies(setup),
        *_servers(setup),
        *_settings(setup),
    ]


def apply(findings: list[Finding], misp: MispAdministration) -> list[str]:
    """Make every change that mends one of *findings*; return what was changed.

    Raises:
        DeliveryError: at the first that MISP refuses; those before it are made.
    """
    made = []
    for one in findings:
        if one.change:
            one.change.make(misp)
            made.append(one.change.says)
    return made


def _key(setup: Setup, organisation: str) -> Iterator[Finding]:
    missing = [why for name, why in NEEDED.items() if name not in setup.permissions]
    if missing:
        fix = "give the key's user the role Org Admin"
        yield Finding("key", "error", f"role {setup.role} may not {', '.join(missing)}", fix)
    else:
        yield Finding("key", "ok", f"role {setup.role} on MISP {setup.version}")
    if setup.organisation != organisation:
        detail = f"its user belongs to organisation {setup.organisation}, not to {organisation}"
        fix = "use a key of a user of your own organisation, with the same uuid as here"
        yield Finding("organisation", "error", detail, fix)
    else:
        yield Finding("organisation", "ok", "its user belongs to our organisation")


def _clock(setup: Setup) -> Iterator[Finding]:
    if setup.skew_s is None:
        return
    away = abs(setup.skew_s)
    if away > MAX_SKEW_S:
        fix = "run a time service on both; MISP takes no edit that is not newer"
        yield Finding("clock", "error", f"{away:.0f} s apart", fix)
    else:
        yield Finding("clock", "ok", f"within {away:.0f} s")


def _taxonomies(setup: Setup) -> Iterator[Finding]:
    if setup.taxonomies is None:
        yield _unseen("taxonomies")
        return
    for namespace in namespaces():
        number, enabled = setup.taxonomies.get(namespace, ("", False))
        if not number:
            fix = "update the taxonomies in MISP (Event Actions → List Taxonomies → Update)"
            yield Finding("taxonomies", "warning", f"{namespace} is not there", fix)
        elif not enabled:
            change = Change(f"enable taxonomy {namespace}", _enable(number))
            detail = f"{namespace} is not enabled"
            yield Finding("taxonomies", "warning", detail, APPLY, change)
        else:
            yield Finding("taxonomies", "ok", f"{namespace} is enabled")


def _enable(number: str) -> Callable[[MispAdministration], None]:
    return lambda misp: misp.enable_taxonomy(number)


def _templates(setup: Setup) -> Iterator[Finding]:
    if setup.templates is None:
        yield _unseen("object templates")
        return
    for name, one in tables().templates.items():
        there, wanted = setup.templates.get(one.uuid), int(one.version)
        if there is not None and (there >= wanted or name not in OWN_OBJECTS):
            yield Finding("object templates", "ok", f"{name} is there (version {there})")
        elif name in OWN_OBJECTS:
            fault = "is not there" if there is None else f"is outdated: version {there}"
            detail = f"{name} (ours, version {wanted}) {fault}"
            fix = f"on MISP's machine `eme misp templates export {DISK}`, then {APPLY}"
            change = Change(f"load object template {name} from MISP's disk", _load(name))
            yield Finding("object templates", "warning", detail, fix, change)
        else:
            fix = "update the object templates in MISP (Global Actions → List Object Templates)"
            yield Finding("object templates", "warning", f"{name} is not there", fix)


def _load(name: str) -> Callable[[MispAdministration], None]:
    return lambda misp: misp.load_template(name)


def _galaxies(setup: Setup) -> Iterator[Finding]:
    if setup.galaxies is None:
        yield _unseen("galaxies")
        return
    types = sorted(
        {tag.partition(":")[2].partition("=")[0] for tag, _ in tables().clusters.values()}
    )
    for one in types:
        if one in setup.galaxies:
            yield Finding("galaxies", "ok", f"{one} is there")
        else:
            fix = "update the galaxies in MISP (Galaxies → Update)"
            yield Finding("galaxies", "warning", f"{one} is not there", fix)


def _servers(setup: Setup) -> Iterator[Finding]:
    if setup.servers is None:
        yield _unseen("servers")
        return
    if not setup.servers:
        fix = "add the MISPs of your communities as servers, or nothing is pushed anywhere"
        yield Finding("servers", "warning", "there are none", fix)
    for one in setup.servers:
        name = str(one.get("name") or one.get("url"))
        off = [flag for flag in FLAGS if not one.get(flag)]
        if not off:
            yield Finding("servers", "ok", f"{name}: {', '.join(FLAGS)} are on")
            continue
        flags = dict.fromkeys(off, True)
        change = Change(f"switch on {', '.join(off)} of server {name}", _switch(one, flags))
        yield Finding(
            "servers", "warning", f"{name}: {', '.join(off)} off (the default)",
            f"{APPLY}, if this MISP is to exchange events with it", change,
        )  # fmt: skip


def _switch(one: dict[str, Any], flags: dict[str, bool]) -> Callable[[MispAdministration], None]:
    number = str(one.get("id"))
    return lambda misp: misp.set_server(number, flags)


def _settings(setup: Setup) -> Iterator[Finding]:
    if setup.settings is None:
        yield _unseen("settings")
        return
    if setup.settings.get(KEEP_SESSION) in (True, "1", "true"):
        yield Finding("settings", "ok", f"{KEEP_SESSION} is on")
    else:
        change = Change(f"set {KEEP_SESSION}", lambda misp: misp.set_setting(KEEP_SESSION, True))
        detail = f"{KEEP_SESSION} is off: each of our calls costs MISP 36 ms more"
        yield Finding("settings", "warning", detail, APPLY, change)
    claim = setup.settings.get(ORGANISATION_CLAIM)
    if claim is not None and claim != "organization_uuid":
        fix = (
            f"set {ORGANISATION_CLAIM} to organization_uuid, the claim that this sidecar reads too"
        )
        yield Finding("oidc", "warning", "people may get another organisation there", fix)


def _unseen(part: str) -> Finding:
    fix = "ask a site admin, or give one's key with --admin-key-file"
    return Finding(part, "warning", "this key may not see them", fix)


def own_templates() -> dict[str, bytes]:
    """Return our object templates as files: path below MISP's folder of them, and content."""
    return {f"{name}/definition.json": definition_bytes(name) for name in OWN_OBJECTS}


def namespaces() -> list[str]:
    """Return the taxonomies that our tags are from."""
    table = tables().tags
    names = [tag for key in ("status", "pap", "risk", "action") for tag in table[key].values()]
    names += [tag for _, _, tag in table["rsit"]]
    return list(dict.fromkeys(["tlp", *(name.partition(":")[0] for name in names)]))
