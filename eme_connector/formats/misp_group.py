"""What is wrong with a MISP sharing group, found before an event is published into it.

MISP says "published" whether or not anybody receives the event; each finding here is one way in
which it was seen to reach nobody, or somebody it is not for. The group is as
`/sharing_groups/view` answers it. Codes are those of `misp_reasons`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: *who* is the member concerned, empty where it is the group.

    `stops`: published like this it would reach nobody, be hidden from those whom it reaches, or
    be read by somebody who is no member.
    """

    code: str
    detail: str = ""
    stops: bool = True
    who: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A MISP of a member: its organisation's uuid and the URL by which we know it."""

    organisation: str
    url: str


def lint(
    group: Json, own: str, members: Collection[str], receivers: Iterable[Receiver] = ()
) -> tuple[Finding, ...]:
    """Return what is wrong with *group* for an event that is for *members*.

    *own* is the organisation whose key publishes; all are uuids. Where something keeps the event
    from every member that is not us, it stops; else each such finding names its member.
    """
    theirs = members_of(group)
    others = set(members) - {own}
    about = [
        *_missing(others, theirs),
        *(f for one in receivers if one.organisation in theirs for f in _about(one, group)),
    ]
    kept_from = {one.who for one in about}
    if others and not others - kept_from:
        about = [replace(one, stops=True) for one in about]
    return (*_about_us(group, theirs, own), *about, *_about_readers(group, theirs, others, own))


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


def is_roaming(group: Json) -> bool:
    """Say whether events in *group* go to every MISP that has a member."""
    return bool((group.get("SharingGroup") or group).get("roaming"))


def _about_us(group: Json, theirs: dict[str, bool], own: str) -> Iterator[Finding]:
    if own not in theirs:
        yield Finding("own-organisation-missing")
    if (group.get("SharingGroup") or {}).get("active") is False:
        yield Finding("group-inactive")
    rows = group.get("SharingGroupServer") or ()
    if not is_roaming(group) and all(str(row.get("server_id")) == "0" for row in rows):
        yield Finding("no-servers")


def _about_readers(
    group: Json, theirs: dict[str, bool], others: set[str], own: str
) -> Iterator[Finding]:
    if outsiders := set(theirs) - others - {own}:
        yield Finding("outsiders", ", ".join(sorted(outsiders)))
    if open_to_all := sorted(url for url, all_orgs in servers_of(group).items() if all_orgs):
        yield Finding("all-orgs", ", ".join(open_to_all))
    if not others:
        yield Finding("nobody-else")
    for member, may_extend in sorted(theirs.items()):
        if may_extend and member in others:
            yield Finding("may-extend", stops=False, who=member)


def _missing(others: set[str], theirs: dict[str, bool]) -> Iterator[Finding]:
    for member in sorted(others - set(theirs)):
        yield Finding("member-missing", stops=False, who=member)


def _about(one: Receiver, group: Json) -> Iterator[Finding]:
    servers = servers_of(group)
    if is_roaming(group) or one.url in servers:
        return
    alike = next((url for url in servers if _place(url) == _place(one.url)), None)
    if alike is not None:
        yield Finding("url-differs", f"{alike} is not {one.url}", False, one.organisation)
    else:
        yield Finding("server-not-in-group", one.url, False, one.organisation)


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _place(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return ("loopback" if host in _LOOPBACK else host, port, parts.path.rstrip("/"))
