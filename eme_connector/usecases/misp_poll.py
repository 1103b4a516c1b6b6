"""Ask our MISP for what came in from others: events, answers to ours, sightings.

Events are asked for by when they were published there, which is when they came. The stored cursor
moves only after a whole walk, and a few minutes are always looked at again: what was seen is
remembered event by event, so nothing is taken in twice and nothing is missed.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import structlog

from eme_connector.domain.misp import Mark
from eme_connector.domain.rights import Caller, Right
from eme_connector.errors import Conflict, EmeError, NotFound
from eme_connector.ports.misp import Headline, MispSharing, Pgp
from eme_connector.usecases import feedback
from eme_connector.usecases.feedback import OVERLAP_S
from eme_connector.usecases.schedule import Job, run_now
from eme_connector.usecases.system import System
from eme_connector.usecases.take_in import take

log = structlog.get_logger("eme.misp")

FIRST_S = 30 * 86_400
"""How far back the first look goes."""
MOST = 500
"""Events that one turn reads; the next goes on."""
JOB = "misp-poll"
AGAIN_S = 2.0
_asked = threading.Lock()


def jobs(system: System) -> tuple[Job, ...]:
    """Return the work that repeats: none where no MISP is configured, or it is not asked."""
    section, misp = system.config.misp, system.misp()
    if section is None or misp is None or section.poll_s <= 0:
        return ()
    return (Job(JOB, section.poll_s, lambda: poll(misp, system.pgp(), system)),)


def hint(*, caller: Caller, system: System) -> None:
    """Ask our MISP soon, because somebody says that something came; nothing else is believed.

    Raises:
        NotAllowed, NotFound: no MISP is asked here.
    """
    caller.need(Right.SYNC)
    found = jobs(system)
    if not found:
        raise NotFound("no MISP is asked by this sidecar")
    if _asked.acquire(blocking=False):
        thread = threading.Thread(target=_ask, args=(found[0], system), name=JOB, daemon=True)
        thread.start()


def _ask(job: Job, system: System) -> None:
    # what comes in from now on needs a hint of its own
    _asked.release()
    for pause in (AGAIN_S, 0.0):
        try:
            run_now(job, system.store, system.clock)
            return
        except Conflict:
            # a turn that began before the hint may have missed what it is about
            time.sleep(pause)
        except EmeError as exc:
            log.warning("misp_hint_failed", error=type(exc).__name__)
            return


def poll(misp: MispSharing, pgp: Pgp, system: System) -> dict[str, Any]:
    """Take in what is new, and return how much of it there was.

    Raises:
        DeliveryError, StoreUnavailable: the next turn begins where this one did.
    """
    section = system.config.misp
    everything = section is not None and section.take_in == "all"
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    newest, read = 0, 0
    for headline in _arrived(misp, system):
        newest = max(newest, headline.published_at)
        taken = take(headline, misp=misp, pgp=pgp, system=system, everything=everything)
        counts[taken.outcome] += 1
        if taken.reason:
            reasons[taken.reason] += 1
        if taken.outcome == "refused":
            log.warning("misp_event_refused", misp_event=headline.uuid, reason=taken.reason)
        read += taken.outcome not in ("own", "repeat")
        if read >= MOST:
            break
    else:
        _move(newest, system)
    counts["sightings"] = feedback.take_sightings(misp, system)
    return {**counts, "reasons": dict(reasons)}


def _arrived(misp: MispSharing, system: System) -> Iterator[Headline]:
    cursor = system.store.mark("cursor", "events")
    since = cursor.value - OVERLAP_S if cursor else round(system.clock()) - FIRST_S
    page = 1
    while rows := misp.arrived(max(0, since), page):
        yield from rows
        page += 1


def _move(newest: int, system: System) -> None:
    cursor = system.store.mark("cursor", "events")
    if newest and (cursor is None or newest > cursor.value):
        moved = Mark("cursor", "events", newest)
        system.store.transact(lambda tx: tx.save_mark(moved))
