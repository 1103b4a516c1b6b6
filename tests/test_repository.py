"""What the repository itself has to be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP = [
    "eme_connector",
    "misp_modules",
    "cerebrate_local_tool",
    "sync",
    "templates",
    "docs",
    "tests",
    "config.example.yaml",
    "setup.cfg",
    "Makefile",
    "CHANGELOG.md",
    "LICENSE",
]


def tracked(*patterns):
    found = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("this is not a git checkout")
    return [ROOT / line for line in found.stdout.splitlines()]


def test_the_layout_is_there():
    assert [name for name in TOP if not (ROOT / name).exists()] == []


def test_misp_modules_is_no_package():
    assert list((ROOT / "misp_modules").rglob("__init__.py")) == []


@pytest.mark.parametrize("name", ["templates", "_misp_modules"])
def test_what_other_programs_load_is_inside_the_package_too(name):
    link = ROOT / "eme_connector" / name

    assert link.is_symlink()
    assert link.resolve().is_dir()


def test_no_python_file_is_two_rooms_in_one():
    long = {p: len(p.read_text().splitlines()) for p in tracked("*.py")}

    assert {p.name: n for p, n in long.items() if n > 400} == {}


def test_no_registry_is_named():
    names = ("py" + "pi.org", "python" + "hosted", "registry.npm" + "js", "deb." + "debian.org")
    hosts = re.compile("|".join(re.escape(name) for name in names))

    named = [
        p.name for p in tracked() if p.is_file() and hosts.search(p.read_text(errors="ignore"))
    ]
    assert named == []
