"""A STIX 2.1 file, IRIS or any other, into the open event (D1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import platform
from collections.abc import Iterator
from uuid import NAMESPACE_DNS, UUID, getnode, uuid5

from eme_connector.domain.risk import CriticalityOrder
from eme_connector.errors import Malformed
from eme_connector.formats import strict_json
from eme_connector.formats.misp_event import accounting, bundle, foreign
from eme_connector.formats.misp_event.accounting import FATES, Accounting
from eme_connector.formats.misp_event.bundle import Options
from eme_connector.formats.misp_event.objects import OWN_ORGANISATION, escape
from eme_connector.usecases.misp_modules.answer import Json, setting

MAX_FILE = 1_048_576
MAX_FOREIGN = 1_048_576
"""MISP waits 10 s; misp-stix takes about four a megabyte at its worst."""
MAX_STEPS = 10_000
MAX_LISTED = 200
REPORT = "EME accounting"


def import_file(request: Json) -> Json:
    """Return the file's content for the open event, and a report of what became of each leaf.

    Raises:
        Malformed, TooLarge, InvalidBundle
    """
    data = _file(request)
    document = strict_json.loads(data, max_bytes=MAX_FILE)
    namespace = _namespace(request, data)
    order: CriticalityOrder = (
        "ascending" if setting(request, "criticality_order") == "ascending" else "descending"
    )
    share = setting(request, "share_assets") in ("1", "true", "True")
    mapped = bundle.render(
        document,
        namespace,
        Options(order, MAX_STEPS, share, several=True),
        foreign.converter(namespace, MAX_FOREIGN),
    )
    book = accounting.account(document, mapped)
    event = mapped.event
    return {
        "results": {
            "Attribute": event["Attribute"],
            "Object": event["Object"],
            "Tag": event["Tag"],
            "EventReport": [_report(book, namespace)],
        },
        "comment": "EME import",
    }


def _file(request: Json) -> bytes:
    data = request.get("data")
    try:
        return base64.b64decode(data if isinstance(data, str) else "", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Malformed("the file is not base64") from exc


def _namespace(request: Json, data: bytes) -> UUID:
    """Return the namespace of ids: the same file in the same event of this MISP has the same.

    MISP drops an attribute whose uuid another event has, here or where it is sent.
    """
    here = uuid5(NAMESPACE_DNS, f"{platform.node()}/{getnode()}")
    return uuid5(uuid5(here, str(request.get("event_id"))), hashlib.sha256(data).hexdigest())


def _report(book: Accounting, namespace: UUID) -> Json:
    return {
        "uuid": str(uuid5(namespace, "accounting")),
        "name": REPORT,
        "content": escape("\n".join(_lines(book)) + "\n"),
        "distribution": OWN_ORGANISATION,
        "sharing_group_id": "0",
    }


def _lines(book: Accounting) -> Iterator[str]:
    yield from ("# What became of the file", "", _summary(book), "")
    for fate in ("kept", "refused", "unaccounted"):
        found = [one for one in book.entries if one.fate == fate]
        if found:
            yield from (f"## {fate.capitalize()}", "", "| Where | Why |", "|---|---|")
            for one in found[:MAX_LISTED]:
                yield f"| {_code(one.pointer or '/')} | {_code(one.reason)} |"
            if len(found) > MAX_LISTED:
                yield f"| … {len(found) - MAX_LISTED} more | |"
            yield ""


def _summary(book: Accounting) -> str:
    counts = ", ".join(f"{book.count(fate)} {fate}" for fate in FATES)
    return f"{len(book.entries)} leaves: {counts}"


def _code(text: str) -> str:
    """Return *text* as code in a cell of a table: it may hold the names of foreign members."""
    plain = " ".join(text.replace("`", "'").replace("|", "¦").split())
    return f"`{plain[:300]}`"
