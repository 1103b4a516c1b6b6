"""What delivering, sharing and peering need of the running system."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from eme_connector.config import Config
from eme_connector.domain.sharing import Organisation, Topology
from eme_connector.ports import Cerebrate, Channel, Clock, MispSharing, Pgp, Signer, Store


class System(Protocol):
    """The parts, already built; `bootstrap.Eme` is one."""

    @property
    def config(self) -> Config:
        """Our configuration."""
        ...

    @property
    def store(self) -> Store:
        """The truth."""
        ...

    @property
    def topology(self) -> Topology:
        """Organisations and sharing groups."""
        ...

    @property
    def signer(self) -> Signer:
        """Our own key."""
        ...

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    @property
    def organisation(self) -> Organisation:
        """The organisation that runs this sidecar."""
        ...

    def cerebrates(self) -> Mapping[str, Cerebrate]:
        """Return our Cerebrate and those upstream of it, by name; none where none is configured."""
        ...

    def misp(self) -> MispSharing | None:
        """Return our own MISP as it is read, None where none is configured."""
        ...

    def pgp(self) -> Pgp:
        """Return what checks OpenPGP keys and signatures."""
        ...

    def channels(self) -> Mapping[str, Channel]:
        """Return a channel for every target that exists now, by lane."""
        ...

    def hold_target(self, target: str) -> AbstractContextManager[bool]:
        """Keep other processes on our data folder from writing to *target* for a while.

        Gives True where nobody else can be at it, False where only leases say so.

        Raises:
            Conflict: somebody is at it.
        """
        ...

    def introduce(self, url: str, confirmation: str) -> str:
        """Send the last step of a handshake to the sidecar at *url*; return its signed receipt.

        Raises:
            DeliveryError
        """
        ...


def served(system: System) -> frozenset[str]:
    """Return the organisations whose people or machines use this sidecar.

    Our own, those that the configuration names as served by us, and those that have an account
    or a token here: they read shared threats in this store, no message has to leave for them.
    """
    store, at = system.store, micros(system.clock())
    people = {one.organisation for one in store.accounts() if not one.disabled}
    tokens = {
        one.organisation
        for one in store.tokens()
        if one.revoked_at is None and (one.expires_at is None or one.expires_at > at)
    }
    return frozenset(_configured(system) | people | tokens)


def is_served(organisation: str, system: System) -> bool:
    """Say whether *organisation* uses this sidecar; mostly the configuration knows."""
    return organisation in _configured(system) or organisation in served(system)


def _configured(system: System) -> set[str]:
    own = system.config.instance.organisation
    known = system.topology.organisations.values()
    return {own, *(one.uuid for one in known if one.sidecar == own)}


def micros(now: float) -> int:
    """Return seconds since 1970 as the µs that the audit log and threats keep."""
    return round(now * 1_000_000)
