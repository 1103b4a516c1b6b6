"""An event and its parts as MISP shows them to one user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.doubles.misp.catalogues import clusters_of
from tests.doubles.misp.groups import inside
from tests.doubles.misp.organisations import short
from tests.doubles.misp.rows import (
    Attribute,
    Event,
    Json,
    Report,
    Sighting,
    Table,
    Tagging,
    Thing,
    User,
)
from tests.doubles.misp.state import State
from tests.doubles.misp.warninglists import hits

NOT_CORRELATING = ("comment", "http-method", "float")


@dataclass
class View:
    """How an event is asked for: *stored* answers an add or edit, which made the *fresh* groups."""

    metadata: bool = False
    extended: bool = False
    deleted: bool = False
    for_sync: bool = False
    data: bool = True
    stored: bool = False
    fresh: frozenset[int] = frozenset()


def event_head(event: Event) -> Json:
    return {
        "id": str(event.id),
        "orgc_id": str(event.orgc_id),
        "org_id": str(event.org_id),
        "date": event.date,
        "threat_level_id": str(event.threat_level_id),
        "info": event.info,
        "published": event.published,
        "uuid": event.uuid,
        "attribute_count": str(sum(not one.deleted for one in event.everything())),
        "analysis": str(event.analysis),
        "timestamp": str(event.timestamp),
        "distribution": str(event.distribution),
        "proposal_email_lock": event.proposal_email_lock,
        "locked": event.locked,
        "publish_timestamp": str(event.publish_timestamp),
        "sharing_group_id": str(event.sharing_group_id),
        "disable_correlation": event.disable_correlation,
        "extends_uuid": event.extends_uuid,
        "protected": event.protected,
    }


def show(state: State, event: Event, user: User, how: View | None = None) -> Json:
    """Return {"Event": …} as events/view answers it."""
    how = how or View()
    told = event_head(event)
    if user.may("perm_site_admin") or user.org.id == event.orgc_id:
        told["event_creator_email"] = event.user.email
    told["Org"] = short(state.organisations[event.org_id], local=True)
    told["Orgc"] = short(state.organisations[event.orgc_id], local=True)
    group = state.groups.get(event.sharing_group_id)
    if event.distribution == 4 and group is not None and group.id not in how.fresh:
        told["SharingGroup"] = inside(state, group)
    extensions = _extensions(state, event, user) if how.extended else []
    if extensions:
        told["extensionEvents"] = {str(one.id): _extension(state, one) for one in extensions}
    if not how.metadata:
        told |= _parts(state, [event, *extensions], user, how)
    elif extensions:
        parts = _parts(state, extensions, user, how)
        told |= {name: parts[name] for name in ("Attribute", "Object", "ShadowAttribute")}
    told["RelatedEvent"] = [] if how.for_sync else _related(state, event, user)
    told["Galaxy"] = [] if how.for_sync else clusters_of(event.tags)
    told["CryptographicKey"] = event.keys
    if tags := [show_tag(one) for one in event.tags if not (how.for_sync and one.local)]:
        told["Tag"] = tags
    if not how.stored and (
        notes := [one for one in state.notes["Note"] if one["object_uuid"] == event.uuid]
    ):
        told["Note"] = [_note(state, one) for one in notes]
    if not how.stored and (
        opinions := [one for one in state.notes["Opinion"] if one["object_uuid"] == event.uuid]
    ):
        told["Opinion"] = [_note(state, one) for one in opinions]
    return {"Event": told}


def show_attribute(state: State, one: Attribute, how: View, *, sightings: bool = True) -> Json:
    told: Json = {
        "id": str(one.id),
        "type": one.type,
        "category": one.category,
        "to_ids": one.to_ids,
        "uuid": one.uuid,
        "event_id": str(one.event_id),
        "distribution": str(one.distribution),
        "timestamp": str(one.timestamp),
        "comment": one.comment,
        "sharing_group_id": str(one.sharing_group_id),
        "deleted": one.deleted,
        "disable_correlation": one.disable_correlation,
        "object_id": str(one.object_id),
        "object_relation": one.object_relation,
        "first_seen": one.first_seen,
        "last_seen": one.last_seen,
        "value": one.value,
        "Galaxy": [],
        "ShadowAttribute": [],
    }
    group = state.groups.get(one.sharing_group_id)
    if one.distribution == 4 and group is not None:
        told["SharingGroup"] = inside(state, group)
    if one.data is not None and how.data and not how.stored:
        told["data"] = one.data
    if one.tags:
        told["Tag"] = [show_tag(tagging) for tagging in one.tags]
    if sightings and (seen := [x for x in state.sightings.values() if x.attribute is one]):
        told["Sighting"] = [show_sighting(state, x, inside_event=True) for x in seen]
    if sightings and not how.stored and (warnings := hits(state, one.type, [one.value])):
        told["warnings"] = show_warnings(one, warnings[one.value])
    return told


def show_warnings(one: Attribute, found: list[Json]) -> list[Json]:
    return [
        {
            "match": hit["matched"],
            "value": one.value,
            "warninglist_id": hit["id"],
            "warninglist_name": hit["name"],
            "warninglist_category": "false_positive",
        }
        for hit in found
    ]


def show_thing(state: State, one: Thing, attributes: list[Json]) -> Json:
    told: Json = {
        "id": str(one.id),
        "name": one.name,
        "meta-category": one.meta_category,
        "description": one.description,
        "template_uuid": one.template_uuid,
        "template_version": one.template_version,
        "event_id": str(one.event_id),
        "uuid": one.uuid,
        "timestamp": str(one.timestamp),
        "distribution": str(one.distribution),
        "sharing_group_id": str(one.sharing_group_id),
        "comment": one.comment,
        "deleted": one.deleted,
        "first_seen": one.first_seen,
        "last_seen": one.last_seen,
        "ObjectReference": one.references,
    }
    group = state.groups.get(one.sharing_group_id)
    if one.distribution == 4 and group is not None:
        told["SharingGroup"] = inside(state, group)
    return told | ({"Attribute": attributes} if attributes else {})


def show_tag(one: Tagging) -> Json:
    galaxy = one.tag.name.startswith("misp-galaxy:")
    return {
        "id": str(one.tag.id),
        "name": one.tag.name,
        "colour": one.tag.colour,
        "exportable": one.tag.exportable,
        "user_id": "0",
        "hide_tag": False,
        "numerical_value": None,
        "is_galaxy": galaxy,
        "is_custom_galaxy": False,
        "local_only": False,
        "local": one.local,
        "relationship_type": None,
    }


def show_sighting(state: State, one: Sighting, *, inside_event: bool = False) -> Json:
    told: Json = {
        "id": str(one.id),
        "attribute_id": str(one.attribute.id),
        "event_id": str(one.attribute.event_id),
        "org_id": str(one.org_id),
        "date_sighting": str(one.date),
        "uuid": one.uuid,
        "source": one.source,
        "type": str(one.type),
    }
    if inside_event:
        org = state.organisations[one.org_id]
        told["attribute_uuid"] = one.attribute.uuid
        told["Organisation"] = {"id": str(org.id), "uuid": org.uuid, "name": org.name}
    return told


def show_report(one: Report) -> Json:
    return {
        "id": str(one.id),
        "uuid": one.uuid,
        "event_id": str(one.event_id),
        "name": one.name,
        "content": one.content,
        "distribution": str(one.distribution),
        "sharing_group_id": str(one.sharing_group_id),
        "timestamp": str(one.timestamp),
        "deleted": one.deleted,
    }


def visible(state: State, event: Event, user: User, one: Attribute | Thing | Report) -> bool:
    """Say whether *user* sees a part of an event that he sees."""
    mine = user.may("perm_site_admin") or user.org.id in (event.org_id, event.orgc_id)
    return mine or state.allowed(user, one.distribution, one.sharing_group_id)


def _parts(state: State, events: list[Event], user: User, how: View) -> Json:
    attributes, things, reports, proposals = [], [], [], []
    for event in events:

        def wanted(one: Any, of: Event = event) -> bool:
            return (how.deleted or not one.deleted) and visible(state, of, user, one)

        def shown(one: Attribute) -> Json:
            return show_attribute(state, one, how)

        attributes += [shown(one) for one in event.attributes if wanted(one)]
        things += [
            show_thing(state, one, [shown(a) for a in one.attributes if wanted(a)])
            for one in event.objects
            if wanted(one)
        ]
        mine = (one for one in state.reports.values() if one.event_id == event.id)
        reports += [show_report(one) for one in mine if wanted(one)]
        proposals += [_proposal(state, event, one) for one in event.proposals]
    return {
        "Attribute": attributes,
        "ShadowAttribute": proposals,
        "Object": things,
        "EventReport": reports,
    }


def _extensions(state: State, event: Event, user: User) -> list[Event]:
    return [
        one
        for one in state.events.values()
        if one.extends_uuid == event.uuid and state.sees(user, one)
    ]


def _extension(state: State, event: Event) -> Json:
    return {
        "id": str(event.id),
        "info": event.info,
        "orgc_id": str(event.orgc_id),
        "user_id": str(event.user.id),
        "Orgc": short(state.organisations[event.orgc_id]),
    }


def _related(state: State, event: Event, user: User) -> list[Json]:
    values = {
        one.value for one in event.everything() if not one.deleted and not one.disable_correlation
    }
    attributes: Table[Attribute] = state.attributes
    others = {
        one.event_id
        for one in attributes.values()
        if one.value in values
        and one.event_id != event.id
        and not one.deleted
        and not one.disable_correlation
        and one.type not in NOT_CORRELATING
    }
    found = (state.events[one] for one in sorted(others) if one in state.events)
    return [{"Event": _relative(state, one)} for one in found if state.sees(user, one)]


def _proposal(state: State, event: Event, one: Json) -> Json:
    org = state.organisations[int(one["org_id"])]
    shown = (
        "id type category to_ids uuid old_id event_id comment timestamp first_seen last_seen value"
    )
    return {name: one[name] for name in shown.split()} | {
        "event_uuid": event.uuid,
        "org_id": str(org.id),
        "proposal_to_delete": False,
        "Org": short(org, local=True),
    }


def _note(state: State, note: Json) -> Json:
    """Return a note as it stands inside an event: with less about its organisations."""
    told = note | {"_max_depth_reached": False}
    shown = ("id", "name", "uuid", "type", "sector", "nationality", "local")
    told["Orgc"] = {name: note["Orgc"][name] for name in shown}
    told["Org"] = {name: note["Org"][name] for name in (*shown, "description")}
    return told


def _relative(state: State, event: Event) -> Json:
    shown = (
        "id date threat_level_id info published uuid analysis timestamp distribution org_id orgc_id"
    )
    head = event_head(event)
    return {name: head[name] for name in shown.split()} | {
        "Org": short(state.organisations[event.org_id]),
        "Orgc": short(state.organisations[event.orgc_id]),
    }
