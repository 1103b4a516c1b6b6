"""The page about the mapping says what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eme_connector.formats.misp_event.foreign import MAX_BYTES
from eme_connector.formats.misp_event.objects import MAX_TEXT
from eme_connector.formats.misp_event.tables import OWN_OBJECTS, tables

PAGE = (Path(__file__).parents[3] / "docs" / "misp-mapping.md").read_text()


def rows(head):
    """Return the rows of the table whose head is *head*, as lists of cells."""
    after = PAGE.split(f"| {head} |\n", 1)[1].split("\n\n", 1)[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in after.splitlines()[1:]
    ]


@pytest.mark.parametrize(
    ("head", "prefix", "table"),
    [
        ("in the bundle | `iris-detection`", "detection/", "detection"),
        ("of the carrying object | `iris-detection`", "", "carrier"),
        ("in the bundle | `security-playbook`", "playbook_actions/", "playbook"),
    ],
)
def test_members_are_those_of_the_mapping(head, prefix, table):
    told = {cells[1].strip("`"): cells[0].strip("`") for cells in rows(head)}
    known = {key: prefix + one.lstrip("/") for key, one in getattr(tables(), table).items()}

    assert told == known


def test_tags_are_those_of_the_mapping():
    table = tables().tags
    told = [cells[1].strip("`") for cells in rows("what | tag")]
    known = [tag for key in ("status", "pap", "risk", "action") for tag in table[key].values()]

    assert told == [*known, table["detected"]]


def test_incident_classes_are_those_of_the_mapping():
    told = [
        [kind.strip("`"), "" if word == "anything else" else word.strip("`"), tag.strip("`")]
        for kind, word, tag in rows("type | the name or threat holds | tag")
    ]

    assert told == tables().tags["rsit"]


def test_every_object_that_we_write_is_named():
    named = set(re.findall(r"`([a-z-]+)`", PAGE))

    assert named >= set(tables().templates) >= set(OWN_OBJECTS)


def test_numbers_are_those_of_the_code():
    assert f"more than {MAX_TEXT:,} bytes" in PAGE
    assert f"more than {MAX_BYTES // 2**20} MiB" in PAGE
