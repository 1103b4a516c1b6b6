"""A channel for every target that exists now: orchestrators by config, peers by the store."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.peer import PeerChannel
from eme_connector.adapters.webhook import WebhookChannel
from eme_connector.config import Config
from eme_connector.domain.accounts import Peer
from eme_connector.ports import Channel, Clock, Signer, Store


class _Channels:
    """The channels of one store, kept with their connections for as long as it lives."""

    def __init__(self, config: Config, signer: Signer, clock: Clock) -> None:
        self._gate = Gate.of(config.egress.private_networks)
        self._signer = signer
        self._clock = clock
        self._lock = threading.Lock()
        self._orchestrators: dict[str, Channel] = {}
        for one in config.orchestrators:
            channel = WebhookChannel(one, self._gate, clock=clock)
            self._orchestrators[channel.lane] = channel
        self._peers: dict[Peer, PeerChannel] = {}

    def now(self, peers: tuple[Peer, ...]) -> dict[str, Channel]:
        """Return the channels by lane; those of peers that are gone are closed."""
        finalised = [one for one in peers if one.revoked_at is None]
        with self._lock:
            for gone in set(self._peers) - set(finalised):
                self._peers.pop(gone).close()
            for peer in finalised:
                if peer not in self._peers:
                    self._peers[peer] = PeerChannel(
                        peer, self._signer, self._gate, clock=self._clock
                    )
            found: dict[str, Channel] = {one.lane: one for one in self._peers.values()}
        return found | self._orchestrators


_KEPT: weakref.WeakKeyDictionary[Store, tuple[Config, Signer, _Channels]]
_KEPT = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def build_channels(
    config: Config, store: Store, signer: Signer, clock: Clock = time.time
) -> Mapping[str, Channel]:
    """Return a channel for every orchestrator and every unrevoked peer, by lane.

    Cheap to call again and again: a channel and its connections are kept while its target stays.

    Raises:
        ConfigError: a secret cannot be used.
    """
    with _LOCK:
        kept = _KEPT.get(store)
        if kept is None or kept[0] is not config or kept[1] is not signer:
            kept = _KEPT[store] = (config, signer, _Channels(config, signer, clock))
    return kept[2].now(store.peers())
