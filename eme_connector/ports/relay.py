"""What the store keeps for the relay of sharing groups, for each target by its name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation
from eme_connector.domain.relay import Carried, Doubt, Memory, Run, Tombstone, Write


class RelayWrites(Protocol):
    """The relay's memory and journal inside a transaction."""

    def find_open_run(self, target: str, at: int) -> Run | None:
        """Return the run that holds *target* at *at* (µs), locking the target until the end."""
        ...

    def find_run(self, run: str) -> Run | None: ...
    def save_run(self, run: Run) -> None: ...

    def drop_run(self, run: str) -> None:
        """Forget a run that had nothing to do."""
        ...

    def broken_runs(self, target: str, at: int) -> tuple[Run, ...]:
        """Return the runs of *target* that were running when their process died."""
        ...

    def save_writes(self, run: str, writes: Iterable[Write]) -> None: ...

    def remember(
        self,
        target: str,
        organisations: Mapping[str, RemoteOrganisation],
        groups: Mapping[str, RemoteGroup],
    ) -> None:
        """Keep these as all that source and target agree on; only what changed is written."""
        ...

    def bury(self, target: str, tombstones: Iterable[Tombstone]) -> None:
        """Keep these tombstones, each in the place of an earlier one of its pair."""
        ...

    def exhume(self, target: str, pairs: Iterable[tuple[str, str]]) -> None:
        """Forget the tombstones of these (group, organisation) pairs."""
        ...

    def save_doubts(self, target: str, doubts: Collection[Doubt]) -> None:
        """Keep these as all the doubts about *target*."""
        ...

    def owe_announcements(self, target: str, groups: Iterable[str]) -> None:
        """Note that *groups* (uuids) are about to change and have to be announced after."""
        ...

    def announced(self, target: str, group: str) -> None:
        """Note that *group* has been announced."""
        ...

    def save_carried(self, carried: Carried) -> None:
        """Keep what a signed file brought, in the place of its signer's earlier one."""
        ...


class RelayReads(Protocol):
    """Reads of the relay's memory and journal."""

    def memory(self, target: str) -> Memory:
        """Return everything that is remembered about *target*."""
        ...

    def runs(self, target: str | None = None, limit: int = 20) -> tuple[Run, ...]:
        """Return the last runs, newest first."""
        ...

    def writes(self, run: str) -> tuple[Write, ...]:
        """Return what a run wrote, in order."""
        ...

    def carried(self) -> tuple[Carried, ...]:
        """Return what signed files brought, newest first."""
        ...
