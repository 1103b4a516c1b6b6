"""Our MISP: a threat of ours becomes an event there, and the truth is told about its delivery (C3).

The event is an upsert under a uuid derived from the threat, so a repeat is safe. What is sent is
the threat as it stands when its turn comes: many changes that wait become one. MISP drops, hides
and mislays things and says 200; whatever we can see of that is a named failure here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json, Refused
from eme_connector.adapters.misp.verify import Members, Verifier
from eme_connector.domain.audience import NAMED_ONLY
from eme_connector.domain.delivery import Absent, Delivery, Found, LookUp, Receipt
from eme_connector.domain.threat import Threat
from eme_connector.errors import DeliveryError, EmeError
from eme_connector.formats import misp_group
from eme_connector.formats.misp_event import compare
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event.event import Rendering

LANE = "misp"
OWN_ORGANISATION, GROUP = "0", "4"
_OUR_TAGS = ("tlp:", "PAP:", "workflow:state=", "course-of-action:", "priority-level:", "rsit:")
Source = Callable[[str, str], tuple[Threat, bytes | None, str] | None]
"""(threat id, organisation) -> the threat as it is now, its raw bytes, its organisation's name."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How threats are shown in our MISP."""

    url: str
    share_assets: bool = False
    publish: bool = True
    publish_wait_s: float = 5.0
    threat_url: str | None = None


class MispChannel:
    """Lane `misp`: one event per threat of ours in our own MISP."""

    lane = LANE
    repeat: Literal["safe", "look_first"] = "safe"

    def __init__(
        self,
        client: MispClient,
        source: Source,
        terms: Terms,
        verifier: Verifier,
        *,
        timeout: float,
        width: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.timeout = timeout
        self.width = width
        self._client = client
        self._source = source
        self._terms = terms
        self._verifier = verifier
        self._sleep = sleep

    def send(self, delivery: Delivery) -> Receipt:
        """Store the threat's event, publish it into its group, and look who has it.

        Raises:
            DeliveryError: with the name of what MISP would not say.
        """
        found = self._source(delivery.threat_id, delivery.organisation)
        if found is None:
            raise DeliveryError("no-threat", permanent=True)
        threat, raw, organisation = found
        group = self._group(threat)
        event = self._rendered(threat, raw, organisation, group)
        stored = self._client.find_event(event["uuid"])
        kept = self._upsert(event, stored)
        lost = self._check(event, kept)
        detail: dict[str, Any] = {
            "sequence": threat.sequence,
            "event": event["uuid"],
            "url": f"{self._terms.url}/events/view/{event['uuid']}",
        }
        if lost.tags or lost.changed:
            detail["lost"] = {"tags": list(lost.tags), "changed": list(lost.changed)}
        if event.get("extends_uuid"):
            detail["extends"] = event["extends_uuid"]
        if group is not None and self._terms.publish:
            findings = self._lint(group)
            self._publish(event["uuid"])
            detail["members"] = self._members(event["uuid"], threat, group, findings)
        return Receipt(event["uuid"], detail)

    def look_up(self, delivery: Delivery) -> LookUp:
        """Say whether the event shows this state of the threat, or a later one.

        Raises:
            DeliveryError: there was no answer.
        """
        uuid = misp_event.event_uuid(delivery.threat_id)
        stored = self._client.find_event(uuid)
        try:
            there = misp_event.parse(stored).sequence if stored else 0
        except EmeError:
            there = 0
        if there >= delivery.sequence:
            return Found(Receipt(uuid, {"sequence": there, "event": uuid}))
        return Absent()

    def ping(self) -> None:
        """Raise DeliveryError unless it answers and knows our key."""
        self._client.connection.ping()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._client.connection.close()
        self._verifier.close()

    def _group(self, threat: Threat) -> Json | None:
        """Return the group that the event goes to, None where it stays with our organisation."""
        if threat.group is None or threat.tlp in NAMED_ONLY:
            return None
        group = self._client.find_group(threat.group)
        if group is None:
            raise DeliveryError("sharing-group-unknown", threat.group)
        return group

    def _rendered(
        self, threat: Threat, raw: bytes | None, organisation: str, group: Json | None
    ) -> Json:
        terms = self._terms
        link = f"{terms.threat_url}/{threat.id}" if terms.threat_url else None
        how = Rendering(organisation, link, terms.share_assets)
        event = misp_event.render(threat, how, raw)
        event["distribution"] = OWN_ORGANISATION if group is None else GROUP
        event["sharing_group_id"] = "0" if group is None else str(group["SharingGroup"]["id"])
        return event

    def _upsert(self, event: Json, stored: Json | None) -> Json:
        if stored is None:
            if elsewhere := self._same_detection(event):
                event["extends_uuid"] = elsewhere
            try:
                return self._client.add_event(event)
            except Refused as exc:
                if exc.reason != "duplicate":
                    raise _as_failure(exc) from exc
                # it is there although we may not see it: somebody else's, under our uuid
                raise DeliveryError("event-not-ours", permanent=True) from exc
        if (
            str((stored.get("Orgc") or {}).get("uuid", "")).lower()
            != self._client.me().organisation
        ):
            raise DeliveryError("event-not-ours", permanent=True)
        newer = max(int(event["timestamp"]), int(stored.get("timestamp") or 0) + 1)
        changed = compare.without_stale(event | {"timestamp": str(newer)}, stored)
        try:
            kept = self._client.edit_event(event["uuid"], changed)
        except Refused as exc:
            raise _as_failure(exc) from exc
        self._remove_stale_tags(event, kept)
        return kept

    def _same_detection(self, event: Json) -> str:
        """Return the uuid of an event that MISP made of the same bundle, or an empty text.

        Its own STIX import gives the event the bundle's uuid; others name the bundle in a value.
        """
        bundle = _bundle_id(event)
        if not bundle:
            return ""
        uuid = bundle.rpartition("--")[2]
        if _is_uuid(uuid) and self._client.find_event(uuid) is not None:
            return uuid
        for one in self._client.search_attributes(value=bundle, limit=10):
            found = str((one.get("Event") or {}).get("uuid", ""))
            if found and found != event["uuid"] and one.get("object_relation") != "bundle-id":
                return found
        return ""

    def _remove_stale_tags(self, event: Json, kept: Json) -> None:
        wanted = {one["name"] for one in event["Tag"]}
        for one in kept.get("Tag") or ():
            name = str(one.get("name", ""))
            if name.startswith(_OUR_TAGS) and name not in wanted and not one.get("local"):
                self._client.remove_tag(event["uuid"], name)

    def _check(self, event: Json, kept: Json) -> compare.Losses:
        """Return what is lost, raising for what must not be: content, marking, distribution."""
        lost = compare.losses(event, kept)
        if lost.dropped:
            raise DeliveryError("misp-dropped", _names(lost.dropped), permanent=True)
        if lost.hidden:
            raise DeliveryError("misp-hid", _names(lost.hidden), permanent=True)
        if any(tag.startswith("tlp:") for tag in lost.tags):
            raise DeliveryError("misp-dropped-marking", _names(lost.tags))
        if str(kept.get("distribution")) != event["distribution"]:
            raise DeliveryError("misp-changed-distribution", str(kept.get("distribution")))
        return lost

    def _lint(self, group: Json) -> tuple[misp_group.Finding, ...]:
        me = self._client.me().organisation
        findings = misp_group.lint(group, me, self._verifier.receivers())
        stopping = [one for one in findings if one.stops]
        if stopping:
            # MISP would publish it all the same, and nobody would have it
            raise DeliveryError(stopping[0].code, "; ".join(one.detail for one in stopping))
        return findings

    def _publish(self, uuid: str) -> None:
        try:
            self._client.publish(uuid)
        except Refused as exc:
            raise _as_failure(exc) from exc
        until = time.monotonic() + self._terms.publish_wait_s
        pause = 0.05
        while not (self._client.find_event(uuid) or {}).get("published"):
            if time.monotonic() >= until:
                # a workflow or a missing right: MISP has said "published" all the same
                raise DeliveryError("not-published")
            self._sleep(pause)
            pause = min(1.0, pause * 2)

    def _members(
        self, uuid: str, threat: Threat, group: Json, findings: Iterable[misp_group.Finding]
    ) -> dict[str, dict[str, str]]:
        members = set(misp_group.members_of(group)) - {self._client.me().organisation}
        seen: Members = self._verifier.verify(uuid, threat.sequence, members, findings)
        return {one.organisation: one.document() for one in seen}


def _as_failure(exc: Refused) -> DeliveryError:
    """Return the refusal as the worker takes it: some no retry can mend."""
    permanent = exc.reason in ("blocklisted", "not-allowed", "signature-refused")
    if exc.status == 500:
        # MISP answers 500 and may leave half an event behind: the upsert mends that
        return DeliveryError("misp-500", exc.message[:200], maybe_sent=True)
    return DeliveryError(
        exc.reason,
        exc.message[:200],
        permanent=permanent,
        maybe_sent=exc.maybe_sent and not permanent,
        retry_after=exc.retry_after,
    )


def _bundle_id(event: Json) -> str:
    for one in event["Object"]:
        for attribute in one["Attribute"]:
            if attribute["object_relation"] == "bundle-id":
                return str(attribute["value"])
    return ""


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _names(several: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(several))[:200]
