"""Sidecars as real processes, alone and behind a proxy of the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import ROOT, left_out
from tests.faults.receiver import Receiver
from tests.faults.sidecar import Sidecar
from tests.servers.nginx import Nginx, NginxMissing

HOST = "eme.example.org"


@dataclass(frozen=True)
class Front:
    """A proxy: its address, and the certificate that it shows."""

    url: str
    port: int
    ca: str


def block(page: str, language: str, number: int = 0) -> str:
    """Return a code block of a page of the documentation."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return found[number]


@pytest.fixture
def make_sidecar(tmp_path, free_port):
    """Return how to make a sidecar that is not started yet."""
    made = []

    def make(**how) -> Sidecar:
        folder = tmp_path / f"sidecar-{len(made)}"
        folder.mkdir()
        made.append(Sidecar(folder, free_port(), **how))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def make_nginx(tmp_path, free_port):
    """Return how to start nginx, as documented, in front of an address."""
    made = []

    def make(behind: str) -> Front:
        folder = tmp_path / f"nginx-{len(made)}"
        folder.mkdir()
        certify(folder)
        port = free_port()
        text = block("deployment.md", "nginx")
        for told, here in {
            "server 127.0.0.1:8150;": f"server {behind};",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "/etc/nginx/tls/eme.pem": str(folder / "eme.pem"),
            "/etc/nginx/tls/eme.key": str(folder / "eme.key"),
        }.items():
            assert told in text, told
            text = text.replace(told, here)
        try:
            made.append(Nginx(folder, port, text))
        except NginxMissing:
            left_out("nginx is not installed: apt-get install nginx-light")
        made[-1].start()
        return Front(f"https://127.0.0.1:{port}", port, str(folder / "eme.pem"))

    yield make
    for one in made:
        one.stop()


def certify(folder: Path) -> None:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now, here = datetime.now(UTC), IPv4Address("127.0.0.1")
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(here)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "eme.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "eme.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.release()
    found.close()
