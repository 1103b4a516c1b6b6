"""What a person says counts for what they have read, and what only they can do is told."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.sync.steps import REMEDIES
from tests.sync.test_engine import SOURCE, THERE, A, B, agreed, crowd, many, planned, snapshot


def test_a_confirmation_of_what_was_read_counts_for_nothing_else():
    big = replace(THERE, members={A: True, **many(8)})
    smaller = [replace(SOURCE, members={A: True, **many(n)}) for n in (4, 3)]
    known = crowd(many(8))
    first, second = (
        (snapshot(one, organisations=known), snapshot(big, organisations=known)) for one in smaller
    )
    (read,) = {one.confirm for one in planned(*first, memory=agreed(big)).differences}

    then = planned(*first, memory=agreed(big), confirmed=[read])
    later = planned(*second, memory=agreed(big), confirmed=[read])

    assert {one.verdict for one in then.differences} == {"do"}
    assert {one.verdict for one in later.differences} == {"held"}
    assert {one.confirm for one in later.differences} != {read}


def test_every_stuck_difference_says_what_a_person_does():
    there = replace(THERE, owner=B, active=False)
    found = planned([SOURCE], [there]).differences

    stuck = {one.word: one.remedy for one in found if one.verdict == "stuck"}
    assert stuck == {word: REMEDIES[word] for word in ("group-owner", "group-active")}
