"""All that one instance knows, and the questions that several nouns ask of it."""

from __future__ import annotations

import itertools
import threading
import zlib
from collections import defaultdict
from typing import Any
from uuid import uuid4

from tests.doubles.misp.clock import Clock
from tests.doubles.misp.rows import (
    Attribute,
    Event,
    Job,
    Json,
    Key,
    Organisation,
    Report,
    Server,
    SharingGroup,
    Sighting,
    Table,
    Tag,
    Tagging,
    Thing,
    User,
)

COLOURS = {"tlp:red": "#CC0033", "tlp:amber": "#FFC000", "tlp:green": "#33FF00"}
KNOWN_TAGS = (
    "tlp:clear",
    "tlp:white",
    "tlp:green",
    "tlp:amber",
    "tlp:amber+strict",
    "tlp:red",
    'workflow:state="incomplete"',
    'workflow:state="complete"',
)


class State:
    """One MISP's database: `lock` is held while a request is worked on."""

    def __init__(self, clock: Clock, url: str) -> None:
        self.clock = clock
        self.url = url
        self.uuid = str(uuid4())
        self.lock = threading.RLock()
        self.organisations: Table[Organisation] = Table()
        self.users: Table[User] = Table()
        self.keys: Table[Key] = Table()
        self.servers: Table[Server] = Table()
        self.groups: Table[SharingGroup] = Table()
        self.events: Table[Event] = Table()
        self.attributes: Table[Attribute] = Table()
        self.objects: Table[Thing] = Table()
        self.tags: Table[Tag] = Table()
        self.sightings: Table[Sighting] = Table()
        self.reports: Table[Report] = Table()
        self.jobs: Table[Job] = Table()
        self.notes: dict[str, list[Json]] = defaultdict(list)
        self.sessions: dict[str, tuple[User, bool]] = {}
        self.blocklist: list[Json] = []
        self.warninglists: list[Json] = []
        self.logs: list[Json] = []
        self.error_log: list[str] = []
        self.settings: Json = {"MISP.host_org_id": 1, "MISP.background_jobs": False}
        self.ids = defaultdict(lambda: itertools.count(1))  # type: ignore[var-annotated]
        for name in KNOWN_TAGS:
            self.make_tag(name)

    def make_tag(self, name: str, colour: str | None = None) -> Tag:
        chosen = colour or COLOURS.get(name) or f"#{zlib.crc32(name.encode()) % 0xFFFFFF:06x}"
        return self.tags.put(Tag(name, chosen))

    def tag(self, name: str) -> Tag | None:
        """Return a tag; MISP compares names without case."""
        folded = name.casefold()
        return next((one for one in self.tags.values() if one.name.casefold() == folded), None)

    def attach(self, tags: list[Tagging], tag: Tag, *, local: bool = False) -> bool:
        """Put *tag* on something; False when it was there."""
        if any(one.tag is tag for one in tags):
            return False
        tags.append(Tagging(tag, local, next(self.ids["tagging"])))
        return True

    def organisation(self, document: Json, creator: User) -> Organisation:
        """Return the organisation that a peer or a group names, made where it is unknown."""
        uuid = str(document.get("uuid", "")).lower()
        found = self.organisations.by(uuid=uuid)
        if found is None:
            name = str(document.get("name") or uuid)
            if self.organisations.by(name=name) is not None:
                name = f"{name}_{next(self.ids['clash']):04d}"
            now = self.clock.text()
            found = self.organisations.put(
                Organisation(
                    uuid, name, local=False, created=now, modified=now, created_by=creator.id
                )
            )
        return found

    def server_id(self, url: str) -> int | None:
        """Return the id a URL has here: 0 is this instance; the string has to be equal."""
        if url == self.url:
            return 0
        found = next((one for one in self.servers.values() if one.url == url), None)
        return found.id if found else None

    def in_group(self, user: User, group: SharingGroup) -> bool:
        """Say whether *user* is listed a group, and sees what is shared in it."""
        if user.may("perm_site_admin") or group.member(user.org.id):
            return True
        here = group.server(0)
        return here is not None and here.all_orgs

    def allowed(self, user: User, distribution: int, sharing_group_id: int) -> bool:
        """Say whether a distribution lets another organisation's *user* see something."""
        if distribution == 4:
            group = self.groups.get(sharing_group_id)
            return group is not None and self.in_group(user, group)
        return distribution != 0

    def may_view(self, user: User, group: SharingGroup) -> bool:
        """Say whether *user* may look at a group: its owner may, though not a member."""
        return self.in_group(user, group) or group.org_id == user.org.id

    def sees(self, user: User, event: Event) -> bool:
        mine = user.org.id in (event.org_id, event.orgc_id)
        return (
            mine
            or user.may("perm_site_admin")
            or self.allowed(user, event.distribution, event.sharing_group_id)
        )

    def event(self, id_or_uuid: Any, user: User | None = None) -> Event | None:
        """Return an event, None where it is not there or *user* may not see it."""
        found = self.events.known(id_or_uuid)
        if found is None or (user is not None and not self.sees(user, found)):
            return None
        return found

    def log(self, user: User, model: str, row: int, action: str, title: str, **more: str) -> None:
        who = f'User "{user.email}" ({user.id})'
        entry = {
            "id": str(len(self.logs) + 1),
            "title": title,
            "created": self.clock.text(),
            "model": model,
            "model_id": str(row),
            "action": action,
            "user_id": str(user.id),
            "change": None,
            "email": user.email,
            "org": user.org.name,
            "description": f"{model} ({row}) {action} by {who}.",
            "ip": "",
        }
        self.logs.append(entry | more)
