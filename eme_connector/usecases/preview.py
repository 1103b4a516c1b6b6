"""Say who will see a threat before it is shared, by the very function that the sender asks."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.domain.audience import Audience, audience
from eme_connector.domain.rights import Caller
from eme_connector.domain.sharing import Topology
from eme_connector.domain.threat import Threat
from eme_connector.errors import Fault, InvalidInput, NotAllowed
from eme_connector.ports import Store
from eme_connector.usecases.browse import get_threat


def preview(
    threat_id: str,
    group: str | None,
    recipients: tuple[str, ...] | None,
    *,
    caller: Caller,
    topology: Topology,
    store: Store,
) -> tuple[Threat, Audience]:
    """Return the threat as it would be shared and who would see it then.

    *group* None keeps its group, "" is none; *recipients* None keeps those that are named. Only
    the organisation whose threat it is learns who else sees it.

    Raises:
        NotAllowed, NotFound, InvalidInput, StoreUnavailable
    """
    threat = get_threat(threat_id, caller=caller, store=store)
    if threat.origin is not None or threat.organisation != caller.organisation:
        raise NotAllowed("only the organisation whose threat it is sees who else does")
    if group and group not in topology.groups:
        raise InvalidInput([Fault("/group", "is not a sharing group we know")])
    wished = replace(
        threat,
        group=threat.group if group is None else group or None,
        recipients=threat.recipients if recipients is None else recipients,
    )
    return wished, audience(wished, topology)
