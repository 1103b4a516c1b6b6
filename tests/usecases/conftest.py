"""A store and the rules of one organisation."""

from __future__ import annotations

import pytest

from eme_connector.adapters.database import open_store
from eme_connector.domain.policy import Setting
from tests import ready
from tests.build import CI


@pytest.fixture
def store(tmp_path):
    opened = open_store(ready.sqlite(tmp_path / "eme.db"))
    yield opened
    opened.close()


@pytest.fixture
def allow(store):
    """Make actions automatic for an organisation."""

    def allow_actions(*actions: str, organisation: str = CI, version: int = 1) -> None:
        setting = Setting(organisation, organisation, frozenset(actions), version=version)
        store.transact(lambda tx: tx.save_policy_setting(setting))

    return allow_actions
