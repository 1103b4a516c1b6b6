"""The JSON of many threats in one row: each row makes a thread give the interpreter away.

To make an array of them, escaped and read back, takes longer than to read them; but each is JSON
of one line, so they come joined by new lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy.dialects import sqlite

from eme_connector.adapters.database.spare import Rows
from eme_connector.adapters.database.statements import Statement

_BODIES = Statement(
    lambda m: (
        "SELECT group_concat(seq, ' '), group_concat(body, char(10))"
        " FROM threat WHERE seq IN (SELECT value FROM json_each(:as_json))"
        if m is sqlite
        else "SELECT string_agg(CAST(seq AS TEXT), ' '), string_agg(body, chr(10))"
        " FROM threat WHERE seq = ANY(CAST(:numbers AS BIGINT[]))"
    )
)


def bodies_of(numbers: Sequence[int], rows: Rows) -> Mapping[int, str]:
    """Return the bodies of threats by their numbers (`threat.seq`), as far as they are there."""
    if not numbers:
        return {}
    ((there, bodies),) = rows(_BODIES, {"numbers": numbers, "as_json": json.dumps(numbers)})
    if there is None:
        return {}
    return dict(zip(map(int, there.split()), bodies.split("\n"), strict=True))
