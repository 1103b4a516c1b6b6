"""What MISP kept of an event: it drops and changes things and says 200 all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eme_connector.formats.misp_event.objects import Json, is_ours

_LOOSE = frozenset({"datetime", "float", "counter", "attachment", "boolean"})


@dataclass(frozen=True, slots=True)
class Losses:
    """What is not as it was sent, by the names people know: object.relation, tag, object."""

    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self.dropped or self.changed or self.tags or self.hidden)


def losses(sent: Json, kept: Json) -> Losses:
    """Return what of *sent* is missing from or different in *kept*, MISP's answer.

    `hidden` are objects that it keeps from every other organisation although we did not ask.
    """
    known = {str(one.get("uuid")): one for _, one in _attributes(kept)}
    dropped, changed, tags = [], [], _missing_tags(sent, kept)
    for name, one in _attributes(sent):
        if one.get("deleted"):
            continue
        there = known.get(str(one["uuid"]))
        if there is None:
            dropped.append(name)
            continue
        tags += _missing_tags(one, there)
        if one["type"] not in _LOOSE and str(there.get("value")) != one["value"]:
            changed.append(name)
    return Losses(
        tuple(dropped),
        tuple(changed),
        tuple(dict.fromkeys(tags)),
        tuple(_hidden(sent, kept)),
    )


def _missing_tags(sent: Json, kept: Json) -> list[str]:
    there = {str(one.get("name")) for one in kept.get("Tag") or ()}
    return [one["name"] for one in sent.get("Tag") or () if one["name"] not in there]


def _attributes(event: Json) -> Iterator[tuple[str, Json]]:
    for one in event.get("Attribute") or ():
        yield f"event.{one.get('type')}", one
    for owner in event.get("Object") or ():
        for one in owner.get("Attribute") or ():
            yield f"{owner.get('name')}.{one.get('object_relation')}", one


def _hidden(sent: Json, kept: Json) -> Iterator[str]:
    known = {str(one.get("uuid")): one for one in kept.get("Object") or ()}
    for one in sent["Object"]:
        there = known.get(one["uuid"])
        if there and str(there.get("distribution")) == "0" != one.get("distribution"):
            yield str(one["name"])


def as_told(event: Json) -> Json:
    """Return what of *event* leaves our MISP: nothing that stays at home."""
    return event | {
        name: [one for one in event.get(name) or () if one.get("distribution") != "0"]
        for name in ("Attribute", "Object")
    }


def without_stale(event: Json, stored: Json) -> Json:
    """Return *event* with a deletion for all that *stored* has of ours and *event* has not.

    An edit in MISP only adds: what is left out stays as it was.
    """
    wanted = {one["uuid"]: one for one in event["Object"]}
    objects = list(event["Object"])
    for old in stored.get("Object") or ():
        if old.get("deleted") or not is_ours(old):
            continue
        mine = wanted.get(old.get("uuid"))
        if mine is None:
            objects.append({**_head(old), "deleted": True, "Attribute": []})
        else:
            mine["Attribute"] += _gone(old.get("Attribute") or [], mine["Attribute"])
    return event | {"Object": objects}


def stamped(event: Json, at: int) -> Json:
    """Return *event* with one time (s since 1970) on itself and all in it.

    MISP takes a part only where it is newer than what it has, in whole seconds: with its own clock
    on them, the second of two changes in one second would stay away from every receiver.
    """
    stamp = {"timestamp": str(at)}
    return (
        event
        | stamp
        | {
            "Attribute": [one | stamp for one in event.get("Attribute") or ()],
            "Object": [
                one | stamp | {"Attribute": [each | stamp for each in one["Attribute"]]}
                for one in event["Object"]
            ],
            "EventReport": [one | stamp for one in event.get("EventReport") or ()],
        }
    )


def has_stale(event: Json, stored: Json) -> bool:
    """Say whether *stored* still has something of ours that *event* has not (any more)."""
    ours = [one for one in stored.get("Object") or () if is_ours(one) and not one.get("deleted")]
    kept = [one for _, one in _attributes({"Object": ours}) if not one.get("deleted")]
    wanted = {str(one["uuid"]) for one in event["Object"]}
    wanted |= {str(one["uuid"]) for _, one in _attributes(event)}
    return any(str(one.get("uuid")) not in wanted for one in (*ours, *kept))


def _gone(old: list[Json], new: list[Json]) -> list[Json]:
    wanted = {one["uuid"] for one in new}
    return [
        {**_attribute_head(one), "deleted": True}
        for one in old
        if one.get("uuid") not in wanted and not one.get("deleted")
    ]


def _head(one: Json) -> Json:
    keys = ("uuid", "name", "meta-category", "template_uuid", "template_version", "comment")
    return {key: one.get(key) for key in (*keys, "distribution")}


def _attribute_head(one: Json) -> Json:
    keys = ("uuid", "type", "category", "object_relation", "value", "distribution")
    return {key: one.get(key) for key in keys}
