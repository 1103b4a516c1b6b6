"""An operator and a CERT with a sidecar each, on a real pair of MISPs: there and back again.

EME_TEST_MISP_A_URL and EME_TEST_MISP_A_ADMIN_KEY, and the same of B. Protected events too where
EME_TEST_MISP_A_SIGNING_KEY_FILE and B's are the private keys of these MISPs' instances.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from eme_connector.adapters.gpg import GnuPg
from eme_connector.domain.arrival import check_lane
from eme_connector.domain.delivery import State
from eme_connector.domain.directory import EncryptionKey
from eme_connector.domain.feedback import Word
from eme_connector.domain.misp import Mark
from eme_connector.usecases import feedback, misp_poll
from eme_connector.usecases.obligations import owe_share
from eme_connector.usecases.system import micros
from tests.build import person
from tests.delivery.world import Sidecar, tree
from tests.misp.community import foreign
from tests.misp.contract.conftest import REAL, _real
from tests.misp.post import attribute_tags, tags, uuid_of

if not all(os.environ.get(name) for name in REAL):
    pytest.skip(f"no real pair of MISPs: set {', '.join(REAL)}, and B's", allow_module_level=True)

KEY_FILES = [f"EME_TEST_MISP_{side}_SIGNING_KEY_FILE" for side in "AB"]


class RealCommunity:
    """Like tests.misp.community.Community, but with nothing of a double in it."""

    def __init__(self, folder: Path, **section: object) -> None:
        self.pair = _real()
        a, b = self.pair.a, self.pair.b
        self.group, _ = self.pair.group(**self.pair.both())
        self.ci = self._sidecar(folder / "ci", a, section | self._receiver())
        self.cert = self._sidecar(folder / "cert", b, {"take_in": "all"})

    def _receiver(self):
        b = self.pair.b
        return {"receivers": [{"organisation": b.organisation, "url": b.url, "key": b.key("user")}]}

    def _sidecar(self, folder, side, section):
        members = {one.organisation: one.name for one in (self.pair.a, self.pair.b)}
        sections = tree(folder, side.organisation) | {
            "organisations": [{"uuid": uuid, "name": name} for uuid, name in members.items()],
            "sharing_groups": [{"uuid": self.group, "name": "Real", "members": list(members)}],
            "misp": {"url": side.url, "key": side.key("org_admin"), "debounce_s": 0} | section,
        }
        made = Sidecar(folder, side.organisation, clock=time.time, **sections)
        # what others did there before is nothing to us
        for name in ("events", "sightings"):
            since = Mark("cursor", name, round(time.time()))
            made.store.transact(lambda tx, since=since: tx.save_mark(since))
        return made

    def close(self) -> None:
        self.ci.close()
        self.cert.close()

    def share(self):
        # sightings are looked for on events that were changed in the last 90 days
        now = {"received_at": micros(time.time()), "updated_at": micros(time.time())}
        fields = now | {"organisation": self.pair.a.organisation, "group": self.group}
        threat = self.ci.add(dispatch=None, share=True, **fields)
        self.deliver(self.ci)
        return threat

    def change(self, threat, **fields):
        self.pair.later()
        self.ci.change(threat.id, sequence=threat.sequence + 1, **fields)
        self.ci.store.transact(lambda tx: owe_share(tx.find_threat(threat.id), tx))
        self.deliver(self.ci)

    def deliver(self, sidecar) -> None:
        lanes = ("misp", check_lane(self.pair.b.organisation), "misp-feedback")

        def done() -> bool:
            time.sleep(0.1)
            owed = [one for one in sidecar.store.list_deliveries(limit=1000) if one.lane in lanes]
            return bool(owed) and all(one.state is State.DELIVERED for one in owed)

        sidecar.worker.start()
        assert sidecar.drain(until=done, timeout=60), sidecar.store.list_deliveries(limit=50)

    def poll(self, sidecar):
        return misp_poll.poll(sidecar.eme.misp(), sidecar.eme.pgp(), sidecar.eme)

    def answer(self, threat, word, text=""):
        caller = person(self.pair.b.organisation, "bob")
        feedback.give(threat.id, Word(word), text, caller=caller, system=self.cert.eme)
        self.deliver(self.cert)

    def heard(self, threat, event):
        return [one.detail for one in self.ci.store.timeline(threat.id) if one.event == event]


@pytest.fixture
def community(tmp_path):
    made = RealCommunity(tmp_path)
    yield made
    made.close()


def test_a_threat_gets_there_changes_there_and_is_answered_from_there(community):
    threat = community.share()
    community.poll(community.cert)
    told = community.cert.threat(threat.id)
    assert (told.organisation, told.status) == (threat.organisation, threat.status)

    named = replace(threat.detection, name="Patched twice")
    community.change(threat, detection=named)
    community.poll(community.cert)
    assert community.cert.threat(threat.id).detection.name == "Patched twice"
    there = community.pair.b.event(uuid_of(threat))
    assert "tlp:amber" in tags(there)
    assert len([one for one in attribute_tags(there) if one.startswith("workflow:")]) == 1

    community.answer(threat, "handled")
    community.answer(threat, "comment", "We saw it too.")
    community.pair.later()
    community.poll(community.ci)
    (sighting,) = community.heard(threat, "misp-sighting")
    assert (sighting["word"], sighting["name"]) == ("handled", community.pair.b.name)
    (comment,) = community.heard(threat, "misp-comment")
    assert comment["text"] == "We saw it too."


def test_a_sighting_of_a_person_at_the_cert_comes_home(community):
    threat = community.share()
    b = community.pair.b
    attribute = b.event(uuid_of(threat))["Object"][0]["Attribute"][0]["uuid"]

    seen = b.post("/sightings/add", {"uuid": attribute, "source": "SOC desk"}, role="user")
    assert seen.status == 200, seen.text
    b.post(f"/events/publishSightings/{uuid_of(threat)}")
    community.pair.later()
    community.poll(community.ci)

    (heard,) = community.heard(threat, "misp-sighting")
    assert (heard["word"], heard["source"]) == ("seen", "SOC desk")


def test_an_event_of_others_becomes_a_threat_at_the_cert(community):
    event = foreign(info=f"Scanning of tram controllers {uuid4()}", published=False)
    assert community.pair.a.post("/events/add", event).status == 200
    assert community.pair.a.post(f"/events/publish/{event['uuid']}").status == 200
    community.pair.later()

    assert community.poll(community.cert)["new"] >= 1

    known = community.cert.store.mark("event", event["uuid"])
    assert community.cert.threat(known.threat_id).detection.name == event["info"]


@pytest.fixture
def keys():
    if not all(os.environ.get(name) for name in KEY_FILES):
        pytest.skip(f"no keys of the MISPs' instances: {', '.join(KEY_FILES)}")
    return [Path(os.environ[name]).read_text() for name in KEY_FILES]


@pytest.fixture
def protecting(tmp_path, keys):
    made = RealCommunity(tmp_path, signing_key=keys[0])
    yield made
    made.close()


def trust(community, private, whose):
    key = EncryptionKey(
        uuid=str(uuid4()), kind="pgp", owner=whose, text=GnuPg(private).public_key()
    )
    community.cert.store.transact(lambda tx: tx.save_entry("national", key, 1))


def test_our_events_are_protected_follow_under_our_key_and_are_believed_by_it(protecting, keys):
    a, b = protecting.pair.a, protecting.pair.b
    threat = protecting.share()
    for side in (a, b):
        event = side.event(uuid_of(threat))
        assert event["protected"] is True
        prints = {one["fingerprint"].upper() for one in event["CryptographicKey"]}
        assert prints == GnuPg(keys[0]).fingerprints(GnuPg(keys[0]).public_key())

    protecting.change(threat, detection=replace(threat.detection, name="Patched twice"))
    assert "Patched twice" in b.event(uuid_of(threat))["info"]
    assert len(b.event(uuid_of(threat))["CryptographicKey"]) == 1

    assert protecting.poll(protecting.cert)["reasons"].get("no-key-of-organisation")
    assert protecting.cert.threat(threat.id) is None
    trust(protecting, keys[0], a.organisation)
    trust(protecting, keys[1], b.organisation)
    protecting.change(threat, detection=replace(threat.detection, name="Patched thrice"))
    protecting.poll(protecting.cert)
    assert protecting.cert.threat(threat.id).detection.name == "Patched thrice"


def test_a_change_of_a_protected_event_without_our_signature_does_not_get_through(protecting):
    threat = protecting.share()
    a, b = protecting.pair.a, protecting.pair.b
    uuid = uuid_of(threat)
    forged = {"uuid": uuid, "info": "forged", "timestamp": str(round(time.time()) + 100),
              "distribution": "1"}  # fmt: skip

    refused = b.post(f"/events/edit/{uuid}", {"Event": forged}, role="sync")

    assert refused.status in (403, 405), refused.text
    assert b.event(uuid)["info"] == a.event(uuid)["info"] != "forged"
