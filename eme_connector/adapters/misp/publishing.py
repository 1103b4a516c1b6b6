"""Publish events that MISP has, one or many, and look whether they are published."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Refused
from eme_connector.domain.delivery import MISP_LANE, Receipt
from eme_connector.errors import DeliveryError

log = structlog.get_logger("eme.delivery")

BLOCKED_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class Stored:
    """An event that MISP has; `owed`: and is still to publish. `more` is true once it is."""

    uuid: str
    owed: bool
    detail: dict[str, Any]
    more: dict[str, Any]

    def outcome(self, failure: DeliveryError | None) -> Receipt | DeliveryError:
        """Return what became of it; *failure* may be that of others, too."""
        if failure is None:
            return Receipt(self.uuid, self.detail | self.more)
        return DeliveryError(
            failure.reason,
            failure.detail,
            permanent=failure.permanent,
            maybe_sent=failure.maybe_sent,
            retry_after=failure.retry_after,
            learnt=self.detail | failure.learnt,
        )


class Publisher:
    """MISP says "published" or "Job queued" in most cases, so it is looked at until it is so."""

    def __init__(self, client: MispClient, wait_s: float, sleep: Callable[[float], None]) -> None:
        self._client, self._wait_s, self._sleep = client, wait_s, sleep

    def publish(
        self, stored: Sequence[Stored], ends: float = math.inf
    ) -> list[Receipt | DeliveryError]:
        """Return what became of each; none is begun after the monotonic time *ends*."""
        failed: dict[str, DeliveryError] = {}
        for one in stored:
            if one.owed:
                with kept_in(failed, one.uuid):
                    in_time(ends)
                    self._ask(one.uuid)
        waiting = {one.uuid for one in stored if one.owed} - failed.keys()
        try:
            failed |= self._not_published(waiting)
        except DeliveryError as exc:
            failed |= dict.fromkeys(waiting, exc)
        return [one.outcome(failed.get(one.uuid)) for one in stored]

    def _ask(self, uuid: str) -> None:
        try:
            self._client.publish(uuid)
        except Refused as exc:
            if exc.reason != "blocked-by-workflow":
                raise
            # it says so only without background workers, and the module's own words in the log
            raise self._blocked() or _blocked_by(exc.detail) from exc

    def _not_published(self, waiting: set[str]) -> dict[str, DeliveryError]:
        """Wait, and return those that are not published when the time is over."""
        until = time.monotonic() + self._wait_s
        pause = 0.05
        while waiting and (waiting := waiting - self._client.published(waiting)):
            if time.monotonic() >= until:
                why = self._blocked() or DeliveryError("not-published")
                return dict.fromkeys(waiting, why)
            self._sleep(pause)
            pause = min(1.0, pause * 2)
        return {}

    def _blocked(self) -> DeliveryError | None:
        why = self._client.workflow_stop(round(self._wait_s) + 2)
        return _blocked_by(why) if why else None


@contextmanager
def kept_in(failed: MutableMapping[str, Any], key: str) -> Iterator[None]:
    """Keep a failure as what became of *key*, so that the others go on."""
    try:
        yield
    except DeliveryError as exc:
        failed[key] = exc
    except Exception as exc:
        # a fault of ours in one event keeps no other waiting
        log.error("send_failed", lane=MISP_LANE, error=type(exc).__name__)
        failed[key] = DeliveryError("internal-error", type(exc).__name__, maybe_sent=True)


def in_time(ends: float) -> None:
    """Raise where the monotonic time *ends* has passed: surely unsent, so it is owed again."""
    if time.monotonic() > ends:
        raise DeliveryError("waited-too-long")


def _blocked_by(why: str) -> DeliveryError:
    return DeliveryError("blocked-by-workflow", why, retry_after=BLOCKED_PAUSE_S)
