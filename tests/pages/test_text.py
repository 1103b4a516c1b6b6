"""Text from outside can neither act nor mislead."""

from __future__ import annotations

import json

import pytest

from eme_connector.web.pages.text import foreign, inert, pretty, short_id


def test_markup_is_escaped():
    assert foreign("<script>alert(1)</script>") == (
        "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>"
    )


def test_a_bidi_control_is_spelled_out():
    assert inert("Benign \u202egnissim\u202c") == "Benign ⟨U+202E⟩gnissim⟨U+202C⟩"


def test_a_spelled_out_character_is_marked_as_such():
    assert foreign("a\u200bb") == '<bdi>a<span class="cp">⟨U+200B⟩</span>b</bdi>'


@pytest.mark.parametrize(
    "char",
    ["\u200b", "\u200d", "\ufeff", "\u2066", "\u2069", "\u061c", "\u00ad", "\x00", "\x07", "\x1b",
     "\u2028", "\u3164", "\U000e0041", "\ue000", "\ud800"],
)  # fmt: skip
def test_what_cannot_be_seen_is_spelled_out(char):
    assert inert(char) == f"⟨U+{ord(char):04X}⟩"


@pytest.mark.parametrize("text", ["Επίθεση force", "naïve", "日本語", "a\nb\tc", "ملف", "–«»"])
def test_what_can_be_seen_stays_as_it_is(text):
    assert inert(text) == text
    assert foreign(text) == f"<bdi>{text}</bdi>"


def test_a_look_alike_of_a_marker_is_only_text():
    assert foreign("⟨U+202E⟩") == "<bdi>⟨U+202E⟩</bdi>"


def test_json_is_indented_and_keeps_every_leaf():
    raw = b'{"a":[1,"\xce\x95"],"b":{"c":"0.50"}}'

    assert json.loads(pretty(raw)) == {"a": [1, "Ε"], "b": {"c": "0.50"}}
    assert "\n" in pretty(raw)
    assert "Ε" in pretty(raw)


def test_what_is_not_json_is_shown_as_it_is():
    assert pretty(b"not json \xff") == "not json \\xff"


def test_a_short_id_is_the_first_part_of_a_uuid():
    assert short_id("0f6c1a2b-1111-4111-8111-111111111111") == "0f6c1a2b"
