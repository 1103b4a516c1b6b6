"""One MISP on a port of its own, and two that know each other."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable
from uuid import uuid4

from tests.doubles.misp.clock import Clock
from tests.doubles.misp.event_json import show
from tests.doubles.misp.http import Server as Listener
from tests.doubles.misp.protection import forget_key
from tests.doubles.misp.roles import BY_WORD
from tests.doubles.misp.rows import Event, Job, Json, Key, Organisation, Server, User
from tests.doubles.misp.state import State
from tests.doubles.misp.system import SYSTEM, stopped, went_on

SYNC_FLAGS = (
    "push",
    "pull",
    "push_sightings",
    "push_analyst_data",
    "pull_analyst_data",
    "self_signed",
)
Gate = Callable[[Json], str]
"""A workflow's blocking module: event document -> why it may not be published, or nothing."""


class Misp:
    """A MISP of organisation *name*; `admin` is the key of its site admin.

    Switches: `background` (publish answers "Job queued"), `jobs_held` (a job waits for `work()`),
    `jobs_first` (it is done before the answer that tells of it), `gate` (a workflow's blocking
    module, None is none), `behave()` and `down()` for HTTP faults.
    `disk` are definitions of object templates in its own folder, `templates` those it has loaded.
    """

    def __init__(self, name: str, uuid: str | None = None, *, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self._listener = Listener(self, 0)
        self.port: int = self._listener.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.state = State(self.clock, self.url)
        self.organisation = self.add_organisation(name, uuid)
        self.admin = self.add_user("admin", email=f"admin@{name.lower()}.test")
        self.jobs_held = self.jobs_first = False
        self.gate: Gate | None = None
        self.calls: list[tuple[str, str, str]] = []
        self.gpg_home: str | None = None
        self.fingerprint = self.public_key = ""
        self.disk: dict[str, Json] = {}
        self.templates: dict[str, Json] = {}
        self._faults: deque[str] = deque()
        self._waiting: deque[tuple[Job, Callable[[Job], None]]] = deque()

    # --- what a test makes by hand ---

    def add_organisation(
        self, name: str, uuid: str | None = None, *, local: bool = True
    ) -> Organisation:
        now = self.clock.text()
        made = Organisation(
            (uuid or str(uuid4())).lower(), name, local=local, created=now, modified=now
        )
        return self.state.organisations.put(made)

    def add_user(
        self, role: str, *, org: Organisation | None = None, email: str = "", key: str | None = None
    ) -> str:
        """Make a user (admin, org_admin, user, publisher, sync, read_only); return the key."""
        with self.state.lock:
            of = org or self.organisation
            user = User(email or f"{role}@{of.name.lower()}.test", of, BY_WORD[role])
            self.state.users.put(user)
            return self.add_key(user, key).text

    def add_key(self, user: User, text: str | None = None, *, read_only: bool = False) -> Key:
        made = Key(text or secrets.token_hex(20), user, read_only, uuid=str(uuid4()))
        made.created = self.clock.now()
        return self.state.keys.put(made)

    def add_server(self, url: str, key: str, organisation: Organisation, **flags: bool) -> Server:
        """Make a server entry; every flag that is not given is on."""
        with self.state.lock:
            wanted = {name: flags.get(name, True) for name in SYNC_FLAGS}
            return self.state.servers.put(
                Server(url, f"{organisation.name} MISP", key, organisation.id, flags=wanted)
            )

    # --- time, jobs, faults ---

    @property
    def background(self) -> bool:
        return bool(self.state.settings["MISP.background_jobs"])

    @background.setter
    def background(self, on: bool) -> None:
        self.state.settings["MISP.background_jobs"] = on

    def queue(self, job: Job, work: Callable[[Job], None]) -> Job:
        """Let a background worker do something: soon, or when the test says so."""
        self.state.jobs.put(job)
        self._waiting.append((job, work))
        if not (self.jobs_held or self.jobs_first):
            threading.Thread(target=self.work, daemon=True).start()
        return job

    def work(self) -> int:
        """Do the jobs that wait, and return how many there were."""
        done = 0
        while self._waiting:
            try:
                job, work = self._waiting.popleft()
            except IndexError:
                break
            work(job)
            done += 1
        return done

    def behave(self, *words: str) -> None:
        """Treat the next requests so: die, lose, slow:SECONDS, status:N, then-status:N, html.

        `die` closes the connection before anything is done, `lose` after it was done;
        `then-status:500` does it and says 500; an empty word is no fault.
        """
        self._faults.extend(words)

    def fault(self) -> str:
        try:
            return self._faults.popleft()
        except IndexError:
            return ""

    def down(self) -> None:
        """Stop listening; connections are refused until `up`."""
        self._listener.stop()

    def up(self) -> None:
        self._listener = Listener(self, self.port)

    def close(self) -> None:
        self._listener.stop()
        forget_key(self)

    def ask_gate(self, event: Event, user: User) -> str:
        """Return why a workflow does not let an event be published; one that breaks lets it."""
        if self.gate is None:
            return ""
        document = show(self.state, event, user)["Event"]
        try:
            why = self.gate(document)
        except Exception as exc:
            # misp-modules is down: MISP goes on all the same
            self._log_workflow(user, went_on(str(exc)))
            return ""
        if why:
            self._log_workflow(user, stopped(why))
        return why

    def _log_workflow(self, user: User, title: str) -> None:
        self.state.log(user, "Workflow", 1, "execute_workflow", title, **SYSTEM)

    def new_uuid(self) -> str:
        return str(uuid4())

    def note(self, method: str, path: str, user: User) -> None:
        self.calls.append((method, path, user.email))

    # --- what others should not see by REST ---

    def user_of(self, key: str) -> User:
        found = self.state.keys.by(text=key)
        assert found is not None
        return found.user

    def can_read(self, organisation_uuid: str, event_uuid: str) -> bool:
        """Say by this instance's own state whether users of an organisation can read an event.

        Nobody reads here without a user: an organisation that has none sees nothing.
        """
        with self.state.lock:
            event = self.state.event(event_uuid)
            if event is None:
                return False
            return any(
                user.org.uuid == organisation_uuid.lower()
                and not user.may("perm_site_admin")
                and not user.may("perm_sync")
                and self.state.sees(user, event)
                for user in self.state.users.values()
            )


def connect(a: Misp, b: Misp, *, both: bool = True) -> None:
    """Let *a* push to and pull from *b*, and the other way round."""
    _one_way(a, b)
    if both:
        _one_way(b, a)


def _one_way(here: Misp, there: Misp) -> None:
    """Give *here* a sync user at *there*, and a server entry with its key."""
    at_home = here.organisation
    abroad = there.state.organisations.by(uuid=at_home.uuid) or there.add_organisation(
        at_home.name, at_home.uuid
    )
    known = here.state.organisations.by(uuid=there.organisation.uuid) or here.add_organisation(
        there.organisation.name, there.organisation.uuid, local=False
    )
    key = there.add_user("sync", org=abroad, email=f"sync@{at_home.name.lower()}.test")
    here.add_server(there.url, key, known)
