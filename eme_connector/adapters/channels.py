"""A channel for every target that exists now: from the configuration, or a peering in the store."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.peer import PeerChannel
from eme_connector.adapters.webhook import WebhookChannel
from eme_connector.config import Config, Misp
from eme_connector.domain.accounts import Peer
from eme_connector.domain.delivery import MISP_LANE
from eme_connector.domain.threat import Threat
from eme_connector.ports import Channel, Clock, Signer, Store


class _Channels:
    """The channels of one store, kept with their connections for as long as it lives."""

    def __init__(self, config: Config, store: Store, signer: Signer, clock: Clock) -> None:
        self._gate = Gate.of(config.egress.private_networks)
        self._signer = signer
        self._clock = clock
        self._lock = threading.Lock()
        self._configured: dict[str, Channel] = {}
        for one in config.orchestrators:
            channel = WebhookChannel(one, self._gate, clock=clock)
            self._configured[channel.lane] = channel
        if config.misp is not None:
            self._configured[MISP_LANE] = _misp(config, config.misp, store, self._gate)
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


def _misp(config: Config, section: Misp, store: Store, gate: Gate) -> Channel:
    from eme_connector.adapters.misp.open import open_channel

    names = {one.uuid: one.name for one in config.organisations}
    own = config.instance.organisation

    def source(threat_id: str, organisation: str) -> tuple[Threat, bytes | None, str] | None:
        threat = store.find_visible_threat(threat_id, organisation or own)
        if threat is None:
            return None
        raw = store.raw(threat.id, threat.revision)
        return threat, raw, names.get(threat.organisation, threat.organisation)

    base = config.serve.public_url
    return open_channel(section, gate, source, threat_url=f"{base}/threats" if base else None)


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
) -> Mapping[str, Channel]:
    """Return a channel for every orchestrator and every one of *peers*, by lane.

    Cheap to call again and again: a channel and its connections are kept while its target stays.

    Raises:
        ConfigError: a secret cannot be used.
    """
    with _LOCK:
        kept = _KEPT.get(store)
        if kept is None or kept[0] is not config or kept[1] is not signer:
            kept = _KEPT[store] = (config, signer, _Channels(config, store, signer, clock))
    return kept[2].now(peers)
