"""Every promise about faults names the tests that hold it."""

from __future__ import annotations

import re

from tests.conftest import ROOT


def test_every_fault_names_tests_that_there_are():
    rows = [
        line for line in (ROOT / "docs" / "faults.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| fault")
    ]  # fmt: skip
    assert len(rows) > 20

    for row in rows:
        named = re.findall(r"`([a-z_/]+\.py)::(\w+)`", row.split("|")[3])
        assert named, row
        for file, test in named:
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(), (file, test)
