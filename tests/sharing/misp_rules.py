"""What MISP does with an event in a sharing group, as a small model of its own rules.

It shares no code with what is tested: instances hold state, publishing changes it, and who can
read is asked of the state afterwards. The rules are those seen on MISP 2.5 (a push insists on the
host organisation and on a server entry or roaming; a receiver that cannot take the group keeps the
event to the organisation that brought it; a group open to all organisations of a MISP is).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

OWN_ONLY, IN_GROUP = 0, 4


@dataclass
class GroupCopy:
    """One instance's copy: organisation to extend flag, URL to “all organisations”."""

    organisations: dict[str, bool]
    servers: dict[str, bool]
    roaming: bool


@dataclass
class StoredEvent:
    holder: str
    distribution: int
    group: str | None


@dataclass
class Link:
    """A server entry: its URL text, whose organisation it names, whose account pushes."""

    url: str
    to: Instance
    remote_organisation: str
    sync_organisation: str


@dataclass
class Instance:
    url: str
    users_of: set[str]
    groups: dict[str, GroupCopy] = field(default_factory=dict)
    events: dict[str, StoredEvent] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    def hold(self, uuid: str, copy: GroupCopy) -> None:
        """Keep a group as this instance understands it: URLs that it does not know are dropped."""
        mine = {url: open_ for url, open_ in copy.servers.items() if self._knows(url)}
        self.groups[uuid] = GroupCopy(dict(copy.organisations), mine, copy.roaming)

    def add(self, event: str, creator: str, group: str | None) -> None:
        self.events[event] = StoredEvent(creator, IN_GROUP if group else OWN_ONLY, group)

    def publish(self, event: str) -> None:
        kept = self.events[event]
        if kept.distribution != IN_GROUP:
            return
        group = self.groups[kept.group]
        for link in self.links:
            listed = group.roaming or link.url in group.servers
            if listed and link.remote_organisation in group.organisations:
                link.to.receive(event, kept.group, group, link.sync_organisation)

    def receive(self, event: str, uuid: str, sent: GroupCopy, by: str) -> None:
        if uuid in self.groups or self._may_take(sent, by):
            if uuid not in self.groups:
                # who captures a group from an event looks for the flag where it is not
                self.hold(uuid, replace(sent, servers=dict.fromkeys(sent.servers, False)))
            self.events[event] = StoredEvent(by, IN_GROUP, uuid)
        else:
            self.events[event] = StoredEvent(by, OWN_ONLY, None)

    def _may_take(self, sent: GroupCopy, by: str) -> bool:
        if not sent.servers:
            return by in sent.organisations
        if self.url not in sent.servers:
            return False
        return by in sent.organisations or sent.servers[self.url]

    def _knows(self, url: str) -> bool:
        return url == self.url or any(link.url == url for link in self.links)

    def readers(self, event: str) -> set[str]:
        kept = self.events.get(event)
        if kept is None:
            return set()
        return {one for one in self.users_of if self._reads(one, kept)}

    def _reads(self, organisation: str, kept: StoredEvent) -> bool:
        if organisation == kept.holder:
            return True
        if kept.distribution != IN_GROUP:
            return False
        group = self.groups[kept.group]
        return organisation in group.organisations or group.servers.get(self.url, False)
