"""A threat as a row, and what a reader needs to know of it before opening it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _

from eme_connector.domain.audience import viewers
from eme_connector.domain.sharing import Organisation
from eme_connector.domain.threat import Status, Threat
from eme_connector.usecases.browse import organisation_of
from eme_connector.web.pages import moments, words
from eme_connector.web.pages.moments import Moment, moment
from eme_connector.web.pages.reader import Reader, name_of

LATE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Row:
    """What the list, the queue and the card say about one threat to one reader."""

    threat: Threat
    organisation: Organisation
    own: bool
    asks_me: bool
    status: words.Words
    execution: words.Words | None
    deadline: str
    overdue: bool
    audience: str

    @property
    def name(self) -> str:
        """Its name, or what stands in for one."""
        detection = self.threat.detection
        return detection.name or detection.threat or _("Threat without a name")

    @property
    def waits(self) -> bool:
        """Say whether nobody has decided yet."""
        return self.threat.status is Status.PENDING

    @property
    def detected(self) -> Moment:
        """When it was first seen, as the sender says, or when we received it."""
        return self.threat.detection.first_seen or self.threat.received_at

    @property
    def late(self) -> bool:
        """Say whether we received it so long after it was seen that both times matter."""
        return moment(self.threat.received_at) - moment(self.detected) > LATE

    @property
    def place(self) -> str:
        """Sector and location of its organisation."""
        parts = (self.organisation.sector.capitalize(), self.organisation.location)
        return " · ".join(part for part in parts if part)

    @property
    def response(self) -> str:
        """The steps in one line, in their order."""
        names = [words.label(step).lower() for step in self.threat.detection.steps]
        shown = " → ".join(names[:5])
        more = len(names) - 5
        return shown + (_(" → and %(n)s more", n=more) if more > 0 else "")

    @property
    def target(self) -> str:
        """The first asset, by the name that people know."""
        asset = next(iter(self.threat.detection.assets), None)
        return (asset.device or asset.address) if asset else ""

    @property
    def impact(self) -> int:
        """The greatest impact of any step."""
        return max((step.impact for step in self.threat.detection.steps), default=0)

    @property
    def may_approve_here(self) -> bool:
        """Say whether a click can approve it as it is: it has steps and is valid now."""
        books = self.threat.detection.playbooks
        return bool(self.threat.detection.steps) and all(
            book.is_valid_at(moments.now()) for book in books
        )


def row_of(threat: Threat, reader: Reader) -> Row:
    """Return *threat* as *reader* is shown it."""
    organisation = organisation_of(threat.organisation, reader.eme.topology)
    asked = reader.is_asked(threat)
    end = deadline(threat)
    return Row(
        threat=threat,
        organisation=organisation,
        own=reader.owns(threat),
        asks_me=asked,
        status=words.status(threat, asks_me=asked, owner=organisation.name),
        execution=words.execution(threat),
        deadline=end.isoformat() if end else "",
        overdue=bool(end and end <= moments.now()),
        audience=audience_line(threat, reader),
    )


def deadline(threat: Threat) -> datetime | None:
    """Return the end of the validity that comes first, or None when no end is given."""
    ends = [book.valid_until for book in threat.detection.playbooks if book.valid_until]
    return min((moment(end) for end in ends), default=None)


def audience_line(threat: Threat, reader: Reader) -> str:
    """Return one sentence that says who else sees this threat."""
    topology = reader.eme.topology
    names = [name_of(one.organisation, reader) for one in viewers(threat, topology)]
    if not names:
        return _("Nobody else sees it.")
    return _("Shared with %(names)s.", names=", ".join(names))


def by_deadline(row: Row) -> tuple[bool, float, int]:
    """Sort key: the oldest deadline first, those without one by when they came."""
    end = deadline(row.threat)
    return (end is None, end.timestamp() if end else 0.0, row.threat.received_at)
