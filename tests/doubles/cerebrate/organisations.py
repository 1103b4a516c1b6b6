"""Organisations, individuals, alignments and meta templates."""

from __future__ import annotations

import re
from typing import Any

from tests.doubles.cerebrate.answers import Call, absent, crash, index, refusal
from tests.doubles.cerebrate.state import Row, State, now

_FIELDS = ("name", "uuid", "nationality", "sector", "type", "url", "contacts")
_FILTERS = {name: (lambda row, name=name: row[name]) for name in _FIELDS[:-1]}


def organisations_index(call: Call) -> list[Row]:
    _no_quick_filter(call)
    state = call.state
    rows = [row for row in state.organisations.values() if call.sees_all or row["id"] == call.own]
    values = {"MetaFields.value": lambda row: [m["value"] for m in _meta(state, row["id"])]}
    shape = _full if "includeFullMetaFields" in call.query else _listed
    return index(call, rows, _FILTERS | values, after=lambda row: shape(state, row))


def organisations_view(call: Call) -> Row:
    row = call.state.organisations.get(call.number())
    if row is None or not (call.sees_all or row["id"] == call.own):
        raise absent("Organisation" if row else "")
    shape = _full if "includeFullMetaFields" in call.query else _listed
    return {k: v for k, v in shape(call.state, row).items() if k != "MetaTemplates"}


def organisations_add(call: Call) -> Row:
    call.need("community_admin")
    state, given = call.state, call.input()
    wrong = [(name, "This field is required" if name not in given else
              "This field cannot be left empty")
             for name in ("name", "uuid") if not given.get(name)]  # fmt: skip
    if wrong:
        return refusal("Organisation", "added", _reason(wrong))
    if any(row["uuid"].lower() == given["uuid"].lower() for row in state.organisations.values()):
        raise crash()
    row = state.organisation(**{name: given[name] for name in _FIELDS if name in given})
    state.log("add", "Organisations", row, call.auditor)
    told = {name: given[name] for name in _FIELDS if name in given}
    return {"MetaTemplates": [], **told, **{k: row[k] for k in ("created", "modified", "id")}}


def organisations_edit(call: Call) -> Row:
    call.need("org_admin", "community_admin")
    state, number = call.state, call.number()
    row = state.organisations.get(number)
    if row is None or not (call.may("community_admin") or number == call.own):
        raise crash()
    given = call.input()
    if "meta_fields" in given and call.may("meta_field_editor"):
        _write_meta(state, number, given["meta_fields"])
    changed = {name: given[name] for name in _FIELDS if name in given}
    others = [one["uuid"].lower() for one in state.organisations.values() if one is not row]
    if not changed.get("name", "x") or str(changed.get("uuid", "")).lower() in others:
        raise crash()
    row.update(changed, modified=now())  # it is newer even when nothing changed
    state.log("edit", "Organisations", row, call.auditor)
    return {**row, "meta_fields": _meta(state, number), "tags": [], "MetaTemplates": []}


def organisations_delete(call: Call) -> list[Row]:
    call.need("community_admin")
    row = call.state.organisations.get(call.number())
    if row is not None:
        call.state.log("delete", "Organisations", row, call.auditor)
        call.state.delete_organisation(row["id"])
    return []


def individuals_index(call: Call) -> list[Row]:
    _no_quick_filter(call)
    state = call.state
    names = ("uuid", "email", "first_name", "last_name", "position")
    filters = {name: (lambda row, name=name: row[name]) for name in names}
    return index(call, state.individuals.values(), filters, after=lambda row: _person(state, row))


def individuals_add(call: Call) -> Row:
    call.need("community_admin", "org_admin", "group_admin")
    given = call.input()
    emails = {row["email"] for row in call.state.individuals.values()}
    if given.get("email") in emails:
        return refusal("Individual", "added", "email: This value is already in use")
    fields = {k: given[k] for k in ("uuid", "first_name", "last_name", "position") if k in given}
    return dict(call.state.individual(given["email"], **fields))


def individuals_delete(call: Call) -> list[Row]:
    call.need("community_admin")
    call.state.individuals.pop(call.number(), None)
    return []


def alignments_index(call: Call) -> list[Row]:
    return list(call.state.alignments.values())  # the one index without a count


def alignments_add(call: Call) -> Row:
    call.need("community_admin", "org_admin", "group_admin")
    given, at = call.input(), now()
    kept = {k: given[k] for k in ("individual_id", "organisation_id", "type") if k in given}
    row = call.state.insert(call.state.alignments, {**kept, "created": at, "modified": at})
    return dict(row)


def templates_index(call: Call) -> list[Row]:
    call.need("admin")
    return index(call, call.state.templates.values(), {})


def templates_toggle(call: Call) -> Row:
    call.need("admin")
    row = call.state.templates[call.number()]
    row["enabled"] = not row["enabled"]
    return {k: v for k, v in row.items() if k != "meta_template_fields"}


def _listed(state: State, row: Row) -> Row:
    aligned = [a for a in state.alignments.values() if a["organisation_id"] == row["id"]]
    people = [state.individuals[a["individual_id"]] for a in aligned
              if a["individual_id"] in state.individuals]  # fmt: skip
    told = {"individual": [{"id": one["id"], "email": one["email"]} for one in people]}
    return {**row, "tags": [], "meta_fields": _meta(state, row["id"]), "org_groups": [],
            "alignments": told if people else [], "MetaTemplates": []}  # fmt: skip


def _full(state: State, row: Row) -> Row:
    """Return meta fields by template and field: one value, or a list when there are more."""
    found: dict[str, dict[str, Any]] = {}
    for one in _meta(state, row["id"]):
        fields = found.setdefault(one["template_name"], {})
        before = fields.get(one["field"])
        values = before if isinstance(before, list) else [before] if before else []
        fields[one["field"]] = [*values, one["value"]] if values else one["value"]
    return {**_listed(state, row), "meta_fields": found or []}


def _person(state: State, row: Row) -> Row:
    aligned = [a["organisation_id"] for a in state.alignments.values()
               if a["individual_id"] == row["id"]]  # fmt: skip
    told = [{k: state.organisations[one][k] for k in ("id", "uuid", "name")}
            for one in aligned if one in state.organisations]  # fmt: skip
    return {**row, "meta_fields": [], "tags": [], "user": [], "MetaTemplates": [],
            "alignments": {"organisation": told} if told else [],
            "full_name": f"{row['first_name']} {row['last_name']}",
            "alternate_emails": []}  # fmt: skip


def _meta(state: State, organisation: int) -> list[Row]:
    return [row for row in state.meta_fields.values() if row["parent_id"] == organisation]


def _write_meta(state: State, organisation: int, given: list[Row]) -> None:
    """Replace the named fields: the old values go first, whatever becomes of the new ones."""
    wanted = [(one, found) for one in given if (found := _template_field(state, one))]
    for _, (_, field) in wanted:
        for number, row in list(state.meta_fields.items()):
            if (row["parent_id"], row["meta_template_field_id"]) == (organisation, field["id"]):
                del state.meta_fields[number]
    for one, (_, field) in wanted:
        if field["regex"] and not re.search(field["regex"], one["value"]):
            raise crash()
    for one, (template, field) in wanted:
        state.meta_field(organisation, template, field["field"], one["value"])


def _template_field(state: State, one: Row) -> tuple[Row, Row] | None:
    """Return (template, field); what is not loaded in that very version is ignored."""
    for row in state.templates.values():
        if (row["uuid"], row["version"]) == (one["template_uuid"], str(one["template_version"])):
            for field in row["meta_template_fields"]:
                if field["field"] == one["field"]:
                    return row, field
    return None


def _reason(wrong: list[tuple[str, str]]) -> str:
    if len(wrong) > 1:
        return "There has been validation issues with multiple fields"
    return f"{wrong[0][0]}: {wrong[0][1]}"


def _no_quick_filter(call: Call) -> None:
    if call.query.get("quickFilter", [""])[0]:
        raise crash()
