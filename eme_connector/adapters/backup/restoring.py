"""Put a backup in the place of a sidecar's data, and settle what it no longer knows."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eme_connector.adapters import locks
from eme_connector.adapters.backup import archive, database
from eme_connector.adapters.backup.archive import Manifest
from eme_connector.adapters.backup.making import CONFIG, COOKIE, KEYS, NAMES
from eme_connector.adapters.database import VERSION, upgrade
from eme_connector.adapters.database.restored import Settled, settle
from eme_connector.config import Config
from eme_connector.errors import Conflict, Malformed


@dataclass(frozen=True, slots=True)
class Opened:
    """A backup that has been checked, unpacked into *folder*."""

    manifest: Manifest
    folder: Path

    def write_config(self, path: Path) -> bool:
        """Write the backup's configuration to *path* where there is none; say whether it was."""
        if path.exists() or CONFIG not in self.manifest.files:
            return False
        shutil.copyfile(self.folder / CONFIG, path)
        path.chmod(0o600)
        return True

    def refuse(self, config: Config, *, replace: bool) -> None:
        """Raise Conflict when the backup must not be put in the place of what *config* names.

        Raises:
            Conflict: another organisation, another kind of database, or data without *replace*.
            StoreUnavailable
        """
        told = self.manifest
        if told.organisation != config.instance.organisation:
            raise Conflict(
                f"the backup is of organisation {told.organisation}, not of this sidecar's"
            )
        if told.database != database.kind(config.store_url):
            raise Conflict(f"the backup is of {told.database}; store.url names another database")
        if database.is_there(config.store_url) and not replace:
            raise Conflict(
                "there is a database already: --replace keeps it aside (SQLite) or drops it"
            )
        database.refuse_while_used(config.store_url)

    def restore(self, config: Config) -> tuple[tuple[Path, ...], Settled]:
        """Put all in its place; return what was set aside, and what was settled.

        Raises:
            Conflict: a sidecar is running on this data.
            StoreUnavailable, Unavailable, OSError
        """
        lock = locks.FileLock(config.instance.data_dir / locks.RUNNING)
        if not lock.acquire(wait=False):
            raise Conflict(f"a sidecar runs on {config.instance.data_dir}: stop it first")
        try:
            # the database first: if it cannot be put there, nothing else has been touched
            kept = self._put_database(config)
            aside = _put_secrets(self.folder, config.instance.data_dir)
            upgrade(config.store_url)
            settled = settle(
                config.store_url,
                organisation=config.instance.organisation,
                safe=[f"orchestrator:{one.name}" for one in config.orchestrators if one.idempotent],
                made_at=self.manifest.made_at,
                now=time.time(),
                settle_s=config.delivery.settle_s,
            )
            (config.instance.data_dir / locks.RESTORING).unlink()
        finally:
            lock.release()
        return (*aside, *([kept] if kept else [])), settled

    def _put_database(self, config: Config) -> Path | None:
        """Put it there, where nothing serves it: what it owes is not settled yet."""
        unsettled = config.instance.data_dir / locks.RESTORING
        was_there = unsettled.exists()
        unsettled.touch(mode=0o600)
        try:
            return database.put(config.store_url, self.folder / NAMES[self.manifest.database])
        except Exception:
            if not was_there:
                unsettled.unlink()
            raise


@contextmanager
def opened(source: Path, beside: Path) -> Iterator[Opened]:
    """Unpack and check *source* in a folder of its own below *beside*.

    Raises:
        Malformed: it is no backup, damaged, or made by a newer version.
        Conflict
    """
    with tempfile.TemporaryDirectory(prefix=".eme-restore-", dir=beside) as name:
        folder = Path(name)
        manifest = archive.read(source, folder)
        copied = NAMES.get(manifest.database, "")
        if copied not in manifest.files:
            raise Malformed(f"{source}: has no database in it")
        if manifest.schema > VERSION:
            raise Conflict(
                f"the backup has schema {manifest.schema} (made by {manifest.version}), this"
                f" program knows {VERSION}: install the newer version first"
            )
        if manifest.database == "sqlite":
            database.check(folder / copied)
        yield Opened(manifest, folder)


def _put_secrets(folder: Path, data_dir: Path) -> list[Path]:
    """Put keys and cookie secret in their place; others that were there are set aside."""
    aside = []
    for name in (KEYS, COOKIE):
        fresh, there = folder / name, data_dir / name
        if not fresh.exists():
            continue
        if there.exists():
            aside.append(database.set_aside(there))
        if fresh.is_dir():
            shutil.copytree(fresh, there)
            there.chmod(0o700)
        else:
            shutil.copyfile(fresh, there)
        for path in [there, *there.rglob("*")]:
            path.chmod(0o700 if path.is_dir() else 0o600)
    return aside
