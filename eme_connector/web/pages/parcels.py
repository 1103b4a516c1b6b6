"""Where the deliveries of a threat stand, worded for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import ngettext

from eme_connector.domain.arrival import is_missed
from eme_connector.domain.delivery import (
    FEEDBACK_LANE,
    MISP_LANE,
    SHARE_LANE,
    Delivery,
    State,
)
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Threat
from eme_connector.web.pages import misp, moments, words
from eme_connector.web.pages.misp import Line
from eme_connector.web.pages.reader import Reader, name_of
from eme_connector.web.pages.words import Tone

_DETAILED = frozenset({"misp", "misp-check"})
_LOOKS = frozenset({State.OWED, State.SENDING, State.DELIVERED, State.REFUSED})
_RETRIED = frozenset({State.REFUSED, State.UNCERTAIN, State.DEAD})
_SHARE_SHOWN = frozenset({State.OWED, State.SENDING, State.REFUSED, State.DEAD, State.DROPPED})


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery: to whom, where it stands, and why; `warning` comes before sending again."""

    id: int
    icon: str
    tone: Tone
    target: str
    word: str
    why: str
    at: moments.Moment
    may_retry: bool
    warning: str
    fix: str = ""
    notes: tuple[Line, ...] = ()


def parcels(found: Iterable[Delivery], who: Reader) -> list[Parcel]:
    """Return where the deliveries stand, of those alike the newest."""
    sent = list(found)
    newest = {(one.lane, one.state): one.id for one in sent}
    told = Counter((one.lane, one.state) for one in sent)
    return [
        _parcel(one, told[one.lane, one.state], who)
        for one in sent
        if _is_shown(one) and (_is_open(one) or newest[one.lane, one.state] == one.id)
    ]


def _is_shown(one: Delivery) -> bool:
    """Leave out a share that became others, or that a newer one stands behind."""
    return one.lane != SHARE_LANE or one.state in _SHARE_SHOWN


def _is_open(one: Delivery) -> bool:
    """Say whether a person may want to look at this one, besides the newest like it."""
    return one.state in _RETRIED


def _parcel(one: Delivery, count: int, who: Reader) -> Parcel:
    icon, tone, word = _state(one)
    right = Right.DECIDE if one.kind == "dispatch" else Right.SHARE
    halted = one.state is State.WITHDRAWN and one.reason == "stopped"
    ended = halted or one.state in _RETRIED
    open_again = is_missed(one) or (ended and not one.receipt.get("retried_as"))
    return Parcel(
        id=one.id,
        icon=icon,
        tone=tone,
        target=target_words(one.lane, who),
        word=word,
        why=misp.detail_words(_why(one, count), who),
        at=float(one.sent_at or one.created_at),
        may_retry=open_again and who.may(right),
        warning=_("It may have run already.") if one.state is State.UNCERTAIN else "",
        fix=misp.fix(one.reason),
        notes=misp.warnings(one, who),
    )


def evidence(threat: Threat, found: Iterable[Delivery]) -> dict[str, str]:
    """Return what the orchestrator has shown for each step of what is decided now."""
    shown: dict[str, str] = {}
    for one in found:
        if one.kind == "dispatch" and one.digest == threat.decision.dispatch_digest:
            steps = one.receipt.get("steps", {})
            shown |= {step: _evidence(told) for step, told in steps.items()}
    return shown


def _evidence(told: dict[str, str]) -> str:
    word = {
        "ongoing": _("running"),
        "succeeded": _("succeeded"),
        "failed": _("failed"),
    }.get(told.get("status", ""), told.get("status", ""))
    return ": ".join(part for part in (word, told.get("detail", "")) if part)


def target_words(lane: str, who: Reader) -> str:
    """Return who is meant by a lane."""
    kind, _colon, name = lane.partition(":")
    if kind == "peer":
        return name_of(name, who)
    if kind == SHARE_LANE:
        return _("the sharing group")
    if lane == FEEDBACK_LANE:
        return _("whose threat it is, over MISP")
    if kind == MISP_LANE:
        return _("the MISP of %(name)s", name=name_of(name, who)) if name else _("our MISP")
    return words.actor(lane)


def _state(one: Delivery) -> tuple[str, Tone, str]:
    if one.kind == "misp-check" and one.state in _LOOKS:
        return _look(one)
    owed = _("not taken yet") if one.attempts else _("about to be sent")
    found: dict[State, tuple[str, Tone, str]] = {
        State.OWED: ("wait", "wait", owed),
        State.SENDING: ("sent", "soft", _("asking whether it arrived"))
        if one.asking
        else ("sent", "soft", _("being sent")),
        State.DELIVERED: ("approved", "good", _("delivered")),
        State.REFUSED: ("declined", "bad", _("refused")),
        State.UNCERTAIN: ("uncertain", "bad", _("uncertain, a person must look")),
        State.WITHDRAWN: ("note", "soft", _("withdrawn, not sent")),
        State.DEAD: ("declined", "bad", _("given up")),
        State.DROPPED: ("note", "soft", _("dropped by an administrator")),
    }
    return found[one.state]


def _look(one: Delivery) -> tuple[str, Tone, str]:
    """Word a look into another MISP: nothing is sent there."""
    owed = _("not seen yet") if one.attempts else _("about to be looked at")
    found: dict[State, tuple[str, Tone, str]] = {
        State.OWED: ("wait", "wait", owed),
        State.SENDING: ("wait", "soft", _("being looked at")),
        State.DELIVERED: ("approved", "good", _("has it")),
        State.REFUSED: ("declined", "bad", _("not as it should be")),
    }
    return found[one.state]


def _why(one: Delivery, count: int) -> str:
    parts = [reason_words(one.reason) if one.reason else ""]
    if one.kind in _DETAILED and one.reason:
        parts.append(str(one.receipt.get("detail", "")))
    if one.state is State.DELIVERED and count > 1:
        parts.append(ngettext("%(num)s time", "%(num)s times", count) if one.kind in _DETAILED
                     else ngettext("%(num)s message", "%(num)s messages", count))  # fmt: skip
    if one.state is State.OWED and one.attempts:
        parts.append(ngettext("tried %(num)s time", "tried %(num)s times", one.attempts))
        parts.append(_("next try %(when)s", when=moments.ago(float(one.next_at))))
    if one.receipt.get("retried_as"):
        parts.append(_("sent again since"))
    return ", ".join(part for part in parts if part)


def reason_words(code: str) -> str:
    """Return what a named reason means; one that we do not know is shown as it is."""
    if code.startswith("http-"):
        return _("it answered with status %(n)s", n=code.removeprefix("http-"))
    return (
        {
            "stopped": _("responses are stopped"),
            "closed": _("the threat was closed"),
            "not-approved": _("the approval no longer holds"),
            "digest-changed": _("the sender changed the response"),
            "expired": _("the playbook was outside its validity"),
            "policy-changed": _("the policy no longer covers it"),
            "not-a-viewer": _("it may no longer see this"),
            "nobody": _("nobody is in the group"),
            "no-peer": _("no sidecar is connected for it yet"),
            "no-channel": _("it is not configured any more"),
            "no-threat": _("the threat is gone"),
            "superseded": _("a newer state took its place"),
            "dropped": _("by a person"),
            "crashed": _("we stopped in the middle of sending"),
            "absent": _("it did not arrive"),
            "no-look-up": _("it cannot be asked"),
            "unknown": _("it cannot say"),
            "unreachable": _("it cannot be reached"),
            "name-unresolved": _("its name cannot be resolved"),
            "connect-timeout": _("it cannot be reached in time"),
            "timeout": _("it did not answer in time"),
            "broken-off": _("the connection broke off"),
            "tls": _("its certificate does not hold"),
            "not-peered-there": _("it does not know our key yet"),
            "not-a-member-there": _("it does not count us as a member"),
            "late-evidence": _("it showed later that it had it"),
            "receipt-of-another": _("its receipt is for something else"),
            "receipt-invalid": _("its receipt does not hold"),
        }.get(code)
        or misp.says(code)
        or code.replace("-", " ")
    )
