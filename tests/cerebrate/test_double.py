"""The contract, run against the double."""

from __future__ import annotations

import pytest

from tests.cerebrate.contract import CerebrateContract
from tests.cerebrate.place import Place
from tests.doubles.cerebrate import CerebrateServer


class TestDouble(CerebrateContract):
    @pytest.fixture
    def place(self):
        server = CerebrateServer()
        yield Place(server.url, server.state.key("admin"), server.state.key("reader"))
        server.close()
