"""The kit for a CSIRT without the sidecar: it runs, and what it names exists."""

from __future__ import annotations

import configparser
import shlex
import subprocess
import sys
from pathlib import Path

import click
import yaml

from eme_connector import config
from eme_connector.cli import main

KIT = Path(__file__).parent.parent.parent / "sync"


def unit(name):
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(KIT / name)
    return parser


def test_its_python_is_a_shim_that_imports_nothing_of_ours_at_once():
    for path in KIT.glob("*.py"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 60
        assert [line for line in lines if line.startswith(("import eme", "from eme"))] == []


def test_the_example_can_be_loaded_once_the_keys_are_there(tmp_path):
    path = tmp_path / "relay.yaml"
    path.write_text((KIT / "relay.example.yaml").read_text())
    for name in ("cerebrate", "own-misp", "partner-misp"):
        (tmp_path / f"{name}.key").write_text("k" * 40)
    found = config.load(path, {})

    urls = {one.name: one.url for one in found.sync.targets}
    assert found.sync.targets[0].servers == (urls["partner-misp"],)
    assert found.sync.targets[1].servers == (urls["own-misp"],)


def test_the_service_runs_a_command_that_exists():
    command = shlex.split(unit("eme-relay.service")["Service"]["ExecStart"])
    assert command[0].endswith("/bin/eme")
    context = click.Context(main)
    for word in [one for one in command[3:] if not one.startswith("-")]:
        found = context.command.get_command(context, word)
        assert found is not None, word
        context = click.Context(found, parent=context)


def test_the_timer_and_the_readme_name_files_that_are_there():
    assert unit("eme-relay.timer")["Install"]["WantedBy"] == "timers.target"
    readme = (KIT / "README.md").read_text()
    for path in KIT.iterdir():
        if path.name != "README.md":
            assert path.name in readme


def run_shim(path):
    return subprocess.run(
        [sys.executable, str(KIT / "relay_cron.py"), str(path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_cron_hears_nothing_when_all_is_well_and_everything_else(eme, group, cerebrate):
    quiet = run_shim(eme.path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")

    for key in [key for key in cerebrate.state.members if key[0] == group["id"]]:
        del cerebrate.state.members[key]
    waiting = run_shim(eme.path)
    assert waiting.returncode == 2
    assert "would-empty" in waiting.stdout
    assert f"sg apply fleet --confirm {group['uuid']}@" in waiting.stdout

    cerebrate.stop()
    down = run_shim(eme.path)
    assert down.returncode == 8
    assert "unreachable" in down.stdout


def test_cron_hears_of_a_configuration_that_cannot_be_used(tmp_path):
    path = tmp_path / "relay.yaml"
    path.write_text(yaml.safe_dump({"instance": {}}))
    found = run_shim(path)

    assert found.returncode == 3
    assert "organisation" in found.stdout
