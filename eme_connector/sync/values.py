"""What a target has now, where the relay once wrote: for settling and undoing writes."""

from __future__ import annotations

from typing import Any

from eme_connector.domain.directory import Snapshot
from eme_connector.domain.relay import Write
from eme_connector.sync.groups import urls


def value_at(present: Snapshot, write: Write) -> Any:
    """Return what *present* holds in the place that *write* changed, in the form it has there."""
    kind, _, uuid = write.subject.partition("/")
    if kind == "organisation":
        return _fields(present.organisations.get(uuid), write)
    group = present.groups.get(uuid)
    if write.member:
        extend = group.members.get(write.member) if group else None
        return None if extend is None else {"extend": extend}
    if group is not None and write.word == "group-servers":
        return urls(group.servers)
    if group is not None and write.word in ("group-roaming", "group-active"):
        return getattr(group, write.word.removeprefix("group-"))
    return _fields(group, write)


def _fields(thing: Any, write: Write) -> Any:
    shown = write.after or write.before
    if thing is None or not isinstance(shown, dict):
        return None
    return {
        name: urls(thing.servers) if name == "servers" else getattr(thing, name) for name in shown
    }
