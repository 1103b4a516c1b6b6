"""What each member has of an event, told from the deliveries."""

from __future__ import annotations

import pytest

from eme_connector.domain.arrival import Arrival, arrivals, check_lane, event_url
from eme_connector.domain.delivery import Delivery, State
from eme_connector.domain.misp_reasons import REASONS
from tests.build import CERT, OTHER_CI

URL = "https://misp.example/events/view/1"


def ours(id=1, sequence=1, state=State.DELIVERED, **members):
    told = members or {CERT: {"check": True}}
    receipt = {"url": URL, "sequence": sequence, "members": told}
    return Delivery(id, str(id), "misp", "misp", "t", sequence, state=state, receipt=receipt)


def look(id=2, sequence=1, state=State.DELIVERED, reason="", **receipt):
    lane = check_lane(CERT)
    return Delivery(id, str(id), lane, "misp-check", "t", sequence, state=state, reason=reason,
                    receipt=receipt)  # fmt: skip


def test_before_anything_was_published_nobody_has_anything():
    waiting = Delivery(1, "1", "misp", "misp", "t", 1)

    assert arrivals([waiting]) == ()
    assert event_url([waiting]) is None


def test_an_event_that_is_stored_but_not_published_has_a_url_already():
    stuck = Delivery(1, "1", "misp", "misp", "t", 1, reason="not-published", receipt={"url": URL})

    assert event_url([stuck]) == URL
    assert arrivals([stuck]) == ()


@pytest.mark.parametrize(
    ("looked", "status", "reason"),
    [
        ([], "unknown", "on-its-way"),
        ([look(state=State.OWED)], "unknown", "on-its-way"),
        ([look()], "arrived", ""),
        ([look(note="no-way-back")], "arrived", "no-way-back"),
        ([look(state=State.OWED, reason="not-seen-there")], "not-pushed", "not-seen-there"),
        ([look(state=State.REFUSED, reason="hidden-there")], "hidden", "hidden-there"),
        ([look(state=State.REFUSED, reason="dropped-there")], "arrived", "dropped-there"),
        ([look(state=State.OWED, reason="unreachable")], "unknown", "unreachable"),
        ([look(sequence=0)], "unknown", "on-its-way"),
    ],
)
def test_the_newest_look_counts_where_it_was_for_what_we_published(looked, status, reason):
    (found,) = arrivals([ours(), *looked])

    assert (found.status, found.reason) == (status, reason)


def test_a_newer_publication_makes_an_older_look_count_no_more():
    (found,) = arrivals([ours(), look(), ours(id=3, sequence=2)])

    assert (found.status, found.reason, found.sequence) == ("unknown", "on-its-way", 2)


def test_members_without_a_key_are_unknown_with_what_is_known():
    told = {CERT: {"reason": "server-not-in-group"}, OTHER_CI: {}}

    found = arrivals([ours(**told)])

    assert {one.organisation: (one.status, one.reason) for one in found} == {
        CERT: ("not-pushed", "server-not-in-group"),
        OTHER_CI: ("unknown", "no-key"),
    }


def test_an_arrival_says_what_is_wrong_and_what_to_do():
    found = Arrival(CERT, "unknown", "no-key")

    assert (found.says, found.remedy) == (REASONS["no-key"].says, REASONS["no-key"].remedy)
    assert (Arrival(CERT, "arrived").says, Arrival(CERT, "arrived").remedy) == ("", "")
