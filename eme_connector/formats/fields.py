"""Read the members of foreign JSON objects, collecting every fault with its pointer.

A `Reader` remembers which members were read; the rest can be kept as `leftovers`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from eme_connector.errors import Fault

MAX_STRING = 65_536
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)?", re.ASCII
)
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?")


def step_into(pointer: str, key: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of member *key* of what *pointer* names."""
    if isinstance(key, str) and ("~" in key or "/" in key):
        key = key.replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{key}"


def in_document_order(faults: Iterable[Fault], document: Any) -> list[Fault]:
    """Return *faults* as their places stand in *document*; a missing member comes last."""
    return sorted(faults, key=lambda fault: _position(fault.pointer, document))


def _position(pointer: str, value: Any) -> list[int]:
    places = []
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            places.append(int(key))
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            places.append(list(value).index(key))
            value = value[key]
        else:
            return [*places, len(value) if isinstance(value, dict | list) else 0]
    return places


@dataclass(slots=True)
class Trace:
    """What all readers of one document share: its faults, and the readers themselves."""

    faults: list[Fault] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)

    def leftovers(self, base: str) -> dict[str, Any]:
        """Return what nobody read below *base*, by pointer relative to it."""
        return {
            step_into(reader.pointer, key).removeprefix(base): reader.value[key]
            for reader in self.readers
            if reader.pointer == base or reader.pointer.startswith(f"{base}/")
            for key in reader.unread
        }


class Reader:
    """One JSON object at *pointer*; it tells the document's *trace* of its faults."""

    __slots__ = ("_read", "faults", "pointer", "trace", "value")

    def __init__(self, value: dict[str, Any], pointer: str, trace: Trace) -> None:
        self.value, self.pointer, self.trace = value, pointer, trace
        self.faults = trace.faults
        self._read: set[str] = set()
        trace.readers.append(self)

    def fault(self, key: str | int, detail: str) -> None:
        """Note that member *key* is wrong."""
        self.faults.append(Fault(step_into(self.pointer, key), detail))

    def has(self, key: str) -> bool:
        """Say whether the member is there and not null."""
        return self.value.get(key) is not None

    def take(self, key: str) -> Any:
        """Return the member as it is, or None, and remember that it was read."""
        self._read.add(key)
        return self.value.get(key)

    def text(self, key: str, *, required: bool = False) -> str:
        """Return a string; a missing one is empty."""
        self._read.add(key)
        value = self.value.get(key)
        if not isinstance(value, str):
            if value is not None or required:
                self.fault(key, "is missing" if value is None else "expected a string")
            return ""
        if len(value) > MAX_STRING:
            self.fault(key, f"is longer than {MAX_STRING} characters")
        elif required and not value.strip():
            self.fault(key, "is empty")
        return value

    def label(self, key: str, *, required: bool = False) -> str:
        """Return a string, or an integer as a string: ids come as either."""
        value = self.value.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            self._read.add(key)
            return str(value)
        return self.text(key, required=required)

    def number(self, key: str, low: float, high: float) -> float | None:
        """Return a number between *low* and *high* given as number or string; None if missing."""
        value = self.take(key)
        if value is None or value == "":
            return None
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(key, f"expected a number from {low:g} to {high:g}")
            return None
        if not low <= value <= high:
            self.fault(key, f"must be from {low:g} to {high:g}")
            return None
        return float(value)

    def integer(self, key: str, low: int, high: int) -> int | None:
        """Return a whole number between *low* and *high*, given as number or string."""
        value = self.number(key, low, high)
        if value is not None and value != int(value):
            self.fault(key, "expected a whole number")
            return None
        return None if value is None else int(value)

    def time(self, key: str, flags: set[str]) -> str:
        """Return RFC 3339 in UTC, or empty; a missing zone is UTC and flags `no-zone`."""
        text = self.text(key)
        if not text:
            return ""
        found = parse_time(text)
        if found is None:
            self.fault(key, "expected a date and time as in RFC 3339")
            return ""
        moment, zoned = found
        if not zoned:
            flags.add("no-zone")
        return moment.isoformat()

    def address(self, key: str) -> str:
        """Return an IP address in its usual form, or empty."""
        text = self.text(key).strip()
        if not text:
            return ""
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            self.fault(key, "expected an IP address (no leading zeros)")
            return ""

    def object(self, key: str) -> Reader | None:
        """Return a reader of the member, or None; something else than an object is a fault."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fault(key, "expected an object")
            return None
        return Reader(value, step_into(self.pointer, key), self.trace)

    def objects(self, key: str, *, required: bool = False) -> list[Reader]:
        """Return readers of the member: one object, or a list of objects."""
        value = self.take(key)
        if value is None:
            if required:
                self.fault(key, "is missing")
            return []
        at = step_into(self.pointer, key)
        if isinstance(value, dict):
            return [Reader(value, at, self.trace)]
        if not isinstance(value, list):
            self.fault(key, "expected an object or a list of objects")
            return []
        found = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                found.append(Reader(item, step_into(at, index), self.trace))
            else:
                self.faults.append(Fault(step_into(at, index), "expected an object"))
        if not value:
            self.fault(key, "is empty")
        return found

    @property
    def unread(self) -> set[str]:
        """The members that nobody asked for."""
        return self.value.keys() - self._read


def parse_time(text: str) -> tuple[datetime, bool] | None:
    """Return (the moment in UTC, whether a zone was given), or None for anything else.

    Any number of fraction digits is taken, six are kept; a leap second is not a time we can
    order by and is refused.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[0].upper())
        zoned = moment.tzinfo is not None
        return moment.astimezone(UTC) if zoned else moment.replace(tzinfo=UTC), zoned
    except (ValueError, OverflowError):
        return None
