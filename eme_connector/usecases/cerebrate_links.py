"""Our Cerebrate and those upstream of it: what is configured, and how its last turn went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eme_connector.config import Cerebrate, Upstream
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.schedule import Turn
from eme_connector.errors import NotAllowed, NotFound
from eme_connector.usecases.system import System, micros

State = Literal["never", "running", "fresh", "late", "failing"]
LATE = 3
"""A link that has not succeeded for so many of its turns is late."""


@dataclass(frozen=True, slots=True)
class Link:
    """One Cerebrate; `into` is where its records go, `state` how it stands now."""

    name: str
    url: str
    role: Literal["own", "upstream"]
    strategy: Literal["trusted-upstream", "new-records"]
    into: Literal["cerebrate", "directory"]
    every_s: float
    turn: Turn
    state: State


def job_name(name: str) -> str:
    """Return what the job of the Cerebrate called *name* is called."""
    return f"cerebrate:{name}"


def links(*, caller: Caller, system: System) -> tuple[Link, ...]:
    """Return our Cerebrate, then those upstream; none where none is configured.

    Raises:
        NotAllowed, StoreUnavailable
    """
    need_keeper(caller, system)
    section = system.config.cerebrate
    if section is None:
        return ()
    turns = {one.job: one for one in system.store.turns()}
    at = micros(system.clock())
    sections: tuple[Cerebrate | Upstream, ...] = (section, *section.upstreams)
    return tuple(_link(one, turns, at) for one in sections)


def find_link(name: str, *, caller: Caller, system: System) -> Link:
    """Return the link called *name*.

    Raises:
        NotAllowed, NotFound, StoreUnavailable
    """
    for one in links(caller=caller, system=system):
        if one.name == name:
            return one
    raise NotFound(f"no Cerebrate in the configuration is called {name}")


def need_keeper(caller: Caller, system: System) -> None:
    """Let only administrators of the organisation that runs this sidecar through.

    Who is in which group is not for everybody whose accounts are here.

    Raises:
        NotAllowed
    """
    caller.need(Right.ADMIN)
    if caller.organisation != system.config.instance.organisation:
        raise NotAllowed("only administrators of the organisation that runs this sidecar may")


def _link(one: Cerebrate | Upstream, turns: dict[str, Turn], at: int) -> Link:
    job = job_name(one.name)
    turn = turns.get(job, Turn(job, state="done"))
    upstream = one if isinstance(one, Upstream) else None
    return Link(
        name=one.name,
        url=one.url,
        role="upstream" if upstream else "own",
        strategy=upstream.strategy if upstream else "trusted-upstream",
        into=upstream.into if upstream else "directory",
        every_s=one.every_s,
        turn=turn,
        state=_state(turn, one.every_s, at),
    )


def _state(turn: Turn, every_s: float, at: int) -> State:
    if turn.is_held(at):
        return "running"
    if turn.state == "failed":
        return "failing"
    if not turn.succeeded_at:
        return "never"
    return "late" if at - turn.succeeded_at > LATE * every_s * 1_000_000 else "fresh"
