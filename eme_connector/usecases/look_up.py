"""Find the threats that name a value: an id, a CVE, an address, a device, a technique (D2)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

from eme_connector.domain.listing import MAX_PAGE, ListQuery
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.threat import Threat
from eme_connector.ports import Store

MAX_VALUES = 10
MAX_FOUND = 10


@dataclass(frozen=True, slots=True)
class Match:
    """A threat, and where in it which values stand: words such as `address` or `summary`."""

    threat: Threat
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """The newest threats that name one of the values; `complete` says that there are no others."""

    matches: tuple[Match, ...]
    complete: bool


def look_up(values: Collection[str], *, caller: Caller, store: Store) -> Looked:
    """Return the threats that the caller's organisation may see and that name one of *values*.

    Raises:
        NotAllowed
    """
    caller.need(Right.READ)
    found: dict[str, Match] = {}
    complete = True
    for value in filter(None, (one.strip() for one in values)):
        page = store.list_threats(ListQuery(caller.organisation, keyword=value, limit=MAX_PAGE))
        complete = complete and page.complete and not page.cursor
        for threat in (*_by_id(value, caller, store), *page.threats):
            if where := tuple(_places(threat, value)):
                found.setdefault(threat.id, Match(threat, where))
    newest = sorted(found.values(), key=lambda one: -one.threat.received_at)
    return Looked(tuple(newest[:MAX_FOUND]), complete and len(newest) <= MAX_FOUND)


def _by_id(value: str, caller: Caller, store: Store) -> tuple[Threat, ...]:
    """Return the threat of that id: it is there before the index knows its words."""
    try:
        found = store.find_visible_threat(str(UUID(value)), caller.organisation)
    except ValueError:
        return ()
    return () if found is None else (found,)


def _places(threat: Threat, value: str) -> Iterator[str]:
    """Yield where *value* stands whole: the index knows words, so `10.0.0.1` finds `10.0.0.10`."""
    whole = re.compile(rf"(?<![\w.:-]){re.escape(value)}(?![\w:-]|\.\w)", re.IGNORECASE)
    detection = threat.detection
    texts = [
        ("id", threat.id),
        *(("address", asset.address) for asset in detection.assets),
        *(("device", asset.device) for asset in detection.assets),
        ("threat", detection.threat),
        ("name", detection.name),
        ("summary", detection.summary),
        ("source", detection.source),
        ("actor", detection.actor),
    ]
    yield from dict.fromkeys(name for name, text in texts if text and whole.search(text))
