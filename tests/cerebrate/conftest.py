"""Sidecars, and Cerebrates that are doubles on real ports."""

from __future__ import annotations

import pytest

from tests.delivery.conftest import engine, make
from tests.doubles.cerebrate import CerebrateServer

__all__ = ["engine", "make"]


@pytest.fixture
def cerebrate():
    """A Cerebrate of the organisation CERT-ONE."""
    server = CerebrateServer()
    yield server
    server.close()


@pytest.fixture
def upstream():
    """Another Cerebrate."""
    server = CerebrateServer("CERT-NATIONAL")
    yield server
    server.close()
