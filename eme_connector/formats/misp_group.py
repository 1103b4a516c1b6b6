"""What is wrong with a MISP sharing group, found before an event is published into it.

MISP says "published" whether or not anybody receives the event; each finding here is one way in
which it was seen to reach nobody. The group is as `/sharing_groups/view` answers it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `stops` is False where only *who* is concerned."""

    code: str
    detail: str
    stops: bool = True
    who: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A MISP of a member: its organisation's uuid and the URL by which we know it."""

    organisation: str
    url: str


def lint(group: Json, own: str, receivers: Iterable[Receiver] = ()) -> tuple[Finding, ...]:
    """Return what keeps an event in *group* from its members.

    *own* is the uuid of the organisation whose key publishes. A finding that stops is one for
    which publishing would reach nobody, or would strand the event where nobody can read it.
    """
    members = members_of(group)
    findings = [*_about_us(group, members, own)]
    for one in receivers:
        if one.organisation in members:
            findings += _about(one, group)
        else:
            findings.append(
                Finding(
                    "not-a-member", "its organisation is not in the group", False, one.organisation
                )
            )
    return tuple(findings)


def members_of(group: Json) -> dict[str, bool]:
    """Return the members of *group*: organisation uuid to its extend flag."""
    found = {}
    for row in group.get("SharingGroupOrg") or ():
        uuid = (row.get("Organisation") or {}).get("uuid") or row.get("uuid")
        if isinstance(uuid, str):
            found[uuid.lower()] = bool(row.get("extend"))
    return found


def servers_of(group: Json) -> dict[str, bool]:
    """Return the servers of *group*: URL to whether all its organisations are meant."""
    return {
        str((row.get("Server") or {}).get("url", "")): bool(row.get("all_orgs"))
        for row in group.get("SharingGroupServer") or ()
    }


def _about_us(group: Json, members: dict[str, bool], own: str) -> Iterable[Finding]:
    head = group.get("SharingGroup") or {}
    if own not in members:
        yield Finding(
            "own-organisation-missing",
            "our organisation is not in the group: receivers would keep the event to themselves",
        )
    if head.get("active") is False:
        yield Finding("group-inactive", "the group is not active")
    if not set(members) - {own}:
        yield Finding("nobody-else", "the group has no member besides us", stops=False)
    remote = [
        row for row in group.get("SharingGroupServer") or () if str(row.get("server_id")) != "0"
    ]
    if not head.get("roaming") and not remote:
        yield Finding(
            "no-servers", "the group is not roaming and names no other MISP: nothing is pushed"
        )


def _about(one: Receiver, group: Json) -> Iterable[Finding]:
    if (group.get("SharingGroup") or {}).get("roaming"):
        return
    servers = servers_of(group)
    if one.url in servers:
        return
    alike = next((url for url in servers if _place(url) == _place(one.url)), None)
    if alike is not None:
        detail = f"the group names it {alike}; MISP compares the text"
        yield Finding("url-differs", detail, False, one.organisation)
    else:
        yield Finding("server-not-in-group", "the group does not name it", False, one.organisation)


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _place(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return ("loopback" if host in _LOOPBACK else host, port, parts.path.rstrip("/"))
