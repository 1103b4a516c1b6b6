"""What changed between the response that a person read and the one that is there now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from eme_connector.domain import playbook as response

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; `before` or `now` is empty for what came or went."""

    what: str
    before: str
    now: str


def changes(seen: str, digest: str, proposal: Document) -> list[Change]:
    """Return what differs; nothing when *seen* is not what *digest* was made of."""
    before = _read(seen, digest)
    return list(_compare(before, proposal)) if before is not None else []


def _read(seen: str, digest: str) -> Document | None:
    try:
        document = json.loads(seen)
        # only what the digest vouches for: the field came back from a browser
        same = isinstance(document, dict) and response.digest(document) == digest
    except (ValueError, RecursionError):
        return None
    return document if same else None


def _compare(before: Document, now: Document) -> Iterator[Change]:
    if before["assets"] != now["assets"]:
        yield Change(_("Assets"), _assets(before), _assets(now))
    for what, key in ((_("Valid from"), "valid_from"), (_("Valid until"), "valid_until")):
        if _of_books(before, key) != _of_books(now, key):
            yield Change(what, _of_books(before, key), _of_books(now, key))
    old, new = _steps(before), _steps(now)
    for key in [*old, *(one for one in new if one not in old)]:
        if key not in new:
            yield Change(_("Step %(id)s was removed", id=key), _line(old[key]), "")
        elif key not in old:
            yield Change(_("Step %(id)s was added", id=key), "", _line(new[key]))
        elif old[key] != new[key]:
            yield Change(_("Step %(id)s", id=key), _line(old[key]), _line(new[key]))
    if [key for key in old if key in new] != [key for key in new if key in old]:
        yield Change(_("Order of steps"), ", ".join(old), ", ".join(new))


def _steps(document: Document) -> dict[str, Document]:
    return {str(step["id"]): step for book in document["playbooks"] for step in book["steps"]}


def _line(step: Document) -> str:
    target = " ".join(part for part in (step["actor"], step["address"]) if part)
    impact = _("impact %(n)s", n=step["impact"])
    parts = (step["action_text"], target, impact, step["description"])
    return " · ".join(part for part in parts if part)


def _assets(document: Document) -> str:
    return ", ".join(f"{one['device']} {one['address']}".strip() for one in document["assets"])


def _of_books(document: Document, key: str) -> str:
    return ", ".join(book[key] or "–" for book in document["playbooks"])
