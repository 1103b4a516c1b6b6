"""The rows that a MISP keeps, as plain things in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tests.doubles.misp.roles import Role

Json = dict[str, Any]
Row = TypeVar("Row")
NO_RULES = '{"tags":{"OR":[],"NOT":[]},"orgs":{"OR":[],"NOT":[]}}'


class Table(dict[int, Row], Generic[Row]):
    """Rows by id; an id is never given twice."""

    last = 0

    def put(self, row: Row) -> Row:
        self.last += 1
        row.id = self.last  # type: ignore[attr-defined]
        self[self.last] = row
        return row

    def by(self, **what: Any) -> Row | None:
        """Return the first row whose members are these."""
        for row in self.values():
            if all(getattr(row, name) == value for name, value in what.items()):
                return row
        return None

    def known(self, id_or_uuid: Any) -> Row | None:
        """Return the row that MISP finds for an id or a uuid."""
        text = str(id_or_uuid)
        if text.isdigit():
            return self.get(int(text))
        return self.by(uuid=text.lower())


@dataclass
class Organisation:
    uuid: str
    name: str
    local: bool = True
    nationality: str = ""
    sector: str = ""
    type: str = ""
    description: str | None = None
    contacts: str | None = None
    created: str = ""
    modified: str = ""
    created_by: int = 1
    id: int = 0


@dataclass
class User:
    email: str
    org: Organisation
    role: Role
    server_id: int = 0
    id: int = 0

    def may(self, permission: str) -> bool:
        return permission in self.role


@dataclass
class Key:
    """An API key; the plain text is kept since nobody else will ever see it."""

    text: str
    user: User
    read_only: bool = False
    allowed_ips: list[str] = field(default_factory=list)
    expiration: int = 0
    comment: str = ""
    uuid: str = ""
    created: int = 0
    id: int = 0


@dataclass
class Server:
    url: str
    name: str
    authkey: str
    remote_org_id: int
    org_id: int = 1
    flags: dict[str, bool] = field(default_factory=dict)
    lastpulledid: int | None = None
    lastpushedid: int | None = None
    id: int = 0


@dataclass
class Member:
    org_id: int
    extend: bool
    id: int


@dataclass
class GroupServer:
    server_id: int
    all_orgs: bool
    id: int


@dataclass
class SharingGroup:
    uuid: str
    name: str
    releasability: str
    description: str
    org_id: int
    organisation_uuid: str
    sync_user_id: int
    created: str
    modified: str
    roaming: bool = False
    local: bool = False
    active: bool = True
    members: list[Member] = field(default_factory=list)
    servers: list[GroupServer] = field(default_factory=list)
    id: int = 0

    def member(self, org_id: int) -> Member | None:
        return next((one for one in self.members if one.org_id == org_id), None)

    def server(self, server_id: int) -> GroupServer | None:
        return next((one for one in self.servers if one.server_id == server_id), None)


@dataclass
class Tag:
    name: str
    colour: str
    exportable: bool = True
    id: int = 0


@dataclass
class Tagging:
    tag: Tag
    local: bool = False
    id: int = 0


@dataclass
class Attribute:
    uuid: str
    type: str
    category: str
    value: str
    to_ids: bool
    distribution: int
    sharing_group_id: int
    timestamp: int
    comment: str = ""
    deleted: bool = False
    disable_correlation: bool = False
    object_id: int = 0
    object_relation: str | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    data: str | None = None
    tags: list[Tagging] = field(default_factory=list)
    event_id: int = 0
    id: int = 0


@dataclass
class Thing:
    """An object of an event: MISP's word is taken in Python."""

    uuid: str
    name: str
    meta_category: str
    description: str | None
    template_uuid: str
    template_version: str
    distribution: int
    sharing_group_id: int
    timestamp: int
    comment: str = ""
    deleted: bool = False
    first_seen: str | None = None
    last_seen: str | None = None
    attributes: list[Attribute] = field(default_factory=list)
    references: list[Json] = field(default_factory=list)
    event_id: int = 0
    id: int = 0


@dataclass
class Sighting:
    uuid: str
    attribute: Attribute
    org_id: int
    source: str
    type: int
    date: int
    id: int = 0


@dataclass
class Report:
    uuid: str
    event_id: int
    name: str
    content: str
    distribution: int
    sharing_group_id: int
    timestamp: int
    deleted: bool = False
    id: int = 0


@dataclass
class Event:
    uuid: str
    info: str
    org_id: int
    orgc_id: int
    user: User
    date: str
    timestamp: int
    threat_level_id: int = 4
    analysis: int = 0
    distribution: int = 1
    sharing_group_id: int = 0
    published: bool = False
    publish_timestamp: int = 0
    sighting_timestamp: int = 0
    locked: bool = False
    proposal_email_lock: bool = False
    disable_correlation: bool = False
    extends_uuid: str = ""
    protected: bool | None = None
    attributes: list[Attribute] = field(default_factory=list)
    objects: list[Thing] = field(default_factory=list)
    tags: list[Tagging] = field(default_factory=list)
    keys: list[Json] = field(default_factory=list)
    proposals: list[Json] = field(default_factory=list)
    id: int = 0

    def everything(self) -> list[Attribute]:
        """Return all attributes, those of objects too."""
        return [*self.attributes, *(a for thing in self.objects for a in thing.attributes)]


@dataclass
class Job:
    worker: str
    type: str
    input: str
    status: int = 0
    message: str = ""
    progress: int = 0
    id: int = 0
