"""Who has a threat's event in which MISP, told from the deliveries that looked (C3).

Our own MISP is one delivery (lane `misp`); each member's MISP that we may look at is another
(`misp:ORGANISATION`). A receipt of the first names the members; receipts of the second say what
was seen there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from eme_connector.domain.delivery import MISP_LANE, Delivery, State
from eme_connector.domain.misp_reasons import REASONS, remedy

Status = Literal["arrived", "not-pushed", "hidden", "unknown"]
_STATUSES: dict[str, Status] = {
    "member-missing": "not-pushed",
    "server-not-in-group": "not-pushed",
    "not-seen-there": "not-pushed",
    "not-updated-there": "not-pushed",
    "url-differs": "hidden",
    "roaming-with-servers": "hidden",
    "hidden-there": "hidden",
    "reads-here": "arrived",
    "dropped-there": "arrived",
    "group-stale-there": "arrived",
    "group-wider-there": "arrived",
    "no-way-back": "arrived",
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one member of the group has: *reason* says what is wrong, where something is."""

    organisation: str
    status: Status
    reason: str = ""
    detail: str = ""
    sequence: int = 0

    @property
    def says(self) -> str:
        """What is wrong, in words; empty where nothing is."""
        return REASONS[self.reason].says if self.reason in REASONS else self.reason

    @property
    def remedy(self) -> str:
        """What to do about it; empty where there is nothing to do."""
        return remedy(self.reason)


def check_lane(organisation: str) -> str:
    """Return the lane in which the MISP of *organisation* is looked at."""
    return f"{MISP_LANE}:{organisation}"


def is_missed(look: Delivery) -> bool:
    """Say whether a look has not found the newest state: MISP pushes once, and tells nobody."""
    return look.state is State.OWED and look.reason in ("not-seen-there", "not-updated-there")


def status_of(reason: str) -> Status:
    """Return what *reason* means for a member."""
    return _STATUSES.get(reason, "unknown")


def arrivals(deliveries: Iterable[Delivery]) -> tuple[Arrival, ...]:
    """Return what each member has, by organisation, from the deliveries of one threat.

    The newest state that our MISP published counts; before there is one, nobody has anything.
    """
    found = list(deliveries)
    ours = _newest(one for one in found if one.lane == MISP_LANE and one.receipt.get("members"))
    if ours is None:
        return ()
    members: dict[str, dict[str, Any]] = ours.receipt["members"]
    sequence = int(ours.receipt.get("sequence", 0))
    looked = {one.lane: one for one in found}  # they come oldest first
    return tuple(
        _arrival(member, said, looked.get(check_lane(member)), sequence)
        for member, said in sorted(members.items())
    )


def event_url(deliveries: Iterable[Delivery]) -> str | None:
    """Return where the event is in our MISP, None until it is known to be there."""
    found = _newest(one for one in deliveries if one.lane == MISP_LANE and one.receipt.get("url"))
    return str(found.receipt["url"]) if found else None


def _newest(deliveries: Iterable[Delivery]) -> Delivery | None:
    return max(deliveries, key=lambda one: one.id, default=None)


def _arrival(
    organisation: str, said: dict[str, Any], look: Delivery | None, sequence: int
) -> Arrival:
    reason, detail = str(said.get("reason", "")), str(said.get("detail", ""))
    if not said.get("check"):
        why = reason or "no-key"
        return Arrival(organisation, status_of(why), why, detail, sequence)
    if look is None or look.sequence < sequence:
        return Arrival(organisation, "unknown", reason or "on-its-way", detail, sequence)
    if look.state is State.DELIVERED:
        seen = str(look.receipt.get("note", ""))
        return Arrival(organisation, "arrived", seen, "", sequence)
    why = look.reason or "on-its-way"
    return Arrival(organisation, status_of(why), why, look.receipt.get("detail", ""), sequence)
