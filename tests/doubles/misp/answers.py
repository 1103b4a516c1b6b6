"""What a MISP answers, in the shapes it was seen to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NO_RIGHT = "You do not have permission to use this functionality."
NO_GROUP = "Invalid Sharing Group or not authorised."
INTERNAL = "An Internal Error Has Occurred."


@dataclass
class Answer:
    """`after` runs without the lock (it may call other MISPs) and may answer instead."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after: Callable[[], Answer | None] | None = None


class Refused(Exception):
    """An answer that is no; `url` stands in the body, the path that was called where None."""

    def __init__(self, status: int, message: str, *, url: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.url = status, message, url
        self.headers: dict[str, str] = {}

    def body(self, path: str) -> dict[str, Any]:
        return {"name": self.message, "message": self.message, "url": self.url or path}


class NotSaved(Refused):
    """The other form of a no: 403 and `saved: false`, with what was wrong."""

    def __init__(self, message: str, errors: Any, *, url: str, row: Any = None) -> None:
        super().__init__(403, message, url=url)
        self.errors, self.row = errors, row

    def body(self, path: str) -> dict[str, Any]:
        told = {"saved": False} | super().body(path) | {"errors": self.errors}
        return told | ({"id": str(self.row)} if self.row is not None else {})


def saved(message: str, url: str, row: Any = None) -> Answer:
    """Return MISP's yes to an action."""
    body = {"saved": True, "success": True, "name": message, "message": message, "url": url}
    return Answer(body | ({"id": str(row)} if row is not None else {}))
