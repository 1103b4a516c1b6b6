"""GnuPG by its own program, in folders of our own: keys of people are never touched."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from eme_connector.errors import ConfigError

TIMEOUT_S = 30.0
_FINGERPRINT = re.compile(r"^pub:.*\n(?:.*\n)*?fpr:+([0-9A-F]{40,64}):", re.MULTILINE)
_SPACE = re.compile(rb"\s+")


class GnuPg:
    """`ports.Pgp`; *private* is an armoured key without a passphrase, our MISP's own."""

    def __init__(self, private: str | None = None) -> None:
        self._private = private

    def fingerprints(self, armoured: str) -> frozenset[str]:
        with _home() as home:
            told = _run(home, "--with-colons", "--show-keys", data=armoured.encode())
        return (
            frozenset(_FINGERPRINT.findall(told.decode(errors="replace"))) if told else frozenset()
        )

    def is_signed(self, body: bytes, signature: str, keys: Collection[str]) -> bool:
        try:
            detached = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        with _home() as home:
            for key in keys:
                _run(home, "--import", data=key.encode())
            given = home / "signature"
            given.write_bytes(detached)
            return _run(home, "--verify", str(given), "-", data=_bare(body)) is not None

    def public_key(self) -> str:
        """Return the public part of our own key, armoured.

        Raises:
            ConfigError: there is no such key, or it cannot be used.
        """
        with self._own() as home:
            told = _run(home, "--armor", "--export")
        return (told or b"").decode()

    def sign(self, body: bytes) -> str:
        """Return our signature over *body* without its white space, as MISP wants it.

        Raises:
            ConfigError: there is no such key, or it cannot be used.
        """
        with self._own() as home:
            told = _run(home, "--detach-sign", "--output", "-", data=_bare(body))
        if not told:
            raise ConfigError(["misp.signing_key: cannot be used to sign"])
        return base64.b64encode(told).decode()

    @contextmanager
    def _own(self) -> Iterator[Path]:
        if self._private is None:
            raise ConfigError(["misp.signing_key: is not set"])
        with _home() as home:
            if _run(home, "--import", data=self._private.encode()) is None:
                raise ConfigError(["misp.signing_key: is not an armoured private key"])
            yield home


def is_installed() -> bool:
    """Say whether gpg is there."""
    return shutil.which("gpg") is not None


@contextmanager
def _home() -> Iterator[Path]:
    """Give a folder that only we can read, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="eme-gpg-") as name:
        home = Path(name)
        try:
            yield home
        finally:
            if any(home.glob("S.gpg-agent*")):
                _call(["gpgconf", "--homedir", name, "--kill", "all"], b"")


def _run(home: Path, *words: str, data: bytes = b"") -> bytes | None:
    """Return what gpg says, None where it fails or is not there."""
    command = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--quiet"]
    command += ["--pinentry-mode", "loopback", "--passphrase", "", "--trust-model", "always"]
    return _call([*command, *words], data)


def _call(command: list[str], data: bytes) -> bytes | None:
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours
            command, input=data, capture_output=True, check=False, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _bare(body: bytes) -> bytes:
    return _SPACE.sub(b"", body)
