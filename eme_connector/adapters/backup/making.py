"""Make a backup of a sidecar, running or not."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from eme_connector import __version__
from eme_connector.adapters.backup import archive, database
from eme_connector.adapters.backup.archive import Manifest
from eme_connector.adapters.database import schema_version
from eme_connector.config import Config
from eme_connector.errors import StoreUnavailable

NAMES = {"sqlite": "database.sqlite", "postgresql": "database.dump"}
CONFIG = "config.yaml"
KEYS = "keys"
COOKIE = "cookie.key"


def back_up(config: Config, config_path: Path, target: Path) -> tuple[Path, Manifest]:
    """Write database, keys and configuration into the file *target*, or a new one in that folder.

    Raises:
        Conflict: it is there already.
        StoreUnavailable, Unavailable: the database cannot be copied.
        OSError
    """
    now = time.time()
    if target.is_dir():
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        target /= f"eme-{config.instance.organisation[:8]}-{moment}.tar"
    kind = database.kind(config.store_url)
    with tempfile.TemporaryDirectory(prefix=".eme-backup-", dir=target.parent) as folder:
        copied = Path(folder) / NAMES[kind]
        # the time before the copy: what came later may or may not be in it
        database.copy(config.store_url, copied)
        if kind == "sqlite":
            database.check(copied)
        schema = schema_version(f"sqlite:///{copied}" if kind == "sqlite" else config.store_url)
        if schema is None:
            raise StoreUnavailable("the database has no schema yet: there is nothing to keep")
        manifest = Manifest(
            version=__version__,
            schema=schema,
            organisation=config.instance.organisation,
            database=kind,
            made_at=now,
        )
        small = {**_secrets(config.instance.data_dir), CONFIG: config_path}
        files = {NAMES[kind]: copied, **_copied(small, Path(folder))}
        return target, archive.write(target, manifest, files)


def _secrets(data_dir: Path) -> dict[str, Path]:
    found = {str(one.relative_to(data_dir)): one for one in sorted((data_dir / KEYS).rglob("*"))}
    files = {name: path for name, path in found.items() if path.is_file() and "/." not in name}
    cookie = data_dir / COOKIE
    return files | ({COOKIE: cookie} if cookie.exists() else {})


def _copied(files: dict[str, Path], folder: Path) -> dict[str, Path]:
    """Copy *files* into *folder*: what changes after it was measured would spoil the backup."""
    for name, path in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    return {name: folder / name for name in files}
