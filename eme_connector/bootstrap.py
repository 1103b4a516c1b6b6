"""Build the whole from its parts: the only file that chooses adapters."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eme_connector import config as configuration
from eme_connector.domain.sharing import Organisation, Topology
from eme_connector.errors import ConfigError, Conflict
from eme_connector.ports import Cerebrate, Channel, Clock, MispSharing, Pgp, Shared, Signer, Store
from eme_connector.ports.misp_setup import MispAdministration
from eme_connector.ports.sidecar import Sidecar
from eme_connector.usecases.keyring import live_peers
from eme_connector.usecases.schedule import Job, Schedule
from eme_connector.usecases.topology import Registers

if TYPE_CHECKING:
    from eme_connector.adapters.backup.archive import Manifest
    from eme_connector.adapters.backup.restoring import Opened
    from eme_connector.usecases.relay_fleet import Fleet

if TYPE_CHECKING:
    from eme_connector.adapters.backup.archive import Manifest
    from eme_connector.adapters.backup.restoring import Opened
    from eme_connector.adapters.locks import FileLock


@dataclass(frozen=True)
class Eme:
    """The running system: what every use case and every route is given."""

    config: configuration.Config
    store: Store
    registers: Registers
    signer: Signer
    clock: Clock
    shared: Shared
    cookie_secret: str = ""

    @property
    def topology(self) -> Topology:
        """Organisations, sharing groups and MISPs as they stand now."""
        return self.registers.now()

    @property
    def organisation(self) -> Organisation:
        """The organisation that runs this sidecar."""
        return self.topology.organisations[self.config.instance.organisation]

    def orchestrator_lane(self, organisation: str) -> str | None:
        """Return the lane that runs the playbooks of *organisation*, or None."""
        for one in self.config.orchestrators:
            if not one.organisations or organisation in one.organisations:
                return f"orchestrator:{one.name}"
        return None

    def channels(self) -> Mapping[str, Channel]:
        """Return a channel for every target that exists now, by lane."""
        from eme_connector.adapters.channels import build_channels

        return build_channels(
            self.config,
            self.store,
            self.signer,
            self.clock,
            peers=live_peers(self),
            topology=lambda: self.topology,
        )

    def cerebrates(self) -> Mapping[str, Cerebrate]:
        """Return our Cerebrate and those upstream of it, by name; none where none is configured."""
        from eme_connector.adapters.cerebrate.open import open_directories

        return open_directories(self.config)

    def misp(self) -> MispSharing | None:
        """Return our own MISP as it is read, None where none is configured."""
        if self.config.misp is None:
            return None
        from eme_connector.adapters.misp.open import open_sharing

        return open_sharing(self.config.misp, self.config.egress.private_networks)

    def pgp(self) -> Pgp:
        """Return what checks OpenPGP keys and signatures."""
        from eme_connector.adapters.gpg import GnuPg

        return GnuPg()

    def jobs(self) -> tuple[Job, ...]:
        """Return the work that repeats, as the configuration asks for it."""
        from eme_connector.usecases import cerebrate, relay_fleet

        found = cerebrate.jobs(self) + relay_fleet.jobs(self)
        if self.config.misp is None:
            return found
        from eme_connector.usecases import enrich, misp_poll

        return found + misp_poll.jobs(self) + enrich.jobs(self)

    def fleet(self) -> Fleet:
        """Return the source and the targets of the relay.

        Raises:
            ConfigError: there is no section `sync`.
        """
        from eme_connector.adapters.targets import open_targets
        from eme_connector.usecases.relay_fleet import build_fleet

        return build_fleet(self, open_targets(self.config))

    def hold_target(self, target: str) -> AbstractContextManager[bool]:
        """Keep other processes on our data folder from writing to *target* for a while.

        Gives True where nobody else can be at it, False where only leases say so.

        Raises:
            Conflict: somebody is at it.
        """
        from eme_connector.adapters.locks import hold_target

        if not self.config.store_url.startswith("sqlite"):
            return nullcontext(False)
        return hold_target(self.config.instance.data_dir, target)

    def rehearsal(self) -> Eme:
        """Return this system with a store that keeps nothing of what is done."""
        from eme_connector.adapters.database.rehearsed import rehearsed

        return replace(self, store=rehearsed(self.store))

    def schedule(self) -> Schedule:
        """Return what does it, not yet started."""
        return Schedule(self.jobs(), self.store, self.clock)

    def close(self) -> None:
        """Finish what is being written, and give connections back."""
        self.store.close()
        self.shared.close()

    def introduce(self, url: str, confirmation: str) -> str:
        """Send the last step of a handshake to the sidecar at *url*; return its signed receipt."""
        from eme_connector.adapters.peer import introduce

        return introduce(url, confirmation, self.config.egress.private_networks)


def build(
    config: configuration.Config,
    *,
    store: Store | None = None,
    signer: Signer | None = None,
    clock: Clock = time.time,
) -> Eme:
    """Return the system that *config* describes; given parts take the place of real ones."""
    from eme_connector.adapters.cookie import load_secret
    from eme_connector.adapters.database import open_store
    from eme_connector.adapters.keys import load_signer

    found = store or open_store(config.store_url, clock=clock)
    own = signer or load_signer(config.instance.data_dir, config.instance.organisation)
    return Eme(
        config=config,
        store=found,
        registers=Registers(config, found),
        signer=own,
        clock=clock,
        shared=_share(config, found, own.fingerprint),
        cookie_secret=load_secret(config.instance.data_dir),
    )


def open_misp(config: configuration.Config, key: str | None = None) -> MispAdministration:
    """Return our own MISP for a check, with a site admin's *key* for changes.

    Raises:
        ConfigError: there is no section `misp:`.
    """
    from eme_connector.adapters.egress import Gate
    from eme_connector.adapters.misp.open import open_admin
    from eme_connector.errors import ConfigError

    if config.misp is None:
        raise ConfigError(["misp: there is no such section; docs/configuration.md describes it"])
    return open_admin(config.misp, Gate.of(config.egress.private_networks), key)


def open_sidecar(url: str, token: str) -> Sidecar:
    """Return the sidecar at *url*; nothing is called yet."""
    from eme_connector.adapters.sidecar import HttpSidecar

    return HttpSidecar(url, token)


def _share(config: configuration.Config, store: Store, instance: str) -> Shared:
    """Return what the processes of *instance* share, and let Redis carry their wake-ups too."""
    from eme_connector.adapters.bell import Bell
    from eme_connector.adapters.shared import LocalShared, RedisShared, connect_redis

    if config.redis is None:
        return LocalShared()
    from eme_connector.adapters.redis_line import RedisLine

    url, prefix = config.redis.url.get_secret_value(), f"eme:{instance[:16]}:"
    line = RedisLine(connect_redis(url, tries=1), f"{prefix}touched")
    store.connect_bell(Bell(line, store.hear))
    return RedisShared(connect_redis(url), prefix)


def prepare(config: configuration.Config) -> Path | None:
    """Make the data folder and bring the database to our schema.

    Returns the copy that was made of an older database first.
    """
    from eme_connector.adapters.database import upgrade

    folder = config.instance.data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return upgrade(config.store_url, lambda version: _dump(config.store_url, folder, version))


def _dump(url: str, folder: Path, version: str) -> Path | None:
    from eme_connector.adapters.backup.database import dump_aside

    return dump_aside(url, folder, version)


def prepare_alone(config: configuration.Config) -> Path | None:
    """Do as `prepare`, while no other process on this data folder does."""
    from eme_connector.adapters import locks

    with locks.FileLock(config.instance.data_dir / locks.UPGRADE):
        return prepare(config)


def hold_data(config: configuration.Config) -> bool:
    """Hold the data folder until this process and all it forks end; False when another has it.

    On SQLite it is ours alone, on PostgreSQL other servers and workers may use it too.

    Raises:
        Conflict: what a restore has put there is not settled.
    """
    from eme_connector.adapters import locks

    lock = locks.FileLock(config.instance.data_dir / locks.RUNNING)
    shared = not config.store_url.startswith("sqlite")
    try:
        held = lock.acquire(shared=shared, wait=False)
    except OSError as exc:
        problem = f"instance.data_dir: {config.instance.data_dir} cannot be written: {exc.strerror}"
        raise ConfigError([problem]) from exc
    if held and (config.instance.data_dir / locks.RESTORING).exists():
        lock.release()
        raise Conflict("a restore was not finished: run `eme restore FILE --replace` once more")
    return held


def delivery_lock(config: configuration.Config) -> FileLock | None:
    """Return what only one delivering process at a time may hold; None where many may deliver."""
    from eme_connector.adapters import locks

    if not config.store_url.startswith("sqlite"):
        return None
    return locks.FileLock(config.instance.data_dir / locks.DELIVERING)


def back_up(config: configuration.Config, path: Path, target: Path) -> tuple[Path, Manifest]:
    """Write a backup of the sidecar with *config*, which stands in *path*."""
    from eme_connector.adapters.backup import making

    return making.back_up(config, path, target)


def opened_backup(source: Path, beside: Path) -> AbstractContextManager[Opened]:
    """Check a backup and unpack it for a while below the folder *beside*."""
    from eme_connector.adapters.backup import restoring

    return restoring.opened(source, beside)


def schema_versions(config: configuration.Config) -> tuple[str | None, str]:
    """Return (the schema's version in the database or None, the one this program needs)."""
    from eme_connector.adapters.database import VERSION, schema_version

    return schema_version(config.store_url), VERSION
