"""What our channel makes of a MISP: where MISP hides a failure, the channel names it.

The double and a real pair run the same suite: where a real one differs, the double is wrong.
"""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID, uuid4, uuid5

from eme_connector.domain.delivery import Absent, Found, Unknown
from eme_connector.domain.threat import Decision, Status, Tlp
from eme_connector.formats import iris_bundle
from eme_connector.formats.misp_event import event as misp_event
from tests import build
from tests.delivery.world import fresh
from tests.misp.post import (
    Posting,
    attribute_tags,
    refused,
    rendered_as,
    tags,
    uuid_of,
    values,
)

SMILE = "\U0001f600"


class ChannelContract(Posting):
    """Subclass it and give a `pair` fixture (tests.misp.contract.conftest.Pair)."""

    # what arrives

    def test_members_read_the_event_and_nothing_that_stays_at_home(self, post):  # S4
        threat = post.threat()

        receipt = post.send(threat)
        seen = post.check(threat)

        here, there = post.event(threat), post.event(threat, "b", role="user")
        assert (here["published"], str(here["distribution"])) == (True, "4")
        assert receipt.detail["url"] == f"{post.pair.a.url}/events/view/{here['uuid']}"
        assert receipt.detail["members"] == {post.pair.b.organisation: {"check": True}}
        assert receipt.detail["warnings"] == []
        assert seen.detail == {"sequence": threat.sequence, "note": ""}
        assert "security-playbook" in {one["name"] for one in there["Object"]}
        assert values(there, "status") == ["approved"]
        assert "tlp:amber" in tags(there)
        assert ("10.0.0.7" in str(here), "10.0.0.7" in str(there)) == (True, False)
        assert [one["type"] for one in here["Attribute"]] == ["attachment"]
        assert there["Attribute"] == []

    def test_a_server_that_the_receiver_does_not_know_does_no_harm(self, post):  # S4
        a, b = post.pair.a, post.pair.b
        threat = post.threat(post.group(servers=[a.url, b.url, "http://127.0.0.1:9"]))

        post.send(threat)

        assert post.check(threat).detail["note"] == ""

    def test_a_roaming_group_needs_no_servers(self, post):  # S8
        threat = post.threat(post.group(servers=[], roaming=True))

        post.send(threat)

        assert post.check(threat).detail["sequence"] == 1

    def test_a_repeat_changes_nothing(self, post):
        threat = post.threat()
        post.send(threat)
        before = post.event(threat)

        post.send(threat, attempts=2)

        assert post.event(threat)["timestamp"] == before["timestamp"]
        assert post.event(threat)["published"]

    def test_a_decision_updates_the_event_everywhere(self, post):
        threat = post.change(post.threat(), decision=Decision(Status.PENDING))
        post.send(threat)
        assert 'workflow:state="draft"' in tags(post.event(threat))
        post.pair.later()

        decided = post.change(threat, decision=Decision(Status.DECLINED, "anna", build.AT))
        post.send(decided)

        assert post.check(decided).detail["sequence"] == 3
        assert 'workflow:state="draft"' not in tags(post.event(threat))
        assert 'workflow:state="rejected"' in tags(post.event(threat))
        there = post.event(threat, "b")
        assert values(there, "status") == ["declined"]
        assert "declined" in str(post.event(threat)["EventReport"]).lower()
        # G8: a tag of the event would stay there beside the next one
        states = {tag for tag in attribute_tags(there) if tag.startswith("workflow:")}
        assert states == {'workflow:state="rejected"'}
        assert not any(tag.startswith("workflow:") for tag in tags(there))

    def test_changes_within_one_second_all_arrive(self, post):
        threat = post.threat()
        post.send(threat)

        for status in (Status.PENDING, Status.DECLINED):
            post.send(post.change(threat, decision=Decision(status, "anna", build.AT)))

        assert post.check(threat).detail["sequence"] == 3
        assert values(post.event(threat, "b"), "status") == ["declined"]

    def test_what_a_revision_leaves_out_goes(self, post):
        threat = post.threat(detection=build.detection(summary="first words", source="sensor 1"))
        post.send(threat)
        post.pair.later()

        shorter = build.detection(summary="other words", playbooks=())
        post.send(post.change(threat, detection=shorter, revision=2))

        for side in ("a", "b"):
            there = post.event(threat, side)
            assert "first words" not in str(values(there, "summary") + values(there, "text"))
            assert "sensor 1" not in str(there["Object"])
            assert not [
                one
                for one in there["Object"]
                if one["name"] == "security-playbook" and not one.get("deleted")
            ]

    def test_characters_of_four_bytes_come_back_as_they_were(self, post):  # G1
        detection = build.detection(name=f"Cam {SMILE}", summary=f"{SMILE}{SMILE} é ☃ \\u{{1F600}}")
        threat = post.threat(detection=detection)

        post.send(threat)

        back = misp_event.parse(post.event(threat, "b")).detection
        assert (back.name, back.summary) == (detection.name, detection.summary)
        assert "?" not in post.event(threat, "b")["info"]

    def test_what_stood_beside_the_detection_arrives_too(self, open_post):
        indicator = {
            "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid4()}",
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
            "pattern": "[ipv4-addr:value = '198.51.100.77']", "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z", "indicator_types": ["malicious-activity"],
        }  # fmt: skip
        bundle = {"type": "bundle", "id": f"bundle--{uuid4()}", "objects": [indicator]}
        post = open_post(raw=json.dumps(bundle).encode())
        threat = post.threat()

        receipt = post.send(threat)

        assert post.check(threat).detail["sequence"] == 1
        assert receipt.detail["warnings"] == []
        assert "198.51.100.77" in str(post.event(threat, "b"))

    def test_real_bundles_arrive_whole(self, post, corpora):
        group, ours = post.group(), post.pair.a.organisation
        for path in sorted((corpora / "iris").glob("*.json")):
            post.raw = path.read_bytes()
            parsed = iris_bundle.parse(
                json.loads(post.raw), is_sender=lambda _: True, criticality_order="descending"
            )
            for detection in parsed.detections:
                fields = {"organisation": ours, "group": group, "bundle_id": parsed.bundle_id}
                threat = post.put(fresh(detection=detection, **fields))
                receipt = post.send(threat)
                assert receipt.detail["warnings"] == [], path.name
                assert post.check(threat).detail["sequence"] == 1, path.name
                assert misp_event.parse(post.event(threat)).detection == detection, path.name

    def test_what_only_named_people_may_read_stays_at_home(self, post):
        threat = post.threat(tlp=Tlp.RED)

        receipt = post.send(threat)

        here = post.event(threat)
        assert (str(here["distribution"]), here["published"]) == ("0", False)
        assert (receipt.detail["published"], receipt.detail["members"]) == (False, {})
        assert not post.has(threat, "b")

    # who has it, and whose it is

    def test_a_look_up_says_what_is_there(self, post, open_post):
        threat = post.threat()
        channel, delivery = post.channels["misp"], post.delivery("misp", threat)
        assert channel.look_up(delivery) == Absent()

        post.send(threat)
        found = channel.look_up(delivery)

        assert isinstance(found, Found)
        assert (found.receipt.detail["sequence"], found.receipt.detail["published"]) == (1, True)
        assert channel.look_up(replace(delivery, sequence=2)) == Absent()

    def test_an_event_of_others_under_our_uuid_is_left_alone(self, post):
        threat = post.threat()
        theirs = {"uuid": uuid_of(threat), "info": "theirs", "distribution": "1"}
        assert post.pair.a.post("/events/add", theirs, role="sync").status == 200

        with refused("event-not-ours") as found:
            post.send(threat)

        assert found.value.permanent
        assert post.event(threat)["info"] == "theirs"
        known = post.channels["misp"].look_up(post.delivery("misp", threat))
        assert known == Unknown("event-not-ours")

    def test_an_event_that_we_may_not_see_is_a_duplicate(self, post):
        threat = post.threat()
        theirs = {"uuid": uuid_of(threat), "info": "theirs", "distribution": "0"}
        assert post.pair.a.post("/events/add", theirs, role="sync").status == 200

        with refused("duplicate") as found:
            post.send(threat)

        assert found.value.permanent

    def test_an_id_that_misp_takes_for_a_pattern_extends_nothing(self, post):
        attribute = {"type": "text", "category": "Other", "value": str(uuid4())}
        other = {"uuid": str(uuid4()), "info": "other", "distribution": "1"}
        assert post.pair.a.post("/events/add", other | {"Attribute": [attribute]}).status == 200

        for pattern in ("%", f"!{uuid4()}"):
            assert "extends" not in post.send(post.threat(bundle_id=pattern)).detail

    def test_many_at_once_are_stored_published_and_told_of_each_for_itself(self, post):
        group = post.group()
        bundle = str(uuid4())
        imported = {"uuid": bundle, "info": "STIX 2.1 Bundle", "distribution": "1"}
        assert post.pair.a.post("/events/add", imported).status == 200
        known, extending, fresh_one = post.threat(group), post.threat(group), post.threat(group)
        post.send(known)
        post.pair.later()
        known = post.change(known, decision=Decision(Status.DECLINED, "anna", build.AT))
        post.put(replace(extending, bundle_id=f"bundle--{bundle}"))
        elsewhere = str(uuid4())
        post.know(elsewhere, post.pair.a.organisation, post.pair.b.organisation)
        lost = post.threat(elsewhere)
        gone = post.threat(group)
        del post.threats[gone.id]
        several = [known, extending, fresh_one, lost]
        deliveries = [post.delivery("misp", one) for one in several]
        deliveries.append(replace(deliveries[0], key=str(uuid4()), threat_id=gone.id))

        outcomes = post.channels["misp"].send_many(deliveries)

        assert [getattr(one, "reason", "") for one in outcomes] == [
            "", "", "", "sharing-group-unknown", "no-threat",
        ]  # fmt: skip
        assert outcomes[1].detail["extends"] == bundle
        for threat in several[:3]:
            assert post.event(threat)["published"]
            assert post.check(threat).detail["sequence"] == post.threats[threat.id].sequence
        assert not post.has(lost)

    def test_what_misp_made_of_the_same_bundle_is_extended(self, post):
        bundle = str(uuid4())
        imported = {"uuid": bundle, "info": "STIX 2.1 Bundle", "distribution": "1"}
        assert post.pair.a.post("/events/add", imported).status == 200
        threat = post.threat(bundle_id=f"bundle--{bundle}")

        receipt = post.send(threat)
        post.send(post.change(threat))

        assert receipt.detail["extends"] == bundle
        assert post.event(threat)["extends_uuid"] == bundle

    def test_what_names_the_same_bundle_is_extended_but_not_its_other_detections(self, post):
        bundle = f"bundle--{uuid4()}"
        first, second = post.threat(bundle_id=bundle), post.threat(bundle_id=bundle)

        assert "extends" not in post.send(first).detail
        assert "extends" not in post.send(second).detail

        attribute = {"type": "text", "category": "Other", "value": bundle, "uuid": str(uuid4())}
        fed = {"uuid": str(uuid4()), "info": "fed", "distribution": "1", "Attribute": [attribute]}
        assert post.pair.a.post("/events/add", fed).status == 200
        third = post.threat(bundle_id=bundle)
        assert post.send(third).detail["extends"] == fed["uuid"]

    # what MISP drops and hides

    def test_an_attribute_that_misp_holds_invalid_is_missed(self, post, monkeypatch):  # G2
        def spoil(event):
            event["Object"][0]["Attribute"][0] |= {"type": "ip-dst", "value": "no address"}

        rendered_as(monkeypatch, spoil)
        threat = post.threat()

        with refused("misp-dropped", "iris-detection.") as found:
            post.send(threat)

        assert found.value.permanent
        assert not post.event(threat)["published"]

    def test_an_attribute_whose_uuid_another_event_has_is_missed(self, post):  # G3
        threat = post.threat()
        taken = str(uuid5(UUID(threat.id), "raw"))
        attribute = {"type": "text", "category": "Other", "value": "first", "uuid": taken}
        other = {"uuid": str(uuid4()), "info": "other", "Attribute": [attribute]}
        assert post.pair.a.post("/events/add", other).status == 200

        with refused("misp-dropped", "event.attachment"):
            post.send(threat)

        assert not post.event(threat)["published"]

    def test_objects_that_misp_keeps_at_home_unasked_are_seen(self, post, monkeypatch):  # G4
        def forget(event):
            wanted = event["Object"][0]
            event["Object"][0] = {k: v for k, v in wanted.items() if k != "distribution"}

        rendered_as(monkeypatch, forget)
        threat = post.threat()

        with refused("misp-hid", "iris-detection"):
            post.send(threat)

        assert not post.event(threat)["published"]

    def test_tags_that_the_role_may_not_make_are_missed(self, open_post, monkeypatch):  # G7
        post = open_post(role="publisher")
        name = f"eme-test:{uuid4()}"
        rendered_as(monkeypatch, lambda event: event["Tag"].append({"name": name}))
        threat = post.threat()

        receipt = post.send(threat)

        (warning,) = [w for w in receipt.detail["warnings"] if w["reason"] == "tags-dropped"]
        assert name in warning["detail"]
        assert name not in tags(post.event(threat))

    def test_without_its_marking_nothing_is_published(self, open_post, monkeypatch):  # G7
        post = open_post(role="publisher")

        def odd(event):
            event["Tag"] = [{"name": f"tlp:{uuid4()}"}]

        rendered_as(monkeypatch, odd)
        threat = post.threat()

        with refused("misp-dropped-marking", "tlp:"):
            post.send(threat)

        assert not post.event(threat)["published"]

    # refusals

    def test_a_deleted_event_does_not_come_back(self, post):
        threat = post.threat()
        post.send(threat)
        assert post.pair.a.post(f"/events/delete/{uuid_of(threat)}").status == 200

        with refused("blocklisted") as found:
            post.send(threat)

        assert found.value.permanent

    def test_a_protected_event_without_a_key_is_not_pushed(self, open_post):
        post = open_post(terms={"publish": False})
        threat = post.threat()
        post.send(threat)
        assert post.pair.a.post(f"/events/protect/{uuid_of(threat)}").status == 200
        post = open_post(threats=post.threats, groups=post.groups)

        with refused("push-failed", post.pair.b.url) as found:
            post.send(post.change(threat))

        assert not found.value.permanent

    def test_a_wrong_key_is_named(self, open_post):
        post = open_post(section={"key": "0" * 40})

        with refused("key-refused") as found:
            post.send(post.threat())

        assert not found.value.permanent
        with refused("key-refused"):
            post.channels["misp"].ping()

    def test_a_role_that_may_not_publish_is_named(self, open_post):
        post = open_post(role="user")

        with refused("not-allowed") as found:
            post.send(post.threat())

        assert not found.value.permanent
        assert found.value.learnt["url"].startswith(post.pair.a.url)

    def test_the_doctor_names_what_the_key_lacks(self, open_post):
        assert list(open_post().channels["misp"].examine()) == []
        (lacks,) = open_post(role="publisher").channels["misp"].examine()
        assert "perm_sharing_group" in lacks[0]
        theirs = open_post(role="sync").channels["misp"].examine()
        assert "not to us" in next(iter(theirs))[0]
