"""What happened and why, in words for people; the icon and the tone that go with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flask_babel import gettext as _
from flask_babel import ngettext

from eme_connector.domain.playbook import ACTIONS, Step
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Execution, Kind, Status, Threat, Waiting

Tone = Literal["wait", "good", "bad", "soft"]


@dataclass(frozen=True, slots=True)
class Words:
    """One status: `word` says what, `why` says why, `at` when (µs since 1970)."""

    icon: str
    tone: Tone
    word: str
    why: str = ""
    at: int | None = None


def status(threat: Threat, *, asks_me: bool = False, owner: str = "") -> Words:
    """Return what to say about the decision; *asks_me*: the reader is the one who may decide."""
    decision, resolution = threat.decision, threat.resolution
    if resolution:
        word = _("Resolved by %(who)s", who=actor(resolution.by))
        return Words("resolved", "good", word, resolution.reason, resolution.at)
    if decision.status is Status.PENDING:
        word = _("Waiting for you") if asks_me else _("Waiting for %(who)s", who=owner)
        return Words("wait", "wait", word, waiting_for(threat))
    if decision.status is Status.DECLINED:
        word = _("Declined by %(who)s", who=actor(decision.by))
        return Words("declined", "soft", word, decision.reason, decision.at)
    word = _("Approved by %(who)s", who=actor(decision.by))
    return Words("approved", "good", word, _approved_steps(threat), decision.at)


def execution(threat: Threat) -> Words | None:
    """Return how far the approved playbook has come, or None when nothing is to be run."""
    if threat.decision.status is not Status.APPROVED:
        return None
    if threat.resolution and threat.execution in (Execution.NONE, Execution.SUCCEEDED):
        return None  # the resolution says it all
    return {
        Execution.NONE: Words("sent", "soft", _("Not sent yet")),
        Execution.DISPATCHED: Words("sent", "soft", _("Sent to the orchestrator")),
        Execution.ONGOING: Words("running", "soft", _("Running")),
        Execution.UNCERTAIN: Words(
            "uncertain", "bad", _("Uncertain"),
            _("nobody could confirm that it ran; look at the asset, then close this"),
        ),
        Execution.SUCCEEDED: Words("approved", "good", _("Done, with evidence for each step")),
        Execution.FAILED: Words("declined", "bad", _("Failed"), _("look at the asset")),
    }[threat.execution]  # fmt: skip


def waiting_for(threat: Threat) -> str:
    """Return the first reason why a person is needed, and how many more there are."""
    reasons = threat.decision.waiting
    if not reasons:
        return ""
    first = reasons[0]
    said = why_waiting(first)
    found = numbered(threat).get(first.step or "")
    if found:
        number, step = found
        said = _("step %(n)s (%(action)s): %(why)s", n=number, action=label(step).lower(), why=said)
    more = len(reasons) - 1
    if not more:
        return said
    return said + ngettext(" · %(num)s more reason", " · %(num)s more reasons", more)


def why_waiting(reason: Waiting) -> str:
    """Return why the policy does not answer for a person."""
    return {
        "no-playbook": _("no response was proposed"),
        "outside-validity": _("the playbook is outside its validity and needs a new end"),
        "no-start": _("the playbook does not say with which step to start"),
        "step-order": _("the first step listed is not the one to start with"),
        "unknown-action": _("this action is not one we know"),
        "not-automatic": _("no policy covers this action"),
        "restricted": _("the sender does not allow it unasked"),
    }.get(reason.code, reason.detail)


def label(step: Step) -> str:
    """Return the action of *step* as we call it, or as it was sent."""
    return _(ACTIONS[step.action].label) if step.action else step.action_text


def group(step: Step) -> str:
    """Return contain, harden or recover; empty for an action that we do not know."""
    return _(ACTIONS[step.action].group) if step.action else ""


def numbered(threat: Threat) -> dict[str, tuple[int, Step]]:
    """Return the steps by their id, with the number by which people call them."""
    return {step.id: (number, step) for number, step in enumerate(threat.detection.steps, start=1)}


def actor(by: str) -> str:
    """Return who did it: a person's name, the policy, or an orchestrator."""
    if by == "policy":
        return _("policy")
    if by == "person":
        return _("a person")  # another sidecar does not tell names
    lane, found, name = by.partition(":")
    return _("orchestrator %(name)s", name=name) if found and lane == "orchestrator" else by


def kind(value: Kind) -> str:
    """Return the word for the type."""
    return {Kind.ATTACK: _("Attack"), Kind.VULNERABILITY: _("Vulnerability")}[value]


def band(value: Band) -> str:
    """Return the word beside a rank."""
    return {
        Band.LOW: _("low"),
        Band.MEDIUM: _("medium"),
        Band.HIGH: _("high"),
        Band.CRITICAL: _("critical"),
    }[value]


def status_name(value: Status) -> str:
    """Return the bare word that filters use."""
    return {
        Status.PENDING: _("Waiting"),
        Status.APPROVED: _("Approved"),
        Status.DECLINED: _("Declined"),
        Status.RESOLVED: _("Resolved"),
    }[value]


def flag(word: str) -> str:
    """Return what a flag means for the reader; a word we do not know is shown as it is."""
    return {
        "future-date": _("The sender's clock is more than 15 minutes ahead of ours, or wrong."),
        "no-zone": _("A time came without a zone; it was read as UTC."),
        "unknown-marking": _("It carries a marking that we do not know; TLP was chosen by us."),
        "seen-reversed": _("It was last seen before it was first seen, says the sender."),
        "clock-skew": _("The clock of the sidecar that told us differs from ours."),
        "via-misp": _("It came by MISP: no sidecar has signed for it, and details may be missing."),
    }.get(word, word.replace("-", " "))


def _approved_steps(threat: Threat) -> str:
    chosen = [step for step in threat.detection.steps if step.id in threat.decision.steps]
    names = ", ".join(f"{label(step).lower()} ({group(step) or '?'})" for step in chosen)
    total = len(threat.detection.steps)
    if len(chosen) == total:
        return names
    return _("%(n)s of %(total)s steps: %(names)s", n=len(chosen), total=total, names=names)
