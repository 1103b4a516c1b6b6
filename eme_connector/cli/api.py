"""Speak to a sidecar's API as a logged-in person or with a token."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from eme_connector.errors import EmeError, Fault, InvalidInput, NotAuthenticated, Unavailable

TIMEOUT_S = 30.0


class Answered(EmeError):
    """A sidecar refused; its problem document is what is shown."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail", "")))
        self.status = int(problem.get("status", 500))
        self.title = str(problem.get("title", "The sidecar refused"))
        self._problem = problem

    def problem(self) -> dict[str, object]:
        """Return the problem as the sidecar sent it."""
        return self._problem


@dataclass
class Api:
    """One sidecar: `token`, or the cookie and CSRF token of a session."""

    server: str
    token: str = ""
    cookie: str = ""
    csrf: str = ""

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
    ) -> requests.Response:
        """Return the answer.

        Raises:
            Unavailable: nobody answers there.
            Answered, InvalidInput: the sidecar refused.
        """
        try:
            answer = requests.request(
                method,
                f"{self.server}/api/v1{path}",
                json=body,
                data=data,
                params=query,
                headers=self._headers() | (headers or {}),
                cookies={"eme_session": self.cookie} if self.cookie else None,
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            raise Unavailable(f"no sidecar answers at {self.server}") from exc
        if not answer.ok:
            raise refusal(answer)
        return answer

    def _headers(self) -> dict[str, str]:
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        return {"X-CSRFToken": self.csrf} if self.csrf else {}


def refusal(answer: requests.Response) -> EmeError:
    """Return the error that an answer stands for."""
    try:
        problem = answer.json()
    except ValueError:
        problem = {"title": "The sidecar answered something else", "status": answer.status_code}
    if isinstance(problem, dict) and problem.get("errors"):
        faults = [Fault(one["pointer"], one["detail"]) for one in problem["errors"]]
        return InvalidInput(faults)
    return Answered(problem)


def session_path() -> Path:
    """Return where the session of `eme login` is kept."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "eme" / "session.json"


def save_session(api: Api) -> Path:
    """Keep the session for the next commands, readable by its owner alone."""
    path = session_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"server": api.server, "cookie": api.cookie, "csrf": api.csrf}, file)
    return path


def load_session() -> Api:
    """Return the session of `eme login`.

    Raises:
        NotAuthenticated
    """
    try:
        kept = json.loads(session_path().read_text(encoding="utf-8"))
        return Api(kept["server"], cookie=kept["cookie"], csrf=kept["csrf"])
    except (OSError, ValueError, KeyError) as exc:
        raise NotAuthenticated("run `eme login` first") from exc


def log_in(server: str, name: str, password: str) -> Api:
    """Return a new session.

    Raises:
        Unavailable, Answered
    """
    api = Api(server.rstrip("/"))
    answer = api.call("POST", "/session", body={"name": name, "password": password})
    api.cookie = answer.cookies["eme_session"]
    api.csrf = answer.json()["csrf_token"]
    return api
