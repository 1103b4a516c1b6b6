"""Look at everything between us and a Cerebrate, and say how to mend what is not right."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from eme_connector.domain import reach
from eme_connector.domain.cerebrate import Access
from eme_connector.domain.rights import Caller
from eme_connector.errors import DeliveryError, NotFound
from eme_connector.ports import Cerebrate
from eme_connector.usecases.cerebrate_links import need_keeper
from eme_connector.usecases.system import System


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at; `fix` is the next step when it is not ok."""

    part: Literal["connection", "key", "rights", "organisation", "lists", "keys"]
    state: Literal["ok", "warning", "error"]
    said: str
    fix: str = ""


SAID = {
    **reach.SAID,
    "key-refused": "It does not know the key",
    "not-allowed": "The key may not do this",
    "key-sees-too-little": "The key sees its own organisation only",
    "list-incomplete": "It counts more than it shows",
    "list-changing": "Its list changed while it was read",
    "failed-or-refused": "It failed inside",
    "RemoteEmptied": "It suddenly lists nothing; that is not believed",
}
"""What each reason means, for people."""

FIXES = reach.FIXES | {
    "list-changing": "it is tried again at the next turn",
    "RemoteEmptied": "look what happened there; if it is true: eme cerebrate sync --confirm all",
    "key-refused": "make a new authkey in Cerebrate and put it into key",
    "not-allowed": "the role of the key's user lacks a permission for this",
    "key-sees-too-little": "give the role of the key's user perm_view_all_orgs",
    "list-incomplete": "its count and its list differ; look into its log",
    "failed-or-refused": "look into Cerebrate's log (logs/error.log)",
}
"""What to do about each reason for which a call may fail."""

_KEY = frozenset({"key-refused", "key-sees-too-little"})


def find(name: str | None, system: System) -> Cerebrate:
    """Return the Cerebrate called *name*, or our own.

    Raises:
        NotFound: none is configured, or none with this name.
    """
    section = system.config.cerebrate
    if section is None:
        raise NotFound("no Cerebrate is configured: add a section `cerebrate:`")
    found = system.cerebrates().get(name or section.name)
    if found is None:
        known = ", ".join(system.cerebrates())
        raise NotFound(f"no Cerebrate in the configuration is called {name}; there are {known}")
    return found


def diagnose(
    name: str | None,
    *,
    caller: Caller,
    system: System,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[Step, ...]:
    """Return what was found, in the order of looking; it ends at the first error.

    Raises:
        NotAllowed, NotFound
    """
    need_keeper(caller, system)
    return tuple(_look(find(name, system), system, monotonic))


def _look(there: Cerebrate, system: System, monotonic: Callable[[], float]) -> Iterator[Step]:
    try:
        began = monotonic()
        access = there.access()
        took = (monotonic() - began) * 1000
        yield Step("connection", "ok", f"Cerebrate {access.version} answers in {took:.0f} ms")
        yield Step("key", "ok", f"it knows the key: {access.user}, {access.organisation_name}")
        yield _rights(access, there, system)
        if _is_own(there, system):
            yield _organisation(access, system)
        began = monotonic()
        seen = there.fetch()
        took = monotonic() - began
        counts = f"{len(seen.organisations)} organisations, {len(seen.groups)} sharing groups"
        yield Step("lists", "ok", f"{counts} in {took:.1f} s")
        yield Step("keys", "ok", f"{len(there.fetch_keys())} keys")
    except DeliveryError as exc:
        part: Literal["key", "connection"] = "key" if exc.reason in _KEY else "connection"
        fix = FIXES.get(exc.reason, "")
        yield Step(part, "error", f"{exc.reason}: {exc.detail}" if exc.detail else exc.reason, fix)


def _rights(access: Access, there: Cerebrate, system: System) -> Step:
    said = {
        "mirror": "mirror: it sees every organisation and every group",
        "reader": "reader: it sees every organisation, and the groups of its own",
    }[access.reach]
    section = system.config.cerebrate
    is_target = section is not None and any(one.into == "cerebrate" for one in section.upstreams)
    if _is_own(there, system) and is_target and not access.may_write:
        fix = "what comes from upstream needs a user with perm_community_admin here"
        return Step("rights", "error", f"{said}; it may not write", fix)
    if access.reach == "reader" and not _is_own(there, system):
        fix = "give its role perm_community_admin to see groups that it is no member of"
        return Step("rights", "warning", said, fix)
    return Step("rights", "ok", said)


def _organisation(access: Access, system: System) -> Step:
    if access.organisation == system.organisation.uuid:
        return Step("organisation", "ok", "the key belongs to our own organisation")
    said = f"the key belongs to {access.organisation_name}, not to {system.organisation.name}"
    if access.may_write:
        return Step("organisation", "ok", said)
    fix = "without perm_community_admin it cannot publish our certificate, and sees others' groups"
    return Step("organisation", "warning", said, fix)


def _is_own(there: Cerebrate, system: System) -> bool:
    section = system.config.cerebrate
    return section is not None and there.name == section.name
