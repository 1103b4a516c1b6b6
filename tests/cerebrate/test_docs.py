"""The page about Cerebrate is held against the code."""

from __future__ import annotations

import re
from typing import get_args

from eme_connector.cli.cerebrate import cerebrate
from eme_connector.config import Upstream
from eme_connector.sync.steps import HOLDS
from eme_connector.usecases.cerebrate_check import FIXES, SAID
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "cerebrate-sync.md").read_text(encoding="utf-8")


def rows(head):
    """Return the first cells of the table whose head line begins with *head*."""
    table = PAGE.split(f"| {head} |")[1].split("\n\n")[0]
    return [re.findall(r"`([^`]+)`", line.split("|")[1]) for line in table.splitlines()[2:]]


def test_every_hold_of_a_reading_is_explained():
    named = {cell[0] for cell in rows("hold")}

    assert named == (HOLDS.keys() - {"undone"}) | {"RemoteEmptied"}


def test_every_strategy_is_explained():
    wanted = set(get_args(Upstream.model_fields["strategy"].annotation))

    assert {cell[0] for cell in rows("strategy")} == wanted


def test_every_command_is_named():
    told = {cell[0].split()[2] for cell in rows("command")}

    assert told == set(cerebrate.commands)


def test_every_reason_that_is_a_persons_to_mend_says_how():
    assert FIXES.keys() - {"not-allowed"} <= SAID.keys()
    assert SAID.keys() <= FIXES.keys() | {"refused"}


def test_the_reasons_are_those_of_the_client():
    text = "\n".join(
        (ROOT / "eme_connector" / "adapters" / "cerebrate" / name).read_text()
        for name in ("connection.py", "client.py", "directory.py")
    )

    for cell in rows("reason"):
        for reason in cell:
            assert f'"{reason}"' in text, reason
