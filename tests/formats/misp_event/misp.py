"""What a MISP gives back of an event that was posted: its own forms, and what it cannot hold."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import datetime
from typing import Any

Json = dict[str, Any]
MOST = 65_535


def answer(event: Json) -> Json:
    """Return *event* as MISP would: see facts G1, G2 and its own validation."""
    kept = copy.deepcopy(event)
    kept["Attribute"] = [_kept(one) for one in kept["Attribute"] if _is_taken(one)]
    for found in kept["Object"]:
        found["Attribute"] = [_kept(one) for one in found["Attribute"] if _is_taken(one)]
    return kept


def imported(*contents: Json) -> Json:
    """Return the event after a module's answers were saved into it one by one.

    MISP takes an object for one that is there when each of its values stands in that one.
    """
    event: Json = {"Attribute": [], "Object": []}
    for content in map(answer, contents):
        event["Attribute"] += content["Attribute"]
        for found in content["Object"]:
            values = {_key(one) for one in found["Attribute"]}
            known = [[_key(one) for one in there["Attribute"]] for there in event["Object"]]
            if not any(
                sum(one in values for one in there) >= len(found["Attribute"]) for there in known
            ):
                event["Object"].append(found)
    return event


def _key(one: Json) -> tuple[str, str, str]:
    return one["object_relation"], one["value"].lower(), one["type"]


def texts(value: Any) -> Iterator[str]:
    """Yield every text in *value*."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def _is_taken(one: Json) -> bool:
    return bool(one["value"].strip()) and len(one["value"].encode()) <= MOST


def _kept(one: Json) -> Json:
    value = "".join("?" if ord(c) > 0xFFFF else c for c in one["value"]).strip()
    value = value.replace("\r\n", "\n")
    if one["type"] == "datetime":
        value = f"{datetime.fromisoformat(value):%Y-%m-%dT%H:%M:%S.%f%z}"
    if one["type"] == "float":
        value = f"{float(value):g}"
    if one["type"] == "sha256":
        value = value.lower()
    return one | {"value": value}
