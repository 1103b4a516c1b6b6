"""A MISP's sharing group, and what is wrong with it, found before an event is put into it.

MISP says "published" whether or not anybody receives the event; each finding here is one way in
which it was seen to reach nobody, or somebody it is not for. Codes are those of `misp_reasons`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from eme_connector.domain.directory import GroupServer
from eme_connector.domain.sharing import SharingGroup

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: *who* is the member concerned, empty where it is the group.

    `stops`: in the group as it is, the event would reach nobody, be hidden from those whom it
    reaches, or be read by somebody whom it is not for.
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


def parse(answer: Json, url: str) -> SharingGroup:
    """Return the group of `/sharing_groups/view`, or of an event, as the MISP at *url* holds it."""
    head = answer.get("SharingGroup") or answer
    members = dict(_members(answer))
    return SharingGroup(
        uuid=str(head.get("uuid", "")).lower(),
        name=str(head.get("name", "")),
        members=frozenset(members),
        extending=frozenset(one for one, extend in members.items() if extend),
        roaming=bool(head.get("roaming")),
        servers=frozenset(_servers(answer, url)),
        active=head.get("active") is not False,
    )


def lint(
    held: SharingGroup,
    wanted: SharingGroup,
    own: str,
    url: str,
    receivers: Iterable[Receiver] = (),
    strangers: Collection[str] = (),
    local: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Return what is wrong with a group that our MISP holds as *held* and we know as *wanted*.

    *own* is the organisation whose key publishes, *url* our MISP's, *strangers* who would read
    events in it although they may not, *local* who has users on our MISP; organisations are
    uuids. What keeps an event from a member names it, and stops only where nobody is left.
    """
    others = wanted.members - {own}
    about = [
        *(Finding("member-missing", "", False, one) for one in sorted(others - held.members)),
        *(f for one in receivers if one.organisation in held.members for f in _about(one, held)),
    ]
    at_home = held.members & others & set(local)
    if not at_home and not others - {one.who for one in about}:
        about = [replace(one, stops=True) for one in about]
    outside = (held.members - others - {own}) | set(strangers)
    return (
        *_about_us(held, own, url, at_home),
        *about,
        *_about_readers(held, wanted, outside, own),
    )


def _about_us(
    held: SharingGroup, own: str, url: str, at_home: Collection[str]
) -> Iterator[Finding]:
    if own not in held.members:
        yield Finding("own-organisation-missing")
    if not held.active:
        yield Finding("group-inactive")
    abroad = [one for one in held.servers if one.url != url]
    if not held.roaming and not abroad:
        yield Finding("no-servers", stops=not at_home)
    if held.roaming and held.servers and not abroad:
        yield Finding("roaming-with-servers", stops=not at_home)


def _about_readers(
    held: SharingGroup, wanted: SharingGroup, outside: Collection[str], own: str
) -> Iterator[Finding]:
    if outside:
        yield Finding("group-differs", ", ".join(sorted(outside)))
    if opened := {one.url for one in (held.servers - wanted.servers) if one.all_orgs}:
        yield Finding("all-orgs", ", ".join(sorted(opened)))
    for member in sorted((held.extending - wanted.extending - {own}) & wanted.members):
        yield Finding("may-extend", stops=False, who=member)


def _about(one: Receiver, held: SharingGroup) -> Iterator[Finding]:
    urls = {server.url for server in held.servers}
    if one.url in urls or (held.roaming and not urls):
        return
    alike = next((url for url in sorted(urls) if _place(url) == _place(one.url)), None)
    if alike is not None:
        yield Finding("url-differs", f"{alike} is not {one.url}", False, one.organisation)
    else:
        code = "roaming-with-servers" if held.roaming else "server-not-in-group"
        yield Finding(code, one.url, False, one.organisation)


def _members(answer: Json) -> Iterator[tuple[str, bool]]:
    for row in answer.get("SharingGroupOrg") or ():
        uuid = (row.get("Organisation") or {}).get("uuid") or row.get("uuid")
        if isinstance(uuid, str):
            yield uuid.lower(), bool(row.get("extend"))


def _servers(answer: Json, url: str) -> Iterator[GroupServer]:
    for row in answer.get("SharingGroupServer") or ():
        named = str((row.get("Server") or {}).get("url", ""))
        here = str(row.get("server_id")) == "0"
        yield GroupServer(url if here else named, bool(row.get("all_orgs")))


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _place(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return ("loopback" if host in _LOOPBACK else host, port, parts.path.rstrip("/"))
