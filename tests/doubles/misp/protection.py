"""Protected events: signed with the instance's gpg key, refused where the signature is wrong."""

from __future__ import annotations

import base64
import gzip
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.doubles.misp.answers import Answer, NotSaved, Refused, saved
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Event, Json

if TYPE_CHECKING:
    from tests.doubles.misp.instance import Misp

UNSIGNED = "Protected event failed signature validation as no key was provided."
FORGED = "Protected event failed signature validation."


def make_key(misp: Misp) -> str:
    """Give an instance a gpg key of its own and return the public part."""
    misp.gpg_home = tempfile.mkdtemp(prefix="gpg-")
    who = f"MISP {misp.organisation.name} <misp@{misp.organisation.name.lower()}.test>"
    _gpg(misp.gpg_home, "--quick-generate-key", who, "ed25519", "sign", "never")
    public = _gpg(misp.gpg_home, "--armor", "--export").decode()
    misp.fingerprint, misp.public_key = fingerprint(public), public
    return public


def private_key(misp: Misp) -> str:
    """Return the private part of an instance's key, armoured."""
    assert misp.gpg_home is not None
    return _gpg(misp.gpg_home, "--armor", "--export-secret-keys").decode()


def forget_key(misp: Misp) -> None:
    if misp.gpg_home:
        subprocess.run(
            ["gpgconf", "--homedir", misp.gpg_home, "--kill", "all"], check=False, timeout=20
        )
        shutil.rmtree(misp.gpg_home, ignore_errors=True)


def sign(misp: Misp, body: bytes) -> str | None:
    """Return a signature over *body* without its whitespace, None where there is no key."""
    if misp.gpg_home is None:
        return None
    made = _gpg(misp.gpg_home, "--detach-sign", "--output", "-", data=_bare(body))
    return base64.b64encode(made).decode()


def check_signature(call: Call, event: Event | None, document: Json) -> None:
    """Refuse a protected event whose body was not signed by one of its keys.

    Raises:
        Refused
    """
    given = call.headers.get("x-pgp-signature")
    if call.user.may("perm_site_admin") or not call.user.may("perm_sync"):
        return
    if not given:
        raise Refused(405, UNSIGNED)
    keys = event.keys if event is not None else document.get("CryptographicKey") or []
    if not any(_is_signed(one["key_data"], given, call) for one in keys):
        raise Refused(405, FORGED)


def keys_in(document: Json, event: Event) -> list[Json]:
    found = document.get("CryptographicKey") or []
    return [_row(event, str(one["key_data"]), str(one.get("fingerprint", ""))) for one in found]


@route("events/protect", needs="perm_add")
def protect(call: Call) -> Answer:
    event = _own(call)
    event.protected = True
    return saved("Event switched to protected mode.", f"/events/protect/{event.id}", event.id)


@route("events/unprotect", needs="perm_add")
def unprotect(call: Call) -> Answer:
    event = _own(call)
    event.protected = None
    return saved("Event switched to unprotected mode.", f"/events/unprotect/{event.id}", event.id)


@route("cryptographic_keys/add", needs="perm_add")
def add_key(call: Call) -> Answer:
    event = call.state.event(call.arg(1), call.user)
    if event is None:
        raise Refused(404, "Invalid event")
    body = call.wrapped("CryptographicKey")
    data = str(body.get("key_data") or "")
    print_ = fingerprint(data)
    if not print_:
        why = {"key_data": ["Invalid key."]}
        url = "/cryptographic_keys/add"
        raise NotSaved("Could not add cryptographicKey", why, url=url)
    if any(one["fingerprint"] == print_ for one in event.keys):
        raise Refused(403, "This key is already assigned to the target.")
    row = _row(event, data, print_)
    event.keys.append(row)
    return Answer({"CryptographicKey": row})


def fingerprint(armoured: str) -> str:
    """Return the fingerprint of a public key, or nothing where it is none."""
    if "BEGIN PGP PUBLIC KEY BLOCK" not in armoured:
        return ""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        try:
            told = _gpg(home, "--with-colons", "--show-keys", data=armoured.encode()).decode()
        except subprocess.CalledProcessError:
            return ""
    found = re.search(r"^fpr:+([0-9A-F]{40}):", told, re.MULTILINE)
    return found[1] if found else ""


def _own(call: Call) -> Event:
    event = call.state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Invalid event")
    if not call.user.may("perm_site_admin") and call.user.org.id != event.orgc_id:
        raise Refused(403, "You are not authorised to do that.")
    return event


def _is_signed(armoured: str, signature: str, call: Call) -> bool:
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        given = Path(home) / "signature"
        try:
            given.write_bytes(base64.b64decode(signature, validate=True))
            _gpg(home, "--import", data=armoured.encode())
            _gpg(home, "--verify", str(given), "-", data=_bare(_plain(call)))
        except (ValueError, subprocess.CalledProcessError):
            return False
    return True


def _plain(call: Call) -> bytes:

    packed = call.headers.get("content-encoding") == "gzip"
    return gzip.decompress(call.raw) if packed else call.raw


def _bare(body: bytes) -> bytes:
    return re.sub(rb"\s+", b"", body)


def _row(event: Event, data: str, print_: str) -> Json:
    return {
        "id": str(len(event.keys) + 1),
        "uuid": str(uuid4()),
        "type": "pgp",
        "timestamp": str(event.timestamp),
        "parent_id": str(event.id),
        "parent_type": "Event",
        "key_data": data,
        "revoked": False,
        "fingerprint": print_,
    }


def _gpg(home: str, *words: str, data: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback"]
    command += ["--passphrase", "", "--trust-model", "always"]
    done = subprocess.run(
        [*command, *words], input=data, capture_output=True, check=True, timeout=30
    )
    return done.stdout
