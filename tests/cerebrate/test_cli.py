"""`eme cerebrate`: what it says, and what it ends with."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from eme_connector.cli import main
from tests.build import CERT, CI, GROUP


@pytest.fixture
def eme(tmp_path, cerebrate, upstream):
    """Run `eme` with a Cerebrate of two organisations and a group, and an empty upstream."""
    state = cerebrate.state
    numbers = [state.organisation(uuid=uuid, name=name)["id"]
               for uuid, name in [(CI, "CI-1"), (CERT, "CERT-1")]]  # fmt: skip
    state.group(numbers[1], numbers, uuid=GROUP, name="Transport")
    tree = {
        "instance": {"organisation": CERT, "data_dir": str(tmp_path / "data")},
        "organisations": [{"uuid": CERT, "name": "CERT-1", "role": "cert"}],
        "egress": {"private_networks": ["127.0.0.0/8"]},
        "cerebrate": {
            "url": cerebrate.url,
            "key": state.key("admin"),
            "upstreams": [
                {"name": "national", "url": upstream.url, "key": upstream.state.key("reader")}
            ],
        },
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tree))

    def run(*words, code=0):
        done = CliRunner().invoke(main, ["--config", str(path), "cerebrate", *words])
        assert done.exit_code == code, (done.output, done.exception)
        if "--json" in words:
            lines = done.output.strip().splitlines()
            return json.loads(next(one for one in reversed(lines) if one.startswith("{")))
        return done.output

    run.path = path
    return run


def test_status_before_and_after_a_turn(eme):
    assert [one["state"] for one in eme("status", "--json")["links"]] == ["never", "never"]

    assert eme("sync", "--json")["detail"]["groups"] == 1

    own, national = eme("status", "--json")["links"]
    assert (own["state"], own["detail"]["organisations"]) == ("fresh", 3)
    assert (national["strategy"], national["into"]) == ("new-records", "cerebrate")
    text = eme("status")
    assert "new-records → cerebrate" in text
    assert "KEY OF" in text


def test_a_check_names_what_is_wrong_and_ends_with_1(eme, cerebrate):
    assert "✓ rights: mirror" in eme("check")
    cerebrate.stop()

    text = eme("check", code=1)

    assert "✗ connection: unreachable" in text
    assert "→ check its url" in text


def test_browse_filters(eme, upstream):
    upstream.state.organisation(uuid=CI, name="CI-1", sector="Energy")

    found = eme("browse", "national", "--state", "differs", "--json")

    assert [one["name"] for one in found["rows"]] == ["CI-1"]
    assert found["rows"][0]["sides"] == [{"field": "sector", "there": "Energy", "here": ""}]
    assert "DIFFERS IN" in eme("browse", "national", "--kind", "group")


def test_a_dry_run_says_what_sync_does_and_writes_nothing(eme, upstream, cerebrate):
    upstream.state.organisation(name="CI-7")
    before = len(cerebrate.writes())

    dry = eme("sync", "national", "--dry-run")
    assert "organisation-missing" in dry
    assert eme("preview", "national") == dry
    assert len(cerebrate.writes()) == before

    assert eme("sync", "national", "--json")["detail"]["done"] == 2
    assert eme("preview", "national") == "nothing to do: both sides say the same\n"


def test_a_turn_that_fails_ends_with_1_and_its_reason(eme, cerebrate):
    cerebrate.state.authkeys.clear()

    assert "failed: key-refused" in eme("sync", code=1)


def test_what_waits_is_told_with_the_command_that_confirms_it(eme, cerebrate):
    eme("sync")
    cerebrate.state.members.clear()
    eme("sync")

    text = eme("status")
    assert "Transport waits (would-empty): 2 members would go: CERT-1, CI-1" in text
    assert f"eme cerebrate sync cerebrate --confirm {GROUP}" in text

    assert eme("sync", "--confirm", GROUP, "--json")["detail"]["held"] == []


def test_an_unknown_name_is_not_there(eme):
    for words in (["check", "x"], ["browse", "x"], ["preview", "x"], ["sync", "x"]):
        assert "no Cerebrate in the configuration is called x" in eme(*words, code=5)


def test_without_the_section_it_says_what_to_add(eme):
    tree = yaml.safe_load(eme.path.read_text())
    del tree["cerebrate"]
    eme.path.write_text(yaml.safe_dump(tree))

    assert "add a section `cerebrate:`" in eme("status")
    assert "add a section `cerebrate:`" in eme("sync", code=5)


def test_doctor_looks_at_it_too(eme, cerebrate, upstream):
    eme("status")
    upstream.stop()

    done = CliRunner().invoke(main, ["--config", str(eme.path), "doctor"])

    assert "✓ cerebrate cerebrate: lists: 3 organisations" in done.output
    assert "✗ cerebrate national: connection: unreachable" in done.output
