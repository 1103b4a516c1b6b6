"""Which function answers which path, and what a call brings along."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tests.doubles.misp.answers import NO_RIGHT, Answer, Refused
from tests.doubles.misp.rows import Json, User

if TYPE_CHECKING:
    from tests.doubles.misp.instance import Misp
    from tests.doubles.misp.state import State

READS = {
    "events/restsearch",
    "attributes/restsearch",
    "objects/restsearch",
    "events/index",
    "servers/getversion",
    "warninglists/checkvalue",
    "servers/posttest",
    "galaxy_clusters/restsearch",
}


@dataclass
class Call:
    """One request: `args` are the parts of the path, `named` its `name:value` parts."""

    misp: Misp
    user: User
    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    args: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)
    raw: bytes = b""
    read_only: bool = False

    @property
    def state(self) -> State:
        return self.misp.state

    @property
    def document(self) -> Json:
        """Return the body where it is an object."""
        return self.body if isinstance(self.body, dict) else {}

    def wrapped(self, name: str) -> Json:
        """Return the body with or without its wrapping member."""
        inner = self.document.get(name)
        return inner if isinstance(inner, dict) else self.document

    def arg(self, place: int = 0) -> str:
        return self.args[place] if place < len(self.args) else ""

    def asked(self, name: str) -> str:
        """Return a `name:value` part of the path or a member of the body, as text."""
        if name in self.named:
            return self.named[name][0]
        value = self.document.get(name, "")
        return "1" if value is True else "0" if value is False else str(value)

    @property
    def is_misp(self) -> bool:
        """Say whether a MISP or PyMISP calls: those get compact JSON and signatures."""
        return self.headers.get("user-agent", "").startswith(("MISP", "PyMISP"))


Handler = Callable[[Call], Answer]
ROUTES: dict[str, tuple[Handler, str]] = {}


def route(*names: str, needs: str = "") -> Callable[[Handler], Handler]:
    """Let a function answer `controller/action`; *needs* is the permission of the role."""

    def register(handler: Handler) -> Handler:
        for name in names:
            ROUTES[name.lower()] = (handler, needs)
        return handler

    return register


def underscored(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


def find(path: str) -> tuple[str, list[str], dict[str, list[str]]]:
    """Return the route's name, the arguments and the named parts of a path."""
    parts = [unquote(one) for one in urlsplit(path).path.split("/") if one]
    if parts:
        parts[-1] = parts[-1].removesuffix(".json")
    head = 2 if parts[:1] == ["admin"] else 1
    controller = "/".join([*parts[: head - 1], underscored(parts[head - 1])]) if parts else ""
    action = parts[head] if len(parts) > head else "index"
    args, named = [], {}
    for one in parts[head + 1 :]:
        name, colon, value = one.partition(":")
        if colon:
            named.setdefault(name.removesuffix("[]"), []).append(value)
        else:
            args.append(one)
    return f"{controller}/{action}".lower(), args, named


def dispatch(call: Call) -> Answer:
    """Answer a call, the state locked; what has to call other MISPs comes after that.

    Raises:
        Refused
    """
    name, call.args, call.named = find(call.path)
    handler, needs = ROUTES.get(name, (None, ""))
    if handler is None:
        raise Refused(404, "Not Found")
    if (needs and not call.user.may(needs)) or (call.read_only and needs and name not in READS):
        raise Refused(403, NO_RIGHT)
    with call.state.lock:
        answer = handler(call)
    while answer.after is not None:
        then, answer.after = answer.after, None
        answer = then() or answer
    return answer
