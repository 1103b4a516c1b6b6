"""The kill switch: nothing more is dispatched for an organisation until it is turned off (B8)."""

from __future__ import annotations

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.rights import Caller, Right
from eme_connector.errors import Fault, InvalidInput
from eme_connector.ports import Store, Transaction


def set_stop(*, stopped: bool, reason: str, caller: Caller, store: Store, now: float) -> bool:
    """Turn the kill switch of the caller's organisation on or off; return how it stands.

    What is owed is withdrawn at its lease; turning the switch off does not bring it back.

    Raises:
        NotAllowed, InvalidInput
    """
    caller.need(Right.ADMIN if Right.ADMIN in caller.rights else Right.DECIDE)
    if not reason.strip():
        raise InvalidInput([Fault("/reason", "say why")])
    at = round(now * 1_000_000)

    def work(tx: Transaction) -> None:
        tx.set_stop(caller.organisation, stopped=stopped, by=caller.name, at=at)
        event = "stopped" if stopped else "resumed"
        detail: dict[str, object] = {"reason": reason}
        tx.record(AuditRecord(event, at, caller.name, caller.organisation, None, None, detail))

    store.transact(work)
    return stopped
