"""The contracts, run against real Cerebrates that the environment names.

EME_TEST_CEREBRATE_A_URL, _KEY (all rights) and _READER_KEY (perm_view_all_orgs alone), and B.
"""

from __future__ import annotations

import os

import pytest

from tests.cerebrate.contract import CerebrateContract
from tests.cerebrate.place import Place
from tests.cerebrate.upstream import UpstreamContract

PARTS = ("URL", "KEY", "READER_KEY")


def real(side: str) -> Place | None:
    """Return the real Cerebrate called *side*, or None."""
    found = [os.environ.get(f"EME_TEST_CEREBRATE_{side}_{part}", "") for part in PARTS]
    return Place(*found) if all(found) else None


SIDES = [side for side in ("A", "B") if real(side)]
if not SIDES:
    pytest.skip("no real Cerebrate (EME_TEST_CEREBRATE_A_URL …)", allow_module_level=True)


class TestReal(CerebrateContract):
    @pytest.fixture(params=SIDES)
    def place(self, request):
        found = real(request.param)
        yield found
        found.clean()


@pytest.mark.skipif(len(SIDES) < 2, reason="only one real Cerebrate")
class TestRealPair(UpstreamContract):
    @pytest.fixture
    def theirs(self):
        found = real("A")
        yield found
        found.clean()

    @pytest.fixture
    def ours(self):
        found = real("B")
        yield found
        found.clean()
