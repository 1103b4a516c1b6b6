"""docs/deliveries.md names every state and every reason that the code can give."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from eme_connector.domain.arrival import Status
from eme_connector.domain.delivery import State
from eme_connector.domain.misp_reasons import REASONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deliveries.md").read_text(encoding="utf-8")
MISP = (ROOT / "docs" / "misp.md").read_text(encoding="utf-8")
SOURCES = [
    *(ROOT / "eme_connector" / "usecases").glob("*.py"),
    *(ROOT / "eme_connector" / "adapters").glob("*.py"),
    ROOT / "eme_connector" / "domain" / "decision.py",
]
_GIVEN = re.compile(r'(?:DeliveryError|Unknown)\(\s*"([a-z-]+)"|return "([a-z]+-[a-z-]+)"')
MORE = {"no-peer", "no-channel", "absent", "crashed", "superseded", "nobody", "late-evidence",
        "stopped", "closed", "expired", "private-address", "plain-http", "dropped", "unknown",
        "not-peered-there", "not-a-member-there"}  # fmt: skip


def _reasons():
    found = {
        name
        for source in SOURCES
        for match in _GIVEN.findall(source.read_text(encoding="utf-8"))
        for name in match
        if name
    }
    return sorted(found | MORE)


@pytest.mark.parametrize("reason", _reasons())
def test_every_reason_is_explained(reason):
    assert f"`{reason}`" in PAGE + MISP


MISP_SOURCES = [
    *(ROOT / "eme_connector" / "adapters" / "misp").glob("c*.py"),
    ROOT / "eme_connector" / "adapters" / "misp" / "upsert.py",
    ROOT / "eme_connector" / "formats" / "misp_group.py",
]
_NAMED = re.compile(
    r'(?:DeliveryError|Finding|_lost)\(\s*"([a-z0-9-]+)"|\(".+", "([a-z-]+)"\),$', re.M
)


def _misp_reasons():
    texts = [one.read_text(encoding="utf-8") for one in MISP_SOURCES]
    return sorted(
        {name for text in texts for match in _NAMED.findall(text) for name in match} - {""}
    )


@pytest.mark.parametrize("reason", _misp_reasons())
def test_every_reason_of_misp_is_in_the_table_or_known_elsewhere(reason):
    assert reason in REASONS or f"`{reason}`" in PAGE


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_misp_is_explained_with_what_to_do(reason):
    said = REASONS[reason]
    assert f"| `{reason}` | {said.says} | {said.remedy or '–'} |" in MISP


@pytest.mark.parametrize("status", get_args(Status))
def test_every_status_of_a_member_is_explained(status):
    assert f"| `{status}` |" in MISP


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_explained(state):
    assert f"| `{state}` |" in PAGE
