"""Redis publish and subscribe as a line between processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from eme_connector.adapters.bell import LineDown

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import PubSub


class RedisLine:
    """Publishes on *channel* and hears what others publish there."""

    def __init__(self, client: Redis, channel: str) -> None:
        self._client, self._channel = client, channel
        self._hearing: PubSub | None = None

    def send(self, text: str) -> None:
        """Publish; raise LineDown."""
        from redis import RedisError

        try:
            self._client.publish(self._channel, text)
        except RedisError as exc:
            raise LineDown from exc

    def receive(self, seconds: float) -> Iterator[str]:
        """Yield what others publish within *seconds*; raise LineDown."""
        from redis import RedisError

        until = time.monotonic() + seconds
        try:
            if self._hearing is None:
                self._hearing = self._client.pubsub(ignore_subscribe_messages=True)
                self._hearing.subscribe(self._channel)
                yield ""
            while (left := until - time.monotonic()) > 0:
                found: dict[str, Any] | None = self._hearing.get_message(timeout=left)
                if found is not None:
                    yield found["data"].decode(errors="replace")  # others may publish anything
        except RedisError as exc:
            self.close()
            raise LineDown from exc

    def close(self) -> None:
        """Stop listening."""
        from redis import RedisError

        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            try:
                hearing.close()
            except RedisError:
                return
