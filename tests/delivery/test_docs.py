"""docs/deliveries.md names every state and every reason that the code can give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eme_connector.domain.delivery import State

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deliveries.md").read_text(encoding="utf-8")
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
    assert f"`{reason}`" in PAGE


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_explained(state):
    assert f"| `{state}` |" in PAGE
