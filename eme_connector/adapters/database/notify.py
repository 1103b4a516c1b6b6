"""LISTEN and NOTIFY of PostgreSQL as a line between processes.

Told after the commit, on a connection of its own: inside, it would put all commits in one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from eme_connector.adapters.bell import LineDown

if TYPE_CHECKING:
    from psycopg import Connection

CHANNEL = "eme"


class PostgresLine:
    """One connection to tell, one to hear; each is made anew when it is lost."""

    def __init__(self, url: str) -> None:
        plain = make_url(url).set(drivername="postgresql")
        self._where = plain.render_as_string(hide_password=False)
        self._telling: Connection[Any] | None = None
        self._hearing: Connection[Any] | None = None

    def send(self, text: str) -> None:
        """NOTIFY everybody; raise LineDown."""
        import psycopg

        try:
            self._telling = self._telling or self._connect()
            self._telling.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text))
        except psycopg.Error as exc:
            _close(self._telling)
            self._telling = None
            raise LineDown from exc

    def receive(self, seconds: float) -> Iterator[str]:
        """Yield what others NOTIFY within *seconds*; raise LineDown."""
        import psycopg

        try:
            if self._hearing is None:
                self._hearing = self._connect()
                self._hearing.execute(f"LISTEN {CHANNEL}")
                yield ""
            for found in self._hearing.notifies(timeout=seconds):
                yield found.payload
        except psycopg.Error as exc:
            _close(self._hearing)
            self._hearing = None
            raise LineDown from exc

    def close(self) -> None:
        """Close both connections."""
        _close(self._telling)
        _close(self._hearing)

    def _connect(self) -> Connection[Any]:
        import psycopg

        return psycopg.connect(self._where, autocommit=True, connect_timeout=5)


def _close(connection: Connection[Any] | None) -> None:
    if connection is not None:
        connection.close()
