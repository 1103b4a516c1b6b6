"""Organisations, groups and keys of the directory to JSON and back: equal things, equal text."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from eme_connector.domain.directory import EncryptionKey, RemoteGroup, RemoteOrganisation, Told

_ADAPTERS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (RemoteOrganisation, RemoteGroup, EncryptionKey)
}


def dump(what: Told) -> str:
    """Return *what* as JSON with its members in one order."""
    document = _ADAPTERS[type(what)].dump_python(what, mode="json")
    if isinstance(what, RemoteGroup):
        document["servers"].sort(key=lambda one: one["url"])
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def load(kind: type[Told], text: str) -> Told:
    """Return the thing of *kind* in *text*, which `dump` wrote."""
    found: Told = _ADAPTERS[kind].validate_json(text)
    return found
