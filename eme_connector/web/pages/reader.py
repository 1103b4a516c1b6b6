"""Who reads this page, and what of a threat is theirs."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, g, request

from eme_connector.bootstrap import Eme
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.sharing import Organisation
from eme_connector.domain.threat import Status, Threat
from eme_connector.errors import NotAuthenticated
from eme_connector.usecases.accounts import caller_of
from eme_connector.usecases.browse import organisation_of
from eme_connector.web.app_state import eme as running
from eme_connector.web.auth import current_account, current_caller
from eme_connector.web.sessions import ACCOUNT


@dataclass(frozen=True, slots=True)
class Reader:
    """A logged-in person and the organisation they read for."""

    eme: Eme
    caller: Caller
    account_role: str
    organisation: Organisation

    @property
    def is_cert(self) -> bool:
        """Say whether they read for a CERT or CSIRT."""
        return self.organisation.role == "cert"

    @property
    def may_stop(self) -> bool:
        """Say whether they may turn the kill switch."""
        return not self.is_cert and self.may(Right.DECIDE)

    @property
    def keeps_directory(self) -> bool:
        """Say whether they look after organisations and groups that come and go over REST."""
        own = self.caller.organisation == self.eme.config.instance.organisation
        return own and self.may(Right.ADMIN)

    def may(self, right: Right) -> bool:
        """Say whether they have *right*."""
        return right in self.caller.rights

    def owns(self, threat: Threat) -> bool:
        """Say whether it is their own organisation's threat."""
        return threat.origin is None and threat.organisation == self.caller.organisation

    def is_asked(self, threat: Threat) -> bool:
        """Say whether *threat* waits for this person."""
        waits = threat.status is Status.PENDING
        return waits and self.owns(threat) and self.may(Right.DECIDE)


def reader() -> Reader:
    """Return who reads.

    Raises:
        NotAuthenticated: nobody is logged in.
    """
    if "reader" not in g:
        g.reader = _reader()
    found: Reader = g.reader
    return found


def find_reader() -> Reader | None:
    """Return who reads, or None while nobody is logged in."""
    try:
        return reader()
    except NotAuthenticated:
        return None


def name_of(organisation: str, who: Reader) -> str:
    """Return what we call an organisation, or its uuid when we do not know it."""
    return organisation_of(organisation, who.eme.topology).name


def still_here() -> str | None:
    """Return the organisation that this request's person reads for now, or None.

    Asked anew of the store: they may have logged out, or their account was disabled.
    """
    session = current_app.session_interface.open_session(current_app, request)
    known = session.get(ACCOUNT) if session else None
    account = running().store.find_account_by_id(known) if known else None
    if account is None or account.disabled or Right.READ not in caller_of(account).rights:
        return None
    return account.organisation


def _reader() -> Reader:
    caller, account, eme = current_caller(), current_account(), running()
    if account is None:
        raise NotAuthenticated("pages are for people: log in")
    organisation = organisation_of(caller.organisation, eme.topology)
    return Reader(eme, caller, account.role, organisation)
