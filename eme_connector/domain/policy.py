"""Decide whether a playbook may run without asking a person (B1, B2).

Effective policy = stored policy AND the bundle's `policies`: a bundle can only restrict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from eme_connector.domain.playbook import ACTIONS, StepOrder
from eme_connector.domain.threat import Detection, Waiting


@dataclass(frozen=True, slots=True)
class Scope:
    """What a setting is for; an empty member matches everything.

    Compared with the asset register and the organisation's own entry, never with a message.
    """

    sector: str = ""
    asset_type: str = ""
    tag: str = ""

    @property
    def is_default(self) -> bool:
        """Say whether this is the organisation's general setting."""
        return not (self.sector or self.asset_type or self.tag)


@dataclass(frozen=True, slots=True)
class Setting:
    """One policy of one organisation: the actions that may run unasked."""

    id: str
    organisation: str
    automatic: frozenset[str] = frozenset()
    scope: Scope = field(default_factory=Scope)
    version: int = 1
    updated_by: str = ""
    updated_at: int = 0

    @property
    def reference(self) -> str:
        """`id@version`, as decisions name it."""
        return f"{self.id}@{self.version}"

    @property
    def etag(self) -> str:
        """What If-Match has to name."""
        return self.reference


@dataclass(frozen=True, slots=True)
class Context:
    """What we know of whose threat it is: from our own registers only."""

    sector: str = ""
    asset_types: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`waiting` is empty when policy approves; else it names each reason for a person."""

    waiting: tuple[Waiting, ...]
    policies: tuple[str, ...]

    @property
    def approves(self) -> bool:
        """Say whether nobody needs to be asked."""
        return not self.waiting


def judge(
    detection: Detection,
    settings: Iterable[Setting],
    context: Context,
    *,
    now: datetime,
    step_order: StepOrder = "start-first",
) -> Verdict:
    """Return whether policy approves every step of *detection*, and if not, why."""
    chosen = applicable(settings, context)
    automatic = frozenset(ACTIONS).intersection(*(one.automatic for one in chosen))
    waiting = [*_playbook_reasons(detection, now, step_order)]
    if not chosen:
        automatic = frozenset()
    waiting += _step_reasons(detection, automatic)
    return Verdict(tuple(waiting), tuple(one.reference for one in chosen))


def applicable(settings: Iterable[Setting], context: Context) -> tuple[Setting, ...]:
    """Return the settings that count: the matching scoped ones, else the general one.

    Several that match must all consent.
    """
    matching = [one for one in settings if _matches(one.scope, context)]
    scoped = [one for one in matching if not one.scope.is_default]
    return tuple(scoped or matching)


def _matches(scope: Scope, context: Context) -> bool:
    return (
        (not scope.sector or scope.sector == context.sector)
        and (not scope.asset_type or scope.asset_type in context.asset_types)
        and (not scope.tag or scope.tag in context.tags)
    )


def _playbook_reasons(
    detection: Detection, now: datetime, step_order: StepOrder
) -> Iterable[Waiting]:
    if not detection.steps:
        yield Waiting(None, "no-playbook", "there is no step to run")
    for playbook in detection.playbooks:
        if not playbook.is_valid_at(now):
            yield Waiting(
                None, "outside-validity", f"the playbook “{playbook.name}” is not valid now"
            )
        if not playbook.start_found:
            yield Waiting(None, "no-start", "workflow_start names no step of the playbook")
        elif playbook.reordered and step_order == "wait":
            yield Waiting(None, "step-order", "the first step listed is not the one to start with")


def _step_reasons(detection: Detection, automatic: frozenset[str]) -> Iterable[Waiting]:
    for step in detection.steps:
        if step.action is None:
            yield Waiting(step.id, "unknown-action", "this action is not one we know")
        elif step.action not in automatic:
            yield Waiting(step.id, "not-automatic", "your policy does not cover this action")
        elif detection.restrictions is not None and not detection.restrictions.get(
            step.action, False
        ):
            yield Waiting(step.id, "restricted", "the sender's policy does not allow it unasked")
