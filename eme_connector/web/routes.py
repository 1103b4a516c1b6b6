"""Declare operations: each names its right, so that a table of all of them can be tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeVar, cast

from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict

from eme_connector.domain.rights import Right
from eme_connector.web.auth import need

View = TypeVar("View", bound=Callable[..., Any])
BASE = "/api/v1"
BEARER: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
Open = Literal["public", "signed"]
PUBLIC: Open = "public"
SIGNED: Open = "signed"


class Form(BaseModel):
    """A form of our own: strict, unknown members refused."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class Query(BaseModel):
    """The parameters of a query."""

    model_config = ConfigDict(hide_input_in_errors=True)

    @classmethod
    def model_json_schema(cls, *args: Any, **named: Any) -> dict[str, Any]:
        """Return the schema, kept: it is asked for at every request, and costs as much to make."""
        return super().model_json_schema(*args, **named) if args or named else _schema(cls)


@lru_cache
def _schema(query: type[Query]) -> dict[str, Any]:
    return query.model_json_schema(mode="validation")


def example(document: dict[str, Any]) -> ConfigDict:
    """Return a form's configuration with an example for the document."""
    shown = {"openapi_extra": {"example": document}}
    return cast("ConfigDict", {**Form.model_config, **shown})


class Shape(BaseModel):
    """An answer of ours."""

    model_config = ConfigDict(extra="forbid", defer_build=True)  # only the document asks for it


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: who may call it, and what its document has to say besides."""

    id: str
    method: str
    path: str
    right: Right | Open
    query: frozenset[str] = frozenset()
    raw: str = ""
    conditional: bool = False
    has_form: bool = False
    statuses: tuple[int, ...] = field(default=())


OPERATIONS: dict[str, Operation] = {}


class Api(APIBlueprint):
    """Operations below the base path, with a tag of their own.

    They are described when the document is asked for: at start it would take as long as all
    the rest of the application.
    """

    def __init__(self, name: str, description: str, *, doc_ui: bool = False) -> None:
        super().__init__(
            name,
            __name__,
            url_prefix=BASE,
            abp_tags=[Tag(name=name, description=description)],
            abp_responses={"default": Problem},
            doc_ui=doc_ui,
        )
        self._description = description
        self._additions: list[Callable[[APIBlueprint], object]] = []

    def add(self, addition: Callable[[APIBlueprint], object]) -> None:
        """Add an operation by *addition*, now, and to what is described later."""
        addition(self)
        self._additions.append(addition)

    def described(self) -> APIBlueprint:
        """Return the same operations with all that the document says of them."""
        found = Api(self.name, self._description, doc_ui=True)
        for addition in self._additions:
            addition(found)
        return found


def operation(
    blueprint: Api,
    method: Literal["get", "post", "put", "patch", "delete"],
    path: str,
    *,
    id: str,
    right: Right | Open,
    answers: dict[int, type[BaseModel] | dict[str, Any] | None],
    query: type[Query] | None = None,
    raw: str = "",
    conditional: bool = False,
) -> Callable[[View], View]:
    """Register a view under its operation *id*; *right* is checked before it runs.

    *raw* names the example in `documentation` for a body that the view reads itself;
    *conditional* says that If-Match is needed.
    """

    def decorate(view: View) -> View:
        endpoint = f"{blueprint.name}.{view.__name__}"
        OPERATIONS[endpoint] = Operation(
            id=id,
            method=method.upper(),
            path=BASE + path,
            right=right,
            query=frozenset(query.model_fields) if query else frozenset(),
            raw=raw,
            conditional=conditional,
            has_form="body" in view.__annotations__,
            statuses=tuple(answers),
        )
        said: dict[str, Any] = {
            "operation_id": id,
            "responses": answers,
            "security": [] if right in (PUBLIC, SIGNED) else BEARER,
        }
        blueprint.add(lambda to: getattr(to, method)(path, **said)(view))
        return view

    return decorate


def check(endpoint: str | None) -> None:
    """Make sure that the caller has the right of *endpoint*.

    Raises:
        NotAuthenticated, NotAllowed
    """
    found = OPERATIONS.get(endpoint or "")
    if found is not None and isinstance(found.right, Right):
        need(found.right)
