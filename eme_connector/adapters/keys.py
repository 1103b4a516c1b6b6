"""Our own signing key, and the check of peers' signatures (JWS, EdDSA, over the exact bytes).

Key and certificate are one file, made at first use and readable by its owner only, so that there
is never one without the other. cryptography and joserfc cost 19 MB: they are imported at the
first signature, not at start.
"""

from __future__ import annotations

import base64
import os
import secrets
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eme_connector.errors import ConfigError, EmeError, NotAuthenticated
from eme_connector.formats import strict_json
from eme_connector.formats.certificate import find_certificate, fingerprint
from eme_connector.ports import Verified

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey
    from joserfc.jws import JWSRegistry

ALGORITHM = "EdDSA"
FILE = "signing.pem"
_YEARS = 20
_MOST_HEADER = 4096


class KeySigner:
    """Signs with our key; `fingerprint` is the SHA-256 (hex) of our certificate's DER bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.certificate = _certificate_in(path)
        self.fingerprint = fingerprint(self.certificate)

    def sign(self, payload: bytes, *, issued_at: float) -> str:
        """Return the compact JWS of *payload*, `kid` = our certificate's SHA-256."""
        from joserfc import jws

        header = {"alg": ALGORITHM, "kid": self.fingerprint, "iat": int(issued_at)}
        return jws.serialize_compact(header, payload, _private(self._path), registry=_registry())

    def key_id(self, jws: str) -> str:
        """Return the `kid` that *jws* claims, unverified; raise NotAuthenticated."""
        return str(_header(jws)["kid"])

    def verify(self, jws: str, certificate: str) -> Verified:
        """Check *jws* against the PEM *certificate*; raise NotAuthenticated."""
        from joserfc import jws as joserfc_jws
        from joserfc.errors import JoseError

        header = _header(jws)
        known = _fingerprint(certificate)
        if header["kid"] != known:
            raise NotAuthenticated("the message is signed by another key")
        try:
            found = joserfc_jws.deserialize_compact(jws, _public(certificate), registry=_registry())
        except (JoseError, ValueError, TypeError) as exc:
            raise NotAuthenticated("the message's signature does not hold") from exc
        return Verified(known, float(header["iat"]), found.payload)


def load_signer(data_dir: Path, organisation: str) -> KeySigner:
    """Return the signer of this sidecar; its key is made at first use.

    Raises:
        ConfigError: the key file is open to others, or is not ours.
    """
    path = data_dir / "keys" / FILE
    if not path.exists():
        _make(path, organisation)
    if path.stat().st_mode & 0o077:
        raise ConfigError([f"{path}: is open to others; `chmod 600 {path}`"])
    return KeySigner(path)


def _fingerprint(certificate: str) -> str:
    try:
        return fingerprint(certificate)
    except ValueError as exc:
        raise NotAuthenticated(f"the peer's certificate {exc}") from exc


def _certificate_in(path: Path) -> str:
    try:
        found = find_certificate(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError([f"{path}: cannot be read: {type(exc).__name__}"]) from exc
    if found is None:
        raise ConfigError([f"{path}: holds no certificate"])
    return found


def _header(jws: str) -> dict[str, Any]:
    """Read the header alone: a stranger's message is not even decoded."""
    encoded = jws[: _MOST_HEADER + 1].partition(".")[0]
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
        header: Any = strict_json.loads(data, max_bytes=_MOST_HEADER, max_depth=4)
    except (ValueError, EmeError) as exc:
        raise NotAuthenticated("this is not a compact JWS") from exc
    if not isinstance(header, dict) or header.get("alg") != ALGORITHM:
        raise NotAuthenticated(f"only {ALGORITHM} is taken")
    issued_at = header.get("iat")
    if not isinstance(issued_at, int) or isinstance(issued_at, bool):
        raise NotAuthenticated("the message does not say when it was signed")
    if not isinstance(header.get("kid"), str):
        raise NotAuthenticated("the message does not say which key signed it")
    return header


@cache
def _registry() -> JWSRegistry:
    from joserfc.errors import UnsupportedAlgorithmError
    from joserfc.jws import JWSAlgModel, JWSRegistry
    from joserfc.registry import HeaderParameter

    class Pinned(JWSRegistry):
        """Knows one algorithm; RFC 9864 renames it Ed25519, but peers agreed on the old name."""

        def get_alg(self, name: str) -> JWSAlgModel:
            if name != ALGORITHM:
                raise UnsupportedAlgorithmError(f"only {ALGORITHM} is taken")
            return self.algorithms[name]

    return Pinned({"iat": HeaderParameter("Issued at", "int")}, algorithms=[ALGORITHM])


@lru_cache(maxsize=4)
def _private(path: Path) -> OKPKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from joserfc.jwk import OKPKey

    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError([f"{path}: is not an Ed25519 key"])
    return OKPKey.import_key(_pem(key))


@lru_cache(maxsize=1024)
def _public(certificate: str) -> OKPKey:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from joserfc.jwk import OKPKey

    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise NotAuthenticated("the peer's certificate is not for an Ed25519 key")
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return OKPKey.import_key(key.public_bytes(serialization.Encoding.PEM, info))


def _make(path: Path, organisation: str) -> None:
    """Write key and certificate in one step: of two processes that start at once, one wins."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    certificate = _certify(key, organisation).public_bytes(serialization.Encoding.PEM)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_pem(key) + certificate)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _certify(key: Any, organisation: str) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, organisation)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .sign(key, None)
    )


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem
