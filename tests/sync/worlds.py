"""Random topologies: a source, a target in some earlier state, and how it is to be relayed.

Hypothesis draws sizes and a seed; the rest comes from the seed, which is a hundred times faster
than drawing every flag, and still shrinks to few organisations and groups.
"""

from __future__ import annotations

import random
import uuid as uuids
from dataclasses import replace

from hypothesis import strategies as st

from eme_connector.domain.directory import (
    GroupServer,
    RemoteGroup,
    RemoteOrganisation,
    Snapshot,
)
from eme_connector.sync.terms import Terms
from tests.sync.model import Model

ORGANISATIONS = [str(uuids.UUID(int=0xA000 + n, version=4)) for n in range(12)]
GROUPS = [str(uuids.UUID(int=0xB000 + n, version=4)) for n in range(8)]
URLS = ["https://one.example", "https://two.example", "https://three.example"]
NAMES = ["Alpha", "alpha", "Beta", "Béta", "Gamma", "Γάμμα", "Delta \U0001f680", "Epsilon", "  "]
WORDS = ["", "", "Energy", "Transport", "water\U0001f4a7"]


class Dice:
    """Everything that is random about one world."""

    def __init__(self, seed: int, organisations: int, groups: int) -> None:
        self._random = random.Random(seed)
        self._organisations, self._groups = organisations, groups

    def one(self, several):
        return self._random.choice(several)

    def some(self, several):
        return self._random.sample(several, self._random.randint(0, len(several)))

    def flag(self, chance: float = 0.5) -> bool:
        return self._random.random() < chance

    def terms(self) -> Terms:
        kind = self.one(["misp", "misp", "cerebrate"])
        roaming = kind == "misp" and self.flag()
        return Terms(
            "target",
            kind,
            roaming=roaming,
            servers=frozenset() if roaming or kind != "misp" else frozenset(self.some(URLS)),
            organisations=self.one(["members", "all"]),
            groups=frozenset(self.some(GROUPS)) if self.flag(0.2) else frozenset(),
            cycles=2,
            spacing=1,
        )

    def source(self) -> Snapshot:
        have = self._all_organisations()
        return Snapshot(have, self._all_groups(sorted(have), [None]))

    def model(self, how: Terms) -> Model:
        known = self.some(URLS) if how.kind == "misp" else []
        found = Model("target", how.kind, known)
        have, servers = self._all_organisations(), ["", *known] if how.kind == "misp" else [None]
        found.organisations = _distinct(have) if how.kind == "misp" else have
        made = self._all_groups(sorted(have), servers)
        found.groups = _distinct(made) if how.kind == "misp" else made
        return found

    def _all_organisations(self):
        some = [u for u in ORGANISATIONS[: self._organisations] if self.flag(0.8)]
        return {u: self._organisation(u) for u in some or ORGANISATIONS[:1]}

    def _organisation(self, uuid):
        name = self.one([*NAMES, f"Organisation {uuid[-4:]}"])
        fields = {name: self.one(WORDS) for name in ("nationality", "sector", "type", "url")}
        return RemoteOrganisation(uuid, name, **fields, local=self.flag())

    def _all_groups(self, members, urls):
        some = [uuid for uuid in GROUPS[: self._groups] if self.flag(0.8)]
        return {uuid: self._group(uuid, members, urls) for uuid in some}

    def _group(self, uuid, members, urls):
        return RemoteGroup(
            uuid,
            self.one([*NAMES, f"Group {uuid[-4:]}"]),
            self.one(members),
            members={one: self.flag() for one in self.some(members)},
            releasability=self.one(["members", "", "δ"]),
            description=self.one(["", "one", "two\U0001f680"]),
            active=self.flag(0.8),
            roaming=urls != [None] and self.flag(),
            servers=frozenset(
                GroupServer(url, self.flag(0.3)) for url in self.some(urls) if url is not None
            ),
        )


dice = st.builds(Dice, st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 8))


def _distinct(named):
    """Make names that a MISP can have: within its characters, and unique without case."""
    seen: set[str] = set()
    found = {}
    for uuid, one in named.items():
        name = "".join(c for c in one.name if ord(c) < 0x10000).replace("é", "e").strip() or uuid
        while name.casefold() in seen:
            name += "'"
        seen.add(name.casefold())
        found[uuid] = replace(one, name=name)
    return found
