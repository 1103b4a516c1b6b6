"""When a shorter list is believed, and when it waits.

A source that answers 200 with a short list may have lost a permission, not its members. So a
list that shrank by much, and a group that is gone, are acted on only when several cycles have
seen the same, or a person confirms; emptying a group always takes a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from eme_connector.domain.directory import RemoteGroup, Snapshot
from eme_connector.domain.relay import Doubt, Memory
from eme_connector.errors import RemoteEmptied
from eme_connector.sync.steps import Difference, confirmation, group_subject
from eme_connector.sync.terms import Terms

EVERYTHING = "all"
LEAST_LOST = 10
"""So many memberships may go at once in the whole source, whatever their share."""
_WAITING_HELPS = frozenset({"shrank", "gone"})


@dataclass
class Caution:
    """Weighs what the source no longer says, for one plan."""

    memory: Memory
    terms: Terms
    at: int
    confirmed: Collection[str] = ()
    doubts: list[Doubt] = field(default_factory=list)

    def hold(self, steps: Sequence[Difference], reason: str, content: str) -> str:
        """Return *reason* when *steps* on one subject have to wait for it, or an empty text."""
        if self.is_confirmed(steps):
            return ""
        subject = steps[0].subject
        doubt = self._grown(subject, reason, content)
        self.doubts.append(doubt)
        if reason in _WAITING_HELPS and doubt.cycles >= self.terms.cycles:
            return ""
        return reason

    def undone(self, steps: Sequence[Difference], content: str) -> str:
        """Return `undone` when a person undid what the source still says, or an empty text."""
        doubt = self.memory.doubts.get(steps[0].subject) if steps else None
        if doubt is None or doubt.reason != "undone" or doubt.content != content:
            return ""
        if self.is_confirmed(steps):
            return ""
        self.doubts.append(doubt)
        return "undone"

    def cycles(self, subject: str) -> str:
        """Return how often a waiting step was seen, for people."""
        found = next((one for one in self.doubts if one.subject == subject), None)
        if found is None or found.reason not in _WAITING_HELPS:
            return ""
        return f"seen in {found.cycles} of {self.terms.cycles} cycles"

    def is_confirmed(self, steps: Sequence[Difference]) -> bool:
        """Say whether a person has confirmed *steps*: these, or whatever is to be done there."""
        counts = {EVERYTHING, steps[0].uuid, confirmation(steps)}
        return not counts.isdisjoint(self.confirmed)

    def _grown(self, subject: str, reason: str, content: str) -> Doubt:
        known = self.memory.doubts.get(subject)
        if known is None or (known.reason, known.content) != (reason, content):
            return Doubt(subject, reason, content, 1, self.at, self.at)
        if self.at - known.last_at < self.terms.spacing:
            return known
        return Doubt(subject, reason, content, known.cycles + 1, known.first_at, self.at)


def refuse_emptied(source: Snapshot, memory: Memory, caution: Caution) -> None:
    """Refuse a source that lists nothing of what it listed before.

    Raises:
        RemoteEmptied
    """
    if EVERYTHING in caution.confirmed:
        return
    known = [uuid for uuid in memory.groups if caution.terms.takes(uuid)]
    if known and not any(caution.terms.takes(uuid) for uuid in source.groups):
        raise RemoteEmptied(
            f"the source lists none of the {len(known)} groups that it had;"
            " confirm it with `--confirm all` if that is true"
        )
    if memory.organisations and not source.organisations:
        raise RemoteEmptied("the source lists no organisation any more")


def shrunken(
    groups: Mapping[str, RemoteGroup], bases: Mapping[str, Iterable[str]], terms: Terms
) -> dict[str, str]:
    """Return the groups whose removals are to be doubted, with the reason.

    *bases* are the members that each group had: as last agreed, else as the target has them.
    """
    lost = {u: len(set(bases[u]) - set(one.members)) for u, one in groups.items() if u in bases}
    sizes = {u: len(set(bases[u])) for u in lost}
    much = sum(lost.values()) > max(LEAST_LOST, terms.share * sum(sizes.values()))
    found = {}
    for uuid, count in lost.items():
        if count and much:
            found[uuid] = "source-shrank"
        elif count > max(1, terms.share * sizes[uuid]):
            found[uuid] = "shrank"
        if count and not groups[uuid].members:
            found[uuid] = "would-empty"
    return found


def gone_reason(gone: int, known: int, terms: Terms) -> str:
    """Return why groups that the source lists no more wait: a few, or suspiciously many."""
    return "source-shrank" if gone > max(1, terms.share * known) else "gone"


def subjects(groups: Iterable[str]) -> frozenset[str]:
    """Return the subjects of *groups*."""
    return frozenset(group_subject(uuid) for uuid in groups)
