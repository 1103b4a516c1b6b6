"""MISP as it really behaves, on real ports: see instance.py for how a test starts it."""

from tests.doubles.misp import (  # noqa: F401  (each registers the paths that it answers)
    analyst_data,
    attributes,
    catalogues,
    events,
    groups,
    organisations,
    protection,
    publishing,
    reports,
    search,
    servers,
    sightings,
    system,
    tags,
    users,
    warninglists,
)
from tests.doubles.misp.clock import Clock
from tests.doubles.misp.instance import Misp, connect

__all__ = ["Clock", "Misp", "connect"]
