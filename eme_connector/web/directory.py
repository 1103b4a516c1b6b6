"""Organisations and sharing groups as Cerebrates tell of them (D6)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from pydantic import BaseModel, Field, field_validator

from eme_connector.domain.directory import Entry, RemoteGroup, RemoteOrganisation
from eme_connector.domain.rights import Right
from eme_connector.usecases import told
from eme_connector.web.app_state import eme
from eme_connector.web.auth import current_caller
from eme_connector.web.routes import Api, Form, Shape, example, operation

blueprint = Api("directory", "Organisations and sharing groups, told by Cerebrates")
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_EXAMPLE = "7d1a0c52-3c1e-4a6b-9a2f-0c5e8d7b6a10"


class UuidPath(BaseModel):
    """The uuid of an organisation or a group in the path."""

    uuid: UUID = Field(description="Its uuid, the same as in Cerebrate and MISP.")


class OrganisationForm(Form):
    """An organisation, as Cerebrate has it."""

    name: str = Field(min_length=1, max_length=200)
    nationality: str = Field("", max_length=200)
    sector: str = Field("", max_length=200)
    type: str = Field("", max_length=200)
    url: str = Field("", max_length=500, description="Text; never called.")
    model_config = example({"name": "Metro", "nationality": "Greece", "sector": "transport"})

    def of(self, uuid: str) -> RemoteOrganisation:
        """Return the organisation with *uuid*."""
        return RemoteOrganisation(uuid=uuid, **self.model_dump(exclude={"uuid"}))


class ListedOrganisation(OrganisationForm):
    """An organisation of a list."""

    uuid: str = Field(pattern=_UUID)


class OrganisationsForm(Form):
    """Many organisations; what is not among them stays as it is."""

    organisations: list[ListedOrganisation] = Field(min_length=1, max_length=1000)
    model_config = example({"organisations": [{"uuid": _EXAMPLE, "name": "Metro"}]})


class MemberForm(Form):
    """A member of a group; `extend`: it may add members."""

    uuid: str = Field(pattern=_UUID)
    extend: bool = False


class GroupForm(Form):
    """A sharing group, as Cerebrate has it."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=65_535)
    releasability: str = Field("", max_length=65_535)
    active: bool = True
    owner: str = Field(pattern=_UUID, description="Uuid of the organisation that owns it.")
    members: list[MemberForm] = Field(max_length=10_000, description="Nobody else is one.")
    model_config = example({"name": "Transport", "owner": _EXAMPLE, "members": []})

    @field_validator("members")
    @classmethod
    def _once(cls, value: list[MemberForm]) -> list[MemberForm]:
        if len({one.uuid for one in value}) != len(value):
            raise ValueError("names a member twice")
        return value

    def of(self, uuid: str) -> RemoteGroup:
        """Return the group with *uuid*."""
        members = {one.uuid: one.extend for one in self.members}
        return RemoteGroup(uuid=uuid, **self.model_dump(exclude={"members"}), members=members)


class DirectoryOrganisation(Shape):
    """An organisation: `source` is the Cerebrate that is believed."""

    uuid: str
    name: str
    nationality: str
    sector: str
    type: str
    url: str
    source: str


class OrganisationList(Shape):
    """The organisations that the caller may know, by name."""

    organisations: list[DirectoryOrganisation]


class DirectoryMember(Shape):
    """A member of a group."""

    uuid: str
    extend: bool


class DirectoryGroup(Shape):
    """A group: `source` is the Cerebrate that is believed."""

    uuid: str
    name: str
    description: str
    releasability: str
    active: bool
    owner: str
    members: list[DirectoryMember]
    source: str


class GroupList(Shape):
    """The groups that the caller may know, by name."""

    sharing_groups: list[DirectoryGroup]


class Outcome(Shape):
    """What became of it: new, changed or same."""

    uuid: str
    outcome: str


class OutcomeList(Shape):
    """What became of each, in the order of the request."""

    organisations: list[Outcome]


@operation(
    blueprint, "get", "/organisations", id="organisations_list", right=Right.READ,
    answers={200: OrganisationList},
)  # fmt: skip
def list_organisations() -> Response:
    """List the organisations that the caller may know, with all that a Cerebrate compares"""
    found = told.list_organisations(caller=current_caller(), system=eme())
    return jsonify(organisations=[_organisation(one) for one in found])


@operation(
    blueprint, "put", "/organisations/<uuid:uuid>", id="organisations_update",
    right=Right.SYNC, answers={200: Outcome},
)  # fmt: skip
def put_organisation(path: UuidPath, body: OrganisationForm) -> Response:
    """Keep what the caller's Cerebrate tells of an organisation"""
    one = body.of(str(path.uuid))
    (outcome,) = told.put_organisations([one], caller=current_caller(), system=eme())
    return jsonify(uuid=one.uuid, outcome=outcome)


@operation(
    blueprint, "patch", "/organisations", id="organisations_partial_update",
    right=Right.SYNC, answers={200: OutcomeList},
)  # fmt: skip
def patch_organisations(body: OrganisationsForm) -> Response:
    """Keep what the caller's Cerebrate tells of many organisations, all or none"""
    organisations = [one.of(one.uuid) for one in body.organisations]
    outcomes = told.put_organisations(organisations, caller=current_caller(), system=eme())
    pairs = zip(organisations, outcomes, strict=True)
    return jsonify(organisations=[{"uuid": one.uuid, "outcome": word} for one, word in pairs])


@operation(
    blueprint, "get", "/sharing-groups", id="sharing_groups_list", right=Right.READ,
    answers={200: GroupList},
)  # fmt: skip
def list_groups() -> Response:
    """List the groups that the caller may know, with all that a Cerebrate compares"""
    found = told.list_groups(caller=current_caller(), system=eme())
    return jsonify(sharing_groups=[_group(one) for one in found])


@operation(
    blueprint, "put", "/sharing-groups/<uuid:uuid>", id="sharing_groups_update",
    right=Right.SYNC, answers={200: Outcome},
)  # fmt: skip
def put_group(path: UuidPath, body: GroupForm) -> Response:
    """Keep what the caller's Cerebrate tells of a group: who is not a member here is out"""
    group = body.of(str(path.uuid))
    outcome = told.put_group(group, caller=current_caller(), system=eme())
    return jsonify(uuid=group.uuid, outcome=outcome)


@operation(
    blueprint, "delete", "/sharing-groups/<uuid:uuid>", id="sharing_groups_withdraw",
    right=Right.SYNC, answers={204: None},
)  # fmt: skip
def withdraw_group(path: UuidPath) -> tuple[str, int]:
    """Forget a group that the caller's Cerebrate has no longer: it is for nobody then"""
    told.withdraw_group(str(path.uuid), caller=current_caller(), system=eme())
    return "", 204


def _organisation(entry: Entry) -> dict[str, Any]:
    one = entry.what
    assert isinstance(one, RemoteOrganisation)
    names = ("uuid", "name", "nationality", "sector", "type", "url")
    return {name: getattr(one, name) for name in names} | {"source": entry.source}


def _group(entry: Entry) -> dict[str, Any]:
    one = entry.what
    assert isinstance(one, RemoteGroup)
    names = ("uuid", "name", "description", "releasability", "active", "owner")
    members = [{"uuid": uuid, "extend": one.members[uuid]} for uuid in sorted(one.members)]
    shown = {name: getattr(one, name) for name in names}
    return shown | {"members": members, "source": entry.source}
