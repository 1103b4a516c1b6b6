"""Our modules in the real server: listed, quick, and unimpressed by garbage."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import time
import zipfile

import pytest

from eme_connector.usecases.misp_modules import act
from eme_connector.usecases.misp_modules.answer import DEADLINE_S
from tests.misp_modules.conftest import CUSTOM
from tests.servers.misp_modules import ROOT, ModulesServer

OURS = {
    "eme_lookup": ["expansion", "hover"],
    "eme_import": ["import"],
    "eme_stix": ["export"],
    "eme_create": ["action"],
    "eme_gate": ["action"],
}
INFO = {"version", "author", "module-type", "name", "description", "logo", "requirements",
        "features", "references", "input", "output"}  # fmt: skip
SHIMS = sorted(CUSTOM.rglob("*.py"))


def test_the_server_loads_them_all(environment, free_port, tmp_path):
    done = ModulesServer(CUSTOM, free_port(), tmp_path / "log").test_mode()

    assert done.returncode == 0, done.stderr[-2000:]
    assert [line for line in done.stderr.splitlines() if "eme_" in line and "rror" in line] == []


def test_they_are_listed_with_all_that_misp_reads(server):
    listed = {one["name"]: one for one in server.modules()}

    assert {name: listed[name]["meta"]["module-type"] for name in OURS} == OURS
    for name in OURS:
        meta = listed[name]["meta"]
        assert set(meta) >= INFO
        assert all(isinstance(meta[key], str) for key in ("name", "description", "version"))
        assert isinstance(meta["config"], list | dict)
    for name in ("eme_lookup", "eme_import"):
        assert listed[name]["mispattributes"]["format"] == "misp_standard"
    assert listed["eme_stix"]["meta"]["require_standard_format"] is True
    blocking = {
        one: listed[one]["meta"]["config"]["blocking"] for one in ("eme_create", "eme_gate")
    }
    assert blocking == {"eme_create": False, "eme_gate": True}


def test_no_parameter_of_a_workflow_is_a_secret(server):
    listed = {one["name"]: one for one in server.modules()}

    params = {
        name
        for one in ("eme_create", "eme_gate")
        for name in listed[one]["meta"]["config"]["params"]
    }
    assert params == {"classification"}


@pytest.mark.parametrize("path", SHIMS, ids=lambda p: p.stem)
def test_a_shim_is_short_and_does_nothing_when_it_is_loaded(path):
    text = path.read_text()
    tree = ast.parse(text)
    imported = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]

    assert path.stem.startswith("eme_")
    assert len(text.splitlines()) <= 60
    assert imported == ["Any"]
    assert {type(node) for node in tree.body} <= {
        ast.Expr, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef
    }  # fmt: skip
    assert "dict_handler" not in text


def test_there_is_no_package_below_misp_modules():
    assert list(CUSTOM.rglob("__init__.py")) == []


def test_a_shim_without_us_says_so(environment):
    """Loaded where eme-connector is not installed, it must not stop the server."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import eme_lookup; "
        "print(eme_lookup.handler(b'{}'))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(CUSTOM / "expansion")],
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip

    assert "EME: not installed beside misp-modules" in done.stdout
    assert "'results': {}" in done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the names in a wheel made of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    code = (
        "import os, sys; from setuptools import build_meta; os.chdir(sys.argv[1]); "
        "print(build_meta.build_wheel(sys.argv[2]))"
    )
    source = folder / "source"
    source.mkdir()
    left_out = shutil.ignore_patterns("node_modules", "__pycache__", "dist")
    for name in ("eme_connector", "misp_modules", "templates"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=left_out)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-c", code, str(source), str(folder)], check=True,
                   capture_output=True)  # fmt: skip
    return zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()


def test_the_wheel_has_the_modules_inside_our_package_and_no_package_of_theirs(wheel):
    inside = {name for name in wheel if "misp_modules/" in name and name.endswith(".py")}
    shims = {f"eme_connector/_misp_modules/{path.relative_to(CUSTOM).as_posix()}" for path in SHIMS}

    assert {name for name in inside if name.startswith("eme_connector/_")} == shims
    assert [name for name in wheel if name.startswith("misp_modules/")] == []
    assert [n for n in wheel if "_misp_modules/" in n and n.endswith("__init__.py")] == []


GARBAGE = [
    {},
    {"attribute": None},
    {"attribute": {"value": 7}},
    {"attribute": {"value": "\x00"}, "config": "x"},
    {"object": {"Attribute": 3}, "config": {"eme_url": "http://x", "eme_token": "y"}},
    {"data": None},
    {"data": "%%%"},
    {"data": "e30="},
    {"data": "W10=", "config": []},
    {"data": [None]},
    {"data": [{"Event": {"Attribute": [{"value": {}}]}}]},
    {"data": {"Event": []}},
    {"data": {"Event": {"uuid": "x"}}},
    {"data": {"Event": {"uuid": "bbbbbbbb-0000-4000-8000-000000000001", "Object": [{"name": []}]}}},
]


@pytest.mark.parametrize("name", OURS)
def test_garbage_gets_an_answer_in_both_forms(server, name):
    for body in GARBAGE:
        found = server.query(module=name, **body)
        assert isinstance(found, dict), body
        assert "error" in found or "results" in found or "data" in found, body
        if "error" in found:
            assert found["results"] == {}
            assert "Something went wrong" not in found["error"], body
    for body in (b"", b"[]", b"{", b'{"module": "' + name.encode() + b'", "a": 1, "a": 2}'):
        server.post(body)
    assert server.is_healthy()


@pytest.mark.parametrize("name", OURS)
def test_a_hundred_megabytes_are_refused_and_the_server_lives(server, name):
    kind = {"eme_lookup": "attribute", "eme_import": "data", "eme_stix": "data"}.get(name, "data")
    content = "A" * 100_000_000
    value = {"value": content} if kind == "attribute" else content
    body = json.dumps({"module": name, kind: value}).encode()

    began = time.monotonic()
    found = server.post(body).json()

    assert time.monotonic() - began < 10
    assert "more than" in found["error"]
    assert found["results"] == {}
    assert server.is_healthy()


EVENT = {"uuid": "bbbbbbbb-0000-4000-8000-000000000001", "info": "x", "Attribute": []}


def ask_in_time(server, name, **body):
    server.query(module=name)  # the first call imports what is needed
    began = time.monotonic()
    found = server.query(module=name, **body)
    assert time.monotonic() - began < 5  # the least that MISP waits
    assert found["results"] == {}
    return found["error"]


@pytest.mark.parametrize("name", ["eme_create", "eme_gate"])
def test_an_action_tells_of_a_silent_sidecar_in_time(lost, name):
    error = ask_in_time(lost, name, data={"Event": EVENT}, params={})

    assert error.startswith("EME: the sidecar does not answer")


@pytest.mark.parametrize("how", ["refused", "silent", "unresolved"])
def test_a_look_up_tells_of_a_dead_sidecar_in_time(lost, silent, free_port, how):
    url = {"refused": f"http://127.0.0.1:{free_port()}", "silent": silent,
           "unresolved": "http://no-such-host.invalid"}[how]  # fmt: skip
    config = {"eme_url": url, "eme_token": "x"}

    error = ask_in_time(lost, "eme_lookup", attribute={"value": "10.0.0.7"}, config=config)

    assert error.startswith("EME: the sidecar does not answer")


def test_the_pages_name_every_module_and_what_it_needs():
    for page in (ROOT / "docs" / "misp-modules.md", CUSTOM / "README.md"):
        text = page.read_text()
        assert [name for name in OURS if name not in text] == []
    text = (ROOT / "docs" / "misp-modules.md").read_text()
    for name in ("eme_url", "eme_token", act.URL, act.TOKEN_FILE, act.TOKEN, f"{DEADLINE_S:g} s"):
        assert name in text
