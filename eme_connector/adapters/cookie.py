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
        return path.read_text(encoding="ascii").strip()
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be used: {type(exc).__name__}"]) from exc


def _make(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return  # another process of ours was faster
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
