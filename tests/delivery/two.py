"""A CI that offers a handshake and a CERT that answers, the CERT behind a real port."""

from __future__ import annotations

from eme_connector.domain.rights import Caller, Right
from eme_connector.usecases import enrol
from tests.build import CERT, CI
from tests.delivery.world import Clock
from tests.doubles.peer import CONFIRMATION, PeerServer

CEREBRATE = Caller("token", "abc", "cerebrate-a", CI, frozenset({Right.ENROL}))


class Two:
    """Both sides, one clock, and the Cerebrates that carry their texts."""

    def __init__(self, make):
        self.clock = Clock()
        self.make = make
        self.server = PeerServer(lambda jws: enrol.confirm(jws, system=self.cert), CONFIRMATION)
        self.ci = self.sidecar(CI)
        self.cert = self.sidecar(CERT, serve={"public_url": self.server.url})

    def sidecar(self, organisation, folder="", **sections):
        return self.make(organisation, folder, clock=self.clock, **sections).eme

    def offer(self, to=CERT):
        return enrol.offer(to, caller=CEREBRATE, system=self.ci)

    def accept(self, text, says=CI, system=None):
        return enrol.accept(text, says, caller=CEREBRATE, system=system or self.cert)

    def finalise(self, text, says=CERT):
        return enrol.finalise(text, says, caller=CEREBRATE, system=self.ci)

    def peers(self):
        return [
            [one.organisation for one in system.store.peers() if one.revoked_at is None]
            for system in (self.ci, self.cert)
        ]
