"""Groups: what differs between the source's and the target's copy of one group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eme_connector.domain.directory import GroupServer, RemoteGroup, Snapshot
from eme_connector.sync.organisations import MISSING, judge
from eme_connector.sync.steps import CEREBRATE_OWNER, REMEDIES, Difference, Kind, group_subject
from eme_connector.sync.terms import Terms

TEXTS = ("name", "releasability", "description")
OWN = ""


@dataclass(frozen=True)
class Sides:
    """One group as everybody has it, and who is known at the target after this plan.

    `source` is None when the group is gone there; `name` is the one that the target is to show.
    """

    uuid: str
    name: str
    source: RemoteGroup | None
    present: RemoteGroup | None
    agreed: RemoteGroup | None
    tombs: Mapping[str, int]
    snapshot: Snapshot
    names: Mapping[str, str]
    terms: Terms

    @property
    def subject(self) -> str:
        """The group's subject."""
        return group_subject(self.uuid)

    def member_name(self, uuid: str) -> str:
        """Return what a member is called, for people."""
        return self.names.get(uuid, uuid)

    def difference(self, word: str, kind: Kind, **more: object) -> Difference:
        """Return a difference about this group."""
        shown = self.present or self.source or self.agreed
        name = shown.name if shown else self.name
        if more.get("verdict") == "stuck":
            is_theirs = word == "group-owner" and not self.terms.is_misp
            more["remedy"] = CEREBRATE_OWNER if is_theirs else REMEDIES[word]
        return Difference(word, kind, self.subject, name, **more)  # type: ignore[arg-type]


def wanted(sides: Sides) -> RemoteGroup:
    """Return the group as the target is to hold it, but for what nobody can change there."""
    source, terms = sides.source, sides.terms
    assert source is not None
    return RemoteGroup(
        source.uuid,
        sides.name,
        source.owner,
        members=source.members,
        releasability=terms.text(source.releasability) or (sides.name if terms.is_misp else ""),
        description=terms.text(source.description),
        active=source.active,
        roaming=terms.is_misp and terms.roaming,
        servers=_wanted_servers(sides),
    )


def head(sides: Sides, plain: str) -> list[Difference]:
    """Return what differs in everything but the members; *plain* is the source's name."""
    want, present = wanted(sides), sides.present
    if present is None:
        taken = want.name != plain
        after = {name: getattr(want, name) for name in (*TEXTS, "owner", "active", "roaming")}
        found = [
            sides.difference(
                "name-taken" if taken else "group-missing",
                "add",
                after=after | {"servers": urls(want.servers)},
                note="deleted at the target" if sides.agreed else "",
            )
        ]
        return found + _unknown_servers(sides)
    return [
        *_texts(sides, want, present, plain),
        *_owner(sides, want, present),
        *_active(sides, want, present),
        *_roaming(sides, want, present),
        *_servers(sides, want, present),
        *_unknown_servers(sides),
    ]


def members(sides: Sides, wanted: Mapping[str, bool]) -> list[Difference]:
    """Return what differs between *wanted* and the members that the target has."""
    present = sides.present.members if sides.present else {}
    found = []
    for uuid in sorted(wanted.keys() | present.keys()):
        after, before = wanted.get(uuid), present.get(uuid)
        if after != before:
            found.append(_member(sides, uuid, before, after))
    return found


def put(sides: Sides, accepted: list[Difference]) -> RemoteGroup:
    """Return the group to put so that the *accepted* differences, and nothing else, are settled."""
    want, present = wanted(sides), sides.present
    if present is None:
        return replace(want, servers=_known_servers(sides, want.servers))
    words = {one.word for one in accepted}
    texts = {"name-taken", "group-text"} & words
    chosen = want if texts else present
    return replace(
        present,
        name=chosen.name,
        releasability=chosen.releasability,
        description=chosen.description,
        active=want.active if "group-active" in words else present.active,
        roaming=want.roaming if "group-roaming" in words else present.roaming,
        servers=_put_servers(sides, want, present) if "group-servers" in words else present.servers,
    )


def _member(sides: Sides, uuid: str, before: bool | None, after: bool | None) -> Difference:
    agreed = sides.agreed.members.get(uuid) if sides.agreed else None
    named = {"member": uuid, "member_name": sides.member_name(uuid)}
    was = None if before is None else {"extend": before}
    will = None if after is None else {"extend": after}
    if after is None:
        word = "member-unknown"
        if agreed is not None:
            word = "member-removed"
        elif uuid in sides.tombs:
            word = "member-resurrected"
        again = sides.tombs.get(uuid, 0)
        note = f"came back {again + 1} times" if word == "member-resurrected" and again else ""
        return sides.difference(word, "remove", **named, before=was, note=note)
    if before is None:
        if uuid not in sides.names:
            return sides.difference("member-unnamed", "add", **named, after=will, verdict="stuck")
        return sides.difference("member-missing", "add", **named, after=will)
    return sides.difference("member-extend", "update", **named, before=was, after=will)


def _texts(sides: Sides, want: RemoteGroup, present: RemoteGroup, plain: str) -> list[Difference]:
    changed = [name for name in TEXTS if getattr(want, name) != getattr(present, name)]
    if not changed:
        return []
    kinds = {
        judge(
            getattr(want, name),
            getattr(present, name),
            getattr(sides.agreed, name) if sides.agreed else MISSING,
        )
        for name in changed
    }
    return [
        sides.difference(
            "name-taken" if "name" in changed and want.name != plain else "group-text",
            "conflict" if "conflict" in kinds else "update",
            before={name: getattr(present, name) for name in changed},
            after={name: getattr(want, name) for name in changed},
        )
    ]


def _owner(sides: Sides, want: RemoteGroup, present: RemoteGroup) -> list[Difference]:
    if want.owner == present.owner:
        return []
    return [
        sides.difference(
            "group-owner", "update", before=present.owner, after=want.owner, verdict="stuck"
        )
    ]


def _active(sides: Sides, want: RemoteGroup, present: RemoteGroup) -> list[Difference]:
    if want.active == present.active:
        return []
    return [
        sides.difference(
            "group-active",
            "update",
            before=present.active,
            after=want.active,
            verdict="stuck" if sides.terms.is_misp else "do",
        )
    ]


def _roaming(sides: Sides, want: RemoteGroup, present: RemoteGroup) -> list[Difference]:
    if want.roaming == present.roaming or not sides.terms.is_misp:
        return []
    return [sides.difference("group-roaming", "update", before=present.roaming, after=want.roaming)]


def _servers(sides: Sides, want: RemoteGroup, present: RemoteGroup) -> list[Difference]:
    if not sides.terms.is_misp:
        return []
    found = []
    after = _put_servers(sides, want, present)
    if after != present.servers:
        found.append(
            sides.difference(
                "group-servers", "update", before=urls(present.servers), after=urls(after)
            )
        )
    ours = {one.url for one in sides.agreed.servers} if sides.agreed else set()
    named = {one.url for one in want.servers} | {OWN}
    for one in sorted(present.servers, key=lambda one: one.url):
        if one.url in named:
            continue
        if one.url in ours and not want.roaming:
            found.append(
                sides.difference("server-surplus", "remove", before=one.url, verdict="stuck")
            )
        else:
            found.append(
                sides.difference("server-here-only", "keep-local", before=one.url, verdict="leave")
            )
    return found


def _unknown_servers(sides: Sides) -> list[Difference]:
    if not sides.terms.is_misp or sides.terms.roaming:
        return []
    return [
        sides.difference("server-unknown", "add", after=url, verdict="stuck")
        for url in sorted(sides.terms.servers - sides.snapshot.servers)
    ]


def _wanted_servers(sides: Sides) -> frozenset[GroupServer]:
    if not sides.terms.is_misp or sides.terms.roaming:
        return frozenset()
    return frozenset(GroupServer(url) for url in {OWN, *sides.terms.servers})


def _known_servers(sides: Sides, servers: frozenset[GroupServer]) -> frozenset[GroupServer]:
    known = sides.snapshot.servers | {OWN}
    return frozenset(one for one in servers if one.url in known)


def _put_servers(sides: Sides, want: RemoteGroup, present: RemoteGroup) -> frozenset[GroupServer]:
    """Return what the target has, with ours added, and its own entry for members alone."""
    ours = _known_servers(sides, want.servers)
    strict = {one.url for one in ours} | {OWN}
    kept = {one if one.url not in strict else GroupServer(one.url) for one in present.servers}
    return frozenset(kept | ours)


def urls(servers: frozenset[GroupServer]) -> list[list[object]]:
    """Return *servers* as lists of URL and all_orgs, in one order."""
    return [[one.url, one.all_orgs] for one in sorted(servers, key=lambda one: one.url)]
