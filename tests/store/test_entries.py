"""List entries hold words as numbers."""

from __future__ import annotations

import pytest

from eme_connector.adapters.database import entries
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Execution, Kind, Status


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (Status, entries.STATUS),
        (Kind, entries.KIND),
        (Band, entries.BAND),
        (Execution, entries.EXECUTION),
    ],
)
def test_every_word_has_a_number_of_its_own(words, numbers):
    assert set(numbers) == set(words)
    assert sorted(numbers.values()) == list(range(len(numbers)))
