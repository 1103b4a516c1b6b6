"""The sections of the configuration; `config` puts them together and reads the file."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator


def _uuid(value: str) -> str:
    return str(UUID(value))


def _url(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("must start with https:// or http://")
    return value.rstrip("/")


def _webhook_secret(value: SecretStr) -> SecretStr:
    from eme_connector.formats.standard_webhooks import secrets

    secrets(value.get_secret_value())
    return value


def _cerebrate_key(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) != 40:
        raise ValueError("an authkey of Cerebrate has 40 characters")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Uuid = Annotated[str, AfterValidator(_uuid)]
Url = Annotated[str, AfterValidator(_url)]
CerebrateKey = Annotated[SecretStr, AfterValidator(_cerebrate_key)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]


class Section(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True):
    """A part of the configuration: frozen, unknown keys are problems; built with the whole."""


class Instance(Section):
    """Who runs this sidecar and where it keeps its data."""

    name: str = Field("EME", description="Shown in the frame of every page.")
    organisation: Uuid = Field(description="Uuid of the organisation that runs this sidecar.")
    data_dir: Path = Field(Path("data"), description="Folder for the database and the keys.")


class Store(Section):
    """Where the data is kept; SQLite in `instance.data_dir` unless a URL is given."""

    url: SecretStr | None = Field(
        None, description="`postgresql+psycopg://…` or `sqlite:///…`; may hold a password."
    )


class Serve(Section):
    """The HTTP server."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8150, ge=1, le=65535, description="Port to listen on.")
    socket: Path | None = Field(
        None, description="Unix socket for a proxy on this machine, instead of host and port."
    )
    threads: int = Field(16, ge=2, le=256, description="Threads beside those of live streams.")
    workers: int = Field(1, ge=1, le=64, description="Processes; more than 1 needs PostgreSQL.")
    deliver: bool = Field(
        True, description="Deliver from here; false leaves it to `eme worker` processes."
    )
    behind_proxy: bool = Field(
        False, description="A proxy stands in front; needed to listen beyond loopback."
    )
    public_url: Url | None = Field(
        None, description="How browsers and peers reach this sidecar, with https://."
    )

    @model_validator(mode="after")
    def _loopback_or_proxy(self) -> Serve:
        if not self.behind_proxy and not _is_loopback(self.host):
            raise ValueError("host beyond loopback needs behind_proxy: true and a proxy in front")
        if self.socket is not None and not self.behind_proxy:
            raise ValueError("socket needs behind_proxy: true and a proxy in front")
        return self


class Live(Section):
    """Live updates of pages (server-sent events)."""

    max_streams: int = Field(200, ge=0, le=2000, description="Open streams at once; then 503.")


class Limits(Section):
    """What one request may ask of us."""

    body_bytes: int = Field(1_048_576, ge=1024, description="Largest body, after inflation.")
    steps: int = Field(256, ge=1, le=10_000, description="Most steps of one bundle.")
    logins_per_minute: int = Field(10, ge=1, description="Tries to log in, per address.")
    handshake_minutes: float = Field(
        15.0, gt=0, le=1440, description="A handshake with a peer that takes longer ends."
    )


class GroupRule(Section):
    """Choose a sharing group by type, tag or TLP; the first rule that matches counts."""

    group: Uuid = Field(description="Uuid of the sharing group.")
    type: Literal["attack", "vulnerability"] | None = Field(None, description="Type of threat.")
    tag: str = Field("", description="Tag of a registered asset of the threat.")
    tlp: Literal["clear", "green", "amber", "amber+strict", "red"] | None = Field(
        None, description="Marking of the threat."
    )


class Asset(Section):
    """An asset as its organisation knows it; what a message says can only raise criticality."""

    address: str = Field("", description="IP address.")
    device: str = Field("", description="Device name, compared exactly.")
    criticality: int = Field(ge=1, le=5, description="1–5, 5 is the most critical.")
    type: str = Field("", description="Type, for policies of their own.")
    tags: frozenset[str] = Field(frozenset(), description="Tags, for policies of their own.")

    @model_validator(mode="after")
    def _identified(self) -> Asset:
        if not (self.address or self.device):
            raise ValueError("an asset needs an address or a device")
        if self.address:
            ipaddress.ip_address(self.address)
        return self


class Organisation(Section):
    """An organisation: ours, those that send through this sidecar, and members of groups."""

    uuid: Uuid = Field(description="Its uuid, the same as in Cerebrate and MISP.")
    name: str = Field(min_length=1, description="Its exact name.")
    role: Literal["ci", "cert"] = Field("ci", description="Operator (ci) or CERT/CSIRT (cert).")
    aliases: frozenset[str] = Field(frozenset(), description="Other exact names in messages.")
    sector: str = Field("", description="Sector, such as `transport`; policies can be by sector.")
    location: str = Field("", description="Country or place, shown to CERTs.")
    default_group: Uuid | None = Field(None, description="Sharing group of its new threats.")
    group_rules: tuple[GroupRule, ...] = Field((), description="Exceptions to `default_group`.")
    assets: tuple[Asset, ...] = Field((), description="Asset register.")
    served_by: Uuid | None = Field(
        None, description="Organisation whose sidecar sends and receives for it; empty = its own."
    )


class SharingGroup(Section):
    """A sharing group: threats go to its members and to nobody else."""

    uuid: Uuid = Field(description="Its uuid, the same as in Cerebrate and MISP.")
    name: str = Field(min_length=1, description="Its name.")
    members: frozenset[Uuid] = Field(description="Uuids of the member organisations.")
    cap: Literal["clear", "green", "amber", "amber+strict", "red"] | None = Field(
        None, description="Strictest marking that may be put into it."
    )
    roaming: bool = Field(False, description="It may travel to any MISP, as MISP has it.")
    servers: tuple[Url, ...] = Field((), description="URLs of MISPs it names, where not roaming.")


class Sharing(Section):
    """How threats leave."""

    default_tlp: Literal["clear", "green", "amber", "amber+strict", "red"] = Field(
        "amber", description="Marking of bundles that carry none."
    )


class Response(Section):
    """How playbooks are read."""

    step_order: Literal["start-first", "wait"] = Field(
        "start-first",
        description="`wait`: a list whose first entry is not its start waits for a person.",
    )


class Orchestrator(Section):
    """What runs approved playbooks."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="Short name.")
    kind: Literal["webhook"] = Field("webhook", description="How it is spoken to.")
    url: Url = Field(description="Where approved playbooks are posted.")
    secret: WebhookSecret = Field(
        description="Standard Webhooks secret (`whsec_…`); also `secret_file`."
    )
    idempotent: bool = Field(
        False, description="It dedupes by webhook-id, so sending again is safe."
    )
    look_up_url: Url | None = Field(
        None, description="GET {look_up_url}/{webhook-id}: 200 it has it, 404 surely not."
    )
    organisations: frozenset[Uuid] = Field(
        frozenset(), description="Organisations whose playbooks it runs; empty = all."
    )
    timeout_s: float = Field(10.0, gt=0, le=120, description="Limit of one request.")
    width: int = Field(4, ge=1, le=64, description="Requests at once.")


class Delivery(Section):
    """How what is owed gets out."""

    settle_s: float = Field(
        600.0, gt=0, description="How long to ask whether a delivery arrived before a person is."
    )
    give_up_s: float = Field(
        604_800.0, gt=0, description="Age after which an undeliverable delivery is dead."
    )
    retry_first_s: float = Field(1.0, gt=0, description="First wait after a failure; it doubles.")
    retry_most_s: float = Field(300.0, gt=0, description="Longest wait between attempts.")


class MispReceiver(Section):
    """The MISP of a member of our groups, where it lets us look whether an event has arrived."""

    organisation: Uuid = Field(description="Uuid of the member.")
    url: Url = Field(description="Its URL, exactly as sharing groups name it.")
    organisations: frozenset[Uuid] = Field(
        frozenset(), description="Other organisations with users there."
    )
    key: SecretStr | None = Field(
        None, description="Read-only API key of one of its users; also `key_file`."
    )
    verify_tls: Literal["yes", "unsafe-no-verification"] = Field(
        "yes", description="`unsafe-no-verification` trusts any certificate, and says so."
    )


class Misp(Section):
    """Our own MISP: threats with a sharing group become events there."""

    url: Url = Field(description="Its base URL, exactly its own MISP.baseurl.")
    key: SecretStr = Field(description="API key of an Org Admin; also `key_file`.")
    organisations: frozenset[Uuid] = Field(
        frozenset(), description="Other organisations with users on it."
    )
    share_assets: bool = Field(
        False, description="Let addresses and device names leave with the events."
    )
    publish: bool = Field(True, description="Publish into the group; false leaves that to people.")
    receivers: tuple[MispReceiver, ...] = Field(
        (), description="Members' MISPs where arrival is verified."
    )
    debounce_s: float = Field(
        2.0, ge=0, le=3600, description="Wait for more changes of a threat before sending it."
    )
    poll_s: float = Field(
        60.0, ge=0, description="How often to ask for what came in from others; 0 = never."
    )
    take_in: Literal["sidecars", "all"] = Field(
        "sidecars",
        description="Which events of others become threats: those of sidecars, or all.",
    )
    signing_key: SecretStr | None = Field(
        None,
        description="Private OpenPGP key of its instance, armoured, without a passphrase: "
        "our events are protected by it; also `signing_key_file`.",
    )
    enrich_s: float = Field(
        30.0,
        ge=0,
        description="How often to ask what it knows of the values of new threats; 0 = never.",
    )
    width: int = Field(2, ge=1, le=16, description="Batches of up to 20 events sent at once.")
    timeout_s: float = Field(60.0, gt=0, le=600, description="Limit of one request.")
    verify_tls: Literal["yes", "unsafe-no-verification"] = Field(
        "yes", description="`unsafe-no-verification` trusts any certificate, and says so."
    )
    ca: str | None = Field(
        None, description="Its own authority instead of the system's (PEM); also `ca_file`."
    )


class CerebrateServer(Section):
    """A Cerebrate and the key of one of its users."""

    name: str = Field(
        "cerebrate",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="Short name, shown to people.",
    )
    url: Url = Field(description="Its base URL.")
    key: CerebrateKey = Field(description="Authkey of one of its users; also `key_file`.")
    timeout_s: float = Field(60.0, gt=0, le=600, description="Limit of one request.")
    patience: int = Field(
        3, ge=1, description="Readings that must agree before a suspicious loss is believed."
    )
    verify_tls: Literal["yes", "unsafe-no-verification"] = Field(
        "yes", description="`unsafe-no-verification` trusts any certificate, and says so."
    )
    ca: str | None = Field(
        None, description="Its own authority instead of the system's (PEM); also `ca_file`."
    )


class Upstream(CerebrateServer):
    """Another Cerebrate whose organisations and sharing groups are taken over."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="Short name.")
    strategy: Literal["new-records", "trusted-upstream"] = Field(
        "new-records",
        description="`trusted-upstream`: what it says counts, also changes and removals.",
    )
    into: Literal["cerebrate", "directory"] = Field(
        "cerebrate", description="Where they go: our Cerebrate, or this sidecar's directory."
    )
    every_s: float = Field(900.0, ge=5, description="How often to look.")
    groups: frozenset[Uuid] = Field(
        frozenset(), description="Uuids of the sharing groups to take over; empty = all it shows."
    )
    organisations: Literal["all", "members"] = Field(
        "all", description="`members`: only those that take part in these groups."
    )


class Cerebrate(CerebrateServer):
    """Our own Cerebrate: organisations, sharing groups and keys are read from it."""

    every_s: float = Field(60.0, ge=5, description="How often to read it.")
    publish_key: bool = Field(
        True, description="Put our certificate into its key store as S/MIME key."
    )
    trust_keys: bool = Field(
        False,
        description="Believe that an S/MIME key there is its organisation's: nobody has to type "
        "the fingerprint of that peer.",
    )
    upstreams: tuple[Upstream, ...] = Field(
        (), description="Other Cerebrates whose organisations and groups are taken over."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Cerebrate:
        names = [self.name, *(one.name for one in self.upstreams)]
        if len(set(names)) != len(names):
            raise ValueError("two Cerebrates have the same name")
        if self.url in {one.url for one in self.upstreams}:
            raise ValueError("upstreams: our own Cerebrate cannot be its own upstream")
        return self


class Redis(Section):
    """What several processes share: wake-ups, counts of logins, answers kept for seconds.

    Losing it loses nothing: each process then counts by itself and looks by itself.
    """

    url: RedisUrl = Field(
        description="`redis://…`, `rediss://…` or `unix://…`; may hold a password; also `url_file`."
    )


class Egress(Section):
    """Where outgoing calls may go besides public addresses."""

    private_networks: tuple[str, ...] = Field(
        (), description="Private ranges (CIDR) that targets may resolve to; `127.0.0.0/8` too."
    )

    @model_validator(mode="after")
    def _networks(self) -> Egress:
        for network in self.private_networks:
            ipaddress.ip_network(network)
        return self


class Sessions(Section):
    """Logins of people."""

    hours: float = Field(8.0, gt=0, le=24 * 7, description="A session ends after this.")


class Log(Section):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level.")
    format: Literal["json", "console"] = Field("json", description="`console` is for people.")
