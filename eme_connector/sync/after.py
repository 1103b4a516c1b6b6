"""What a target holds after calls that all succeeded.

Every write of a directory is read again by itself, so that a whole new look would tell nothing
that is not known; where a call failed, only a look does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from eme_connector.domain.directory import Snapshot
from eme_connector.sync.steps import Call


def after(present: Snapshot, calls: Iterable[Call]) -> Snapshot:
    """Return *present* as *calls* have left it."""
    organisations, groups = dict(present.organisations), dict(present.groups)
    for call in calls:
        if call.organisation is not None:
            organisations[call.uuid] = call.organisation
        elif call.group is not None:
            known = groups.get(call.uuid)
            groups[call.uuid] = replace(call.group, members=known.members if known else {})
        elif call.action == "set-members":
            group = groups[call.uuid]
            groups[call.uuid] = replace(group, members={**group.members, **call.members})
        elif call.action == "remove-members":
            group = groups[call.uuid]
            left = {u: e for u, e in group.members.items() if u not in call.members}
            groups[call.uuid] = replace(group, members=left)
    return Snapshot(organisations, groups, present.servers)
