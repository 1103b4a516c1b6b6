"""Make the relay's targets from the configuration; each is kept with its sessions."""

from __future__ import annotations

from functools import lru_cache

from eme_connector.adapters.cerebrate.client import CerebrateClient
from eme_connector.adapters.cerebrate.connection import Connection as CerebrateConnection
from eme_connector.adapters.cerebrate.directory import CerebrateDirectory
from eme_connector.adapters.egress import Gate
from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Connection as MispConnection
from eme_connector.adapters.misp.directory import MispDirectory
from eme_connector.config import Config, SyncTarget


def open_targets(config: Config) -> dict[str, MispDirectory | CerebrateDirectory]:
    """Return the directory of each target, by name; nothing is called yet."""
    targets = config.sync.targets if config.sync else ()
    return {one.name: _kept(one, config.egress.private_networks) for one in targets}


@lru_cache(maxsize=256)
def _kept(target: SyncTarget, networks: tuple[str, ...]) -> MispDirectory | CerebrateDirectory:
    gate, key = Gate.of(networks), target.key.get_secret_value()
    unsafe = target.verify_tls != "yes"
    if target.kind == "misp":
        misp = MispConnection(
            target.url, key, gate, timeout=target.timeout_s, authority=target.ca, unsafe=unsafe
        )
        return MispDirectory(target.name, target.url, MispClient(misp))
    cerebrate = CerebrateConnection(
        target.url, key, gate, timeout=target.timeout_s, authority=target.ca, unsafe=unsafe
    )
    return CerebrateDirectory(target.name, CerebrateClient(cerebrate))
