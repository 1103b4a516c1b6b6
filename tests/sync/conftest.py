"""A Cerebrate, a MISP, a group in the one, and `eme sg` between them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from uuid import uuid4

import pytest
import yaml
from click.testing import CliRunner

from eme_connector.cli import main
from eme_connector.usecases import relay_fleet
from tests.doubles.cerebrate import CerebrateServer
from tests.doubles.misp import Misp

OWN = str(uuid4())


@pytest.fixture(scope="module")
def misp():
    made = Misp("Fleet MISP")
    yield made
    made.close()


@pytest.fixture
def cerebrate():
    made = CerebrateServer()
    yield made
    made.stop()


@pytest.fixture
def eme(tmp_path, monkeypatch, cerebrate, misp):
    """Run `eme` with a section sync; returns the document of --json, or the text."""
    path = tmp_path / "config.yaml"
    sections = {
        "instance": {"organisation": OWN, "data_dir": "data"},
        "organisations": [{"uuid": OWN, "name": "CERT"}],
        "cerebrate": {"url": cerebrate.url, "key": cerebrate.state.key("admin")},
        "sync": {"targets": [target(misp)]},
        "egress": {"private_networks": ["127.0.0.0/8"]},
    }
    write(path, sections)
    runner = CliRunner()
    office = relay_fleet.office

    def quick(*given):
        # the second for which an announcement waits passes at once
        return replace(office(*given), sleep=lambda seconds: misp.clock.advance(2))

    monkeypatch.setattr(relay_fleet, "office", quick)

    def run(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["eme", *words])
        done = runner.invoke(main, ["--config", str(path), "sg", *words])
        assert done.exit_code == code, (done.output, done.exception)
        if "--json" in words:
            return json.loads(done.stdout.strip().splitlines()[-1])
        return done.output

    run.path, run.sections, run.folder = path, sections, tmp_path
    return run


def target(misp, **more):
    return {"name": "fleet", "url": misp.url, "key": misp.admin, "roaming": True} | more


def write(path, sections):
    path.write_text(yaml.safe_dump(sections))
    path.chmod(0o600)


@pytest.fixture
def group(cerebrate):
    """A group of three organisations in Cerebrate, of names and uuids of its own."""
    state = cerebrate.state
    several = [state.organisation(name=f"Org {uuid4()}", sector="Energy") for _ in range(3)]
    return state.group(
        several[0]["id"],
        [one["id"] for one in several],
        name=f"Group {uuid4()}",
        releasability="members",
    )
