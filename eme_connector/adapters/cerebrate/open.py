"""Make directories of Cerebrates from the configuration."""

from __future__ import annotations

from eme_connector.adapters.cerebrate.client import CerebrateClient
from eme_connector.adapters.cerebrate.connection import Connection
from eme_connector.adapters.cerebrate.directory import CerebrateDirectory
from eme_connector.adapters.egress import Gate
from eme_connector.config import CerebrateServer


def open_directory(section: CerebrateServer, gate: Gate) -> CerebrateDirectory:
    """Return the Cerebrate of *section* as a directory; nothing is called yet."""
    connection = Connection(
        section.url,
        section.key.get_secret_value(),
        gate,
        timeout=section.timeout_s,
        authority=section.ca,
        unsafe=section.verify_tls != "yes",
    )
    return CerebrateDirectory(section.name, CerebrateClient(connection))
