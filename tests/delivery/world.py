"""A sidecar without its web server: store, keys and clock of its own, and threats to deliver."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from eme_connector import config as configuration
from eme_connector.adapters.database import open_store
from eme_connector.adapters.keys import load_signer
from eme_connector.adapters.shared import LocalShared
from eme_connector.bootstrap import Eme
from eme_connector.domain import decision as moves
from eme_connector.domain.decision import Wish
from eme_connector.domain.threat import Status
from eme_connector.usecases.obligations import owe_dispatch, owe_share
from eme_connector.usecases.topology import Registers
from eme_connector.usecases.work import Worker
from tests import build, ready
from tests.build import AT, CERT, CI, GROUP, NOW, OTHER_CI

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
LANE = "orchestrator:demo"
PEER_LANE = f"peer:{CERT}"
NAMES = {CI: "CI-1", OTHER_CI: "CI-2", CERT: "CERT-1"}


class Clock:
    """The time, standing still until a test moves it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds


def tree(folder: Path, organisation: str = CI, **sections: object) -> dict[str, object]:
    """Return a configuration that knows three organisations and one group of two."""
    return {
        "instance": {"organisation": organisation, "data_dir": str(folder)},
        "organisations": [
            {"uuid": uuid, "name": name, "role": "cert" if uuid == CERT else "ci"}
            for uuid, name in NAMES.items()
        ],
        "sharing_groups": [{"uuid": GROUP, "name": "Transport", "members": [CI, CERT]}],
        "egress": {"private_networks": ["127.0.0.0/8"]},
        "delivery": {"settle_s": 60, "retry_first_s": 1, "retry_most_s": 8, "give_up_s": 3600},
    } | sections


def orchestrator(double, **fields: object) -> dict[str, object]:
    """Return the section of an orchestrator that is *double*."""
    return {"name": "demo", "url": double.url, "secret": SECRET, "timeout_s": 2} | fields


class Sidecar:
    """One system on SQLite in *folder*; `worker.drain()` delivers in the calling thread."""

    def __init__(self, folder: Path, organisation: str = CI, clock=None, url="", **sections):
        self.clock = clock or Clock()
        config = configuration.parse(tree(folder, organisation, **sections), {})
        store = open_store(url or empty_database(folder), clock=self.clock)
        self.eme = Eme(
            config=config,
            store=store,
            registers=Registers(config, store),
            signer=load_signer(config.instance.data_dir, organisation),
            clock=self.clock,
            shared=LocalShared(),
        )
        self.store = self.eme.store
        self.worker = Worker(self.eme)

    def close(self) -> None:
        self.worker.stop()
        for channel in self.eme.channels().values():
            channel.close()
        self.store.close()

    def drain(self, **how) -> bool:
        return self.worker.drain(**how)

    def deliveries(self, kind="dispatch"):
        return [one for one in self.store.list_deliveries(limit=100_000) if one.kind == kind]

    def only(self, kind="dispatch"):
        (one,) = self.deliveries(kind)
        return one

    def threat(self, threat_id: str):
        return self.store.transact(lambda tx: tx.find_threat(threat_id))

    def events(self, threat_id: str) -> list[str]:
        return [one.event for one in self.store.timeline(threat_id)]

    def add(self, *, dispatch=True, share=False, lane=LANE, raw=b"raw bytes", **fields):
        """Store an approved threat and owe what a decision owes; return it."""
        threat = approved(**fields) if dispatch is True else fresh(**fields)

        def work(tx):
            tx.add_threat(threat, raw, [threat.organisation])
            if dispatch:
                owe_dispatch(threat, lambda _: lane, tx)
            if share:
                owe_share(threat, tx)

        self.store.transact(work)
        return threat

    def change(self, threat_id: str, **fields):
        """Replace fields of a stored threat behind everybody's back."""

        def work(tx):
            before = tx.find_threat(threat_id)
            tx.save_threat(replace(before, **fields), before)

        self.store.transact(work)


def fresh(**fields):
    """Return a threat of its own id, as a detection that nobody has sent before."""
    id = str(uuid4())
    return build.threat(**{"id": id, "detection": build.detection(iris_id=id)} | fields)


def approved(by="anna", **fields):
    """Return a threat that a person approved in full."""
    threat = fresh(**fields)
    wish = Wish(Status.APPROVED, threat.digest)
    now = datetime.fromtimestamp(NOW, UTC)
    return moves.decide(threat, wish, by=by, at=AT, now=now)


def empty_database(folder: Path) -> str:
    """Return the URL of the database in *folder*; of our schema and empty where it is new."""
    folder.mkdir(parents=True, exist_ok=True)
    return ready.sqlite(folder / "eme.db")
