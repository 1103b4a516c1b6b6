"""The demo's two sidecars: configured, provisioned, peered, started."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
import yaml

from eme_connector import config as configuration
from eme_connector.bootstrap import Eme, build, prepare
from eme_connector.demo.processes import Child
from eme_connector.domain.rights import PEOPLE_ONLY, Caller, Right
from eme_connector.usecases import accounts, peering, policies

UNASKED = {"isolate": True, "block_service": True}
PERSON = "anna"
ANALYST = "carla"


@dataclass
class World:
    """Everything that the demo remembers of itself, kept in `demo.json` (0600)."""

    folder: Path
    ports: dict[str, int]
    ci: str = field(default_factory=lambda: str(uuid4()))
    cert: str = field(default_factory=lambda: str(uuid4()))
    group: str = field(default_factory=lambda: str(uuid4()))
    secret: str = field(
        default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    )
    names: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    cert_token: str = ""
    passwords: dict[str, str] = field(default_factory=dict)
    is_new: bool = True

    @classmethod
    def open(cls, folder: Path, ports: dict[str, int], names: Iterable[str] = ()) -> World:
        """Return the world in *folder*, or a new one that also knows organisations *names*."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / "demo.json"
        if path.exists():
            return cls(folder, ports, **json.loads(path.read_text()), is_new=False)
        world = cls(folder, ports)
        world.names = {"CI-1": world.ci} | {
            name: str(uuid4()) for name in names if name not in ("CI-1", "CERT-1")
        }
        return world

    def url(self, who: str) -> str:
        """Return where *who* (ci, cert, receiver) listens."""
        return f"http://127.0.0.1:{self.ports[who]}"

    def prepare(self) -> None:
        """Write both configurations; on the first run make accounts, tokens and the peering."""
        self._write("ci", self._ci_tree())
        self._write("cert", self._cert_tree())
        if self.is_new:
            self._provision()
            self._save()
        self._peer()
        self._write_receiver()

    def start(self, who: str) -> Child:
        """Start one of the three processes and wait until it answers."""
        if who == "receiver":
            words = ["eme_connector.demo.receiver", str(self.folder / "receiver.json")]
            path = "/playbooks"
        else:
            words = ["eme_connector.cli", "--config", str(self._config(who)), "serve"]
            path = "/readyz"
        child = Child(who, words, self.folder / f"{who}.log")
        child.wait_until(lambda: _answers(self.url(who) + path))
        return child

    def _config(self, who: str) -> Path:
        return self.folder / who / "config.yaml"

    def _open(self, who: str) -> Eme:
        found = configuration.load(self._config(who), {})
        prepare(found)
        return build(found)

    def _provision(self) -> None:
        ci, cert = self._open("ci"), self._open("cert")
        try:
            for uuid in self.names.values():
                self._equip(uuid, ci)
            self.passwords[ANALYST] = _account(ANALYST, self.cert, cert)
            self.cert_token = _token("demo", self.cert, {Right.READ}, cert)
        finally:
            ci.store.close()
            cert.store.close()

    def _equip(self, uuid: str, ci: Eme) -> None:
        self.tokens[uuid] = _token("atio", uuid, {Right.INGEST, Right.READ}, ci)
        self.results[uuid] = _token("receiver", uuid, {Right.RESULT}, ci, orchestrator="demo")
        self.passwords[self.person_of(uuid)] = _account(self.person_of(uuid), uuid, ci)
        setting = policies.default_id(uuid)
        policies.change_setting(
            setting, UNASKED, merge=True, scope=None, etag=f"{setting}@0",
            caller=_admin(uuid), store=ci.store, now=time.time(),
        )  # fmt: skip

    def person_of(self, uuid: str) -> str:
        """Return the account that decides for an organisation."""
        return PERSON if uuid == self.ci else f"{PERSON}.{uuid[:8]}"

    def _peer(self) -> None:
        """Exchange peer files each time: the ports may be others than before."""
        ci, cert = self._open("ci"), self._open("cert")
        try:
            for here, there in ((ci, cert), (cert, ci)):
                file = json.dumps(peering.export_peer(there)).encode()
                known = {(p.fingerprint, p.url) for p in here.store.peers() if not p.revoked_at}
                if (there.signer.fingerprint, there.config.public_url) not in known:
                    caller = _admin(here.organisation.uuid)
                    peering.add_peer(file, there.signer.fingerprint, caller=caller, system=here)
        finally:
            ci.store.close()
            cert.store.close()

    def _write(self, who: str, tree: dict[str, Any]) -> None:
        path = self._config(who)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
        path.chmod(0o600)

    def _common(self, who: str, own: str) -> dict[str, Any]:
        organisations = [
            {"uuid": self.cert, "name": "CERT-1", "role": "cert"},
            *(
                {"uuid": uuid, "name": name, "sector": "transport", "default_group": self.group}
                | ({} if uuid == self.ci else {"served_by": self.ci})
                for name, uuid in self.names.items()
            ),
        ]
        members = [self.cert, *self.names.values()]
        return {
            "instance": {"name": f"Demo {who.upper()}", "organisation": own, "data_dir": "data"},
            "organisations": organisations,
            "sharing_groups": [{"uuid": self.group, "name": "Demo group", "members": members}],
            "serve": {"port": self.ports[who]},
            "egress": {"private_networks": ["127.0.0.0/8"]},
            "log": {"level": "warning"},
            "limits": {"logins_per_minute": 1000},
        }

    def _ci_tree(self) -> dict[str, Any]:
        receiver = {
            "name": "demo",
            "url": f"{self.url('receiver')}/playbooks",
            "look_up_url": f"{self.url('receiver')}/playbooks",
            "secret": self.secret,
            "idempotent": True,
        }
        return self._common("ci", self.ci) | {"orchestrators": [receiver]}

    def _cert_tree(self) -> dict[str, Any]:
        return self._common("cert", self.cert)

    def _write_receiver(self) -> None:
        settings = {
            "port": self.ports["receiver"],
            "folder": str(self.folder),
            "secret": self.secret,
            "sidecar": self.url("ci"),
            "tokens": self.results,
        }
        _write_private(self.folder / "receiver.json", settings)

    def _save(self) -> None:
        kept = ("ci", "cert", "group", "secret", "names", "tokens", "results", "cert_token",
                "passwords")  # fmt: skip
        _write_private(self.folder / "demo.json", {name: getattr(self, name) for name in kept})


def _write_private(path: Path, document: Any) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))


def _admin(organisation: str) -> Caller:
    return Caller("person", "demo", "demo", organisation, frozenset(Right) - PEOPLE_ONLY)


def _account(name: str, organisation: str, eme: Eme) -> str:
    password = secrets.token_urlsafe(12)
    accounts.add_account(
        name, password, organisation, "admin",
        caller=_admin(organisation), store=eme.store, now=time.time(),
    )  # fmt: skip
    return password


def _token(
    name: str, organisation: str, rights: set[Right], eme: Eme, orchestrator: str = ""
) -> str:
    _, text = accounts.create_token(
        name, organisation, frozenset(rights), orchestrator=orchestrator,
        caller=_admin(organisation), store=eme.store, now=time.time(),
    )  # fmt: skip
    return text


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False
