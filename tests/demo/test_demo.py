"""The demo, as a newcomer runs it: real processes, real files, nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from eme_connector.demo.walk import organisations_in
from tests.bundles import bundle, carrier, step

EME = [sys.executable, "-m", "eme_connector.cli", "demo"]
STAGES = ["received", "policy", "decided", "dispatched", "shared"]


def once(*files, code=0):
    done = subprocess.run([*EME, "--once", "--json", *map(str, files)], capture_output=True,
                          text=True, timeout=120)  # fmt: skip
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_sample_goes_all_the_way():
    lines = once()

    assert [one["stage"] for one in lines] == STAGES
    assert {one["threat_id"] for one in lines} == {lines[0]["threat_id"]}
    assert lines[1]["status"] == "pending"
    assert all(one["ms"] >= 0 for one in lines)


def test_files_of_every_kind_get_their_answer(tmp_path):
    covered = tmp_path / "covered.json"
    covered.write_text(json.dumps(bundle(carrier("Harbour", steps=[step(1)]))))
    expired = tmp_path / "expired.json.gz"
    old = carrier("CI-1", iris_id=2)
    old["playbook_actions"]["playbook_valid_until"] = "2020-01-01T00:00:00Z"
    expired.write_bytes(gzip.compress(json.dumps(bundle(old)).encode()))
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    mixed = tmp_path / "mixed.json"
    mixed.write_text(json.dumps(bundle(carrier("CI-1"), carrier("CI-9", number=2))))

    lines = once(covered, expired, broken, mixed)

    def of(path):
        return [one for one in lines if one["file"] == str(path)]

    assert [one["stage"] for one in of(covered)] == STAGES
    assert of(covered)[1]["status"] == "approved"
    assert [one["stage"] for one in of(expired)] == STAGES
    assert "new_end" in of(expired)[2]
    assert [(one["stage"], one["status"]) for one in of(broken)] == [("refused", 400)]
    (refused,) = of(mixed)
    assert (refused["status"], refused["pointer"]) == (422, "/objects/1/detection/organisation")


@pytest.mark.parametrize(
    ("document", "names"),
    [({"organisation": "a", "x": [{"organisation": "b"}]}, {"a", "b"}), ([1], set())],
)
def test_organisations_are_found_wherever_they_are_named(document, names):
    assert organisations_in(json.dumps(document).encode()) == names
    assert organisations_in(b"{broken") == set()


def _start(folder, *more):
    return subprocess.Popen(
        [*EME, "--data-dir", str(folder), "--ci-port", "0", "--cert-port", "0",
         "--receiver-port", "0", *more],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _read_until(process, words):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def _children_of(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(one) for one in found.stdout.split()]


def test_ctrl_c_ends_it_and_the_next_start_finds_its_data(tmp_path):
    first = _start(tmp_path / "data")
    said = _read_until(first, "Ctrl-C ends")
    assert "password" in said
    assert "seen by the CERT" in said
    first.send_signal(signal.SIGINT)
    assert "Ended." in _read_until(first, "Ended.")
    assert first.wait(30) == 0

    second = _start(tmp_path / "data")
    said = _read_until(second, "Ctrl-C ends")
    assert "Found the data of last time" in said
    children = _children_of(second.pid)
    assert len(children) == 3
    second.kill()
    second.wait(30)
    until = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{one}") for one in children) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [one for one in children if os.path.exists(f"/proc/{one}")]


def test_a_taken_port_is_a_clear_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*EME, "--data-dir", str(tmp_path), "--ci-port", "0", "--cert-port", str(port),
             "--receiver-port", "0"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    assert done.returncode == 6
    assert f"port {port} is taken" in done.stderr
    assert "--cert-port" in done.stderr
