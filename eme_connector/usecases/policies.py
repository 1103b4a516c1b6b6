"""Read and change an organisation's response policies (B1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID, uuid5

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.playbook import ACTIONS
from eme_connector.domain.policy import Scope, Setting
from eme_connector.domain.rights import Caller, Right
from eme_connector.errors import Conflict, Fault, InvalidInput, NotFound, StaleDigest
from eme_connector.ports import Store, Transaction

_DEFAULT = "policy"


def default_id(organisation: str) -> str:
    """Return the id of the general setting of *organisation*."""
    return str(uuid5(UUID(organisation), _DEFAULT))


def list_settings(*, caller: Caller, store: Store) -> tuple[Setting, ...]:
    """Return the settings of the caller's organisation, the general one first.

    The general one is always there; until somebody saves it, nothing is automatic.
    """
    caller.need(Right.READ)
    return _settings(caller.organisation, store)


def get_setting(setting_id: str, *, caller: Caller, store: Store) -> Setting:
    """Return one setting of the caller's organisation.

    Raises:
        NotAllowed, NotFound
    """
    caller.need(Right.READ)
    return _find(setting_id, caller.organisation, store)


def change_setting(
    setting_id: str,
    automatic: Mapping[str, bool],
    *,
    merge: bool,
    scope: Scope | None,
    etag: str,
    caller: Caller,
    store: Store,
    now: float,
) -> Setting:
    """Save which actions run unasked; with *merge* the others stay as they are.

    *etag* is what the caller has read. A scope of None stays.

    Raises:
        NotAllowed, NotFound, StaleDigest, InvalidInput
    """
    caller.need(Right.POLICY)
    before = _find(setting_id, caller.organisation, store)
    _check(setting_id, automatic, scope, caller)

    def work(tx: Transaction) -> Setting:
        known = tx.find_policy_setting(setting_id) or replace(before, version=0)
        if known.etag != etag:
            raise StaleDigest("the policy has changed since you read it; read it again")
        changed = replace(
            known,
            automatic=_combined(known.automatic if merge else frozenset(), automatic),
            scope=known.scope if scope is None else scope,
        )
        return _save(changed, known, caller, now, tx)

    return store.transact(work)


def create_setting(
    setting_id: str,
    automatic: Mapping[str, bool],
    scope: Scope,
    *,
    caller: Caller,
    store: Store,
    now: float,
) -> Setting:
    """Make a setting for a sector, asset type or tag.

    Raises:
        NotAllowed, InvalidInput, Conflict
    """
    caller.need(Right.POLICY)
    if scope.is_default:
        raise InvalidInput([Fault("/scope", "name a sector, an asset type or a tag")])
    _check(setting_id, automatic, scope, caller)
    fresh = Setting(setting_id, caller.organisation, scope=scope, version=0)

    def work(tx: Transaction) -> Setting:
        if tx.find_policy_setting(setting_id) is not None:
            raise Conflict("a policy setting with this id is there already")
        made = replace(fresh, automatic=_combined(frozenset(), automatic))
        return _save(made, fresh, caller, now, tx)

    return store.transact(work)


def _settings(organisation: str, store: Store) -> tuple[Setting, ...]:
    found = store.policy_settings_of(organisation)
    general = default_id(organisation)
    if all(one.id != general for one in found):
        found = (*found, Setting(general, organisation, version=0))
    return tuple(sorted(found, key=lambda one: (one.id != general, one.id)))


def _find(setting_id: str, organisation: str, store: Store) -> Setting:
    found = next((one for one in _settings(organisation, store) if one.id == setting_id), None)
    if found is None:
        raise NotFound("there is no such policy setting")
    return found


def _save(changed: Setting, known: Setting, caller: Caller, now: float, tx: Transaction) -> Setting:
    at = round(now * 1_000_000)
    saved = replace(changed, version=known.version + 1, updated_by=caller.name, updated_at=at)
    tx.save_policy_setting(saved)
    detail: dict[str, object] = {
        "setting": saved.reference,
        "automatic": sorted(saved.automatic),
        "before": sorted(known.automatic),
    }
    tx.record(AuditRecord("policy", at, caller.name, caller.organisation, None, None, detail))
    return saved


def _check(
    setting_id: str, automatic: Mapping[str, bool], scope: Scope | None, caller: Caller
) -> None:
    unknown = sorted(set(automatic) - set(ACTIONS))
    if unknown:
        raise InvalidInput([Fault("/automatic", f"{len(unknown)} of these actions do not exist")])
    general = setting_id == default_id(caller.organisation)
    if general and scope is not None and not scope.is_default:
        raise InvalidInput([Fault("/scope", "the general policy has no scope")])


def _combined(known: frozenset[str], wanted: Mapping[str, bool]) -> frozenset[str]:
    on = {name for name, value in wanted.items() if value}
    off = {name for name, value in wanted.items() if not value}
    return (known | on) - off
