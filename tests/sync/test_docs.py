"""The page about sharing groups is held against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eme_connector.cli.sg import CONVERGED, DIFFERENCES, UNAVAILABLE, sg
from eme_connector.config_sync import Sync, SyncTarget
from eme_connector.sync.steps import HOLDS, REMEDIES, WORDS
from eme_connector.sync.undo import LEFT

PAGE = (Path(__file__).parent.parent.parent / "docs" / "sharing-groups.md").read_text()


def table(heading):
    """Return word and meaning of the first table below a heading."""
    below = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", below, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("What the words mean", WORDS),
        ("What is stuck", REMEDIES),
        ("What waits, and why", HOLDS),
        ("Undo", LEFT),
    ],
)
def test_every_word_is_explained_as_the_code_does(heading, words):
    assert table(heading) == dict(words)


def test_the_commands_are_there():
    told = set(re.findall(r"eme sg ([a-z]+)", PAGE))

    assert told == set(sg.commands) - {"show_log"}


def test_the_keys_are_there():
    keys = {*Sync.model_fields, *SyncTarget.model_fields}
    named = set(re.findall(r"`(?:sync\.)?([a-z_]+?)(?:_file)?(?:: [a-z]+)?`", PAGE))

    assert {
        "every_s",
        "groups",
        "shrink_share",
        "patience",
        "certificate",
        "source",
    } <= named & keys


def test_the_exit_codes_are_those_of_the_code():
    assert (
        f"{CONVERGED} converged, {DIFFERENCES} differences are left, {UNAVAILABLE} a target" in PAGE
    )
