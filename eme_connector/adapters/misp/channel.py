"""Our MISP: a threat of ours becomes an event there, and the truth is told about it (C3).

The event is an upsert under a uuid derived from the threat, so a repeat is safe. What is sent is
the threat as it stands when its turn comes: many changes that wait become one. MISP drops, hides
and mislays things and says 200; whatever we can see of that is a named failure here. Who of the
members has it is looked at afterwards, in lanes of their own (`check`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json
from eme_connector.adapters.misp.protection import Protection
from eme_connector.adapters.misp.publishing import Publisher, Stored, in_time, kept_in
from eme_connector.adapters.misp.survey import Survey
from eme_connector.adapters.misp.upsert import owner, upsert
from eme_connector.domain.audience import NAMED_ONLY, strangers, viewers
from eme_connector.domain.delivery import (
    MISP_LANE,
    Absent,
    Delivery,
    Found,
    LookUp,
    Receipt,
    Unknown,
)
from eme_connector.domain.sharing import SharingGroup, Topology
from eme_connector.domain.threat import Threat
from eme_connector.errors import DeliveryError
from eme_connector.formats import misp_group
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event import foreign, others
from eme_connector.formats.misp_event.event import Rendering
from eme_connector.formats.misp_group import Finding, Receiver

OWN_ORGANISATION, GROUP = "0", "4"
BATCH = 20
BATCH_S = 30.0
"""After this long a batch begins no further event, and twice that no further publication."""
NEEDED = ("perm_add", "perm_modify_org", "perm_publish", "perm_sharing_group", "perm_tag_editor")


@dataclass(frozen=True, slots=True)
class Told:
    """A threat as it is now, its raw bytes, and who there is at this moment."""

    threat: Threat
    raw: bytes | None
    topology: Topology

    @property
    def organisation(self) -> str:
        """The name of the organisation whose threat it is."""
        known = self.topology.organisations.get(self.threat.organisation)
        return known.name if known else self.threat.organisation

    @property
    def group(self) -> SharingGroup | None:
        """The group that the event goes to; None where it stays with our organisation."""
        group = self.topology.groups.get(self.threat.group or "")
        if self.threat.tlp in NAMED_ONLY or not viewers(self.threat, self.topology):
            return None
        return group


Source = Callable[[str, str], Told | None]
"""(threat id, organisation) -> what there is to tell about it now."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How threats are shown in our MISP; `receivers` are members' MISPs that we know of."""

    url: str
    organisation: str = ""
    share_assets: bool = False
    publish: bool = True
    publish_wait_s: float = 5.0
    threat_url: str | None = None
    receivers: tuple[Receiver, ...] = ()
    checked: frozenset[str] = frozenset()


class MispChannel:
    """Lane `misp`: one event per threat of ours in our own MISP."""

    lane = MISP_LANE
    repeat: Literal["safe", "look_first"] = "safe"

    def __init__(
        self,
        client: MispClient,
        source: Source,
        terms: Terms,
        *,
        timeout: float,
        width: int,
        sleep: Callable[[float], None] = time.sleep,
        protection: Protection | None = None,
    ) -> None:
        self.timeout = timeout + 2 * BATCH_S
        self.width = width
        self.batch = BATCH
        self._client = client
        self._source = source
        self._terms = terms
        self._publisher = Publisher(client, terms.publish_wait_s, sleep)
        self._protection = protection

    def send(self, delivery: Delivery) -> Receipt:
        """Store the threat's event and publish it into its group.

        Raises:
            DeliveryError: with the name of what MISP would not say.
        """
        told = self._told(delivery)
        stored = self._store(delivery, told, Survey(self._client))
        (outcome,) = self._publisher.publish([stored])
        if isinstance(outcome, DeliveryError):
            raise outcome
        return outcome

    def send_many(self, deliveries: Sequence[Delivery]) -> list[Receipt | DeliveryError]:
        """Store them all, then publish them all: what they have in common is asked for once."""
        outcomes: dict[str, Receipt | DeliveryError] = {}
        told: dict[str, Told] = {}
        stored: dict[str, Stored] = {}
        survey, began = Survey(self._client), time.monotonic()
        for one in deliveries:
            with kept_in(outcomes, one.key):
                told[one.key] = self._told(one)
        try:
            survey.prepare(one.threat for one in told.values())
        except DeliveryError as exc:
            return [outcomes.get(one.key, exc) for one in deliveries]
        for one in deliveries:
            if one.key in told:
                with kept_in(outcomes, one.key):
                    in_time(began + BATCH_S)
                    stored[one.key] = self._store(one, told[one.key], survey)
        published = self._publisher.publish([*stored.values()], began + 2 * BATCH_S)
        outcomes |= zip(stored, published, strict=True)
        return [outcomes[one.key] for one in deliveries]

    def look_up(self, delivery: Delivery) -> LookUp:
        """Say whether the event shows this state of the threat, or a later one.

        Raises:
            DeliveryError: there was no answer.
        """
        uuid = misp_event.event_uuid(delivery.threat_id)
        stored = self._client.find_event(uuid)
        if stored is None:
            return Absent()
        if owner(stored) != self._client.me().organisation:
            return Unknown("event-not-ours")
        sequence = misp_event.sequence_of(stored)
        if sequence < delivery.sequence:
            return Absent()
        published = bool(stored.get("published"))
        seen = {"sequence": sequence, "published": published}
        return Found(Receipt(uuid, self._reference(uuid) | seen))

    def ping(self) -> None:
        """Raise DeliveryError unless it answers and knows our key."""
        self._client.connection.ping()

    def examine(self) -> Iterator[tuple[str, str]]:
        """Yield (what is wrong with our key there, how to mend it).

        Raises:
            DeliveryError: it does not answer, or does not know the key.
        """
        me = self._client.me(anew=True)
        if me.organisation != self._terms.organisation:
            yield (
                f"the key belongs to {me.organisation_name} ({me.organisation}), not to us",
                "use a key of a user of our organisation; its uuid must be the same here and there",
            )
        if missing := [one for one in NEEDED if one not in me.permissions]:
            yield (
                f"the role {me.role} lacks {', '.join(missing)}",
                "give the key's user the role Org Admin",
            )

    def close(self) -> None:
        """Close the connections that are kept."""
        self._client.connection.close()

    def _told(self, delivery: Delivery) -> Told:
        told = self._source(delivery.threat_id, delivery.organisation)
        if told is None:
            raise DeliveryError("no-threat", permanent=True)
        return told

    def _store(self, delivery: Delivery, told: Told, survey: Survey) -> Stored:
        # before anything is stored: members on our own MISP read what is not published, too
        group_id, findings = self._examined_group(told, survey)
        event, ours = self._rendered(told, group_id)
        kept, lost = upsert(event, ours, self._client, survey, again=delivery.attempts > 1)
        uuid = event["uuid"]
        detail = self._reference(uuid) | {"sequence": told.threat.sequence}
        if event["extends_uuid"]:
            detail["extends"] = event["extends_uuid"]
        if self._protection is not None:
            self._protection.protect(kept, self._client)
        publish = self._terms.publish and told.group is not None
        warnings = [_warning(one) for one in findings]
        warnings += [
            *_lost("others-dropped", lost.dropped),
            *_lost("tags-dropped", lost.tags),
            *_lost("values-changed", lost.changed),
        ]
        more = {"published": publish, "members": self._members(told, findings)}
        owed = publish and not kept.get("published")
        return Stored(uuid, owed, detail, more | {"warnings": warnings})

    def _reference(self, uuid: str) -> dict[str, Any]:
        return {"event": uuid, "url": f"{self._terms.url}/events/view/{uuid}"}

    def _examined_group(self, told: Told, survey: Survey) -> tuple[str, tuple[Finding, ...]]:
        """Return our MISP's id of the group, and what is wrong with it without stopping us.

        Raises:
            DeliveryError: in this group it would reach nobody, or somebody it is not for.
        """
        wanted = told.group
        if wanted is None:
            return "", ()
        answer = survey.find_group(wanted.uuid)
        if answer is None:
            raise DeliveryError("sharing-group-unknown", wanted.uuid)
        held = misp_group.parse(answer, self._terms.url)
        outside = [one.organisation for one in strangers(told.threat, told.topology, held)]
        me = self._client.me().organisation
        ours = told.topology.misp
        local = ours.organisations if ours else ()
        findings = misp_group.lint(
            held, wanted, me, self._terms.url, self._terms.receivers, outside, local
        )
        if stopping := [one for one in findings if one.stops]:
            said = "; ".join(filter(None, (one.detail or one.who for one in stopping)))
            raise DeliveryError(stopping[0].code, said)
        return str(answer["SharingGroup"]["id"]), findings

    def _rendered(self, told: Told, group_id: str) -> tuple[Json, Json]:
        """Return the event, and it without what stood beside the detection in its bundle."""
        terms, threat = self._terms, told.threat
        link = f"{terms.threat_url}/{threat.id}" if terms.threat_url else None
        how = Rendering(told.organisation, link, terms.share_assets)
        beside = others.beside(told.raw or b"", foreign.converter(UUID(threat.id)))
        event = misp_event.render(threat, how, told.raw, beside)
        event["distribution"] = GROUP if group_id else OWN_ORGANISATION
        event["sharing_group_id"] = group_id or "0"
        return event, misp_event.render(threat, how, told.raw)

    def _members(self, told: Told, findings: Iterable[Finding]) -> dict[str, dict[str, Any]]:
        """Return for each member what is known: why not, or that its MISP will be looked at."""
        others = (told.group.members if told.group else set()) - {self._client.me().organisation}
        if not self._terms.publish:
            return {one: {"reason": "left-unpublished"} for one in sorted(others)}
        found: dict[str, dict[str, Any]] = {one: {} for one in sorted(others)}
        here = told.topology.misp.organisations if told.topology.misp else frozenset()
        for one in here & others:
            found[one] = {"reason": "reads-here"}
        for finding in findings:
            if finding.who in others - here and finding.code != "may-extend":
                found[finding.who] |= {"reason": finding.code, "detail": finding.detail}
        for member in (self._terms.checked & others) - here:
            found[member]["check"] = True
        return found


def _lost(code: str, names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    if names:
        yield {"reason": code, "detail": ", ".join(dict.fromkeys(names))[:200]}


def _warning(one: Finding) -> dict[str, str]:
    about = {"reason": one.code, "detail": one.detail, "organisation": one.who}
    return {key: value for key, value in about.items() if value}
