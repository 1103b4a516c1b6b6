"""The file is what Cerebrate 1.35 loads: a fault in it would break every page of local tools."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from eme_connector.config import Limits
from tests.conftest import ROOT
from tests.php.conftest import connection

FOLDER = ROOT / "cerebrate_local_tool"
FILE = FOLDER / "local_tool_connectors" / "EmeConnector.php"


@pytest.fixture(scope="module")
def told(php):
    (answer,) = php({"do": "describe"})
    return answer["result"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("cerebrate_local_tool/**/*.php")), ids=str)
def test_php_can_read_it(php, path):
    done = subprocess.run([shutil.which("php"), "-l", path], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_stays_thin():
    assert len(FILE.read_text().splitlines()) <= 500


def test_cerebrate_finds_the_class_by_file_and_tool_name(told):
    assert told["class"] == r"EmeConnector\EmeConnector"
    assert told["connectorName"] == FILE.stem == "EmeConnector"
    assert told["name"].lower().capitalize() + "Connector" == FILE.stem


def test_every_call_of_cerebrate_is_answered_with_the_recorded_signature(told):
    methods = told["methods"]
    recorded = {
        "health": (["object"], "array"),
        "diagnostics": (["array"], "array"),
        "initiateConnection": (["array"], "array"),
        "acceptConnection": (["array"], "array"),
        "finaliseConnection": (["array"], "bool"),
    }

    for name, (takes, returns) in recorded.items():
        assert methods[name]["own"], name
        assert (methods[name]["takes"], methods[name]["returns"]) == (takes, returns)
    for name in (
        "initiateConnectionWrapper",
        "acceptConnectionWrapper",
        "finaliseConnectionWrapper",
    ):
        assert not methods[name]["own"]


def test_every_exposed_action_is_there_and_complete(told):
    for name, how in told["exposed"].items():
        assert name.endswith("Action")  # Cerebrate cuts the last six letters for the title
        assert told["methods"][name]["takes"] == ["array"]
        assert how["type"] in ("index", "formAction", "batchAction")
        assert isinstance(how["params"], list)
        if how["type"] == "formAction":
            assert told["exposed"][how["redirect"]]["type"] == "index"
        if how["type"] == "batchAction":
            assert set(how["ui"]) == {"text", "icon", "variant"}
    assert told["batch"] == ["batchPushAction"]


def test_no_public_method_is_reachable_by_accident(told):
    own = {name for name, how in told["methods"].items() if how["own"]}
    others = {"addSettingValidatorRules", "health", "diagnostics", "initiateConnection",
              "acceptConnection", "finaliseConnection"}  # fmt: skip

    assert own == set(told["exposed"]) | others


def test_settings_are_checked_and_have_placeholders(told):
    assert set(told["settings"]) == set(told["placeholder"]) == {"url", "token", "skip_ssl"}
    patterns = {name: rule for kind, name, rule in told["rules"] if kind == "regex"}
    token = re.compile(patterns["token"].strip("/"))
    assert token.fullmatch("eme_abcdefghijkl_" + "A" * 43)
    assert not token.fullmatch("a" * 40)
    assert re.match(patterns["url"].strip("#"), "https://eme.example")
    assert not re.match(patterns["url"].strip("#"), "file:///etc/passwd")


def test_an_unreachable_sidecar_is_no_exception(php, free_port):
    (answer,) = php({"do": "health", "connection": connection(f"http://127.0.0.1:{free_port()}")})

    assert answer["result"] == {"status": 0, "message": "The sidecar cannot be reached."}


def test_broken_settings_are_no_exception(php):
    answers = php(*({"do": "health", "connection": {"id": 1, "settings": text}}
                    for text in ("", "null", "[]", "{", '{"url": ""}')))  # fmt: skip

    assert [one["result"]["status"] for one in answers] == [0] * 5


def test_the_page_names_every_panel_and_meta_field(told):
    page = (ROOT / "docs" / "cerebrate.md").read_text()
    panels = [line.split("|")[1].strip() for line in page.partition("## What is there")[2]
              .partition("\n\n")[0].splitlines()[3:]]  # fmt: skip
    shown = [name for name, how in told["exposed"].items() if how["type"] == "index"]
    fields = json.loads((FOLDER / "meta_fields" / "eme_ci.json").read_text())["metaFields"]

    assert [f"{one.replace(' ', '').lower()}action" for one in panels] == [
        one.lower() for one in shown]  # fmt: skip
    assert [one["field"] for one in fields if f"`{one['field']}`" not in page] == []
    minutes = Limits().handshake_minutes
    assert f"for {minutes:.0f}\n  minutes (`limits.handshake_minutes`)" in page


def test_the_meta_template_is_what_cerebrate_loads():
    found = json.loads((FOLDER / "meta_fields" / "eme_ci.json").read_text())

    assert set(found) == {
        "name", "namespace", "description", "version", "scope", "uuid", "source", "metaFields"
    }  # fmt: skip
    assert found["scope"] == "organisation"
    for one in found["metaFields"]:
        assert "/" not in one.get("regex", "")  # Cerebrate wraps it in slashes
        re.compile(one.get("regex", ""))
