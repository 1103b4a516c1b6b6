"""`eme doctor`: look at everything that has to be right, and say how to mend what is not."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from eme_connector.cli.context import Context, json_option, show

if TYPE_CHECKING:
    from eme_connector.bootstrap import Eme
    from eme_connector.config import Config

LOW_DISK = 500_000_000
SKEW_S = 60.0
_PARTS = {"orchestrator": "orchestrators", "peer": "peers", "misp-feedback": "misp"}
_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `fix` is the next step when it is not ok."""

    part: str
    level: Literal["ok", "warning", "error"]
    detail: str
    fix: str = ""


@click.command()
@json_option
@click.pass_obj
def doctor(context: Context, as_json: bool) -> None:
    """Check configuration, database, files, clock, disk, peers, orchestrators, assets."""
    found = list(_examine(context))
    lines = [
        f"{_SIGNS[one.level]} {one.part}: {one.detail}" + (f"\n    → {one.fix}" if one.fix else "")
        for one in found
    ]
    healthy = all(one.level != "error" for one in found)
    show({"ok": healthy, "findings": [asdict(one) for one in found]}, as_json, lines)
    sys.exit(0 if healthy else 1)


def _examine(context: Context) -> Iterator[Finding]:
    from eme_connector.errors import ConfigError

    try:
        config = context.load()
    except ConfigError as exc:
        for problem in exc.problems:
            yield Finding("configuration", "error", problem, f"mend it in {context.config_path}")
        return
    yield Finding("configuration", "ok", f"{context.config_path} can be used")
    yield from permissions(context.config_path, config.instance.data_dir)
    yield disk(config.instance.data_dir)
    yield assets()
    yield from _system(context, config)


def permissions(config_path: Path, data_dir: Path) -> Iterator[Finding]:
    """Look for files with secrets that others can read."""
    files = [config_path, *sorted(data_dir.glob("*"))] if data_dir.is_dir() else [config_path]
    open_ones = [path for path in files if path.is_file() and _others_may_read(path)]
    for path in open_ones:
        level: Literal["warning", "error"] = "warning" if path == config_path else "error"
        yield Finding("permissions", level, f"{path} can be read by others", f"chmod 600 {path}")
    if not open_ones:
        yield Finding("permissions", "ok", "only their owner reads configuration and data")


def disk(folder: Path) -> Finding:
    """Look at the space that is left for the data."""
    at = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(at).free
    detail = f"{free / 1e9:.1f} GB left for {folder}"
    if free < LOW_DISK:
        return Finding("disk", "error", detail, "make room: a full disk refuses detections")
    return Finding("disk", "ok", detail)


def assets() -> Finding:
    """Look for the built scripts of the pages."""
    import eme_connector

    built = Path(eme_connector.__file__).parent / "web" / "static" / "dist"
    if built.is_dir() and any(built.iterdir()):
        return Finding("assets", "ok", "the pages' scripts are built")
    fix = "make assets (needs npm); decisions work without"
    return Finding("assets", "warning", "the pages' scripts are not built: no live updates", fix)


def _system(context: Context, config: Config) -> Iterator[Finding]:
    from eme_connector.bootstrap import build, schema_versions
    from eme_connector.errors import EmeError

    try:
        before, wanted = schema_versions(config)
        if before != wanted:
            detail = f"schema {before or 'none'}, {wanted} is needed"
            yield Finding("database", "warning", detail, "`eme serve` brings it there")
            return
        eme = build(config)
    except EmeError as exc:
        yield Finding("database", "error", str(exc), "check store.url and that it is running")
        return
    try:
        yield Finding("database", "ok", f"schema {wanted} at {_place(config)}")
        yield from _outbox(eme)
        yield from _people(eme)
        yield from channels(eme)
        yield from cerebrates(eme)
        yield from relays(eme)
    finally:
        eme.store.close()


def _outbox(eme: Eme) -> Iterator[Finding]:
    from eme_connector.domain.delivery import State

    counts = eme.store.delivery_counts()
    for state, fix in (
        (State.UNCERTAIN, "look at the target, then `eme outbox retry` or leave it"),
        (State.DEAD, "`eme outbox show`, then `eme outbox retry`"),
        (State.REFUSED, "`eme outbox show` names the reason"),
    ):
        number = sum(n for (_, found), n in counts.items() if found is state)
        if number:
            yield Finding("outbox", "warning", f"{number} deliveries are {state}", fix)


def _people(eme: Eme) -> Iterator[Finding]:
    from eme_connector.domain.rights import ROLES, Right

    able = [
        one
        for one in eme.store.accounts()
        if not one.disabled and Right.DECIDE in ROLES.get(one.role, frozenset())
    ]
    if not able and eme.organisation.role == "ci":
        fix = "eme user add NAME --role operator"
        yield Finding("people", "warning", "nobody can approve or decline", fix)
    if not eme.config.orchestrators and eme.organisation.role == "ci":
        fix = "add a section `orchestrators:`"
        yield Finding("orchestrators", "warning", "none: approved playbooks go nowhere", fix)


def channels(eme: Eme) -> Iterator[Finding]:
    """Ping every orchestrator, MISP and peer, and compare clocks with the peers."""
    from eme_connector.domain import misp_reasons, reach
    from eme_connector.errors import DeliveryError
    from eme_connector.ports import Examined

    for lane, channel in eme.channels().items():
        kind = lane.partition(":")[0]
        part = _PARTS.get(kind, kind)
        try:
            channel.ping()
            yield Finding(part, "ok", f"{lane} can be reached")
            if isinstance(channel, Examined):
                yield from (Finding(part, "error", f"{lane}: {a}", b) for a, b in channel.examine())
        except DeliveryError as exc:
            known = misp_reasons.remedy(exc.reason) or reach.FIXES.get(exc.reason)
            fix = known or "check its url, that it runs, and egress.private_networks"
            yield Finding(part, "error", f"{lane}: {exc.reason}", fix)
    yield from clock([one.url for one in eme.store.peers() if one.revoked_at is None])


def cerebrates(eme: Eme) -> Iterator[Finding]:
    """Look at the way to every Cerebrate, and at what it lets us see."""
    from eme_connector.cli.context import local_admin
    from eme_connector.usecases.cerebrate_check import diagnose

    for name in eme.cerebrates():
        for step in diagnose(name, caller=local_admin(eme), system=eme):
            yield Finding(f"cerebrate {name}", step.state, f"{step.part}: {step.said}", step.fix)


def relays(eme: Eme) -> Iterator[Finding]:
    """Look whether each target of the relay lets us write, and what its last cycle left."""
    from eme_connector.cli.context import local_admin
    from eme_connector.errors import DeliveryError
    from eme_connector.sync.reasons import explain
    from eme_connector.usecases.relay_status import standings

    found = standings(caller=local_admin(eme), system=eme)
    directories = {one.name: one.directory for one in eme.fleet().targets} if found else {}
    for one in found:
        part = f"relay {one.name}"
        try:
            directories[one.name].ping()
        except DeliveryError as exc:
            said, fix = explain(exc.reason)
            yield Finding(part, "error", f"{exc.reason}: {said or exc.detail}", fix)
            continue
        counts = one.turn.detail.get("counts", {})
        told = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
        if one.state == "late":
            fix = "is `eme serve` or `eme worker` running?"
            yield Finding(part, "warning", "no cycle for a long time", fix)
        elif told:
            yield Finding(part, "warning", f"it differs: {told}", f"eme sg diff {one.name}")
        else:
            yield Finding(part, "ok", f"it lets us write; last cycle: {one.state}")


def clock(urls: list[str], now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Compare our clock with the Date header of *urls*."""
    import requests

    skews = []
    for url in urls:
        try:
            answer = requests.head(f"{url}/healthz", timeout=3, allow_redirects=False)
            skews.append(now() - parsedate_to_datetime(answer.headers["Date"]).timestamp())
        except (requests.RequestException, KeyError, ValueError):
            continue
    worst = max((abs(one) for one in skews), default=0.0)
    if worst > SKEW_S:
        detail = f"{worst:.0f} s away from a peer's"
        yield Finding("clock", "error", detail, "run a time service (chrony, systemd-timesyncd)")
    elif skews:
        yield Finding("clock", "ok", f"within {worst:.0f} s of {len(skews)} peers")
    elif now() < 1_767_225_600:
        yield Finding("clock", "error", "it stands before 2026", "run a time service")
    else:
        yield Finding("clock", "ok", "plausible; there is no peer to compare it with")


def _others_may_read(path: Path) -> bool:
    return bool(os.stat(path).st_mode & (stat.S_IROTH | stat.S_IRGRP))


def _place(config: Config) -> str:
    url = config.store_url
    return url.removeprefix("sqlite:///") if url.startswith("sqlite") else url.split("@")[-1]
