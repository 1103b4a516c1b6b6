"""A Cerebrate 1.35 on a real port, as awkward as the real one; see `contract.py` of its tests."""

from tests.doubles.cerebrate.server import CerebrateServer
from tests.doubles.cerebrate.state import ROLES, State

__all__ = ["ROLES", "CerebrateServer", "State"]
