"""A threat as a Markdown report for people who read it in MISP."""

from __future__ import annotations

import re
from collections.abc import Iterable

from eme_connector.domain.threat import Threat

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~@-])")


def markdown(threat: Threat, organisation: str, url: str | None) -> str:
    """Return the report; text from outside is escaped, so that it stays text."""
    detection, rank = threat.detection, threat.rank
    lines = [
        f"# {_text(detection.name)}",
        "",
        *_table(
            [
                ("Organisation", organisation),
                ("Type", detection.kind),
                ("Threat", detection.threat),
                ("Risk", f"{rank.value:g} of 100 ({rank.band})"),
                ("First seen", detection.first_seen),
                ("Last seen", detection.last_seen),
                ("Source", detection.source),
                ("Actor", detection.actor),
                ("Status", f"{threat.status}, execution {threat.execution}"),
                ("TLP", threat.tlp.upper()),
            ]
        ),
    ]
    if detection.summary:
        lines += ["", _text(detection.summary)]
    lines += _response(threat)
    if url:
        lines += ["", f"[Open in the EME connector]({url})"]
    return "\n".join(lines) + "\n"


def _response(threat: Threat) -> Iterable[str]:
    made = threat.decision
    for playbook in threat.detection.playbooks:
        yield from ("", f"## Response: {_text(playbook.name) or 'playbook'}", "")
        yield from ("| Step | Action | On | Decision |", "|---|---|---|---|")
        for step in playbook.steps:
            word = "approved" if step.id in made.steps else str(made.status)
            yield f"| {_text(step.id)} | {_text(step.action_text)} | {_text(step.actor)} | {word} |"
    if made.reason:
        yield from ("", f"Reason: {_text(made.reason)}")


def _table(rows: Iterable[tuple[str, str]]) -> Iterable[str]:
    yield from ("| | |", "|---|---|")
    for name, value in rows:
        if value:
            yield f"| {name} | {_text(value)} |"


def _text(value: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(value.split()))
