"""A channel for every target that exists now: from the configuration, or a peering in the store."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.peer import PeerChannel
from eme_connector.adapters.webhook import WebhookChannel
from eme_connector.config import Config, Misp
from eme_connector.domain.accounts import Peer
from eme_connector.domain.sharing import Topology
from eme_connector.ports import Channel, Clock, Signer, Store


class _Channels:
    """The channels of one store, kept with their connections for as long as it lives."""

    def __init__(
        self,
        config: Config,
        store: Store,
        signer: Signer,
        clock: Clock,
        topology: Callable[[], Topology],
    ) -> None:
        self._gate = Gate.of(config.egress.private_networks)
        self._signer = signer
        self._clock = clock
        self._lock = threading.Lock()
        self._configured: dict[str, Channel] = {}
        for one in config.orchestrators:
            channel = WebhookChannel(one, self._gate, clock=clock)
            self._configured[channel.lane] = channel
        if config.misp is not None:
            for found in _misp(config, config.misp, store, self._gate, topology):
                self._configured[found.lane] = found
        self._peers: dict[Peer, PeerChannel] = {}

    def now(self, peers: tuple[Peer, ...]) -> dict[str, Channel]:
        """Return the channels by lane; those of peers that are gone are closed."""
        with self._lock:
            for gone in set(self._peers) - set(peers):
                self._peers.pop(gone).close()
            for peer in peers:
                if peer not in self._peers:
                    self._peers[peer] = PeerChannel(
                        peer, self._signer, self._gate, clock=self._clock
                    )
            found: dict[str, Channel] = {one.lane: one for one in self._peers.values()}
        return found | self._configured


def _misp(
    config: Config, section: Misp, store: Store, gate: Gate, topology: Callable[[], Topology]
) -> Sequence[Channel]:
    from eme_connector.adapters.misp.channel import Told
    from eme_connector.adapters.misp.open import open_channels

    own = config.instance.organisation

    def source(threat_id: str, organisation: str) -> Told | None:
        threat = store.find_visible_threat(threat_id, organisation or own)
        if threat is None:
            return None
        return Told(threat, store.raw(threat.id, threat.revision), topology())

    base = config.serve.public_url
    link = f"{base}/threats" if base else None
    return open_channels(section, gate, source, organisation=own, threat_url=link)


_KEPT: weakref.WeakKeyDictionary[Store, tuple[Config, Signer, _Channels]]
_KEPT = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def build_channels(
    config: Config,
    store: Store,
    signer: Signer,
    clock: Clock = time.time,
    *,
    peers: tuple[Peer, ...],
    topology: Callable[[], Topology],
) -> Mapping[str, Channel]:
    """Return a channel for every orchestrator, MISP and every one of *peers*, by lane.

    Cheap to call again and again: a channel and its connections are kept while its target stays.
    *topology* is asked when a threat leaves: who is in a group is known only then.

    Raises:
        ConfigError: a secret cannot be used.
    """
    with _LOCK:
        kept = _KEPT.get(store)
        if kept is None or kept[0] is not config or kept[1] is not signer:
            made = _Channels(config, store, signer, clock, topology)
            kept = _KEPT[store] = (config, signer, made)
    return kept[2].now(peers)
