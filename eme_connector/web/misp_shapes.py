"""What the API answers about MISP."""

from __future__ import annotations

from pydantic import Field

from eme_connector.web.routes import Shape


class ArrivalShape(Shape):
    """What a member has of the event: arrived, not-pushed, hidden or unknown; why; what to do."""

    organisation: str
    status: str
    reason: str
    detail: str
    says: str
    remedy: str


class HintShape(Shape):
    """A hint was heard."""

    asked: bool


class RelatedShape(Shape):
    """An event of our MISP that has the value; `sightings` counts by MISP's type ("0" seen)."""

    uuid: str
    info: str
    organisation: str
    url: str
    sightings: dict[str, int]


class KnownShape(Shape):
    """What our MISP knows of one value; `warnings` are the lists that call it harmless."""

    value: str
    events: list[RelatedShape]
    warnings: list[str]


class EnrichmentShape(Shape):
    """What our MISP knew of the threat's values at a moment; null: not asked, or not for you."""

    at: str
    asked: int = Field(description="How many values it was asked for.")
    values: list[KnownShape]
    cut: bool = Field(description="There is more in our MISP than stands here.")
