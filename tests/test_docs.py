"""Documentation is held against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eme_connector import config
from eme_connector.cli.reference import pages
from eme_connector.errors import MAX_FAULTS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.fixture(scope="module")
def generated():
    return pages()


@pytest.mark.parametrize(
    "path", ["config.example.yaml", "docs/configuration.md", "docs/cli.md", "docs/api.md",
             "docs/openapi.json"],
)  # fmt: skip
def test_what_is_generated_is_up_to_date(generated, path):
    written = (ROOT / path).read_text(encoding="utf-8")

    assert written == generated[path], "run: python -m eme_connector.cli.reference"


def test_the_example_configuration_can_be_loaded_and_names_every_key():
    found = config.load(ROOT / "config.example.yaml", {})
    text = (ROOT / "config.example.yaml").read_text()

    assert found.instance.organisation in {one.uuid for one in found.organisations}
    assert [key for key in _keys(config.Config) if f"{key}:" not in text] == []


def _keys(model):
    for name, field in model.model_fields.items():
        yield name
        for kind in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            if isinstance(kind, type) and issubclass(kind, config.Section):
                yield from _keys(kind)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


def test_the_commands_of_the_readme_are_make_targets():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = re.findall(r"^make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert told == ["run", "test"]
    assert set(told) <= set(targets)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_changelog_speaks_to_operators():
    text = (ROOT / "CHANGELOG.md").read_text()

    assert "## Unreleased" in text
    assert "Operators must:" in text


def test_numbers_in_the_pages_are_those_of_the_code():
    assert f"at most {MAX_FAULTS} places" in (ROOT / "docs" / "events.md").read_text()
