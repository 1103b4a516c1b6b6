"""Everything we need from outside, and nothing more.

Adapters implement these; use cases see nothing else of the world. Times: `at` is µs since 1970
(an int), `now` in a delivery is seconds (a float).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, runtime_checkable

from eme_connector.domain.accounts import Account, Peer, Token
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import (
    Delivery,
    DeliveryKind,
    LookUp,
    Progress,
    Receipt,
    State,
)
from eme_connector.domain.handshake import Handshake
from eme_connector.domain.listing import Aggregate, Change, ListQuery, Page
from eme_connector.domain.policy import Setting
from eme_connector.domain.threat import Threat
from eme_connector.errors import DeliveryError
from eme_connector.ports.directory import Cerebrate as Cerebrate
from eme_connector.ports.directory import Directory as Directory
from eme_connector.ports.directory import DirectoryReads, DirectoryWrites
from eme_connector.ports.directory import KeyStore as KeyStore
from eme_connector.ports.misp import MispReads, MispWrites
from eme_connector.ports.misp import MispSharing as MispSharing
from eme_connector.ports.misp import Pgp as Pgp
from eme_connector.ports.relay import RelayReads, RelayWrites
from eme_connector.ports.schedule import ScheduleReads, ScheduleWrites
from eme_connector.ports.shared import Shared as Shared

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owed:
    """A new obligation; the store gives it an id and a key of its own.

    It is not taken before `next_at` (seconds since 1970); `reason` is why it will have to
    wait, where that is known.
    """

    lane: str
    kind: DeliveryKind
    threat_id: str
    organisation: str
    sequence: int
    payload: bytes = b""
    digest: str = ""
    next_at: float = 0.0
    reason: str = ""


class ThreatWrites(Protocol):
    """Threats inside a transaction; every `find` locks the row until its end."""

    def find_own_threat(
        self, organisation: str, carrier_id: str, iris_id: str
    ) -> Threat | None: ...
    def find_threat(self, threat_id: str) -> Threat | None: ...

    def find_threats(self, threat_ids: Iterable[str]) -> dict[str, Threat]:
        """Return those of them that are here, by id."""
        ...

    def may_read(self, threat_id: str, viewer: str) -> bool: ...

    def add_threat(self, threat: Threat, raw: bytes, viewers: Collection[str]) -> bool:
        """Store a new threat, its raw bytes (revision 1), list entries and counters.

        *viewers* are the organisations whose people may read it in this sidecar. False when we
        have a threat of our own with this identity: nothing is stored then.
        """
        ...

    def add_viewer(self, threat: Threat, viewer: str) -> None:
        """Let one more organisation of this sidecar read *threat*; twice changes nothing."""
        ...

    def save_threat(self, threat: Threat, before: Threat, raw: bytes | None = None) -> None:
        """Do as `save_threats` with one; *raw* is a new revision's."""
        ...

    def save_threats(self, moved: Iterable[tuple[Threat, Threat]]) -> None:
        """Replace the second of each pair; lists, counters and the change feed go along."""
        ...

    def keep_threats(self, threats: Iterable[Threat]) -> None:
        """Replace threats in which nothing changed that lists, charts or pages show."""
        ...

    def policy_settings(self, organisation: str) -> tuple[Setting, ...]: ...
    def find_policy_setting(self, setting_id: str) -> Setting | None: ...
    def save_policy_setting(self, setting: Setting) -> None: ...
    def is_stopped(self, organisation: str) -> bool: ...

    def set_stop(self, organisation: str, *, stopped: bool, by: str, at: int) -> None:
        """Turn the kill switch of *organisation* on or off."""
        ...

    def record(self, record: AuditRecord) -> None:
        """Append to the audit log, with a random salt of its own."""
        ...


class DeliveryWrites(Protocol):
    """Deliveries inside a transaction."""

    def owe(self, owed: Owed) -> Delivery: ...

    def withdraw(self, threat_id: str, kind: DeliveryKind, reason: str) -> int:
        """Turn every delivery of that kind still *owed* into *withdrawn*; return how many."""
        ...

    def renew(
        self, lane: str, threat_id: str, sequence: int, *, next_at: float | None = None
    ) -> bool:
        """Let what is still *owed* in this lane about this threat stand for *sequence*.

        What waits takes the newer state along, so that rows do not grow with changes; the moment
        of its turn stays unless *next_at* is given. False when nothing was owed.
        """
        ...

    def due(self, lane: str, now: float, *, width: int, limit: int) -> tuple[Delivery, ...]:
        """Return deliveries of *lane* that may be taken now, oldest first.

        Owed ones whose time has come and `sending` ones whose lease ran out, while fewer than
        *width* are under lease; never one that has an earlier open delivery of its own
        (lane, threat). Locked until the transaction ends; another worker's are skipped.
        """
        ...

    def find_delivery(self, delivery_id: int) -> Delivery | None: ...
    def find_delivery_by_key(self, key: str) -> Delivery | None: ...

    def save_delivery(self, delivery: Delivery, *, fence: int) -> bool:
        """Replace the row only where its fence still is *fence*; say whether it was."""
        ...

    def save_deliveries(self, moved: Iterable[tuple[Delivery, int]]) -> set[int]:
        """Replace each row whose fence still is the one given; return the ids of those."""
        ...


class AccountWrites(Protocol):
    """Accounts, tokens, sessions, peers and handshakes inside a transaction."""

    def save_account(self, account: Account) -> None: ...
    def save_token(self, token: Token) -> None: ...
    def save_peer(self, peer: Peer) -> None: ...
    def find_handshake(self, code: str, role: str) -> Handshake | None: ...
    def save_handshake(self, handshake: Handshake) -> None: ...

    def save_session(
        self, session_id: str, data: bytes, expires_at: int, account_id: str | None = None
    ) -> None: ...

    def delete_session(self, session_id: str) -> None: ...
    def delete_sessions_of(self, account_id: str) -> None: ...

    def keep_message(
        self, message_id: str, sender: str, threat_id: str, jws: bytes, at: int
    ) -> bool:
        """Keep a peer's message verbatim; False when this id of this sender is here already."""
        ...


class Transaction(
    ThreatWrites,
    DeliveryWrites,
    AccountWrites,
    DirectoryWrites,
    ScheduleWrites,
    RelayWrites,
    MispWrites,
    Protocol,
):
    """What a work may read and write."""


class Reads(DirectoryReads, ScheduleReads, RelayReads, MispReads, Protocol):
    """Reads on connections of their own; they never wait for the writer."""

    def find_visible_threat(self, threat_id: str, viewer: str) -> Threat | None: ...
    def list_threats(self, query: ListQuery) -> Page: ...
    def aggregate(self, viewer: str, at: int) -> Aggregate: ...
    def raw(self, threat_id: str, revision: int) -> bytes | None: ...
    def timeline(self, threat_id: str) -> tuple[AuditRecord, ...]: ...

    def changes(self, viewer: str, after: int, limit: int) -> tuple[Change, ...]:
        """Return the changes that *viewer* may see with an id above *after*, oldest first."""
        ...

    def last_change(self) -> int: ...
    def policy_settings_of(self, organisation: str) -> tuple[Setting, ...]: ...
    def stopped(self, organisation: str) -> bool: ...
    def deliveries_of(self, threat_id: str) -> tuple[Delivery, ...]: ...

    def deliveries_in(self, lane: str, threat_ids: Collection[str]) -> tuple[Delivery, ...]:
        """Return what was and is owed in *lane* about some threats, oldest first."""
        ...

    def list_deliveries(
        self,
        *,
        state: State | None = None,
        lane: str | None = None,
        organisation: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> tuple[Delivery, ...]: ...

    def delivery_counts(self) -> dict[tuple[str, State], int]:
        """Return how many deliveries stand in each (lane, state)."""
        ...

    def busy_lanes(self, now: float) -> tuple[tuple[str, ...], float | None]:
        """Return the lanes with something due, and when the next one will be."""
        ...

    def find_account(self, name: str) -> Account | None: ...
    def find_account_by_id(self, account_id: str) -> Account | None: ...
    def accounts(self) -> tuple[Account, ...]: ...
    def find_token(self, prefix: str) -> Token | None: ...
    def tokens(self) -> tuple[Token, ...]: ...
    def find_session(self, session_id: str, at: int) -> bytes | None: ...
    def peers(self) -> tuple[Peer, ...]: ...
    def find_peer(self, fingerprint: str) -> Peer | None: ...

    def find_handshake(self, code: str, role: str) -> Handshake | None: ...

    def handshakes(self) -> tuple[Handshake, ...]:
        """Return every handshake, the newest first; ended ones stay for a month."""
        ...


class Bell(Protocol):
    """Tells other processes what was committed here, and us what was committed there."""

    def ring(self, topics: frozenset[str]) -> None:
        """Tell the others soon; many commits make one ring. Never waits."""
        ...

    def listen(self) -> None:
        """Hear the others from now on."""
        ...

    def close(self) -> None:
        """Ring for what is waiting, then end."""
        ...


class Store(Reads, Protocol):
    """The truth: threats, what they owe, and who may see them."""

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run *work* and return its result after COMMIT.

        *work* is pure but for its transaction: it may run twice, never nests, and does no
        parsing, hashing or network. An exception in it rolls back this work only.

        Raises:
            StoreUnavailable: nothing of this work was kept.
        """
        ...

    def subscribe(self, listener: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """Call *listener* after commits with what was touched: `delivery`, `change`,
        `directory`, `token`, `account` (also a session that ended).

        Called on the committing thread: set an event and return. The result unsubscribes.
        """
        ...

    def hear(self, touched: frozenset[str]) -> None:
        """Call the listeners for what another process has committed."""
        ...

    def connect_bell(self, bell: Bell) -> None:
        """Let *bell* tell other processes what is committed here; it is closed with the store."""
        ...

    def void_leases(self) -> None:
        """Make all that is in `sending` due at once, where no other process can be sending it.

        Raises:
            StoreUnavailable
        """
        ...

    def ping(self) -> None:
        """Raise StoreUnavailable unless a read and a schema of our version are there."""
        ...

    def close(self) -> None:
        """Finish what is waiting, then close."""
        ...


class Channel(Protocol):
    """An outside system that deliveries go to.

    `width`: sends and look-ups at once, over all workers. `repeat` is `safe` when the receiver
    dedupes by our key or the send is an upsert, else `look_first`. `timeout` in seconds bounds
    one send.
    """

    lane: str
    width: int
    timeout: float
    repeat: Literal["safe", "look_first"]

    def send(self, delivery: Delivery) -> Receipt:
        """Send it; raise DeliveryError(reason, permanent=, maybe_sent=) when it was not taken."""
        ...

    def look_up(self, delivery: Delivery) -> LookUp:
        """Ask whether the receiver has it; never sends."""
        ...

    def ping(self) -> None:
        """Raise DeliveryError when the target cannot be reached."""
        ...


@runtime_checkable
class Bulk(Protocol):
    """A channel that takes up to `batch` deliveries in one call, which counts as one send."""

    batch: int

    def send_many(self, deliveries: Sequence[Delivery]) -> list[Receipt | DeliveryError]:
        """Send them; return what became of each, in their order. Raises nothing."""
        ...


@runtime_checkable
class Examined(Protocol):
    """A channel that can tell more about its target than whether it answers."""

    def examine(self) -> Iterable[tuple[str, str]]:
        """Yield (what is wrong there, how to mend it); raise DeliveryError like ping()."""
        ...


class Runner(Channel, Protocol):
    """An orchestrator whose runs can be followed."""

    def follow(self, delivery: Delivery, receipt: Receipt) -> Progress:
        """Take one look: evidence per step, whether it is over, when to ask again."""
        ...

    def stop(self, delivery: Delivery, receipt: Receipt) -> Literal["stopped", "over", "cannot"]:
        """Try to stop the run."""
        ...


@dataclass(frozen=True, slots=True)
class Verified:
    """A signed message whose signature held: who (certificate fingerprint), when, what."""

    fingerprint: str
    issued_at: float
    payload: bytes


class Signer(Protocol):
    """Our own key, and the check of others' (JWS, EdDSA, over the exact bytes)."""

    fingerprint: str
    certificate: str

    def sign(self, payload: bytes, *, issued_at: float) -> str:
        """Return the compact JWS of *payload*, `kid` = our certificate's SHA-256."""
        ...

    def key_id(self, jws: str) -> str:
        """Return the `kid` that *jws* claims, unverified; raise NotAuthenticated."""
        ...

    def verify(self, jws: str, certificate: str) -> Verified:
        """Check *jws* against the PEM *certificate*; raise NotAuthenticated."""
        ...


class Clock(Protocol):
    """The time, so that tests can set it."""

    def __call__(self) -> float:
        """Return seconds since 1970."""
        ...
