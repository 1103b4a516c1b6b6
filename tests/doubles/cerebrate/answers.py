"""The shapes of answers: lists with a count, refusals with the wrong status, bare 500s."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.doubles.cerebrate.state import Row, State

Query = dict[str, list[str]]


class Failure(Exception):
    """An answer that is an error: `status` and the message in its body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def crash() -> Failure:
    """Return what every uncaught exception there becomes."""
    return Failure(500, "An Internal Error Has Occurred.")


def forbidden() -> Failure:
    return Failure(405, "You do not have permission to use this functionality.")


def absent(what: str = "") -> Failure:
    return Failure(404, f"Invalid {what}." if what else "Not Found")


def refusal(model: str, verb: str, reason: str) -> Row:
    """Return what a validation error is told with: a 200."""
    return {"message": f"{model} could not be {verb}.\nReason: {reason}"}


@dataclass
class Call:
    """One request: who asks (`user` row), for what."""

    state: State
    user: Row
    method: str
    arguments: list[str]
    query: Query
    body: Any
    known_session: bool
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def auditor(self) -> int:
        """The user that the audit log names: nobody at the first call of a session."""
        return int(self.user["id"]) if self.known_session else 0

    def may(self, *permissions: str) -> bool:
        return any(self.user["role"][f"perm_{one}"] for one in permissions)

    def need(self, *permissions: str) -> None:
        if not self.may(*permissions):
            raise forbidden()

    @property
    def sees_all(self) -> bool:
        return self.may("admin", "view_all_orgs")

    @property
    def own(self) -> int:
        return int(self.user["organisation_id"])

    def number(self, at: int = 0) -> int:
        """Return a numeric argument; a uuid there is an uncaught TypeError."""
        if len(self.arguments) <= at:
            raise crash()
        if not self.arguments[at].isdigit():
            raise crash()
        return int(self.arguments[at])

    def input(self) -> Row:
        """Return the body of a form; an empty one is refused."""
        if self.method == "GET":
            raise crash()  # a form, which has no JSON
        if not self.body:
            raise Failure(400, "Invalid request content. Please make sure that you pass the data "
                               "to be handled in the body.")  # fmt: skip
        found: Row = self.body
        return found


def index(
    call: Call,
    rows: Iterable[Row],
    filters: dict[str, Callable[[Row], Any]],
    *,
    after: Callable[[Row], Row | None] = lambda row: row,
) -> list[Row]:
    """Return a page: filtered, counted, cut, and only then hidden from who may not see it."""
    found = [row for row in rows if _matches(row, call.query, filters)]
    found = _sorted(found, call.query)
    call.headers["X-Total-Count"] = str(len(found))
    return [made for row in _page(found, call.query) if (made := after(row)) is not None]


def _matches(row: Row, query: Query, filters: dict[str, Callable[[Row], Any]]) -> bool:
    for name, read in filters.items():
        # PHP turns dots of a query into underscores; names that are not here are ignored
        wanted = [value for spelt in (name, name.replace(".", "_"), f"{name}[]")
                  for value in query.get(spelt, [])]  # fmt: skip
        if wanted and not any(_like(read(row), value) for value in wanted):
            return False
    return True


def _like(value: Any, wanted: str) -> bool:
    found = value if isinstance(value, list) else [value]
    pattern = wanted.lower().replace("%", "*")
    return any(fnmatchcase(str("" if one is None else one).lower(), pattern) for one in found)


def _sorted(rows: list[Row], query: Query) -> list[Row]:
    name = query.get("sort", ["id"])[0]
    down = query.get("direction", ["asc"])[0] == "desc"
    if rows and name not in rows[0]:
        return rows
    return sorted(rows, key=lambda row: (row[name] is not None, row[name]), reverse=down)


def _page(rows: list[Row], query: Query) -> list[Row]:
    if "limit" not in query:
        return rows
    limit = max(1, min(int(query["limit"][0] or 0), 100))
    page = int(query.get("page", ["1"])[0])
    if page > 1 and (page - 1) * limit >= len(rows):
        raise absent()
    return rows[(page - 1) * limit : page * limit]
