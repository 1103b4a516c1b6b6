"""A Cerebrate that the contract runs against, and what a test leaves behind there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import requests

from eme_connector.adapters.cerebrate.client import CerebrateClient
from eme_connector.adapters.cerebrate.connection import Connection
from eme_connector.adapters.cerebrate.directory import CerebrateDirectory
from eme_connector.adapters.egress import Gate
from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation

LOOPBACK = Gate.of(["127.0.0.0/8", "::1/128"])


@dataclass
class Place:
    """Where it is and whose keys there are; `remove` are the records to delete at the end."""

    url: str
    key: str
    reader_key: str
    remove: list[tuple[str, str]] = field(default_factory=list)

    def directory(self, key: str | None = None, timeout: float = 30.0) -> CerebrateDirectory:
        connection = Connection(self.url, key or self.key, LOOPBACK, timeout=timeout)
        return CerebrateDirectory("there", CerebrateClient(connection))

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """Call it without a client of ours between."""
        headers = {"Authorization": self.key, "Accept": "application/json"}
        return requests.request(
            method, self.url + path, json=body, allow_redirects=False, timeout=30,
            headers=headers | more,
        )  # fmt: skip

    def organisation(self, **fields: Any) -> RemoteOrganisation:
        """Return a new organisation, not yet there, that will be deleted at the end."""
        uuid = str(uuid4())
        self.remove.append(("organisations", uuid))
        return RemoteOrganisation(**{"uuid": uuid, "name": f"eme-{uuid[:8]}"} | fields)

    def group(self, owner: str, members: Iterable[str] = (), **fields: Any) -> RemoteGroup:
        """Return a new group, not yet there, that will be deleted at the end."""
        uuid = str(uuid4())
        self.remove.append(("sharingGroups", uuid))
        texts = {"name": f"eme-{uuid[:8]}", "releasability": "its members", "description": "d"}
        wanted = dict.fromkeys(members, False)
        return RemoteGroup(
            **{"uuid": uuid, "owner": owner, "members": wanted} | texts | fields  # type: ignore[arg-type]
        )

    def put(self, *organisations: RemoteOrganisation) -> None:
        for one in organisations:
            self.directory().put_organisation(one)

    def number(self, scope: str, uuid: str) -> int:
        """Return the id there of a record."""
        for row in self.call("GET", f"/{scope}/index").json():
            if row["uuid"].lower() == uuid:
                return int(row["id"])
        raise KeyError(uuid)

    def clean(self) -> None:
        """Delete what tests made: groups before the organisations that own them."""
        for scope, uuid in sorted(self.remove, reverse=True):
            for row in self.call("GET", f"/{scope}/index").json():
                if row["uuid"].lower() == uuid:
                    self.call("POST", f"/{scope}/delete/{row['id']}", {})
        self.remove.clear()
