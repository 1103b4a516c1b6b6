"""Store an event of ours in MISP so that it is there once, and as it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json, Refused
from eme_connector.adapters.misp.survey import Survey, bundle_uuid
from eme_connector.errors import DeliveryError
from eme_connector.formats.misp_event import compare, tags
from eme_connector.formats.misp_event.event import sequence_of


def upsert(
    event: Json, ours: Json, client: MispClient, survey: Survey, *, again: bool
) -> tuple[Json, compare.Losses]:
    """Add *event* or replace what MISP has of it; return (what MISP keeps, what it lost of it).

    An event that another made of the same detection is extended, not doubled; *event* then says
    so in `extends_uuid`. *again*: an earlier attempt may have got this far, so nothing is written
    where it has.

    Raises:
        DeliveryError: what is in *ours*, the marking or the distribution is not as it was sent.
    """
    kept = _store(event, client, survey, again)
    lost, missed = compare.losses(event, kept), compare.losses(ours, kept)
    if missed.dropped:
        raise DeliveryError("misp-dropped", _names(missed.dropped), permanent=True)
    if missed.hidden:
        raise DeliveryError("misp-hid", _names(missed.hidden), permanent=True)
    if any(tag.startswith("tlp:") for tag in lost.tags):
        raise DeliveryError("misp-dropped-marking", _names(lost.tags))
    if not _goes_where(event, kept):
        raise DeliveryError("misp-changed-distribution", str(kept.get("distribution")))
    return kept, lost


def owner(event: Json) -> str:
    """Return the uuid of the organisation whose event it is."""
    return str((event.get("Orgc") or {}).get("uuid", "")).lower()


def _store(event: Json, client: MispClient, survey: Survey, again: bool) -> Json:
    stored = survey.find_event(event["uuid"])
    if stored is None:
        event["extends_uuid"] = _same_detection(event, client, survey)
        try:
            return client.add_event(compare.stamped(event, int(event["timestamp"])))
        except Refused as exc:
            stored = client.find_event(event["uuid"]) if exc.reason == "duplicate" else None
            if stored is None:
                raise
    if owner(stored) != client.me().organisation:
        raise DeliveryError("event-not-ours", owner(stored), permanent=True)
    event["extends_uuid"] = str(stored.get("extends_uuid") or "")
    if again and _is_as_sent(event, stored):
        return stored
    # MISP takes an edit only where it is newer
    newer = max(int(event["timestamp"]), int(stored.get("timestamp") or 0) + 1)
    changed = compare.stamped(compare.without_stale(event, stored), newer)
    gone = [{"name": one, "deleted": True} for one in tags.stale(event, stored)]
    return client.edit_event(event["uuid"], changed | {"Tag": [*gone, *changed["Tag"]]})


def _is_as_sent(event: Json, stored: Json) -> bool:
    """Say whether *stored* shows this state, with nothing lost and nothing left over."""
    return (
        sequence_of(stored) == sequence_of(event)
        and not compare.losses(event, stored)
        and not compare.has_stale(event, stored)
        and not tags.stale(event, stored)
        and _goes_where(event, stored)
    )


def _goes_where(event: Json, kept: Json) -> bool:
    """Say whether it goes to whom it was sent for: the distribution, and the very group."""
    return str(kept.get("distribution")) == event["distribution"] and str(
        kept.get("sharing_group_id") or 0
    ) == str(event["sharing_group_id"])


def _same_detection(event: Json, client: MispClient, survey: Survey) -> str:
    """Return the uuid of an event that somebody else made of the same bundle, or an empty text.

    MISP's own STIX import gives the event the bundle's uuid; others name the bundle in a value.
    """
    bundle = next(_values(event, "bundle-id"), "")
    if not bundle:
        return ""
    uuid = bundle_uuid(bundle)
    if uuid and survey.find_event(uuid) is not None:
        return uuid
    rows = survey.naming(bundle)
    uuids = dict.fromkeys(str((one.get("Event") or {}).get("uuid", "")) for one in rows)
    for one in uuids:
        if one != event["uuid"] and _is_uuid(one) and not _is_of_a_threat(one, client):
            return one
    return ""


def _is_of_a_threat(uuid: str, client: MispClient) -> bool:
    """Say whether a sidecar made this event: another detection of the same bundle."""
    found = client.find_event(uuid)
    return found is None or bool(sequence_of(found))


def _values(event: Json, relation: str) -> Iterator[str]:
    for one in event["Object"]:
        for attribute in one["Attribute"]:
            if attribute["object_relation"] == relation:
                yield str(attribute["value"])


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _names(several: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(several))[:200]
