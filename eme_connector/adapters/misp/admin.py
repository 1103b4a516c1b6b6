"""How a MISP is set up: read for a check, changed by a site admin's key for a bootstrap."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json, Refused
from eme_connector.errors import DeliveryError
from eme_connector.ports.misp_setup import SETTINGS, Setup


class MispAdmin:
    """One MISP as the user of one key may see and change it."""

    def __init__(self, client: MispClient) -> None:
        self._client = client
        self._calls = client.connection

    def read(self) -> Setup:
        """Return how it is set up; what this key may not see is None.

        Raises:
            DeliveryError
        """
        me = self._client.me(anew=True)
        version = self._calls.get("/servers/getVersion")
        return Setup(
            version=str(version.get("version", "")),
            organisation=me.organisation,
            role=me.role,
            permissions=me.permissions,
            taxonomies=self._taxonomies(),
            templates=self._templates(),
            galaxies=self._galaxies(),
            servers=self._servers(),
            settings=self._settings(),
            skew_s=self._skew(),
        )

    def may_change(self) -> bool:
        """Say whether the key is a site admin's."""
        return "perm_site_admin" in self._client.me().permissions

    def enable_taxonomy(self, number: str) -> None:
        """Switch a taxonomy on, and make its tags."""
        self._calls.post(f"/taxonomies/enable/{number}", {})
        self._calls.post(f"/taxonomies/addTag/{number}", {})

    def load_template(self, name: str) -> None:
        """Let it read an object template from its own disk; one that is not there is passed over.

        There is no call that brings a template along.
        """
        try:
            self._calls.post(f"/objectTemplates/update/{name}", {})
        except DeliveryError as exc:
            # what it answers when it has done so
            if exc.reason != "redirect-refused":
                raise

    def set_setting(self, name: str, value: object) -> None:
        """Change a setting of the instance."""
        self._calls.post(f"/servers/serverSettingsEdit/{name}", {"value": value})

    def set_server(self, number: str, flags: Mapping[str, bool]) -> None:
        """Change flags of a server entry."""
        self._calls.post(f"/servers/edit/{number}", dict(flags))

    def close(self) -> None:
        """Close the connections that are kept."""
        self._calls.close()

    def _find(self, path: str) -> Any:
        try:
            return self._calls.find(path)
        except Refused as exc:
            if exc.status in (403, 404, 405):
                return None
            raise

    def _taxonomies(self) -> dict[str, tuple[str, bool]] | None:
        rows = _rows(self._find("/taxonomies/index"), "Taxonomy")
        if rows is None:
            return None
        return {str(one["namespace"]): (str(one["id"]), bool(one["enabled"])) for one in rows}

    def _templates(self) -> dict[str, int] | None:
        rows = _rows(self._find("/object_templates/index"), "ObjectTemplate")
        if rows is None:
            return None
        newest: dict[str, int] = {}
        for one in rows:
            uuid, version = str(one["uuid"]), str(one["version"])
            newest[uuid] = max(newest.get(uuid, 0), int(version) if version.isdigit() else 0)
        return newest

    def _galaxies(self) -> frozenset[str] | None:
        rows = _rows(self._find("/galaxies/index"), "Galaxy")
        return None if rows is None else frozenset(str(one["type"]) for one in rows)

    def _servers(self) -> tuple[Json, ...] | None:
        rows = _rows(self._find("/servers/index"), "Server")
        return None if rows is None else tuple(rows)

    def _settings(self) -> dict[str, Any] | None:
        answers = {name: self._find(f"/servers/getSetting/{name}") for name in SETTINGS}
        found = {name: one for name, one in answers.items() if isinstance(one, dict)}
        return {name: one.get("value") for name, one in found.items()} or None

    def _skew(self) -> float | None:
        date = self._calls.date()
        return None if not date else time.time() - parsedate_to_datetime(date).timestamp()


def _rows(found: Any, name: str) -> list[Json] | None:
    if not isinstance(found, list):
        return None
    inner = (one.get(name, one) for one in found if isinstance(one, dict))
    return [one for one in inner if isinstance(one, dict)]
