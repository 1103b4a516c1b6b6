"""`eme misp explain`."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from eme_connector.cli import main
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event.event import Rendering
from tests import bundles
from tests.build import threat

KEYS = ["pointers", "mapped", "kept", "refused", "unaccounted", "entries"]


@pytest.fixture
def explain(monkeypatch, tmp_path):
    def run(document, *words, code=0):
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        words = ["misp", "explain", *words]
        monkeypatch.setattr(sys, "argv", ["eme", *words])
        path = tmp_path / "file.json"
        path.write_bytes(data)
        by_name = CliRunner().invoke(main, [*words, str(path)])
        by_pipe = CliRunner().invoke(main, [*words, "-"], input=data)
        assert by_name.exit_code == by_pipe.exit_code == code, by_name.output
        assert by_name.output == by_pipe.output
        return json.loads(by_name.output) if "--json" in words else by_name.output

    return run


def test_json_is_counts_and_entries_and_nothing_else(explain):
    found = explain(bundles.bundle(), "--json")

    assert list(found) == KEYS
    assert found["pointers"] == len(found["entries"]) == sum(found[key] for key in KEYS[1:5])
    assert found["unaccounted"] == 0
    for one in found["entries"]:
        other = {"mapped": "to", "kept": "reason", "refused": "reason"}[one["fate"]]
        assert set(one) == {"pointer", "fate", other}


def test_for_people_counts_come_first_and_reasons_are_grouped(explain):
    text = explain(bundles.bundle())

    first, *rest = text.splitlines()
    assert first == "67 leaves of the bundle: 65 mapped, 2 kept, 0 refused, 0 unaccounted"
    assert "object iris-detection (0:detection/0)" in text
    assert "kept: about the bundle itself (1)" in rest
    assert "         /type" in rest


def test_every_leaf_can_be_named(explain):
    lines = explain(bundles.bundle(), "--all").splitlines()

    assert len(lines) == 68
    assert lines[1] == "kept     /type  →  about the bundle itself"


def test_an_event_is_explained_too(explain):
    event = {"Event": misp_event.render(threat(), Rendering("CI-1"), b"{}")}

    assert "leaves of the event" in explain(event)
    found = explain(event, "--json")
    assert found["mapped"] >= 20
    assert "stays at home (distribution 0)" in {one.get("reason") for one in found["entries"]}


def test_the_scale_of_criticality_can_be_told(explain):
    fates = [
        next(one for one in found["entries"] if one["pointer"].endswith("/criticality"))["fate"]
        for found in (
            explain(bundles.bundle(), "--json"),
            explain(bundles.bundle(), "--json", "--criticality-order", "ascending"),
        )
    ]

    assert fates == ["kept", "mapped"]


@pytest.mark.parametrize(
    ("data", "code"), [(b"{", 7), (b"[]", 7), (b'{"a": 1, "a": 2}', 7), (b'{"type": "x"}', 7)]
)
def test_what_is_neither_is_refused(explain, data, code):
    assert "detail" in explain(data, "--json", code=code)


def test_a_file_that_is_not_there_is_named():
    done = CliRunner().invoke(main, ["misp", "explain", "/no/such/file"])

    assert done.exit_code == 1
    assert "/no/such/file" in done.output
