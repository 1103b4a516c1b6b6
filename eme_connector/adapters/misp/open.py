"""Make clients and the channels of MISP from the configuration."""

from __future__ import annotations

from functools import lru_cache

from pydantic import SecretStr

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.gpg import GnuPg
from eme_connector.adapters.misp.admin import MispAdmin
from eme_connector.adapters.misp.channel import MispChannel, Source, Terms
from eme_connector.adapters.misp.check import MispCheck
from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Connection
from eme_connector.adapters.misp.feedback import FeedbackChannel
from eme_connector.adapters.misp.protection import Protection
from eme_connector.adapters.misp.sharing import OurMisp
from eme_connector.config import Misp, MispReceiver
from eme_connector.formats.misp_group import Receiver

CALLS = 8
"""One send is a handful of requests; a lease has to outlast them all."""
LOOKS = 4
LOOK_S = 15.0


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


def open_admin(section: Misp, gate: Gate, key: str | None = None) -> MispAdmin:
    """Return our own MISP as the user of *key* sees it, of the configured one for None."""
    chosen = section if key is None else section.model_copy(update={"key": SecretStr(key)})
    return MispAdmin(open_client(chosen, gate))


@lru_cache(maxsize=8)
def open_sharing(section: Misp, private_networks: tuple[str, ...]) -> OurMisp:
    """Return our own MISP as it is read; its connections are kept."""
    return OurMisp(open_client(section, Gate.of(private_networks)), section.url)


def open_channels(
    section: Misp,
    gate: Gate,
    source: Source,
    *,
    organisation: str,
    threat_url: str | None = None,
) -> tuple[MispChannel | FeedbackChannel | MispCheck, ...]:
    """Return the channels to our own MISP, and one for each member's that we may look at.

    *organisation* is the uuid of the one that runs this sidecar; threats are shown below
    *threat_url*.
    """
    client = open_client(section, gate)
    terms = Terms(
        section.url,
        organisation=organisation,
        share_assets=section.share_assets,
        publish=section.publish,
        threat_url=threat_url,
        receivers=tuple(_receiver(one) for one in section.receivers),
        checked=frozenset(one.organisation for one in section.receivers if one.key),
    )
    timeout = section.timeout_s * CALLS
    protection = _protection(section)
    client.sign = protection.sign if protection else None
    channel = MispChannel(
        client, source, terms, timeout=timeout, width=section.width, protection=protection
    )
    answers = FeedbackChannel(open_client(section, gate), timeout=timeout)
    return (
        channel,
        answers,
        *(_open_check(one, client, section, gate, source) for one in section.receivers if one.key),
    )


def _protection(section: Misp) -> Protection | None:
    key = section.signing_key
    return Protection(GnuPg(key.get_secret_value())) if key else None


def _open_check(
    one: MispReceiver, here: MispClient, section: Misp, gate: Gate, source: Source
) -> MispCheck:
    limit = min(section.timeout_s, LOOK_S)
    key = one.key.get_secret_value() if one.key else ""
    unsafe = one.verify_tls != "yes"
    there = MispClient(Connection(one.url, key, gate, timeout=limit, unsafe=unsafe))
    receiver = _receiver(one)
    return MispCheck(receiver, there, here, source, our_url=section.url, timeout=limit * LOOKS)


def _receiver(one: MispReceiver) -> Receiver:
    return Receiver(one.organisation, one.url)
