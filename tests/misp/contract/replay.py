"""Play what was recorded from a real pair to two doubles, and say where they answer otherwise."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from tests.doubles.misp import Clock, Misp
from tests.doubles.misp.rows import GroupServer, Member, SharingGroup

CORPORA = Path(os.environ.get("EME_CORPORA", Path(__file__).parents[4] / "shared" / "corpora"))
ROOT = CORPORA / "misp-recorded" if (CORPORA / "misp-recorded").is_dir() else None
CI = ("CI-Operator", "11111111-1111-4111-8111-111111111111")
CERT = ("CERT-RO", "22222222-2222-4222-8222-222222222222")
OTHER = ("CSIRT-Other", "33333333-3333-4333-8333-333333333333")
GROUP = "5a5a5a5a-0000-4000-8000-000000000001"
HEADERS = (
    "Accept",
    "Content-Type",
    "User-Agent",
    "If-None-Match",
    "Content-Encoding",
    "X-Pgp-Signature",
)
MOMENTS = {"timestamp", "publish_timestamp", "date_sighting", "sighting_timestamp"}
MADE_UP = re.compile(r"EXAMPLE-KEY-(new|redacted)|EXAMPLE-PASSWORD")
# what depends on the machine, on earlier experiments there, or on chance
# fmt: off
LOOSE = {
    *MOMENTS,
    "id", "created", "modified", "date_created", "date_modified", "colour", "description",
    "contacts", "nationality", "sector", "tag_id", "event_creator_email", "email", "authors",
    "priority", "lastpulledid", "lastpushedid", "user_count", "created_by", "created_by_email",
    "expiration", "authkey", "authkey_raw", "authkey_start", "authkey_end", "user_id",
    "org_id", "change", "title", "invited_by", "gpgkey", "external_auth_key",
    "last_api_access", "last_pw_change", "nids_sid", "password", "totp", "server_id",
    "fingerprint", "key_data", "GalaxyCluster", "kill_chain_order",
}
# fmt: on
OURS = re.compile(r"-0000-4000-8000-|^(\d)\1{7}-|^aaaaaaaa|^bbbbbbbb")
"""Uuids that were chosen for the recording; all others were made up by a MISP."""


@dataclass
class World:
    """The two instances as they stood before each folder."""

    start: int = 1_795_305_900
    clock: Clock = field(default_factory=Clock)
    sides: dict[str, Misp] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    own_key: str = ""

    def __post_init__(self) -> None:
        self.clock = Clock((self.start or 1_795_305_900) - 1)
        ci = self.sides["ci"] = Misp(*CI, clock=self.clock)
        cert = self.sides["cert"] = Misp(*CERT, clock=self.clock)
        ci.state.uuid = "aaaaaaaa-0000-4000-8000-000000000001"
        cert.state.uuid = "bbbbbbbb-0000-4000-8000-000000000001"
        here = ci.add_organisation(*CERT, local=False)
        there = cert.add_organisation(*CI)
        for side in (ci, cert):
            side.add_organisation(*OTHER, local=False)
        ci.organisation.type, here.type, cert.organisation.type = "CERT", "CI operator", "CSIRT"
        self.keys = {
            ("ci", "admin"): ci.admin,
            ("ci", "sync"): ci.add_user("sync", org=here, email="sync@cert.test"),
            ("ci", "user"): ci.add_user("user", email="analyst@ci.test"),
            ("ci", "publisher"): ci.add_user("publisher", email="publisher@ci.test"),
            ("ci", "wrong"): "0" * 40,
            ("cert", "admin"): cert.admin,
            ("cert", "sync"): cert.add_user("sync", org=there, email="sync@ci.test"),
            ("cert", "publisher"): cert.add_user("publisher", email="analyst@cert.test"),
        }
        ci.add_server(cert.url, self.keys["cert", "sync"], here).name = "CERT-RO MISP"
        cert.add_server(ci.url, self.keys["ci", "sync"], there).name = "CI MISP"
        for side in (ci, cert):
            self._group(side)

    def call(self, side: str, method: str, path: str, body: Any = None) -> None:
        """Do something that was not recorded, as admin."""
        text = self.urls(json.dumps(body)).encode()
        headers = {
            "Authorization": self.keys[side, "admin"],
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        got = requests.request(
            method, self.sides[side].url + path, data=text, headers=headers, timeout=30
        )
        got.raise_for_status()

    def expand(self, text: str) -> str:
        """Return a recorded answer as ours would be: our ports, and long values at length."""
        return _long(self.urls(text))

    def close(self) -> None:
        for side in self.sides.values():
            side.close()

    def _group(self, side: Misp) -> None:
        now, state = self.clock.text(), side.state
        members = [state.organisations.by(uuid=one[1]) for one in (CI, CERT)]
        made = SharingGroup(
            GROUP,
            "IRIS-SG-1",
            "CI-Operator, CERT-RO",
            "CI + CERT",
            members[0].id,
            CI[1],
            1,
            now,
            now,
        )
        made.members = [Member(one.id, True, next(state.ids["member"])) for one in members]
        order = (0, 1) if side is self.sides["ci"] else (1, 0)
        made.servers = [GroupServer(one, False, next(state.ids["group-server"])) for one in order]
        state.groups.put(made)
        state.log(state.users[1], "SharingGroup", made.id, "add", made.name)

    def urls(self, text: str) -> str:
        """Return a recorded text with our ports and keys in it."""
        for name, port in (("ci", "8081"), ("cert", "8082")):
            side = self.sides[name]
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{side.port}")
            text = text.replace(f"localhost:{port}", f"localhost:{side.port}")
            for role in ("sync", "publisher", "admin", "user"):
                key = self.keys.get((name, role), "")
                text = text.replace(f"EXAMPLE-KEY-{name}-{role}", key)
        return MADE_UP.sub("A" * 40, text)


@dataclass
class Exchange:
    """One recorded call, and when it was made as far as the answers tell."""

    file: Path
    record: dict[str, Any]
    moment: int = 0

    @property
    def request(self) -> dict[str, Any]:
        return self.record.get("request") or {}

    @property
    def is_call(self) -> bool:
        return bool(self.request) and self.request["instance"] in ("ci", "cert")


def read(folder: Path) -> list[Exchange]:
    """Return the exchanges of a folder in their order, each with its time."""
    found = [Exchange(one, json.loads(one.read_text())) for one in sorted(folder.glob("*.json"))]
    last = 0
    for place, one in enumerate(found):
        seen = _seen(one, last)
        if one.request.get("method") == "POST" and not seen:
            seen = _shown(found[place + 1 :], last)
        one.moment = last = max([last, *seen])
    return found


def _shown(later: list[Exchange], after: int) -> list[int]:
    """Return the times at which something showed: in the looks that followed, or soon."""
    looks = list(itertools.takewhile(lambda one: one.request.get("method") != "POST", later))
    times = [time for one in looks for time in _seen(one, after)]
    return times or next((found for one in later if (found := _seen(one, after))), [])


def _seen(one: Exchange, after: int) -> list[int]:
    asked = one.request.get("body")
    chosen = asked.get("timestamp") if isinstance(asked, dict) else None
    times = _moments(one.record.get("body"), after)
    return [time for time in times if str(time) != str(chosen)]


def _moments(body: Any, after: int) -> Iterator[int]:
    if isinstance(body, list):
        for one in body:
            yield from _moments(one, after)
    if isinstance(body, dict):
        for name, value in body.items():
            if name in MOMENTS and str(value).isdigit():
                moment = int(value)
            elif name == "modified" and isinstance(value, str):
                moment = int(datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp())
            else:
                yield from _moments(value, after)
                continue
            if 1_795_300_000 < moment < 1_795_310_000 and (not after or moment <= after + 60):
                yield moment


def play(world: World, one: Exchange) -> tuple[int, Any]:
    """Send a recorded request and return status and body."""
    asked = one.request
    if one.moment:
        world.clock.advance(max(0, one.moment - world.clock.now()))
    side = world.sides[asked["instance"]]
    headers = {k: v for k, v in (asked.get("headers") or {}).items() if k.title() in HEADERS}
    headers.setdefault("User-Agent", "recorder")
    headers.setdefault("Accept", "")
    if key := world.keys.get((asked["instance"], asked["role"])):
        headers["Authorization"] = key
    given = asked.get("body")
    if isinstance(given, dict) and "BEGIN PGP" in str(given.get("key_data")):
        given = given | {"key_data": world.own_key}
    text = given if isinstance(given, str) else json.dumps(given)
    body = b"" if given is None else world.urls(_long(text)).encode()
    if headers.get("Content-Encoding", "X-Pgp-Signature") == "gzip":
        body = gzip.compress(body)
    with requests.Session() as session:
        session.headers.clear()
        got = session.request(
            asked["method"],
            side.url + asked["path"],
            data=body,
            headers=headers,
            timeout=30,
            allow_redirects=False,
        )
    is_json = "json" in got.headers.get("Content-Type", "") and got.content
    answer = got.json() if is_json else None
    _remember(world, one, answer)
    return got.status_code, answer


def _long(text: str) -> str:
    return re.sub(r"<(\d+) times (\w)>", lambda found: found[2] * int(found[1]), text)


def _remember(world: World, one: Exchange, answer: Any) -> None:
    """Keep the keys that were made on the way."""
    for word, role in (("readonly", "readonly"), ("ip-bound", "ipbound"), ("expired", "expired")):
        if one.file.name.endswith(f"auth-key-add-{word}.json"):
            world.keys["ci", role] = answer["AuthKey"]["authkey_raw"]


def differences(said: Any, ours: Any, where: str = "") -> Iterator[str]:
    """Tell where our answer has another shape or another value than the recorded one."""
    if isinstance(said, dict) and isinstance(ours, dict):
        for name in sorted(said.keys() | ours.keys()):
            if name not in ours:
                yield f"{where}/{name} is missing"
            elif name not in said:
                yield f"{where}/{name} is too much"
            elif name not in LOOSE:
                yield from differences(said[name], ours[name], f"{where}/{name}")
    elif isinstance(said, list) and isinstance(ours, list):
        if len(said) != len(ours):
            yield f"{where} has {len(ours)} entries, not {len(said)}"
        for place, (a, b) in enumerate(zip(said, ours, strict=False)):
            yield from differences(a, b, f"{where}/{place}")
    elif _plain(said) != _plain(ours) and not _by_chance(where, said):
        yield f"{where} is {ours!r}, not {said!r}"


def _plain(value: Any) -> Any:
    """Return a text without the ids that stand in it."""
    return re.sub(r"\(\d+\)", "(n)", value) if isinstance(value, str) else value


def _by_chance(where: str, said: Any) -> bool:
    return where.endswith("uuid") and isinstance(said, str) and not OURS.search(said)
