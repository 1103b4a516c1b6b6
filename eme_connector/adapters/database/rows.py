"""`ports.Transaction` on one connection, from its first statement to the last before COMMIT."""

from __future__ import annotations

import random
from collections.abc import Callable

from eme_connector.adapters.database import folding, keywords
from eme_connector.adapters.database.accounts import AccountRows
from eme_connector.adapters.database.deliveries import DeliveryRows
from eme_connector.adapters.database.directory import DirectoryRows
from eme_connector.adapters.database.entries import Numbers
from eme_connector.adapters.database.keywords import Words
from eme_connector.adapters.database.misp import MispRows
from eme_connector.adapters.database.pending import Pending
from eme_connector.adapters.database.relay import RelayRows
from eme_connector.adapters.database.schedule import ScheduleRows
from eme_connector.adapters.database.seqs import Seqs
from eme_connector.adapters.database.statements import Connection
from eme_connector.adapters.database.threats import ThreatRows

SHARDS = 16


class Rows(ThreatRows, DeliveryRows, AccountRows, DirectoryRows, ScheduleRows, RelayRows, MispRows):
    """One transaction, of one work or of many; `touched` are the topics its listeners hear.

    *numbers* are those of organisations that this process knows to be committed.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], float],
        numbers: dict[str, int] | None = None,
    ) -> None:
        self._db = connection
        self._numbers = Numbers(connection, {} if numbers is None else numbers)
        self._clock = clock
        self._seqs = Seqs(connection)
        self.pending = self._pending = Pending(connection, self._seqs)
        self.touched = self._touched = set[str]()
        self._settings = {}  # each accept asks for them: read once a transaction
        is_sqlite = connection.dialect.name == "sqlite"
        self._shard = 0 if is_sqlite else random.randrange(SHARDS)  # noqa: S311

    def index_keywords(self, words: Words) -> bool:
        """Put *words* into the keyword index; False when they are there already."""
        return keywords.index(self._db, words, self._clock())

    def fold_counters(self, viewer: str) -> None:
        """Bring the counters of *viewer* to one row each, but for those of now."""
        folding.fold(self._db, viewer, self._clock())
