"""Who will see a threat, and by which rule: one answer for the preview and for the sender.

A threat goes to the members of its sharing group and to nobody else (C1, C5). Two ways lead
there: a sidecar's message to each member, and our MISP, which pushes the event on by rules of its
own (facts seen on MISP 2.5; `_misp` states them). What those rules let in besides members, the
preview says as well, because it is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from eme_connector.domain.sharing import MispInstance, SharingGroup, Topology
from eme_connector.domain.threat import Threat, Tlp

NAMED_ONLY = frozenset({Tlp.AMBER_STRICT, Tlp.RED})
_ORDER = list(Tlp)

Way = Literal["sidecar", "misp"]
Rule = Literal["member", "extend", "named", "roaming", "server", "all-orgs", "carrier"]
Why = Literal["not-named", "tlp-cap", "group-inactive"]
Oddity = Literal[
    "no-group",
    "group-unknown",
    "group-inactive",
    "nobody-else",
    "nobody-named",
    "tlp-cap",
    "owner-missing",
    "unusual-group",
    "beyond-members",
    "may-extend",
    "not-in-register",
]


RULES: Mapping[Rule, str] = {
    "member": "member of the group",
    "extend": "member of the group that may add others",
    "named": "named by a person",
    "roaming": "the group may travel to any MISP",
    "server": "the group names its MISP",
    "all-orgs": "the group is open to every organisation of that MISP",
    "carrier": "its account brings the event to that MISP",
}
WHYS: Mapping[Why, str] = {
    "not-named": "this marking goes only to those whom a person names",
    "tlp-cap": "the marking is stricter than what the group may hold",
    "group-inactive": "the group is not active",
}
ODDITIES: Mapping[Oddity, str] = {
    "no-group": "No sharing group is chosen: nobody else sees it.",
    "group-unknown": "The sharing group is not known here: nobody else sees it.",
    "group-inactive": "The sharing group is not active: nobody else sees it.",
    "nobody-else": "The sharing group has no other member: nobody else sees it.",
    "nobody-named": "This marking goes only to those whom a person names; nobody is named.",
    "tlp-cap": "The marking is stricter than what the group may hold: nobody else sees it.",
    "owner-missing": "The organisation whose threat it is is not a member of the group.",
    "unusual-group": "This is not a group that the organisation usually shares with.",
    "beyond-members": "Organisations that are not members will see it on a MISP.",
    "may-extend": "Members may let others in.",
    "not-in-register": "The group has members that no register of ours knows.",
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """An organisation that will see a threat: the rules that let it in, and by which ways."""

    organisation: str
    rules: tuple[Rule, ...]
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A member of the group that will not see it, and why."""

    organisation: str
    why: Why


@dataclass(frozen=True, slots=True)
class Odd:
    """Something a person should know before sharing; `organisations` are those concerned."""

    code: Oddity
    organisations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audience:
    """Everything that is known about who will see a threat."""

    viewers: tuple[Viewer, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    odd: tuple[Odd, ...] = ()


def viewers(threat: Threat, topology: Topology) -> tuple[Viewer, ...]:
    """Return who besides its owner will see *threat*; no group, or an unknown one, is nobody."""
    return audience(threat, topology).viewers


def by_sidecar(threat: Threat, topology: Topology) -> tuple[str, ...]:
    """Return the organisations that a message of ours goes to."""
    return tuple(one.organisation for one in viewers(threat, topology) if "sidecar" in one.ways)


def strangers(threat: Threat, topology: Topology, held: SharingGroup) -> tuple[Viewer, ...]:
    """Return who would see *threat* because our MISP holds its group as *held*, and may not.

    A group that was changed on the MISP, or a member that was removed at the source and not yet
    there, must not get it: whoever publishes asks this first.
    """
    allowed = {one.organisation for one in viewers(threat, topology)}
    there = replace(topology, groups=dict(topology.groups) | {held.uuid: held})
    return tuple(
        one
        for one in viewers(replace(threat, group=held.uuid), there)
        if "misp" in one.ways and one.organisation not in allowed
    )


def audience(threat: Threat, topology: Topology) -> Audience:
    """Return who will see *threat*, which members will not, and what is odd about it."""
    if threat.group is None:
        return Audience(odd=(Odd("no-group"),))
    group = topology.groups.get(threat.group)
    if group is None:
        return Audience(odd=(Odd("group-unknown"),))
    others = tuple(sorted(group.members - {threat.organisation}))
    barred: Why | None = _barred(threat, group)
    if barred is not None:
        return _nobody(others, barred)
    if threat.tlp in NAMED_ONLY:
        return _named(threat, others)
    seen = tuple(_viewers(threat, group, others, topology))
    return Audience(seen, odd=tuple(_oddities(threat, group, seen, topology)))


def _barred(threat: Threat, group: SharingGroup) -> Why | None:
    if not group.active:
        return "group-inactive"
    over = group.cap is not None and _ORDER.index(threat.tlp) > _ORDER.index(group.cap)
    return "tlp-cap" if over else None


def _nobody(others: tuple[str, ...], why: Why) -> Audience:
    code: Oddity = "tlp-cap" if why == "tlp-cap" else "group-inactive"
    left_out = tuple(LeftOut(one, why) for one in others)
    return Audience(left_out=left_out, odd=(Odd(code),))


def _named(threat: Threat, others: tuple[str, ...]) -> Audience:
    """Return the members that a person named: they get a message; the event stays at home."""
    named = tuple(one for one in others if one in threat.recipients)
    return Audience(
        tuple(Viewer(one, ("named",), ("sidecar",)) for one in named),
        tuple(LeftOut(one, "not-named") for one in others if one not in named),
        () if named else (Odd("nobody-named"),),
    )


def _viewers(
    threat: Threat, group: SharingGroup, others: tuple[str, ...], topology: Topology
) -> Iterator[Viewer]:
    readers = _misp(threat, group, topology)
    for one in others:
        member: Rule = "extend" if one in group.extending else "member"
        ways: tuple[Way, ...] = ("sidecar", "misp") if one in readers else ("sidecar",)
        yield Viewer(one, (member, *readers.get(one, ())), ways)
    for one in sorted(readers.keys() - set(others) - {threat.organisation}):
        yield Viewer(one, readers[one], ("misp",))


def _oddities(
    threat: Threat, group: SharingGroup, seen: tuple[Viewer, ...], topology: Topology
) -> Iterator[Odd]:
    if not seen:
        yield Odd("nobody-else")
    if threat.organisation not in group.members:
        yield Odd("owner-missing")
    owner = topology.organisations.get(threat.organisation)
    usual = {owner.default_group, *(rule.group for rule in owner.group_rules)} if owner else set()
    if group.uuid not in usual:
        yield Odd("unusual-group")
    found: dict[Oddity, tuple[str, ...]] = {
        "beyond-members": tuple(o.organisation for o in seen if "sidecar" not in o.ways),
        "may-extend": tuple(o.organisation for o in seen if "extend" in o.rules),
        "not-in-register": tuple(
            o.organisation for o in seen if o.organisation not in topology.organisations
        ),
    }
    yield from (Odd(code, who) for code, who in found.items() if who)


def _misp(
    threat: Threat, group: SharingGroup, topology: Topology
) -> Mapping[str, tuple[Rule, ...]]:
    """Return who can read the event on our MISP and on those behind it, and by which rule.

    Only members' events are published: without us in the group a receiver would keep the event
    where nobody reads it, so nothing leaves.
    """
    ours = topology.misp
    if ours is None or ours.carrier not in group.members:
        return {}
    found = _open_to(ours, group) | dict.fromkeys(_members_at(ours, group), ())
    # a URL that our MISP does not know, it drops from the group without a word
    known = {ours.url, *(one.entry for one in topology.behind)}
    held = replace(group, servers=frozenset(s for s in group.servers if s.url in known))
    for one in topology.behind:
        found = _there(one, held, group) | found
    return found


def _members_at(instance: MispInstance, group: SharingGroup) -> frozenset[str]:
    return instance.organisations & group.members


def _open_to(instance: MispInstance, group: SharingGroup) -> dict[str, tuple[Rule, ...]]:
    """Return everybody there where the group is open to every organisation of that MISP."""
    return dict.fromkeys(instance.organisations, ("all-orgs",)) if _is_open(instance, group) else {}


def _is_open(instance: MispInstance, group: SharingGroup) -> bool:
    """Say whether every organisation of *instance* may read what is in *group*."""
    return any(one.url == instance.url and one.all_orgs for one in group.servers)


def _there(
    one: MispInstance, sent: SharingGroup, group: SharingGroup
) -> dict[str, tuple[Rule, ...]]:
    """Return who reads the event behind us: *sent* is *group* as our MISP pushes it."""
    if not _is_pushed(one, sent):
        return {}
    # whoever brought the event there owns that copy, whatever became of its group
    found: dict[str, tuple[Rule, ...]] = (
        {one.carrier: ("carrier",)} if one.carrier in one.organisations else {}
    )
    if one.relayed:
        found |= _open_to(one, group)
    elif not _is_taken(one, sent):
        return found
    # a group that comes with a push is open to nobody but members there: the flag is lost
    way: Rule = "roaming" if sent.roaming else "server"
    return found | dict.fromkeys(_members_at(one, sent), (way,))


def _is_pushed(one: MispInstance, group: SharingGroup) -> bool:
    named = any(server.url == one.entry for server in group.servers)
    return one.host in group.members and (group.roaming or named)


def _is_taken(one: MispInstance, group: SharingGroup) -> bool:
    """Say whether a receiver keeps a group new to it, and not “your organisation only”."""
    knows_itself = not group.servers or any(server.url == one.url for server in group.servers)
    return knows_itself and (one.carrier in group.members or _is_open(one, group))
