"""The secret that signs form tokens: made at first use, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from eme_connector.errors import ConfigError

NAME = "cookie.key"


def load_secret(data_dir: Path) -> str:
    """Return the secret in *data_dir*.

    Raises:
        ConfigError: it can be neither read nor made.
    """
    path = data_dir / NAME
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        found = path.read_text(encoding="ascii").strip()
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be used: {type(exc).__name__}"]) from exc
    if not found:
        raise ConfigError([f"{path}: is empty; remove it, and everybody logs in again"])
    return found


def _make(path: Path) -> None:
    """Write it in one step: another process that starts now never reads half of it."""
    draft = path.with_name(f".{NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return  # another process of ours was faster
    finally:
        draft.unlink()
