"""An operator and a CERT, each with a sidecar and a MISP of its own; the MISPs sync."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from eme_connector.domain.feedback import Word
from eme_connector.domain.threat import Threat
from eme_connector.usecases import feedback, misp_poll
from tests.build import CERT, CI, GROUP, person
from tests.delivery.world import Clock, Sidecar
from tests.doubles.misp import Clock as MispClock
from tests.doubles.misp import Misp, connect
from tests.misp.contract.conftest import Pair, Side
from tests.misp.post import uuid_of


class Community:
    """`ci` and `cert` are the sidecars, `a` and `b` their MISPs."""

    def __init__(self, folder: Path, **section: Any) -> None:
        self.misp_clock = MispClock()
        self.misp_clock.hold()
        self.a = Misp("CI-1", CI, clock=self.misp_clock)
        self.b = Misp("CERT-1", CERT, clock=self.misp_clock)
        connect(self.a, self.b)
        self.pair = Pair(
            Side(self.a.url, self.a.admin, organisation=CI, name="CI-1"),
            Side(self.b.url, self.b.admin, organisation=CERT, name="CERT-1"),
            self.misp_clock,
        )
        self.pair.group(**self.pair.both() | {"uuid": GROUP})
        self.clock = Clock()
        self.ci = self.sidecar(folder / "ci", CI, self.a, section)
        self.cert = self.sidecar(folder / "cert", CERT, self.b, section)

    def close(self) -> None:
        for sidecar in (self.ci, self.cert):
            sidecar.close()
        for misp in (self.a, self.b):
            misp.close()
        for side in (self.pair.a, self.pair.b):
            for session in side.sessions.values():
                session.close()

    def share(self, **fields: Any) -> Threat:
        """Let the operator detect and share a threat, and wait until B has its event."""
        threat = self.ci.add(dispatch=None, share=True, **fields)
        self.deliver(self.ci)
        assert self.pair.b.has(uuid_of(threat))
        return threat

    def deliver(self, sidecar: Sidecar) -> None:
        self.later()
        sidecar.drain(timeout=30)

    def later(self) -> None:
        self.clock.tick(5)
        self.misp_clock.advance(5)

    def poll(self, sidecar: Sidecar) -> dict[str, Any]:
        eme = sidecar.eme
        return misp_poll.poll(eme.misp(), eme.pgp(), eme)

    def answer(self, threat: Threat, word: str, text: str = "") -> None:
        """Let a person of the CERT say something about a threat that it was told of."""
        caller = person(CERT, "bob")
        feedback.give(threat.id, Word(word), text, caller=caller, system=self.cert.eme)
        self.deliver(self.cert)

    def heard(self, threat: Threat, event: str = "misp-sighting") -> list[dict[str, Any]]:
        """Return what stands on the operator's timeline of *threat*."""
        records = self.ci.store.timeline(threat.id)
        return [one.detail for one in records if one.event == event]

    def sidecar(self, folder: Path, organisation: str, misp: Misp, more: Any) -> Sidecar:
        """Return a sidecar at *misp*; *more* goes into its section `misp`."""
        section = {"url": misp.url, "key": misp.add_user("org_admin"), "debounce_s": 0} | more
        return Sidecar(folder, organisation, clock=self.clock, misp=section)


def foreign(**more: Any) -> dict[str, Any]:
    """Return an event that no sidecar made."""
    attribute = {"type": "ip-dst", "category": "Network activity", "value": "198.51.100.7"}
    return {
        "uuid": str(uuid4()),
        "info": "Scanning of tram controllers",
        "distribution": "3",
        "threat_level_id": "1",
        "published": True,
        "Attribute": [attribute],
        "Tag": [{"name": "tlp:green"}],
    } | more
