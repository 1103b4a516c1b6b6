"""Make clients and the channel of our MISP from the configuration."""

from __future__ import annotations

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.misp.channel import MispChannel, Source, Terms
from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Connection
from eme_connector.adapters.misp.verify import Verifier
from eme_connector.config import Misp, MispReceiver
from eme_connector.formats.misp_group import Receiver

CALLS = 8
"""One send is a handful of requests; a lease has to outlast them all."""


def open_client(section: Misp, gate: Gate) -> MispClient:
    """Return a client of our own MISP; nothing is called yet."""
    return MispClient(
        Connection(
            section.url,
            section.key.get_secret_value(),
            gate,
            timeout=section.timeout_s,
            keep=section.width,
            authority=section.ca,
            unsafe=section.verify_tls != "yes",
        )
    )


def open_receivers(section: Misp, gate: Gate) -> dict[Receiver, MispClient | None]:
    """Return the MISPs of members, with a client where we were given a key."""
    return {
        Receiver(one.organisation, one.url): _receiver(one, section, gate)
        for one in section.receivers
    }


def open_channel(
    section: Misp, gate: Gate, source: Source, *, threat_url: str | None = None
) -> MispChannel:
    """Return the channel to our own MISP."""
    return MispChannel(
        open_client(section, gate),
        source,
        Terms(section.url, section.share_assets, section.publish, threat_url=threat_url),
        Verifier(open_receivers(section, gate)),
        timeout=section.timeout_s * CALLS,
        width=section.width,
    )


def _receiver(one: MispReceiver, section: Misp, gate: Gate) -> MispClient | None:
    if one.key is None:
        return None
    return MispClient(
        Connection(
            one.url,
            one.key.get_secret_value(),
            gate,
            timeout=min(section.timeout_s, 15.0),
            unsafe=one.verify_tls != "yes",
        )
    )
