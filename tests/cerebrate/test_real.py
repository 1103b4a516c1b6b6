"""The contract, run against real Cerebrates that the environment names.

EME_TEST_CEREBRATE_A_URL, _KEY (all rights) and _READER_KEY (perm_view_all_orgs alone), and B.
"""

from __future__ import annotations

import os

import pytest

from tests.cerebrate.contract import CerebrateContract
from tests.cerebrate.place import Place


class TestReal(CerebrateContract):
    @pytest.fixture(params=["A", "B"])
    def place(self, request):
        found = real(request.param)
        yield found
        found.clean()


def real(side: str) -> Place:
    """Return the real Cerebrate called *side*, or skip."""
    names = [f"EME_TEST_CEREBRATE_{side}_{part}" for part in ("URL", "KEY", "READER_KEY")]
    if not all(os.environ.get(name) for name in names):
        pytest.skip(f"no real Cerebrate: set {', '.join(names)}")
    return Place(*(os.environ[name] for name in names))
