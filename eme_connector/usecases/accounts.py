"""People and tokens: made, proven, ended (F1 without Keycloak).

A token's text is `eme_<prefix>_<secret>`: the prefix is public, of the 256-bit secret only the
SHA-256 is kept. Passwords are argon2.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import replace
from threading import BoundedSemaphore
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from eme_connector.domain.accounts import Account, Token
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.rights import PEOPLE_ONLY, ROLES, Caller, Right
from eme_connector.domain.risk import CriticalityOrder
from eme_connector.errors import Conflict, Fault, InvalidInput, NotAuthenticated, NotFound
from eme_connector.ports import Store, Transaction
from eme_connector.usecases.system import micros

MIN_PASSWORD = 12
_TOKEN = re.compile(r"eme_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_HASHER = PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1)
_turns = BoundedSemaphore(4)  # each check takes 19 MiB, and anybody may ask for one


def _hash_of_nobody() -> str:
    """Return what costs as much to check as a hash does, and no more than its text to make."""
    salt, digest = (base64.b64encode(secrets.token_bytes(n)).decode() for n in (16, 32))
    costs = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v=19${costs}${salt.rstrip('=')}${digest.rstrip('=')}"


_NOBODY = _hash_of_nobody()


def create_token(
    name: str,
    organisation: str,
    rights: frozenset[Right],
    *,
    caller: Caller,
    store: Store,
    now: float,
    expires_at: int | None = None,
    criticality_order: CriticalityOrder = "descending",
    orchestrator: str = "",
) -> tuple[Token, str]:
    """Make a token and return it with its text, which nobody can read again.

    Raises:
        NotAllowed, InvalidInput
    """
    caller.need(Right.ADMIN)
    if rights & PEOPLE_ONLY:
        raise InvalidInput([Fault("/rights", "decide is never given to a service")])
    if not rights:
        raise InvalidInput([Fault("/rights", "name at least one right")])
    prefix = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12))
    secret = secrets.token_urlsafe(32)
    token = Token(
        prefix=prefix,
        secret_hash=_digest(secret),
        name=name,
        organisation=organisation,
        rights=rights,
        created_at=micros(now),
        expires_at=expires_at,
        criticality_order=criticality_order,
        orchestrator=orchestrator,
    )

    def work(tx: Transaction) -> None:
        tx.save_token(token)
        detail: dict[str, object] = {"prefix": prefix, "name": name, "rights": sorted(rights)}
        tx.record(
            AuditRecord("token-created", micros(now), caller.name, organisation, None, None, detail)
        )

    store.transact(work)
    return token, f"eme_{prefix}_{secret}"


def revoke_token(prefix: str, *, caller: Caller, store: Store, now: float) -> Token:
    """End a token at once; ending it again changes nothing.

    Raises:
        NotAllowed, NotFound
    """
    caller.need(Right.ADMIN)
    token = store.find_token(prefix)
    if token is None:
        raise NotFound("there is no such token")
    if token.revoked_at is not None:
        return token
    ended = replace(token, revoked_at=micros(now))

    def work(tx: Transaction) -> None:
        tx.save_token(ended)
        detail: dict[str, object] = {"prefix": prefix}
        tx.record(
            AuditRecord(
                "token-revoked", micros(now), caller.name, token.organisation, None, None, detail
            )
        )

    store.transact(work)
    return ended


def prove_token(text: str, *, store: Store, now: float) -> Caller:
    """Return who holds this token.

    Raises:
        NotAuthenticated: unknown, wrong, expired or revoked; which of these is not said.
    """
    match = _TOKEN.fullmatch(text)
    token = store.find_token(match[1]) if match else None
    if match is None or token is None or not _matches(token, match[2]):
        raise NotAuthenticated("this token is not valid")
    expired = token.expires_at is not None and token.expires_at <= micros(now)
    if token.revoked_at is not None or expired:
        raise NotAuthenticated("this token is not valid")
    return Caller(
        kind="token",
        id=token.prefix,
        name=token.name,
        organisation=token.organisation,
        rights=token.rights - PEOPLE_ONLY,
        criticality_order=token.criticality_order,
        orchestrator=token.orchestrator,
    )


def add_account(
    name: str,
    password: str,
    organisation: str,
    role: str,
    *,
    caller: Caller,
    store: Store,
    now: float,
) -> Account:
    """Make an account for a person.

    Raises:
        NotAllowed, InvalidInput, Conflict
    """
    caller.need(Right.ADMIN)
    if not _NAME.fullmatch(name):
        raise InvalidInput([Fault("/name", "use small letters, digits and . _ @ -")])
    if role not in ROLES:
        raise InvalidInput([Fault("/role", f"must be one of {', '.join(ROLES)}")])
    if store.find_account(name) is not None:
        raise Conflict("an account of this name is there already")
    hashed = _hash(password)
    account = Account(str(uuid4()), name, organisation, role, hashed, micros(now))
    _save(account, "account-created", caller, store, now)
    return account


def set_password(name: str, password: str, *, caller: Caller, store: Store, now: float) -> None:
    """Give an account a new password and end all its sessions.

    Raises:
        NotAllowed, NotFound, InvalidInput
    """
    caller.need(Right.ADMIN)
    account = replace(_account(name, store), password_hash=_hash(password))
    _save(account, "password-changed", caller, store, now, end_sessions=True)


def disable_account(name: str, *, caller: Caller, store: Store, now: float) -> Account:
    """Close an account and end all its sessions.

    Raises:
        NotAllowed, NotFound
    """
    caller.need(Right.ADMIN)
    account = replace(_account(name, store), disabled=True)
    _save(account, "account-disabled", caller, store, now, end_sessions=True)
    return account


def prove_password(name: str, password: str, *, store: Store) -> Account:
    """Return the account; a wrong name takes as long as a wrong password.

    Raises:
        NotAuthenticated
    """
    account = store.find_account(name)
    known = account.password_hash if account else _NOBODY
    try:
        with _turns:
            _HASHER.verify(known, password)
    except (Argon2Error, InvalidHashError) as exc:
        raise NotAuthenticated("name and password do not match") from exc
    if account is None or account.disabled:
        raise NotAuthenticated("name and password do not match")
    return account


def caller_of(account: Account) -> Caller:
    """Return the person behind *account* as a caller."""
    rights = ROLES.get(account.role, frozenset())
    return Caller("person", account.id, account.name, account.organisation, rights)


def _account(name: str, store: Store) -> Account:
    account = store.find_account(name)
    if account is None:
        raise NotFound("there is no such account")
    return account


def _save(
    account: Account,
    event: str,
    caller: Caller,
    store: Store,
    now: float,
    *,
    end_sessions: bool = False,
) -> None:
    def work(tx: Transaction) -> None:
        tx.save_account(account)
        if end_sessions:
            tx.delete_sessions_of(account.id)
        detail: dict[str, object] = {"account": account.name, "role": account.role}
        tx.record(
            AuditRecord(event, micros(now), caller.name, account.organisation, None, None, detail)
        )

    store.transact(work)


def _hash(password: str) -> str:
    if len(password) < MIN_PASSWORD:
        raise InvalidInput([Fault("/password", f"needs at least {MIN_PASSWORD} characters")])
    return _HASHER.hash(password)


def _matches(token: Token, secret: str) -> bool:
    return hmac.compare_digest(token.secret_hash, _digest(secret))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
