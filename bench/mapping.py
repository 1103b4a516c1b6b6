"""The mapping of IRIS bundles to MISP events beside misp-stix, which keeps nothing of them.

Same bundles, same process, rounds in turn; seconds are those of one core. misp-stix is given what
it needs at least: its own loader and its parser for foreign content.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from eme_connector.demo.walk import sample
from eme_connector.formats import strict_json
from eme_connector.formats.misp_event import accounting, bundle
from eme_connector.formats.misp_event.bundle import Mapped, Options
from eme_connector.formats.misp_event.others import Foreign

ROUNDS, BUNDLES = 5, 200
NAMESPACE = UUID("7d3f0c51-2a0d-4a87-9b2a-5b9e4f0f6c11")


def run() -> dict[str, Any]:
    """Return seconds and rates of both, their ratio, and what each of them kept."""
    logging.getLogger("pymisp").setLevel(logging.ERROR)
    texts = _texts()
    ours, theirs, booked = [], [], []
    for _ in range(ROUNDS):
        ours.append(_time(_ours, texts))
        theirs.append(_time(_theirs, texts))
        booked.append(_time(_accounted, texts))
    first = strict_json.loads(texts[0].encode())
    return {
        "mapping_per_s": round(BUNDLES / statistics.median(ours)),
        "mapping_accounted_per_s": round(BUNDLES / statistics.median(booked)),
        "misp_stix_per_s": round(BUNDLES / statistics.median(theirs)),
        "mapping_ratio": round(
            statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 2
        ),
        "mapping_attributes": sum(len(one["Attribute"]) for one in _map(first).event["Object"]),
        "misp_stix_attributes": _theirs(texts[0]),
    }


def _texts() -> list[str]:
    """Return as many different bundles as there are to map in a round."""
    document = json.loads(sample().read_bytes())
    texts = []
    for number in range(BUNDLES):
        document["objects"][0]["detection"]["iris_id"] = f"bench-{number}"
        texts.append(json.dumps(document))
    return texts


def _time(work: Callable[[str], Any], texts: list[str]) -> float:
    work(texts[0])
    began = time.process_time()
    for text in texts:
        work(text)
    return time.process_time() - began


def _map(document: Any) -> Mapped:
    return bundle.render(document, NAMESPACE, Options(), lambda _: Foreign())


def _ours(text: str) -> Mapped:
    return _map(strict_json.loads(text.encode()))


def _accounted(text: str) -> accounting.Accounting:
    document = strict_json.loads(text.encode())
    return accounting.account(document, _map(document))


def _theirs(text: str) -> int:
    from misp_stix_converter import ExternalSTIX2toMISPParser
    from misp_stix_converter.tools import load_stix2_content

    parser = ExternalSTIX2toMISPParser()
    parser.load_stix_bundle(load_stix2_content(text, {}))
    parser.parse_stix_bundle(single_event=True)
    event = parser.misp_event
    return len(event.attributes) + sum(len(one.attributes) for one in event.objects)
