"""Users, their roles and their keys; a key's plain text is told once."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from uuid import uuid4

from tests.doubles.misp.answers import Answer, NotSaved, Refused
from tests.doubles.misp.organisations import full
from tests.doubles.misp.roles import ROLES
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Json, Key, User


def document(user: User, now: int) -> Json:
    return {
        "id": str(user.id),
        "password": "*****",
        "org_id": str(user.org.id),
        "email": user.email,
        "autoalert": False,
        "invited_by": "1",
        "gpgkey": "",
        "certif_public": "",
        "nids_sid": "4000000",
        "termsaccepted": True,
        "newsread": "0",
        "role_id": str(user.role.id),
        "change_pw": False,
        "contactalert": False,
        "disabled": False,
        "expiration": None,
        "current_login": "0",
        "last_login": "0",
        "force_logout": False,
        "date_created": str(now),
        "date_modified": str(now),
        "sub": None,
        "external_auth_required": False,
        "external_auth_key": "",
        "last_api_access": str(now),
        "notification_daily": False,
        "notification_weekly": False,
        "notification_monthly": False,
        "totp": None,
        "hotp_counter": None,
        "last_pw_change": str(now),
        "totp_is_set": "0",
    }


@route("users/view")
def view(call: Call) -> Answer:
    user = call.user if call.arg() == "me" else call.state.users.known(call.arg() or "0")
    if user is None or (user is not call.user and not call.user.may("perm_admin")):
        raise Refused(404, "Invalid user")
    return Answer(
        {
            "User": document(user, call.state.clock.now()),
            "Role": user.role.document(),
            "UserSetting": [],
            "Organisation": full(user.org),
        }
    )


@route("admin/users/add", needs="perm_admin")
def add(call: Call) -> Answer:
    body = call.wrapped("User")
    url = "/admin/users/add"
    if call.state.users.by(email=body.get("email")):
        why = {"email": ["An account with this email address already exists."]}
        raise NotSaved("Could not add User", why, url=url)
    org = call.state.organisations.known(body.get("org_id", 0))
    role = ROLES.get(int(body.get("role_id", 3)))
    if org is None or role is None or not body.get("email"):
        raise NotSaved("Could not add User", {"org_id": ["Invalid organisation."]}, url=url)
    user = call.state.users.put(User(str(body["email"]), org, role))
    key = call.misp.add_key(user)
    told = document(user, call.state.clock.now())
    return Answer({"User": told | {"server_id": "0", "authkey": key.text}})


@route("auth_keys/add", needs="perm_auth")
def add_key(call: Call) -> Answer:
    user = call.state.users.known(call.arg() or call.user.id)
    if user is None or (user is not call.user and not call.user.may("perm_admin")):
        raise Refused(405, "Invalid user or not authorised.")
    body = call.wrapped("AuthKey")
    key = Key(secrets.token_hex(20), user, bool(body.get("read_only")), uuid=str(uuid4()))
    key.allowed_ips = list(body.get("allowed_ips") or [])
    key.comment = str(body.get("comment") or "")
    key.created = call.state.clock.now()
    if until := body.get("expiration"):
        moment = datetime.fromisoformat(str(until))
        key.expiration = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    call.state.keys.put(key)
    return Answer({"AuthKey": _key(key) | {"authkey_raw": key.text}})


@route("roles/index")
def roles(call: Call) -> Answer:
    return Answer(
        [{"Role": role.document() | {"default": role.id == 3}} for role in ROLES.values()]
    )


def _key(key: Key) -> Json:
    return {
        "id": str(key.id),
        "uuid": key.uuid,
        "authkey_start": key.text[:4],
        "authkey_end": key.text[-4:],
        "created": str(key.created),
        "expiration": str(key.expiration),
        "read_only": key.read_only,
        "user_id": str(key.user.id),
        "comment": key.comment,
        "allowed_ips": key.allowed_ips or None,
        "unique_ips": [],
    }
