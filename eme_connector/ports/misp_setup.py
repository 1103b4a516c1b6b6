"""How a MISP is set up, and the few changes that make it ready for us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

KEEP_SESSION = "Security.authkey_keep_session"
ORGANISATION_CLAIM = "OidcAuth.organisation_uuid_property"
SETTINGS = (KEEP_SESSION, ORGANISATION_CLAIM)


@dataclass(frozen=True, slots=True)
class Setup:
    """What one key sees of a MISP; None is what it may not see.

    `taxonomies` are (id, enabled) by namespace, `templates` the newest version by uuid,
    `galaxies` types, `settings` values by name. `skew_s` is how far our clock is ahead of its.
    """

    version: str
    organisation: str
    role: str
    permissions: frozenset[str]
    taxonomies: Mapping[str, tuple[str, bool]] | None
    templates: Mapping[str, int] | None
    galaxies: frozenset[str] | None
    servers: tuple[dict[str, Any], ...] | None
    settings: Mapping[str, Any] | None
    skew_s: float | None


class MispAdministration(Protocol):
    """A MISP and a key; every call raises DeliveryError where it is refused or not answered."""

    def read(self) -> Setup: ...
    def may_change(self) -> bool: ...
    def enable_taxonomy(self, number: str) -> None: ...
    def load_template(self, name: str) -> None: ...
    def set_setting(self, name: str, value: object) -> None: ...
    def set_server(self, number: str, flags: Mapping[str, bool]) -> None: ...
    def close(self) -> None: ...
