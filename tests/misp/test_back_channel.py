"""What a CERT says about a threat travels back by MISP, and stands on the operator's timeline."""

from __future__ import annotations

import pytest

from eme_connector.domain.delivery import State
from eme_connector.domain.feedback import Word
from eme_connector.errors import Conflict, InvalidInput, NotAllowed, NotFound
from eme_connector.usecases import feedback
from tests.build import CERT, OTHER_CI, person
from tests.misp.community import Community, foreign
from tests.misp.post import uuid_of


@pytest.fixture
def community(tmp_path):
    made = Community(tmp_path)
    yield made
    made.close()


@pytest.fixture
def shared(community):
    """Return a threat of the operator that the CERT has taken in."""
    threat = community.share()
    community.poll(community.cert)
    return threat


@pytest.mark.parametrize(("word", "kind"), [("handled", "0"), ("false-positive", "1")])
def test_a_word_becomes_a_sighting_that_comes_home(community, shared, word, kind):
    community.answer(shared, word)

    assert community.cert.only("misp-feedback").state is State.DELIVERED
    assert community.poll(community.ci)["sightings"] == 1
    (heard,) = community.heard(shared)
    assert (heard["word"], heard["name"]) == (word, "CERT-1")
    rows = community.a.state.sightings.values()
    assert [str(one.type) for one in rows] == [kind]


def test_a_sighting_is_heard_once(community, shared):
    community.answer(shared, "handled")

    for _ in range(3):
        community.poll(community.ci)

    assert len(community.heard(shared)) == 1


def test_a_comment_becomes_an_event_that_extends_ours(community, shared):
    community.answer(shared, "comment", "We saw it too \U0001f600 at two stations.")

    assert community.poll(community.ci)["comment"] == 1
    (heard,) = community.heard(shared, "misp-comment")
    assert heard["text"] == "We saw it too \U0001f600 at two stations."
    assert heard["name"] == "CERT-1"
    extension = community.pair.a.event(heard["event"])
    assert extension["extends_uuid"] == uuid_of(shared)
    assert [one["name"] for one in extension["Tag"]] == ["tlp:amber"]
    assert community.poll(community.ci).get("comment") is None


def test_sightings_of_people_are_heard_too(community, shared):
    attribute = community.pair.b.event(uuid_of(shared))["Object"][0]["Attribute"][0]["uuid"]
    community.pair.b.post("/sightings/add", {"uuid": attribute, "source": "SOC desk"})
    community.later()
    community.pair.b.post(f"/events/publishSightings/{uuid_of(shared)}")

    community.poll(community.ci)

    (heard,) = community.heard(shared)
    assert (heard["word"], heard["source"]) == ("seen", "SOC desk")


def test_an_answer_that_was_lost_on_the_way_is_given_once(community, shared):
    # it is added, but the answer does not arrive
    community.b.behave("", "lose")
    community.answer(shared, "handled")
    community.deliver(community.cert)
    community.clock.tick(60)
    community.deliver(community.cert)

    community.poll(community.ci)

    assert community.cert.only("misp-feedback").state is State.DELIVERED
    assert len(community.heard(shared)) == 1


def test_an_answer_waits_while_the_misp_is_down(community, shared):
    community.b.down()
    community.answer(shared, "handled")
    assert community.cert.only("misp-feedback").state is State.OWED

    community.b.up()
    community.clock.tick(60)
    community.deliver(community.cert)

    assert community.cert.only("misp-feedback").state is State.DELIVERED


def test_our_own_words_are_not_heard_as_somebody_elses(community, shared):
    community.answer(shared, "comment", "ours")

    counts = community.poll(community.cert)

    assert counts.get("comment") is None
    assert community.cert.events(shared.id)[-1] == "answered"


def test_a_comment_on_what_is_no_threat_is_left_alone(community):
    base = foreign()
    community.pair.a.post("/events/add", base)
    community.pair.b.post("/events/add", foreign(extends_uuid=base["uuid"]))
    community.later()

    assert community.poll(community.ci)["other"] == 1


def test_an_event_that_no_sidecar_made_can_be_answered_too(tmp_path):
    both = Community(tmp_path, take_in="all")
    event = foreign()
    both.pair.a.post("/events/add", event)
    both.later()
    both.poll(both.cert)
    threat_id = both.cert.store.mark("event", event["uuid"]).threat_id

    both.answer(both.cert.threat(threat_id), "handled")

    (sighting,) = both.b.state.sightings.values()
    assert sighting.source.startswith("EME:handled:")
    assert both.cert.only("misp-feedback").state is State.DELIVERED
    both.close()


def test_only_what_others_share_is_answered(community, shared):
    own = community.cert.add(dispatch=None, organisation=CERT)
    word = Word.HANDLED

    def give(threat_id, caller=None, chosen=word, text=""):
        system = community.cert.eme
        who = caller or person(CERT)
        feedback.give(threat_id, chosen, text, caller=who, system=system)

    with pytest.raises(Conflict):
        give(own.id)
    with pytest.raises(NotFound):
        give(shared.id, person(OTHER_CI))
    with pytest.raises(NotAllowed):
        give(shared.id, person(CERT, role="viewer"))
    with pytest.raises(InvalidInput):
        give(shared.id, chosen=Word.COMMENT)
    with pytest.raises(InvalidInput):
        give(shared.id, text="x" * 2_001)
    assert community.cert.deliveries("misp-feedback") == []
