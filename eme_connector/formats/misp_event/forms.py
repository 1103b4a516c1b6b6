"""JSON documents compared and mended, member by member."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from eme_connector.formats.fields import step_into

Json = dict[str, Any]


def differences(sent: Any, rebuilt: Any, pointer: str = "") -> tuple[Json, list[str]]:
    """Return (what has to be set in *rebuilt*, what has to go) so that it equals *sent*."""
    if isinstance(sent, dict) and isinstance(rebuilt, dict):
        pairs = [(key, sent[key], rebuilt.get(key, ...)) for key in sent]
        gone = [step_into(pointer, key) for key in rebuilt if key not in sent]
    elif isinstance(sent, list) and isinstance(rebuilt, list) and len(sent) == len(rebuilt):
        pairs = [(str(at), a, b) for at, (a, b) in enumerate(zip(sent, rebuilt, strict=True))]
        gone = []
    else:
        return ({} if _same(sent, rebuilt) else {pointer: sent}), []
    changed: Json = {}
    for key, a, b in pairs:
        if isinstance(a, dict | list):
            inner, dropped = differences(a, b, step_into(pointer, key))
            changed |= inner
            gone += dropped
        elif not _same(a, b):
            changed[step_into(pointer, key)] = a
    return changed, gone


def mend(document: Any, changed: Mapping[str, Any], gone: Iterable[str]) -> None:
    """Apply what `differences` found to *document*."""
    for pointer in gone:
        holder, last = _holder(document, pointer)
        if isinstance(holder, dict):
            holder.pop(last, None)
    for pointer, value in changed.items():
        holder, last = _holder(document, pointer)
        if isinstance(holder, dict):
            holder[last] = value
        elif isinstance(holder, list) and last.isdigit() and int(last) < len(holder):
            holder[int(last)] = value


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (pointer, value) of everything that is not an object or list with content."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, step_into(pointer, key))
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{pointer}/{at}")
    else:
        yield pointer, value


def _holder(document: Any, pointer: str) -> tuple[Any, str]:
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in way:
        if isinstance(document, list):
            document = document[int(part)] if _is_place(part, document) else None
        else:
            document = document.get(part) if isinstance(document, dict) else None
    return document, last


def _is_place(part: str, document: list[Any]) -> bool:
    return part.isdigit() and int(part) < len(document)


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b
