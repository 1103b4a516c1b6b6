"""From the bytes of a request to an answer that MISP understands, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from eme_connector.errors import EmeError, InvalidInput, TooLarge, Unavailable
from eme_connector.formats import strict_json

MAX_BYTES = 4_194_304
DEADLINE_S = 3.5
"""MISP waits 5 s for a hover; beyond this we say that we had no answer."""
Json = dict[str, Any]
Work = Callable[[Json], Json]


def answer(q: bytes | str, work: Work, *, max_bytes: int = MAX_BYTES) -> Json:
    """Return what *work* makes of the request *q*, or an error in both forms that MISP reads.

    The page of one look-up wants `error`; the enrichment of a whole event stops without `results`.
    """
    try:
        return work(_request(q, max_bytes))
    except EmeError as exc:
        return failed(_message(exc))
    except Exception as exc:
        return failed(f"{type(exc).__name__}")


def failed(message: str) -> Json:
    """Return the answer of a failure."""
    return {"error": f"EME: {message}", "results": {}}


def in_time(work: Work, seconds: float = DEADLINE_S) -> Work:
    """Return *work* that is given up after *seconds*, even where a name server does not answer.

    Raises (the result):
        Unavailable
    """

    def bounded(request: Json) -> Json:
        found: list[Json] = []
        faults: list[BaseException] = []

        def run() -> None:
            try:
                found.append(work(request))
            except BaseException as exc:  # told to the one who waits
                faults.append(exc)

        thread = threading.Thread(target=run, name="eme-module", daemon=True)
        thread.start()
        thread.join(seconds)
        if faults:
            raise faults[0]
        if not found:
            raise Unavailable("the sidecar does not answer in time")
        return found[0]

    return bounded


def setting(request: Json, name: str) -> str:
    """Return a setting of the module, empty where it is not set (MISP sends null)."""
    config = request.get("config")
    value = config.get(name) if isinstance(config, dict) else None
    return str(value).strip() if value is not None else ""


def _request(q: bytes | str, max_bytes: int) -> Json:
    data = q.encode() if isinstance(q, str) else q
    if len(data) > max_bytes:
        raise TooLarge(f"more than {max_bytes} bytes")
    request = strict_json.loads(data, max_bytes=max_bytes)
    return request if isinstance(request, dict) else {}


def _message(exc: EmeError) -> str:
    if isinstance(exc, InvalidInput):
        return "; ".join(f"{one.pointer or '/'} {one.detail}" for one in exc.faults[:3])
    return str(exc)
