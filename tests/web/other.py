"""Another sidecar, of the CERT, for handshakes with the one under test."""

from __future__ import annotations

import tempfile
from pathlib import Path

from eme_connector.domain.rights import Caller, Right
from eme_connector.formats import handshake
from eme_connector.usecases import enrol
from tests.build import CERT, CI
from tests.delivery.world import Sidecar
from tests.doubles.peer import CONFIRMATION, PeerServer


def cerebrate(organisation):
    """Return the token of a Cerebrate as a caller."""
    return Caller("token", "abc", "cerebrate", organisation, frozenset({Right.ENROL}))


class Other:
    """A sidecar of CERT-1 that knows *site*'s organisation, behind a real port."""

    def __init__(self, site):
        self.site = site
        self.server = PeerServer(lambda jws: enrol.confirm(jws, system=self.eme), CONFIRMATION)
        folder = Path(tempfile.mkdtemp(prefix="eme-tests-"))
        serve = {"public_url": self.server.url}
        self.eme = Sidecar(folder, CERT, clock=site.eme.clock, serve=serve).eme

    def offer(self):
        return enrol.offer(CI, caller=cerebrate(CERT), system=self.eme).offer

    def answer(self):
        """Return its answer to an offer of the site."""
        offered = enrol.offer(CERT, caller=cerebrate(CI), system=self.site.eme)
        return enrol.accept(offered.offer, CI, caller=cerebrate(CERT), system=self.eme).answer

    def confirmation(self):
        """Return its confirmation of an answer of the site."""
        text = self.offer()
        answered = enrol.accept(text, CERT, caller=cerebrate(CI), system=self.site.eme)
        link = handshake.Link(answered.code, handshake.digest(answered.answer))
        content = handshake.render_link("confirmation", link)
        return self.eme.signer.sign(content, issued_at=self.site.eme.clock())
