"""`eme misp check` and `eme misp bootstrap`, against a MISP on a real port."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
import yaml
from click.testing import CliRunner

from eme_connector.cli import main
from eme_connector.formats.misp_event.tables import OWN_OBJECTS, definition, tables
from eme_connector.ports.misp_setup import KEEP_SESSION, ORGANISATION_CLAIM, Setup
from eme_connector.usecases import misp_setup
from tests.build import CI
from tests.doubles.misp import Misp

ALL = frozenset(misp_setup.NEEDED)
GOOD = Setup(
    version="2.5.1", organisation=CI, role="Org Admin", permissions=ALL,
    taxonomies={name: (str(at), True) for at, name in enumerate(misp_setup.namespaces())},
    templates={one.uuid: int(one.version) for one in tables().templates.values()},
    galaxies=frozenset(
        {"mitre-atlas-attack-pattern", "mitre-attack-pattern", "mitre-ics-techniques"}
    ),
    servers=({"id": "1", "name": "CERT", "push": True, "pull": True, "push_sightings": True},),
    settings={KEEP_SESSION: True}, skew_s=0.4,
)  # fmt: skip


def wrong(**fields):
    found = misp_setup.check(replace(GOOD, **fields), CI)
    return [(one.part, one.level) for one in found if one.level != "ok"]


def test_a_misp_that_is_ready_is_all_right():
    assert wrong() == []


@pytest.mark.parametrize(
    ("fields", "part", "level"),
    [
        ({"permissions": ALL - {"perm_tag_editor"}}, "key", "error"),
        ({"permissions": ALL - {"perm_publish"}, "role": "User"}, "key", "error"),
        ({"organisation": "22222222-2222-4222-8222-222222222222"}, "organisation", "error"),
        ({"skew_s": -3600.0}, "clock", "error"),
        ({"taxonomies": GOOD.taxonomies | {"rsit": ("9", False)}}, "taxonomies", "warning"),
        ({"taxonomies": None}, "taxonomies", "warning"),
        ({"galaxies": GOOD.galaxies - {"mitre-ics-techniques"}}, "galaxies", "warning"),
        ({"servers": ()}, "servers", "warning"),
        ({"servers": ({"id": "1", "name": "x", "push": False, "pull": True},)}, "servers",
         "warning"),
        ({"settings": {}}, "settings", "warning"),
        ({"settings": GOOD.settings | {ORGANISATION_CLAIM: "org"}}, "oidc", "warning"),
    ],
)  # fmt: skip
def test_each_thing_that_is_wrong_is_named(fields, part, level):
    assert wrong(**fields) == [(part, level)]


def test_every_finding_that_is_wrong_says_what_to_do():
    bad = Setup("2.5.1", "x", "User", frozenset(), {}, {}, frozenset(), (), {}, 99.0)

    assert [one for one in misp_setup.check(bad, CI) if one.level != "ok" and not one.fix] == []


@pytest.fixture
def misp():
    found = Misp("CI-1", CI)
    yield found
    found.close()


@pytest.fixture
def eme(misp, tmp_path, monkeypatch):
    key = misp.add_user("org_admin")
    (tmp_path / "admin").write_text(misp.admin)
    config = {
        "instance": {"organisation": CI, "data_dir": str(tmp_path / "data")},
        "organisations": [{"uuid": CI, "name": "CI-1"}],
        "misp": {"url": misp.url, "key": key},
        "egress": {"private_networks": ["127.0.0.0/8"]},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))

    def run(*words, code=0):
        words = ["--config", str(tmp_path / "config.yaml"), "misp", *words]
        monkeypatch.setattr(sys, "argv", ["eme", *words])
        done = CliRunner().invoke(main, words)
        assert done.exit_code == code, done.output
        return json.loads(done.output) if "--json" in words else done.output

    run.admin = ("--admin-key-file", str(tmp_path / "admin"))
    return run


def test_check_names_what_the_key_may_not_see(eme):
    found = eme("check", "--json")

    assert found["ok"] is True
    unseen = {one["part"] for one in found["findings"] if "may not see" in one["detail"]}
    assert "servers" in unseen
    assert "✓ organisation: its user belongs to our organisation" in eme("check")


def test_bootstrap_shows_first_and_changes_only_when_told(eme, misp):
    misp.add_server("http://127.0.0.1:9", "x" * 40, misp.add_organisation("CERT-1", None))

    misp.disk = {name: definition(name) for name in OWN_OBJECTS}

    wanted = eme("bootstrap", "--json", *eme.admin)["changes"]
    again = eme("bootstrap", "--json", "--dry-run", *eme.admin)["changes"]
    made = eme("bootstrap", "--json", "--apply", *eme.admin)["changes"]

    assert wanted == again == made != []
    assert eme("bootstrap", "--json", *eme.admin)["changes"] == []


def test_templates_that_are_not_on_its_disk_are_not_said_to_be_made(eme, misp):
    first, second = OWN_OBJECTS
    misp.disk = {first: definition(first)}

    done = eme("bootstrap", "--json", "--apply", *eme.admin)

    assert f"load object template {first} from MISP's disk" in done["changes"]
    assert f"load object template {second} from MISP's disk" not in done["changes"]
    (left,) = [one for one in done["by_hand"] if second in one["detail"]]
    assert "eme misp templates export" in left["fix"]


def test_an_older_template_of_ours_is_outdated(eme, misp):
    misp.templates = {name: definition(name) | {"version": 0} for name in OWN_OBJECTS}

    said = eme("check")

    assert "! object templates: iris-detection (ours, version 1) is outdated: version 0" in said


def test_the_changes_need_a_site_admin(eme):
    assert "--admin-key-file" in eme("bootstrap", "--apply", code=2)


def test_templates_are_exported_as_misp_reads_them(eme, tmp_path):
    dest = tmp_path / "objects"

    assert eme("templates", "export", str(dest), "--dry-run", "--json")["files"] != []
    assert not dest.exists()
    said = eme("templates", "export", str(dest))

    assert "bootstrap --apply" in said
    found = {one.parent.name: json.loads(one.read_bytes()) for one in dest.rglob("*.json")}
    assert found == {name: definition(name) for name in OWN_OBJECTS}


def test_an_address_that_may_not_be_called_says_which_setting_lets_it(eme, tmp_path):
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del config["egress"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))

    assert "egress.private_networks" in eme("check", code=8)


def test_without_the_section_it_says_so(tmp_path, monkeypatch):
    words = ["--config", str(tmp_path / "config.yaml"), "misp", "check"]
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"instance": {"organisation": CI},
                        "organisations": [{"uuid": CI, "name": "CI-1"}]})
    )  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["eme", *words])

    done = CliRunner().invoke(main, words)

    assert done.exit_code == 3
    assert "there is no such section" in done.output
