"""The command line: what it says, what it ends with, what it never does."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import yaml
from click.testing import CliRunner

from eme_connector.adapters.database import open_store
from eme_connector.cli import COMMANDS, main
from eme_connector.domain.misp_reasons import REASONS
from eme_connector.ports import Owed
from tests.doubles.misp import Misp
from tests.faults.sidecar import PASSWORD


@pytest.fixture
def eme(tmp_path, monkeypatch):
    """Run `eme` on a fresh configuration; returns (exit code, document or text)."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "config.yaml"
    runner = CliRunner()

    def run(*words, code=0, input=None):
        monkeypatch.setattr(sys, "argv", ["eme", *words])
        done = runner.invoke(main, ["--config", str(path), *words], input=input)
        assert done.exit_code == code, (done.output, done.exception)
        if "--json" in words and done.output.strip():
            return json.loads(done.output.strip().splitlines()[-1])
        return done.output

    run("init", "--name", "Metro “1”: tram", "--json")
    run.path = path
    return run


def test_init_writes_a_private_file_once(eme):
    assert stat.S_IMODE(eme.path.stat().st_mode) == 0o600
    assert "there already" in eme("init", "--name", "x", code=6)
    assert eme("config", "check", "--json") == {"ok": True}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    done = CliRunner().invoke(main, [name, "--help"])

    assert done.exit_code == 0
    assert "Usage:" in done.output


def test_help_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "eme_connector.cli", "--help"],
                          check=True, capture_output=True, text=True)  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert "click" in imported
    assert (
        imported & {"flask", "sqlalchemy", "cryptography", "urllib3", "pymisp", "pydantic"} == set()
    )


def test_a_token_is_made_listed_and_revoked(eme):
    made = eme("token", "create", "atio", "--right", "ingest", "--json")
    (listed,) = eme("token", "list", "--json")["tokens"]

    assert made["token"].startswith(f"eme_{made['prefix']}_")
    assert (listed["name"], listed["state"]) == ("atio", "")
    assert made["token"] not in str(listed)
    assert eme("token", "revoke", made["prefix"], "--dry-run", "--json")["revoked"] is False
    eme("token", "revoke", made["prefix"])
    assert eme("token", "list", "--json")["tokens"][0]["state"] == "revoked"


def test_a_token_never_decides(eme):
    answer = eme("token", "create", "x", "--right", "decide", "--json", code=7)

    assert answer["errors"][0]["pointer"] == "/rights"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("token", "revoke", "nothere"), 5),
        (("token", "create", "x", "--right", "fly"), 2),
        (("user", "add", "NO SPACES", "--password-file", "-"), 7),
        (("policy", "set", "contain.fly=on"), 2),
        (("peers", "revoke", "00"), 5),
        (("outbox", "show", "1"), 5),
        (("whoami",), 4),
        (("login", "--server", "http://127.0.0.1:9", "--name", "a", "--password-file", "-"), 8),
        (("worker",), 3),
        (("nonsense",), 2),
    ],
)
def test_exit_codes(eme, words, code):
    eme(*words, code=code, input=PASSWORD)


def test_ingest_ends_with_the_code_of_what_was_not_taken(eme, tmp_path, monkeypatch):
    monkeypatch.setenv("EME_TOKEN", "eme_none")
    (tmp_path / "bundle.json").write_text("{}")

    said = eme("ingest", str(tmp_path / "bundle.json"), "--server", "http://127.0.0.1:9", code=8)

    assert "bundle.json: refused" in said


def test_policy_shows_dry_runs_and_saves(eme):
    assert "on → off" not in eme("policy", "set", "contain.isolate=on", "--dry-run")
    assert (
        eme("policy", "show", "--json")["settings"][0]["automatic"]["contain"]["isolate"] is False
    )
    eme("policy", "set", "contain.isolate=on", "--yes")
    (shown,) = eme("policy", "show", "--json")["settings"]
    assert (shown["automatic"]["contain"]["isolate"], shown["version"]) == (True, 1)


def test_users_are_added_listed_closed(eme):
    eme("user", "add", "anna", "--role", "operator", "--password-file", "-", input=PASSWORD)
    assert eme("user", "list", "--json")["users"][0]["role"] == "operator"
    eme("user", "password", "anna", "--password-file", "-", input="another long password")
    eme("user", "disable", "anna")
    assert eme("user", "list", "--json")["users"][0]["state"] == "closed"
    assert "12 characters" in eme("user", "add", "b", "--password-file", "-", code=7, input="short")


def test_the_kill_switch(eme):
    assert eme("stop", "--reason", "drill", "--json")["stopped"] is True
    assert eme("stop", "--resume", "--reason", "over", "--json")["stopped"] is False


def test_peers_are_exchanged_by_file_and_typed_fingerprint(eme, tmp_path):
    file = tmp_path / "peer.json"
    shown = eme("peers", "export", str(file), "--json")

    assert json.loads(file.read_text()) == shown["peer"]
    assert "PRIVATE" not in file.read_text()
    assert eme("peers", "add", str(file), "--fingerprint", "00", code=7)


def test_config_problems_end_with_three_and_name_each(eme):
    eme.path.write_text("instance: {}\nserve: {prot: 1}\n")

    text = eme("config", "check", code=3)
    assert "instance.organisation" in text
    assert "`port`" in text


def test_secrets_are_hidden_in_what_is_shown(eme):
    eme.path.write_text(
        eme.path.read_text()
        + "orchestrators:\n  - name: s\n    url: https://s.example\n"
        + "    secret: whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\n"
    )

    assert "c2VjcmV0" not in eme("config", "show")


def findings(eme, code=0):
    found = eme("doctor", "--json", code=code)["findings"]
    return {one["part"]: one for one in found}


def test_doctor_is_content_with_a_fresh_sidecar(eme):
    eme("token", "list")
    found = findings(eme)

    assert found["configuration"]["level"] == found["database"]["level"] == "ok"
    assert found["people"]["level"] == "warning"


def test_doctor_names_each_fault_with_its_fix(eme, monkeypatch):
    eme("token", "list")
    os.chmod(eme.path.parent / "data" / "eme.db", 0o644)
    soar = "{name: s, url: 'http://127.0.0.1:9', secret: whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0}"
    more = f"orchestrators: [{soar}]\negress: {{private_networks: [127.0.0.0/8]}}\n"
    eme.path.write_text(eme.path.read_text() + more)
    monkeypatch.setattr("eme_connector.cli.doctor.LOW_DISK", 10**18)
    found = findings(eme, code=1)

    for part in ("permissions", "disk", "orchestrators"):
        assert found[part]["level"] == "error", part
        assert found[part]["fix"], part


def test_doctor_looks_at_misp_and_at_what_our_key_may_do_there(eme):
    eme("token", "list")
    misp = Misp("CI-1", yaml.safe_load(eme.path.read_text())["instance"]["organisation"])
    weak, wrong = misp.add_user("publisher"), "0" * 40
    text = eme.path.read_text() + "egress: {private_networks: [127.0.0.0/8]}\n"

    def look(key, code):
        eme.path.write_text(f"{text}misp: {{url: '{misp.url}', key: '{key}'}}\n")
        found = eme("doctor", "--json", code=code)["findings"]
        return [one for one in found if one["part"] == "misp"]

    try:
        assert {one["level"] for one in look(misp.add_user("org_admin"), 0)} == {"ok"}
        assert [one for one in look(weak, 1) if "lacks perm_sharing_group" in one["detail"]]
        refused = look(wrong, 1)[0]
        assert "key-refused" in refused["detail"]
        assert "enabled, not expired" in refused["fix"]
    finally:
        misp.close()


def test_the_outbox_says_what_to_do_about_misp(eme):
    eme("token", "list")
    store = open_store(f"sqlite:///{eme.path.parent / 'data' / 'eme.db'}")

    def work(tx):
        one = tx.owe(Owed("misp", "misp", "t", "o", 1))
        tx.save_delivery(replace(one, reason="blocklisted", receipt={"detail": "x"}), fence=0)

    store.transact(work)
    store.close()

    said, todo = eme("outbox", "list"), REASONS["blocklisted"]
    assert f"blocklisted: {todo.says}\n    → {todo.remedy}" in said
    (listed,) = eme("outbox", "list", "--json")["deliveries"]
    assert (listed["remedy"], listed["receipt"]) == (todo.remedy, {"detail": "x"})
    assert todo.remedy in eme("outbox", "show", str(listed["id"]))


def test_doctor_survives_a_configuration_that_cannot_be_used(eme):
    eme.path.write_text("nonsense: 1\n")

    assert findings(eme, code=1)["configuration"]["level"] == "error"


def test_doctor_sees_a_clock_that_is_off(free_port):
    from eme_connector.cli.doctor import clock
    from tests.faults.receiver import Receiver

    receiver = Receiver()
    url = receiver.url.removesuffix("/playbooks")
    (good,) = clock([url])
    (bad,) = clock([url], now=lambda: time.time() + 3600)
    receiver.close()

    assert (good.level, bad.level) == ("ok", "error")
