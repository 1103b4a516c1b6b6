"""Every error this package raises on purpose.

* EmeError
  + ConfigError              the configuration cannot be used; `problems` lists every fault
  + Malformed                400  not JSON, or JSON that we refuse to read
  + TooLarge                 413  over a size limit
  + UnsupportedMedia         415  a content type or encoding that we do not take
  + InvalidInput             422  read, but breaks its rules; `faults` name the places
    - InvalidBundle               an IRIS bundle or event
    - InvalidPlaybook             a playbook
    - InvalidMessage              a message of a peer or an orchestrator
  + NotAuthenticated         401
  + NotAllowed               403
  + NotFound                 404
  + Conflict                 409  the state does not allow it (any more)
  + StaleDigest              412  decided on something that has changed since
  + PreconditionRequired     428  If-Match is missing
  + TooManyRequests          429
  + RemoteEmptied            409  refusing to delete everything
  + StoreUnavailable         503  the database cannot take or give anything now
  + Unavailable              503  another part that is needed is down
  + DeliveryError            502  an outside system did not take what we sent

Problem bodies are RFC 9457 and never echo a value that was sent to us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_FAULTS = 50


@dataclass(frozen=True, slots=True)
class Fault:
    """One place that is wrong: a JSON pointer (RFC 6901) and what was expected there."""

    pointer: str
    detail: str


class EmeError(Exception):
    """Base class: `except EmeError` catches everything we raise on purpose."""

    status = 500
    title = "Something went wrong here"

    def problem(self) -> dict[str, object]:
        """Return the RFC 9457 members that an HTTP client or a CLI user is shown."""
        return {
            "type": f"urn:eme:problem:{_kebab(type(self).__name__)}",
            "title": self.title,
            "status": self.status,
            "detail": str(self),
        }


class ConfigError(EmeError):
    """The configuration cannot be used; every problem starts with its dotted path."""

    title = "The configuration cannot be used"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Malformed(EmeError):
    """Not JSON, or JSON that we refuse to read; *offset* is a byte offset where known."""

    status = 400
    title = "The body cannot be read"

    def __init__(self, detail: str, *, offset: int | None = None) -> None:
        super().__init__(detail)
        self.offset = offset

    def problem(self) -> dict[str, object]:
        """Return the problem with `offset` where it is known."""
        found = {} if self.offset is None else {"offset": self.offset}
        return super().problem() | found


class TooLarge(EmeError):
    """Over a size limit."""

    status = 413
    title = "The body is too large"


class UnsupportedMedia(EmeError):
    """A content type or a content encoding that we do not take."""

    status = 415
    title = "This content type or encoding is not taken here"


class InvalidInput(EmeError):
    """Read, but it breaks its rules; *faults* name the places, in document order."""

    status = 422
    title = "The content breaks its rules"

    def __init__(self, faults: Sequence[Fault]) -> None:
        if not faults:
            raise ValueError("an InvalidInput names at least one fault")
        super().__init__(f"{faults[0].pointer}: {faults[0].detail}")
        self.faults = tuple(faults)

    @property
    def pointer(self) -> str:
        """JSON pointer of the first fault."""
        return self.faults[0].pointer

    def problem(self) -> dict[str, object]:
        """Return the problem with `pointer`, at most 50 `errors`, and how many there are."""
        return super().problem() | {
            "pointer": self.pointer,
            "errors": [
                {"pointer": fault.pointer, "detail": fault.detail}
                for fault in self.faults[:MAX_FAULTS]
            ],
            "errors_total": len(self.faults),
        }


class InvalidBundle(InvalidInput):
    """The bundle or event breaks the IRIS extension."""

    title = "The bundle breaks the IRIS extension"


class InvalidPlaybook(InvalidInput):
    """The playbook breaks its rules."""

    title = "The playbook breaks its rules"


class InvalidMessage(InvalidInput):
    """A message of a peer or an orchestrator breaks its rules."""

    title = "The message breaks its rules"


class NotAuthenticated(EmeError):
    """No credential, or one that does not hold."""

    status = 401
    title = "Who are you?"


class NotAllowed(EmeError):
    """The caller is known and lacks the right."""

    status = 403
    title = "You lack the right to do this"


class NotFound(EmeError):
    """There is no such thing, or the caller may not know of it."""

    status = 404
    title = "There is no such thing here"


class Conflict(EmeError):
    """The state does not allow it (any more)."""

    status = 409
    title = "The present state does not allow this"


class StaleDigest(EmeError):
    """If-Match names something that has changed since."""

    status = 412
    title = "It has changed since you read it"


class PreconditionRequired(EmeError):
    """If-Match is missing."""

    status = 428
    title = "Say what you have read: If-Match is missing"


class TooManyRequests(EmeError):
    """Too many in too short a time."""

    status = 429
    title = "Too many requests"


class RemoteEmptied(EmeError):
    """The other side suddenly lists nothing; deleting everything is refused."""

    status = 409
    title = "Refusing to delete everything"


class StoreUnavailable(EmeError):
    """The database cannot take or give anything now; nothing of this request was kept."""

    status = 503
    title = "The database is unavailable"


class Unavailable(EmeError):
    """Another part that is needed for this is down."""

    status = 503
    title = "A part that is needed is unavailable"


class DeliveryError(EmeError):
    """An outside system did not take what we sent.

    `permanent`: sending it again cannot help. `maybe_sent`: the first byte may have
    arrived, so the outcome is unknown. `reason` is a short fixed word for people and counters.
    `retry_after` are the seconds that the other side asked us to wait. `learnt` is kept in the
    receipt although it failed: ids, links and codes, no content. `remedy` is what a person does
    about it, where the reason alone does not tell.
    """

    status = 502
    title = "An outside system did not take it"

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        permanent: bool = False,
        maybe_sent: bool = False,
        retry_after: float = 0.0,
        learnt: Mapping[str, Any] | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.remedy = remedy
        self.reason = reason
        self.detail = detail
        self.permanent = permanent
        self.maybe_sent = maybe_sent
        self.retry_after = retry_after
        self.learnt = dict(learnt or {})


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
