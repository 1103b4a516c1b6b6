"""`python -m bench.misp_session`: posting with our kept session beside a client that keeps none.

Against a real MISP whose `Security.authkey_keep_session` is on: EME_TEST_MISP_A_URL and
EME_TEST_MISP_A_KEY (an Org Admin). The same events go both ways in turn, in one run; the events
are deleted at the end. What is saved is the same at each request, so the ratio falls where an
addition itself costs more, as in a MISP with hundreds of sharing groups.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import requests

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Connection

ROUNDS, EVENTS = 5, 20
NAMES = ("EME_TEST_MISP_A_URL", "EME_TEST_MISP_A_KEY")
Post = Callable[[dict[str, Any]], object]


def main() -> None:
    """Measure, and print the medians and their ratio."""
    if missing := [name for name in NAMES if not os.environ.get(name)]:
        sys.exit(f"set {', '.join(missing)}")
    url, key = (os.environ[name] for name in NAMES)
    connection = Connection(url, key, Gate.of(["127.0.0.0/8", "::1/128"]), timeout=30)
    client = MispClient(connection)
    made: list[str] = []
    kept, fresh = [], []
    try:
        for _ in range(ROUNDS):
            kept += _times(client.add_event, made)
            fresh += _times(lambda event: _afresh(url, key, event), made)
    finally:
        for uuid in made:
            connection.post(f"/events/delete/{uuid}", {})
        connection.close()
    found = {
        "events": len(made),
        "kept_ms": round(statistics.median(kept) * 1000, 1),
        "fresh_ms": round(statistics.median(fresh) * 1000, 1),
        "ratio": round(statistics.median(fresh) / statistics.median(kept), 2),
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps(found))


def _times(post: Post, made: list[str]) -> list[float]:
    found = []
    for _ in range(EVENTS):
        event = _event()
        began = time.perf_counter()
        post(event)
        found.append(time.perf_counter() - began)
        made.append(event["uuid"])
    return found


def _afresh(url: str, key: str, event: dict[str, Any]) -> None:
    headers = {"Authorization": key, "Accept": "application/json", "User-Agent": "MISP bench"}
    answer = requests.post(f"{url}/events/add", json={"Event": event}, headers=headers, timeout=30)
    answer.raise_for_status()


def _event() -> dict[str, Any]:
    """Return an event with one object of two attributes and five attributes of its own."""
    attributes = [
        {"uuid": str(uuid4()), "type": "text", "category": "Other", "value": str(uuid4()),
         "distribution": "5", "disable_correlation": True}
        for _ in range(7)
    ]  # fmt: skip
    names = ("ip", "text")
    inside = [one | {"object_relation": name} for one, name in zip(attributes, names, strict=False)]
    device = {"name": "ip-port", "meta-category": "network", "description": "bench",
              "template_uuid": "9f8cea74-16fe-4968-a2b4-026676949ac6", "template_version": "10",
              "uuid": str(uuid4()), "distribution": "5", "Attribute": inside}  # fmt: skip
    return {"uuid": str(uuid4()), "info": "bench", "distribution": "0", "threat_level_id": "4",
            "analysis": "0", "Attribute": attributes[2:], "Object": [device]}  # fmt: skip


if __name__ == "__main__":
    main()
