"""Times in words, and the days of filters."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eme_connector.web.pages import moments

NOW = 1_700_000_000  # 2023-11-14 22:13:20 UTC


@pytest.fixture
def at_now(site, monkeypatch):
    object.__setattr__(site.eme, "clock", lambda: float(NOW))

    def ask(function, *args, zone=""):
        headers = {"Cookie": f"zone={zone}"} if zone else {}
        with site.app.test_request_context(headers=headers):
            return function(*args)

    return ask


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (0, "just now"),
        (59, "59 s ago"),
        (61, "1 min ago"),
        (3_599, "59 min ago"),
        (47 * 3_600, "47 h ago"),
        (48 * 3_600, "2 days ago"),
        (3 * 365 * 86_400, "3 years ago"),
        (-90, "in 1 min"),
    ],
)
def test_ages_are_said_in_their_largest_unit(at_now, gap, words):
    assert at_now(moments.ago, float(NOW - gap)) == words


def test_a_deadline_says_what_is_left_or_how_long_it_is_over(at_now):
    assert at_now(moments.left, float(NOW + 14 * 60)) == "14 min left"
    assert at_now(moments.left, float(NOW - 7_200)) == "ended 2 h ago"


def test_all_forms_of_a_time_are_one():
    forms = (NOW * 1_000_000, float(NOW), "2023-11-14T22:13:20Z")

    assert len({moments.moment(one) for one in forms}) == 1


def test_a_time_of_today_is_a_clock_time(at_now):
    assert at_now(moments.clock, float(NOW)) == "22:13:20"
    assert at_now(moments.clock, float(NOW - 86_400)) == "2023-11-13 22:13:20"


def test_today_is_the_readers_today(at_now):
    midnight = float(NOW + 2 * 3_600)

    assert at_now(moments.clock, midnight, zone="Europe/Athens") == "02:13:20"
    assert at_now(moments.clock, midnight) == "2023-11-15 00:13:20"


def test_a_day_starts_in_the_readers_zone(at_now):
    utc, athens = (at_now(moments.day_start, "2023-11-14", zone=z) for z in ("", "Europe/Athens"))

    assert utc - athens == timedelta(hours=2) / timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["", "yesterday", "2023-13-01", "2023-11-14T00:00", "0000-00-00"])
def test_what_is_no_day_is_none(at_now, text):
    assert at_now(moments.day_start, text) is None


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "\x00", "a" * 5_000, "/etc"])
def test_a_zone_that_is_none_is_utc(at_now, zone):
    assert at_now(moments.zone_name, zone=zone) == "UTC"


def test_a_time_carries_its_exact_moment(at_now):
    shown = at_now(moments.when, float(NOW), "<b>", zone="Asia/Kolkata")

    assert shown == (
        '<time datetime="2023-11-14T22:13:20Z" title="2023-11-15 03:43:20">&lt;b&gt;</time>'
    )
