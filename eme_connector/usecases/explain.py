"""Say what becomes of every leaf of a bundle in MISP, or of an event in STIX (C3, D1, D3)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from eme_connector.domain.risk import CriticalityOrder
from eme_connector.errors import Fault, InvalidBundle
from eme_connector.formats import strict_json
from eme_connector.formats.misp_event import accounting, bundle, export_accounting, foreign
from eme_connector.formats.misp_event.accounting import FATES, Accounting, Entry, Fate
from eme_connector.formats.misp_event.bundle import Options

MAX_BYTES = 33_554_432
MAX_STEPS = 10_000
BASE_URL = "https://eme.invalid"
"""Stands for our own address in a bundle that nobody is sent."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What was read, and what became of it; `result` is the event, or the bundle, made of it."""

    kind: Literal["bundle", "event"]
    accounting: Accounting
    result: dict[str, Any]

    def reasons(self, fate: Fate) -> list[tuple[str, list[str]]]:
        """Return (reason, pointers) of one fate, the most frequent first."""
        found: dict[str, list[str]] = {}
        for one in self._of(fate):
            found.setdefault(one.reason, []).append(one.pointer)
        return sorted(found.items(), key=lambda group: -len(group[1]))

    def targets(self) -> list[tuple[str, int]]:
        """Return (what it became a part of, how many leaves), the biggest first."""
        parts = Counter(self._part(one.to) for one in self._of("mapped"))
        return parts.most_common()

    def counts(self) -> dict[Fate, int]:
        """Return how many leaves had each fate."""
        return {fate: self.accounting.count(fate) for fate in FATES}

    def _of(self, fate: Fate) -> list[Entry]:
        return [one for one in self.accounting.entries if one.fate == fate]

    def _part(self, to: str) -> str:
        way = to.split("/")[1:]
        if self.kind == "event":
            return f"{self.result['objects'][int(way[1])]['type']} object"
        if way[1] != "Object":
            return way[1].lower()
        one = self.result["Object"][int(way[2])]
        return f"object {one['name']} ({one.get('comment') or 'by misp-stix'})"


def explain(data: bytes, criticality_order: CriticalityOrder = "descending") -> Explained:
    """Return what becomes of the STIX bundle or the MISP event in *data*.

    Raises:
        Malformed, TooLarge
        InvalidBundle: it is neither.
    """
    document = strict_json.loads(data, max_bytes=MAX_BYTES)
    if export_accounting.is_event(document):
        exported, book = export_accounting.explain(document, base_url=BASE_URL)
        return Explained("event", book, exported.bundle)
    if not isinstance(document, dict) or document.get("type") != "bundle":
        raise InvalidBundle([Fault("/type", "expected a STIX bundle, or an event of MISP")])
    namespace = uuid5(NAMESPACE_URL, str(document.get("id")))
    options = Options(criticality_order, MAX_STEPS)
    mapped = bundle.render(document, namespace, options, foreign.converter(namespace))
    return Explained("bundle", accounting.account(document, mapped), mapped.event)
