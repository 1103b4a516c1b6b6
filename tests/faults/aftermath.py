"""What has to hold after kills: nothing acknowledged is lost, nothing is sent twice."""

from __future__ import annotations

import time
from collections import Counter

import requests

from tests.faults.sidecar import PASSWORD


def provision(sidecar):
    """Return a token that ingests and one that looks; anna may decide."""
    sidecar.eme("user", "add", "anna", "--role", "admin", "--password-file", "-", "--json",
                input=PASSWORD)  # fmt: skip
    sidecar.eme("policy", "set", "contain.isolate=on", "--yes", "--json")
    ingest = sidecar.eme("token", "create", "atio", "--right", "ingest", "--json")
    admin = sidecar.eme("token", "create", "check", "--right", "read", "--right", "admin", "--json")
    return ingest["token"], admin["token"]


def drain(sidecar, admin):
    """Wait until nothing is owed or being settled; return all dispatches."""
    for _ in range(600):
        found = deliveries(sidecar, admin)
        states = Counter(one["state"] for one in found)
        if not states["owed"] and not states["sending"]:
            return found
        time.sleep(0.1)
    raise AssertionError(f"still open: {states}")


def deliveries(sidecar, admin):
    """Return all dispatches."""
    found, after = [], 0
    while True:
        page = requests.get(
            f"{sidecar.url}/api/v1/deliveries",
            params={"after": after, "limit": 100},
            headers={"Authorization": f"Bearer {admin}"},
            timeout=20,
        ).json()["deliveries"]
        found += [one for one in page if one["kind"] == "dispatch"]
        if not page:
            return found
        after = page[-1]["id"]


def check_threats(sidecar, admin, client):
    """Every bundle that was acknowledged is one threat, with the decision that was made."""
    headers = {"Authorization": f"Bearer {admin}"}
    assert len(set(client.log.ingested.values())) == len(client.log.ingested)
    with requests.Session() as http:
        for threat in client.log.ingested.values():
            answer = http.get(
                f"{sidecar.url}/api/v1/ci/threats/{threat}", headers=headers, timeout=20
            )
            assert answer.status_code == 200
            word = client.log.decided[threat]
            expected = "declined" if word == "declined" else "approved"
            assert answer.json()["status"] in (expected, "resolved")


def check_deliveries(receiver, client, found, *, idempotent):
    """What was approved arrived, once where repeats are not safe, or is known as uncertain."""
    keys = Counter(key for key, _, _ in receiver.seen)
    seen = {threat for _, threat, _ in receiver.seen}
    approved = client.log.approved()
    assert seen <= approved
    if idempotent:
        assert seen == approved
        assert all(len(set(receiver.keys_of(threat))) == 1 for threat in approved)
        assert all(one["state"] == "delivered" for one in found)
    else:
        uncertain = {one["threat_id"] for one in found if one["state"] == "uncertain"}
        assert max(keys.values()) == 1
        assert seen | uncertain == approved
