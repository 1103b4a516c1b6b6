"""The section `sync`: sharing groups relayed to MISPs and Cerebrates."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from eme_connector.config_sections import Section, Url, Uuid


class SyncTarget(Section):
    """A MISP or Cerebrate that is to hold the source's sharing groups."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="Short name.")
    kind: Literal["misp", "cerebrate"] = Field("misp", description="What it is.")
    url: Url = Field(description="Its base URL; for a MISP exactly its own MISP.baseurl.")
    key: SecretStr = Field(
        description="API key of a site admin (MISP) or community admin (Cerebrate); also "
        "`key_file`."
    )
    roaming: bool = Field(
        False, description="MISP: send the groups' events to every server whose organisation is in."
    )
    servers: tuple[str, ...] = Field(
        (),
        description="MISP: without roaming, the other MISPs of the groups, each by the URL of "
        "its server entry there, to the letter.",
    )
    groups: frozenset[Uuid] = Field(
        frozenset(), description="Relay these groups (uuids) only; empty = all the source shows."
    )
    organisations: Literal["members", "all"] = Field(
        "members", description="Organisations to relay: those in relayed groups, or all."
    )
    timeout_s: float = Field(60.0, gt=0, le=600, description="Limit of one request.")
    verify_tls: Literal["yes", "unsafe-no-verification"] = Field(
        "yes", description="`unsafe-no-verification` trusts any certificate, and says so."
    )
    ca: str | None = Field(
        None, description="Its own authority instead of the system's (PEM); also `ca_file`."
    )

    @field_validator("servers")
    @classmethod
    def _urls(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for url in servers:
            if not url.startswith(("https://", "http://")):
                raise ValueError("a server must start with https:// or http://")
        return servers

    @model_validator(mode="after")
    def _travels(self) -> SyncTarget:
        if self.kind == "cerebrate" and (self.roaming or self.servers):
            raise ValueError("roaming and servers are MISP's: a Cerebrate has neither")
        if self.kind == "misp" and self.roaming == bool(self.servers):
            raise ValueError(
                "say `roaming: true`, or name the other MISPs in `servers`, and not both:"
                " without either no event of a group would travel"
            )
        return self


class Sync(Section):
    """Keep the sharing groups of MISPs and Cerebrates as the source says, removals included."""

    source: Literal["cerebrate", "file"] = Field(
        "cerebrate", description="Our Cerebrate, or what `eme sg import` brought."
    )
    certificate: str | None = Field(
        None,
        description="Whose signed files are believed besides peers': PEM, or what `eme peers "
        "export` wrote; also `certificate_file`.",
    )
    targets: tuple[SyncTarget, ...] = Field(description="Where the groups are kept true.")
    every_s: float | None = Field(
        None, ge=5, description="Apply this often, unattended; without it only by command."
    )
    width: int = Field(4, ge=1, le=32, description="Targets at once.")
    shrink_share: float = Field(
        0.25, gt=0, lt=1, description="A list that loses more than this at once is doubted."
    )
    patience: int = Field(
        3, ge=1, description="Cycles that must see the same before a doubted list counts."
    )

    @field_validator("certificate")
    @classmethod
    def _readable(cls, certificate: str | None) -> str | None:
        from eme_connector.formats.certificate import fingerprint

        if certificate is None:
            return None
        text = _certificate(certificate) if certificate.lstrip().startswith("{") else certificate
        fingerprint(text)
        return text

    @model_validator(mode="after")
    def _distinct(self) -> Sync:
        if len({one.name for one in self.targets}) != len(self.targets):
            raise ValueError("two targets have the same name")
        if len({one.url for one in self.targets}) != len(self.targets):
            raise ValueError("two targets have the same URL")
        return self


def _certificate(peer_file: str) -> str:
    try:
        return str(json.loads(peer_file)["certificate"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ValueError("is neither a PEM certificate nor a peer file") from exc
