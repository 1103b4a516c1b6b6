"""Make directories of Cerebrates from the configuration."""

from __future__ import annotations

from functools import lru_cache

from eme_connector.adapters.cerebrate.client import CerebrateClient
from eme_connector.adapters.cerebrate.connection import Connection
from eme_connector.adapters.cerebrate.directory import CerebrateDirectory
from eme_connector.adapters.egress import Gate
from eme_connector.config import CerebrateServer, Config


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


def open_directories(config: Config) -> dict[str, CerebrateDirectory]:
    """Return our Cerebrate and its upstreams, by name; kept with their sessions."""
    own = config.cerebrate
    sections: tuple[CerebrateServer, ...] = () if own is None else (own, *own.upstreams)
    return {one.name: _kept(one, config.egress.private_networks) for one in sections}


@lru_cache(maxsize=64)
def _kept(section: CerebrateServer, networks: tuple[str, ...]) -> CerebrateDirectory:
    return open_directory(section, Gate.of(networks))
