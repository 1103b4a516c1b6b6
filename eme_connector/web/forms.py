"""Forms that callers send: strict models."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field, field_validator

from eme_connector.domain.feedback import MAX_TEXT
from eme_connector.domain.playbook import ACTIONS
from eme_connector.web.routes import Form, Query, example
from eme_connector.web.shapes import BandWord, KindWord, StatusWord


class ThreatPath(BaseModel):
    """A threat's id in the path."""

    threat_id: UUID = Field(description="Our id of the threat.")


class SettingPath(BaseModel):
    """A policy setting's id in the path."""

    id: UUID = Field(description="Id of the policy setting.")


class DeliveryPath(BaseModel):
    """A delivery's id in the path."""

    delivery_id: int = Field(ge=0, le=2**62, description="Id of the delivery.")


class ThreatQuery(Query):
    """Filters, order and page of a list of threats."""

    sort: Literal["newest", "risk"] = Field("newest", description="Highest first.")
    status: StatusWord | None = None
    type: KindWord | None = None
    risk: BandWord | None = None
    criticality: int | None = Field(None, ge=1, le=5, description="5 is the most critical.")
    organisation: UUID | None = Field(None, description="Whose threats.")
    since: str | None = Field(None, description="Received at or after this time (RFC 3339).")
    until: str | None = Field(None, description="Received before this time (RFC 3339).")
    keyword: str | None = Field(None, max_length=200, description="Words, all of them.")
    cursor: str | None = Field(None, max_length=400, description="`next` of the page before.")
    limit: int = Field(25, ge=1, le=100)


class DeliveryQuery(Query):
    """Filters of the list of deliveries."""

    state: (
        Literal[
            "owed", "sending", "delivered", "refused", "uncertain", "withdrawn", "dead", "dropped"
        ]
        | None
    ) = None
    lane: str | None = Field(None, max_length=100)
    after: int = Field(0, ge=0, le=2**62, description="Id of the last delivery of the page before.")
    limit: int = Field(100, ge=1, le=100)


class PreviewQuery(Query):
    """What would be shared; what is left out stays as it is."""

    group: UUID | Literal[""] | None = Field(None, description="Sharing group; empty is none.")
    recipient: list[UUID] | None = Field(
        None, max_length=1000, description="Members named for AMBER+STRICT and RED."
    )


class HealthQuery(Query):
    """How thoroughly to look."""

    quick: bool = Field(False, description="Leave out outside systems, which may take a while.")


class DecisionForm(Form):
    """A decision of a person; If-Match names the playbook that was read."""

    status: Literal["approved", "declined"]
    reason: str = Field("", max_length=2000)
    steps: list[str] | None = Field(
        None, max_length=256, description="Step ids; all others get the opposite. Default: all."
    )
    valid_until: str | None = Field(
        None, max_length=40, description="New end (RFC 3339) for a playbook outside its validity."
    )
    model_config = example({"status": "approved", "reason": "seen it, agreed"})


class DecisionPatch(DecisionForm):
    """The same as a partial update: what is left out stays at its default."""


class SharingForm(Form):
    """Who a threat is for."""

    group: str | None = Field(description="Uuid of the sharing group; null is nobody.")
    recipients: list[str] | None = Field(
        None, max_length=1000, description="Members named for AMBER+STRICT and RED."
    )
    model_config = example({"group": None})


class ResolutionForm(Form):
    """Why a threat is closed."""

    reason: str = Field(min_length=1, max_length=2000)
    model_config = example({"reason": "false alarm"})


class FeedbackForm(Form):
    """What is said about a threat of another organisation."""

    word: Literal["handled", "false-positive", "comment"]
    text: str = Field("", max_length=MAX_TEXT, description="Needed for a comment.")
    model_config = example({"word": "handled"})


class ScopeForm(Form):
    """What a policy is for; an empty member matches everything."""

    sector: str = Field("", max_length=100)
    asset_type: str = Field("", max_length=100)
    tag: str = Field("", max_length=100)


class SettingForm(Form):
    """Which actions run unasked, by group; a scope makes it a policy for some threats only."""

    automatic: dict[str, dict[str, bool]] = Field(description="Group, then action.")
    scope: ScopeForm | None = None
    model_config = example({"automatic": {"contain": {"isolate": True, "block_service": True}}})

    @field_validator("automatic")
    @classmethod
    def _known(cls, value: dict[str, dict[str, bool]]) -> dict[str, dict[str, bool]]:
        for group, actions in value.items():
            for name in actions:
                if name not in ACTIONS or ACTIONS[name].group != group:
                    raise ValueError("names a group or an action that does not exist")
        return value

    @property
    def flat(self) -> dict[str, bool]:
        """The actions without their groups."""
        return {name: on for actions in self.automatic.values() for name, on in actions.items()}


class LoginForm(Form):
    """A name and a password."""

    name: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=1024)


class StopForm(Form):
    """The kill switch and why."""

    stopped: bool
    reason: str = Field(min_length=1, max_length=2000)
    model_config = example({"stopped": False, "reason": "all clear"})


class ScanForm(Form):
    """An address to scan."""

    ip: str = Field(min_length=2, max_length=45, description="An address of your own ranges.")
    model_config = example({"ip": "10.0.0.7"})
