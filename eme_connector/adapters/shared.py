"""What processes share: kept in this one alone, or in Redis for as long as it answers."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import structlog

from eme_connector.errors import Unavailable

if TYPE_CHECKING:
    from limits.strategies import FixedWindowRateLimiter
    from redis import Redis

log = structlog.get_logger("eme.shared")

T = TypeVar("T")
MOST = 1_000
TIMEOUT_S = 0.5
DOWN_S = 2.0


class LocalShared:
    """One process and its memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._clock = clock

    def hit(self, name: str, key: str, *, per_minute: int) -> bool:
        from limits import RateLimitItemPerMinute

        return self._limiter.hit(RateLimitItemPerMinute(per_minute), name, key)

    def get(self, key: str) -> bytes | None:
        with self._lock:
            until, value = self._kept.get(key, (0.0, b""))
        return value if until > self._clock() else None

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        with self._lock:
            self._kept[key] = (self._clock() + seconds, value)
            self._kept.move_to_end(key)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def ping(self) -> None:
        return

    def close(self) -> None:
        return

    @cached_property
    def _limiter(self) -> FixedWindowRateLimiter:
        from limits.storage import MemoryStorage
        from limits.strategies import FixedWindowRateLimiter

        return FixedWindowRateLimiter(MemoryStorage())


class RedisShared:
    """Redis, and this process alone while Redis does not answer."""

    def __init__(self, client: Redis, prefix: str) -> None:
        from limits.storage import RedisStorage
        from limits.strategies import FixedWindowRateLimiter

        self._client, self._prefix = client, prefix
        # the address is not used: the storage takes the connections of our client
        storage = RedisStorage(
            "redis://", connection_pool=client.connection_pool, key_prefix=f"{prefix}limit"
        )
        self._limiter = FixedWindowRateLimiter(storage)
        self._local = LocalShared()
        self._down_until = 0.0

    def hit(self, name: str, key: str, *, per_minute: int) -> bool:
        from limits import RateLimitItemPerMinute

        # keys may be names that people typed, which are nobody's business there
        hidden = hashlib.sha256(key.encode()).hexdigest()
        limit = RateLimitItemPerMinute(per_minute)
        return self._ask(
            lambda: self._limiter.hit(limit, name, hidden),
            lambda: self._local.hit(name, key, per_minute=per_minute),
        )

    def get(self, key: str) -> bytes | None:
        return self._ask(
            lambda: _bytes(self._client.get(self._prefix + key)), lambda: self._local.get(key)
        )

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        milliseconds = max(1, round(seconds * 1000))
        self._ask(
            lambda: bool(self._client.set(self._prefix + key, value, px=milliseconds)),
            lambda: self._local.put(key, value, seconds=seconds),
        )

    def ping(self) -> None:
        from redis import RedisError

        try:
            self._client.ping()
        except RedisError as exc:
            raise Unavailable("redis does not answer") from exc

    def close(self) -> None:
        self._client.close()

    def _ask(self, redis: Callable[[], T], alone: Callable[[], T]) -> T:
        """Ask Redis; after a failure do without for a moment, so that nobody waits each time."""
        from redis import RedisError

        if time.monotonic() < self._down_until:
            return alone()
        try:
            return redis()
        except RedisError:
            log.warning("redis_does_not_answer")
            self._down_until = time.monotonic() + DOWN_S
            return alone()


def connect_redis(url: str, *, tries: int = 2) -> Redis:
    """Return a client that connects when it is used, and waits for half a second at most."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), tries - 1),
    )


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else None
