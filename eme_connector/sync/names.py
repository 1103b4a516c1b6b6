"""Give everything a name that its target takes, and an order in which no name is in the way.

MISP wants unique names. Where another one has the name, or two of ours want it, one gets a
suffix made of its uuid: MISP would add a random number to a group without a word, and refuse an
organisation.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from eme_connector.sync.terms import NAME_LENGTH, Key


def assign(
    wanted: Mapping[str, str], present: Mapping[str, str], key: Key | None
) -> dict[str, str]:
    """Return the name that each of *wanted* (uuid to name) gets.

    *present* are all names at the target; those of others than *wanted* stay as they are. Of
    several that want one name, the one that has it keeps it, else the lowest uuid gets it.
    """
    if key is None:
        return dict(wanted)
    fixed = {key(name) for uuid, name in present.items() if uuid not in wanted}
    claims: dict[str, list[str]] = {}
    for uuid in sorted(wanted):
        claims.setdefault(key(wanted[uuid]), []).append(uuid)
    found = {}
    taken = fixed | set(claims)
    for claimed, several in claims.items():
        holders = [one for one in several if key(present.get(one, "")) == claimed]
        winner = "" if claimed in fixed else (holders or several)[0]
        for uuid in several:
            found[uuid] = wanted[uuid]
            if uuid != winner:
                found[uuid] = suffixed(wanted[uuid], uuid, key, taken)
                taken.add(key(found[uuid]))
    return found


def order(
    final: Mapping[str, str], present: Mapping[str, str], key: Key | None
) -> Iterator[tuple[str, str]]:
    """Yield (uuid, name) for every name to write, so that each is free when its turn comes.

    Where names change places in a ring, one of them takes a suffixed name for a while.
    """
    waiting = {uuid: name for uuid, name in sorted(final.items()) if present.get(uuid) != name}
    if key is None:
        yield from waiting.items()
        return
    holder = {key(name): uuid for uuid, name in present.items()}
    names = dict(present)
    while waiting:
        ready = [u for u, name in waiting.items() if holder.get(key(name)) in (None, u)]
        for uuid in ready:
            _move(uuid, waiting[uuid], names, holder, key)
            yield uuid, waiting.pop(uuid)
        if not ready:
            blocked = next(iter(waiting))
            uuid = holder[key(waiting[blocked])]
            if uuid not in waiting:
                # nobody makes room: the target's refusal will tell
                yield blocked, waiting.pop(blocked)
                continue
            aside = suffixed(final[uuid], uuid, key, holder)
            _move(uuid, aside, names, holder, key)
            yield uuid, aside


def _move(uuid: str, name: str, names: dict[str, str], holder: dict[str, str], key: Key) -> None:
    if uuid in names and holder.get(key(names[uuid])) == uuid:
        del holder[key(names[uuid])]
    names[uuid] = name
    holder[key(name)] = uuid


def suffixed(name: str, uuid: str, key: Key, taken: Container[str]) -> str:
    """Return *name* with a part of *uuid*, or all of it where that is taken too."""
    short = f"{name[: NAME_LENGTH - 9]}_{uuid[:8]}"
    return short if key(short) not in taken else f"{name[: NAME_LENGTH - 37]}_{uuid}"
