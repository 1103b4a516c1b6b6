"""The secret of form tokens is whole, or there is none: an empty one would be everybody's."""

from __future__ import annotations

import os
import stat

import pytest

from eme_connector.adapters.cookie import NAME, load_secret
from eme_connector.errors import ConfigError


def test_it_is_made_once_and_for_its_owner_alone(tmp_path):
    made = load_secret(tmp_path)

    assert len(made) >= 32
    assert load_secret(tmp_path) == made
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [NAME]


def test_an_empty_one_is_refused(tmp_path):
    (tmp_path / NAME).touch()

    with pytest.raises(ConfigError, match="is empty"):
        load_secret(tmp_path)


def test_whoever_starts_while_it_is_written_reads_all_of_it(tmp_path, monkeypatch):
    meanwhile, fdopen = [], os.fdopen

    def slow(*words):
        with monkeypatch.context() as now:
            now.setattr(os, "fdopen", fdopen)
            meanwhile.append(load_secret(tmp_path))
        return fdopen(*words)

    monkeypatch.setattr(os, "fdopen", slow)
    made = load_secret(tmp_path)

    assert meanwhile == [made]
    assert len(made) >= 32
