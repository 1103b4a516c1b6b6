"""Configuration: every problem at once, each with its path."""

from __future__ import annotations

import pytest
import yaml

from eme_connector import config
from eme_connector.errors import ConfigError
from tests.build import CI, GROUP, OTHER_CI


def tree(**sections):
    return {
        "instance": {"organisation": CI},
        "organisations": [{"uuid": CI, "name": "CI-1"}],
    } | sections


def problems(found, environ=None):
    with pytest.raises(ConfigError) as caught:
        config.parse(found, environ or {})
    return list(caught.value.problems)


def test_two_sections_are_enough():
    found = config.parse(tree(), {})

    assert found.store_url.startswith("sqlite:///")
    assert found.public_url == "http://127.0.0.1:8150"
    assert found.orchestrators == ()


def test_an_unknown_key_is_a_problem_with_a_suggestion():
    (problem,) = problems(tree(serve={"prot": 1}))

    assert problem.startswith("serve.prot:")
    assert "`port`" in problem


def test_all_problems_are_told_at_once():
    wrong = tree(serve={"port": 0, "threads": "many"}, log={"level": "loud"})
    wrong["instance"] = {}

    paths = [one.split(":")[0] for one in problems(wrong)]
    assert paths == ["instance.organisation", "serve.port", "serve.threads", "log.level"]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"orchestrators": [{"name": "soar"}]}, "orchestrators.0.url"),
        (
            {"sharing_groups": [{"uuid": GROUP, "name": "G", "members": [OTHER_CI]}]},
            "sharing_groups.0",
        ),
        ({"organisations": [{"uuid": OTHER_CI, "name": "x"}]}, "instance.organisation"),
        ({"egress": {"private_networks": ["10.0.0.1/8"]}}, "egress"),
        ({"serve": {"host": "0.0.0.0"}}, "serve"),
        ({"store": {"url": 7}}, "store.url"),
    ],
)
def test_a_half_filled_section_is_a_problem(section, path):
    assert any(one.startswith(path) for one in problems(tree(**section)))


def test_environment_overrides_the_file():
    found = config.parse(tree(), {"EME_SERVE__PORT": "9000", "EME_LOG__LEVEL": "error"})

    assert (found.serve.port, found.log.level) == (9000, "error")


def test_secrets_come_from_files_and_are_never_shown(tmp_path):
    (tmp_path / "secret").write_text("whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0\n")
    soar = {"name": "soar", "url": "https://soar.example", "secret_file": "secret"}
    found = config.parse(tree(orchestrators=[soar]), {}, base=tmp_path)

    assert found.orchestrators[0].secret.get_secret_value().startswith("whsec_")
    assert "whsec_" not in str(found)
    assert "whsec_" not in str(found.model_dump(mode="json"))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "plain text", "whsec_%%%"])
def test_a_webhook_secret_that_cannot_be_used_is_a_problem_and_not_repeated(secret):
    soar = {"name": "soar", "url": "https://soar.example", "secret": secret}
    (problem,) = problems(tree(orchestrators=[soar]))

    assert problem.startswith("orchestrators.0.secret:")
    assert "base64" in problem
    assert len(secret) < 7 or secret not in problem


def test_a_missing_secret_file_is_a_problem():
    soar = {"name": "soar", "url": "https://soar.example", "secret_file": "nowhere"}

    assert problems(tree(orchestrators=[soar]))[0].startswith("orchestrators.0.secret_file")


@pytest.mark.parametrize("text", ["- a list", "a: [", "\tx: 1"])
def test_a_file_that_is_no_mapping_is_a_clear_error(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError):
        config.load(path, {})


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="eme init"):
        config.load(tmp_path / "none.yaml", {})


def test_paths_start_at_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tree()))

    assert config.load(path, {}).instance.data_dir == tmp_path / "data"
