"""Walk a detection through the demo: received, policy, decided, dispatched, shared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from eme_connector.cli.api import Answered, Api, log_in
from eme_connector.demo.world import World
from eme_connector.errors import EmeError, InvalidInput, Unavailable
from eme_connector.formats import strict_json

PATIENCE_S = 30.0
Line = dict[str, Any]


def organisations_in(data: bytes) -> set[str]:
    """Return every organisation that a file names; none when it cannot be read."""
    try:
        if data.startswith(b"\x1f\x8b"):
            data = strict_json.gunzip(data)
        document = strict_json.loads(data)
    except EmeError:
        return set()
    return {name for name in _names(document) if name.strip() and name.isprintable()}


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        name = value.get("organisation")
        if isinstance(name, str):
            yield name
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)


@dataclass
class Walk:
    """One file's way; *say* is called with a line for each stage."""

    world: World
    file: str
    data: bytes
    say: Callable[[Line], None]

    def run(self) -> bool:
        """Walk to the end; False when something inside failed, not when it was refused."""
        self._began = time.monotonic()
        try:
            received = self._send()
        except (Answered, InvalidInput) as exc:
            return self._refused(exc)
        return all([self._follow(one) for one in received])

    @property
    def _organisation(self) -> str:
        named = organisations_in(self.data)
        name = named.pop() if len(named) == 1 else "CI-1"
        return self.world.names.get(name, self.world.ci)

    def _send(self) -> list[Line]:
        headers = {"Content-Type": "application/json"}
        if self.data.startswith(b"\x1f\x8b"):
            headers["Content-Encoding"] = "gzip"
        api = Api(self.world.url("ci"), token=self.world.tokens[self._organisation])
        answer = api.call("POST", "/ci/threats", data=self.data, headers=headers)
        found: list[Line] = answer.json()["threats"]
        return found

    def _refused(self, error: EmeError) -> bool:
        problem = error.problem()
        self._line(
            "refused",
            status=error.status,
            pointer=problem.get("pointer"),
            errors=problem.get("errors", []),
            message=problem.get("detail", ""),
        )
        return error.status < 500

    def _follow(self, received: Line) -> bool:
        threat = received["id"]
        self._line("received", threat_id=threat, status=received["status"])
        person = self._person()
        seen = person.call("GET", f"/ci/threats/{threat}")
        status = seen.json()["decision"]["status"]
        self._line("policy", threat_id=threat, status=status)
        playbook = person.call("GET", f"/ci/threats/{threat}/playbook")
        if not any(book["steps"] for book in playbook.json()["playbooks"]):
            return self._wait_shared(threat, seen.json()["revision"], status)
        note: Line = {}
        if status == "pending":
            playbook, note = self._approve(person, threat, playbook)
        decision = playbook.json()["decision"]
        self._line("decided", threat_id=threat, status=decision["status"], **note)
        dispatched = decision["status"] != "approved" or self._wait_dispatched(threat, decision)
        shared = self._wait_shared(threat, seen.json()["revision"], decision["status"])
        return dispatched and shared

    def _person(self) -> Api:
        name = self.world.person_of(self._organisation)
        return log_in(self.world.url("ci"), name, self.world.passwords[name])

    def _approve(
        self, person: Api, threat: str, playbook: requests.Response
    ) -> tuple[requests.Response, Line]:
        """Approve all of it; what is outside its validity gets an end in one hour."""
        body: Line = {"status": "approved", "reason": "approved by the demo's own person"}
        note: Line = {}
        waiting = playbook.json()["decision"]["waiting"]
        if any(one["code"] == "outside-validity" for one in waiting):
            body["valid_until"] = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            note["new_end"] = body["valid_until"]
        headers = {"If-Match": playbook.headers["ETag"]}
        path = f"/ci/threats/{threat}/playbook"
        return person.call("PUT", path, body=body, headers=headers), note

    def _wait_dispatched(self, threat: str, decision: Line) -> bool:
        def there() -> bool:
            found = requests.get(f"{self.world.url('receiver')}/playbooks", timeout=5).json()
            wanted = (threat, decision["dispatch_digest"])
            return any((one["threat"], one["digest"]) == wanted for one in found)

        return self._wait("dispatched", there, threat_id=threat, status="approved")

    def _wait_shared(self, threat: str, revision: int, status: str) -> bool:
        cert = Api(self.world.url("cert"), token=self.world.cert_token)

        def there() -> bool:
            try:
                found = cert.call("GET", f"/cert/threats/{threat}").json()
            except Answered:
                return False
            known = found["decision"]["status"] == status or status == "pending"
            return bool(found["revision"] >= revision and known)

        return self._wait("shared", there, threat_id=threat, status=status)

    def _wait(self, stage: str, there: Callable[[], bool], **fields: Any) -> bool:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if there():
                self._line(stage, **fields)
                return True
            time.sleep(0.02)
        self._line("failed", message=f"not {stage} within {PATIENCE_S:.0f} s", **fields)
        return False

    def _line(self, stage: str, **fields: Any) -> None:
        ms = round((time.monotonic() - self._began) * 1000)
        self.say({"stage": stage, "file": self.file, **fields, "ms": ms})


def walk(world: World, file: str, data: bytes, say: Callable[[Line], None]) -> bool:
    """Walk one file; a sidecar that does not answer is a failure, said like a stage."""
    try:
        return Walk(world, file, data, say).run()
    except (Unavailable, requests.RequestException) as exc:
        say({"stage": "failed", "file": file, "message": str(exc)})
        return False


def sample() -> Path:
    """Return the packaged sample detection."""
    return Path(__file__).parent / "samples" / "tram-camera.json"
