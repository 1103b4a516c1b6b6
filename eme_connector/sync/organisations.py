"""Organisations: added and brought up to date, never deleted, and left alone where unknown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.domain.relay import Memory
from eme_connector.sync import names
from eme_connector.sync.steps import Call, Difference, Kind, organisation_subject
from eme_connector.sync.terms import Terms

MISSING = object()


def relayed(
    source: Snapshot, groups: Iterable[RemoteGroup], terms: Terms
) -> dict[str, RemoteOrganisation]:
    """Return the source's organisations that the target is to know, by uuid."""
    if terms.organisations == "all":
        return dict(source.organisations)
    taking_part = {uuid for one in groups for uuid in (one.owner, *one.members)}
    return {uuid: source.organisations[uuid] for uuid in taking_part & source.organisations.keys()}


def wanted(
    organisations: Mapping[str, RemoteOrganisation],
    present: Snapshot,
    memory: Memory,
    terms: Terms,
) -> dict[str, RemoteOrganisation]:
    """Return each organisation as the target is to hold it.

    A field on which the source says nothing stays as the target has it, unless the two had
    agreed on something that the source has taken back.
    """
    plain = {uuid: terms.name_of(one) for uuid, one in organisations.items()}
    there = {uuid: one.name for uuid, one in present.organisations.items()}
    final = names.assign(plain, there, terms.organisation_key)
    return {
        uuid: _wanted(one, final[uuid], present.organisations.get(uuid), memory, terms)
        for uuid, one in organisations.items()
    }


def _wanted(
    source: RemoteOrganisation,
    name: str,
    present: RemoteOrganisation | None,
    memory: Memory,
    terms: Terms,
) -> RemoteOrganisation:
    agreed = memory.organisations.get(source.uuid)
    values = {"name": name}
    for field in terms.fields:
        said = terms.line(getattr(source, field))
        if not said and present is not None:
            kept = getattr(present, field)
            was = getattr(agreed, field) if agreed else ""
            said = "" if was and was == kept else kept
        values[field] = said
    return replace(present or RemoteOrganisation(source.uuid, ""), **values)  # type: ignore[arg-type]


def differences(
    wanted: Mapping[str, RemoteOrganisation],
    plain: Mapping[str, str],
    present: Snapshot,
    memory: Memory,
    terms: Terms,
) -> list[tuple[Difference, RemoteOrganisation]]:
    """Return what differs and the organisation to put for it, in an order that can be written.

    *plain* are the names that the source has, by uuid.
    """
    there = {uuid: one.name for uuid, one in present.organisations.items()}
    final = {uuid: one.name for uuid, one in wanted.items()}
    found = []
    written: dict[str, RemoteOrganisation] = {}
    for uuid, name in names.order(final, there, terms.organisation_key):
        before = written.get(uuid) or present.organisations.get(uuid)
        put = replace(wanted[uuid], name=name)
        written[uuid] = put
        found.append((_difference(put, before, plain[uuid], memory, terms), put))
    for uuid, one in sorted(wanted.items()):
        if uuid not in written and _values(one, terms) != _values(
            present.organisations[uuid], terms
        ):
            difference = _difference(one, present.organisations[uuid], plain[uuid], memory, terms)
            found.append((difference, one))
    return found


def calls(found: Iterable[tuple[Difference, RemoteOrganisation]]) -> list[Call]:
    """Return the calls for those of *found* that are to be done."""
    return [
        Call("put-organisation", one.subject, (one,), organisation=put)
        for one, put in found
        if one.verdict == "do"
    ]


def here_only(source: Snapshot, present: Snapshot, memory: Memory) -> list[Difference]:
    """Return the target's organisations of which the source knows nothing."""
    unknown = present.organisations.keys() - source.organisations.keys()
    return [
        Difference(
            "organisation-here-only",
            "keep-local",
            organisation_subject(uuid),
            present.organisations[uuid].name,
            verdict="leave",
            note="the source knew it once" if uuid in memory.organisations else "",
        )
        for uuid in sorted(unknown)
    ]


def judge(wanted: object, present: object, agreed: object) -> Kind:
    """Return whether a difference is an update, or a conflict: both sides have changed it.

    The source wins either way; a conflict says that something of the target's is lost.
    """
    if agreed is MISSING or agreed in (wanted, present):
        return "update"
    return "conflict"


def _difference(
    put: RemoteOrganisation,
    before: RemoteOrganisation | None,
    plain: str,
    memory: Memory,
    terms: Terms,
) -> Difference:
    subject = organisation_subject(put.uuid)
    after = _values(put, terms)
    word = "name-taken" if put.name != plain else ""
    if before is None:
        return Difference(word or "organisation-missing", "add", subject, put.name, after=after)
    had = _values(before, terms)
    changed = [name for name in after if after[name] != had[name]]
    agreed = memory.organisations.get(put.uuid)
    kinds = {
        judge(after[name], had[name], _values(agreed, terms)[name] if agreed else MISSING)
        for name in changed
    }
    if word and "name" not in changed:
        word = ""
    return Difference(
        word or "organisation-differs",
        "conflict" if "conflict" in kinds else "update",
        subject,
        before.name,
        before={name: had[name] for name in changed},
        after={name: after[name] for name in changed},
    )


def _values(one: RemoteOrganisation, terms: Terms) -> dict[str, str]:
    return {name: getattr(one, name) for name in ("name", *terms.fields)}


def fingerprint(one: RemoteOrganisation, terms: Terms) -> str:
    """Return a digest of what the source says about an organisation."""
    content = [terms.name_of(one), *(terms.line(getattr(one, name)) for name in terms.fields)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
