"""What a plan is made of: named differences, and the calls that settle them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation
from eme_connector.domain.relay import Doubt

Kind = Literal["add", "update", "remove", "conflict", "keep-local"]
Verdict = Literal["do", "held", "stuck", "leave"]
Action = Literal["put-organisation", "put-group", "set-members", "remove-members", "announce"]

WORDS: Mapping[str, str] = {
    "organisation-missing": "the target lacks an organisation that takes part in a group",
    "organisation-differs": "name, nationality, sector, type or URL are not the source's",
    "name-taken": "another organisation or group there has the name; ours gets a suffix",
    "group-missing": "the target lacks the group",
    "group-text": "name, releasability or description are not the source's",
    "group-active": "the source has switched the group on or off",
    "group-roaming": "MISP sends the group's events to other servers than `sync` says",
    "group-servers": "a MISP that `sync` names is not in the group, or all its organisations are",
    "group-owner": "another organisation owns the group there; nobody can change that by API",
    "group-without-owner": "neither side knows the organisation that owns the group",
    "member-missing": "the target lacks a member",
    "member-extend": "a member may extend the group on one side only",
    "member-removed": "the source has removed a member, the target has not",
    "member-resurrected": "a member that was removed came back, mostly by a MISP's sync",
    "member-unknown": "somebody added a member at the target; the source never had it",
    "member-unnamed": "neither side knows the organisation of a member",
    "server-unknown": "the target has no server entry with exactly this URL",
    "server-surplus": "a MISP that `sync` no longer names; only people can remove it there",
    "unannounced": "peers of the target have not been given a reason to take the change",
    "group-gone": "the source has no such group any more",
    "group-here-only": "the source never had the group",
    "group-not-relayed": "the group was relayed once, `sync` does not list it any more",
    "server-here-only": "somebody else lets this MISP take part in the group",
    "organisation-here-only": "the source does not know the organisation",
}
"""Every word by which a difference is called, and what it means."""

HOLDS: Mapping[str, str] = {
    "would-empty": "nobody would be left in the group; only a person can confirm that",
    "shrank": "many members went at once; acted on when it was seen in several cycles",
    "source-shrank": "much of the source went at once; only a person can confirm that",
    "gone": "the group went from the source; acted on when it was seen in several cycles",
    "undone": "a person undid this; it waits until the source changes, or a person confirms",
}
"""Every reason for which a step waits, and what ends the wait."""

_LIST = "Global Actions > List Sharing Groups"
_EDIT = f"a site admin of the MISP: {_LIST} > Edit Sharing Group"
REMEDIES: Mapping[str, str] = {
    "group-owner": f"a site admin of the MISP deletes the group ({_LIST} > Delete Sharing Group),"
    " and the next cycle makes it anew; MISP refuses while an event uses it: then only the source"
    " can take this owner",
    "group-active": f"{_EDIT} > General > Make the sharing group selectable (active), and Submit"
    " on the last tab; an inactive one is listed under Passive Sharing Groups",
    "server-surplus": f"{_EDIT} > MISP Instances > the bin beside its URL, and Submit on the last"
    " tab",
    "server-unknown": "a site admin of the MISP adds it with exactly this URL (Sync Actions >"
    " Remote Servers), or `servers` of the target gets the URL that stands there",
    "group-without-owner": "add the organisation at the source, or let the key see it there",
    "member-unnamed": "add the organisation at the source, or let the key see it there",
}
"""What a person does, and where, about each difference that no API settles."""
CEREBRATE_OWNER = (
    "a community admin of the Cerebrate deletes the group (Sharing Groups > Delete), and the next"
    " cycle makes it anew"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which source and target differ, and what becomes of it.

    `do`: the plan settles it; `held`: it waits (`hold` says why, `confirm` is the confirmation
    that counts for exactly what waits); `stuck`: nothing that an API offers settles it (`remedy`
    says what a person does); `leave`: it is the target's own business. `before` and `after` are
    what the target has and what it gets (None: nothing).
    """

    word: str
    kind: Kind
    subject: str
    name: str
    member: str = ""
    member_name: str = ""
    before: Any = None
    after: Any = None
    verdict: Verdict = "do"
    hold: str = ""
    note: str = ""
    confirm: str = ""
    remedy: str = ""

    @property
    def uuid(self) -> str:
        """The organisation or group that this is about."""
        return self.subject.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the directory port, with the differences that it settles."""

    action: Action
    subject: str
    steps: tuple[Difference, ...] = ()
    organisation: RemoteOrganisation | None = None
    group: RemoteGroup | None = None
    members: Mapping[str, bool] = field(default_factory=dict)

    @property
    def uuid(self) -> str:
        """The organisation or group that this is about."""
        return self.subject.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done at one target, in order, and everything that is not.

    `doubts` are what the target's memory should hold about waiting steps, once this plan has
    counted as a cycle. `names` are the organisation names that the target is to show.
    """

    target: str
    differences: tuple[Difference, ...] = ()
    calls: tuple[Call, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    left: tuple[Difference, ...] = ()

    @property
    def is_converged(self) -> bool:
        """Say whether nothing is to be done, nothing waits and nothing is stuck."""
        return not self.differences

    @property
    def steps(self) -> tuple[Difference, ...]:
        """What the plan does."""
        return tuple(one for one in self.differences if one.verdict == "do")

    def count(self, verdict: Verdict) -> int:
        """Return how many differences have this verdict."""
        return sum(one.verdict == verdict for one in self.differences)

    @property
    def digest(self) -> str:
        """SHA-256 over every difference with what was before and what is to be after.

        Two plans with one digest do the same to the same: the world has not moved.
        """
        content = [
            [self.target],
            *(
                [one.word, one.subject, one.member, one.before, one.after, one.verdict]
                for one in self.differences
            ),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def confirmation(steps: Iterable[Difference]) -> str:
    """Return the confirmation, `UUID@CODE`, of exactly these steps on one subject.

    It does not count for any others: what a person has read is what is done, or nothing.
    """
    several = list(steps)
    content = sorted([one.member, one.kind, _text(one.before), _text(one.after)] for one in several)
    code = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    return f"{several[0].uuid}@{code}"


def group_subject(uuid: str) -> str:
    """Return the subject of a group."""
    return f"group/{uuid}"


def organisation_subject(uuid: str) -> str:
    """Return the subject of an organisation."""
    return f"organisation/{uuid}"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
