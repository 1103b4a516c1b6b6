"""Full, read-only and locked: refused with 503, nothing half kept, and on again by itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time

import pytest
import requests

from tests.build import CI
from tests.bundles import bundle, carrier, step
from tests.conftest import find_free_port
from tests.faults.sidecar import Sidecar


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 8 MB; only root can."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True
    )
    if os.getuid() != 0 or made.returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def on_disk(small_disk, tmp_path):
    """Return a running sidecar whose data is on the small disk."""
    data = str(small_disk / "data")
    found = Sidecar(tmp_path, find_free_port(), instance={"organisation": CI, "data_dir": data})
    found.token = found.eme("token", "create", "a", "--right", "ingest", "--right", "read",
                            "--json")["token"]  # fmt: skip
    found.start()
    yield found
    found.kill()


def send(sidecar, number):
    return requests.post(
        f"{sidecar.url}/api/v1/ci/threats",
        json=bundle(carrier(iris_id=number, steps=[step(1)])),
        headers={"Authorization": f"Bearer {sidecar.token}"},
        timeout=30,
    )


def is_kept(sidecar, threat):
    headers = {"Authorization": f"Bearer {sidecar.token}"}
    path = f"{sidecar.url}/api/v1/ci/threats/{threat}"
    return requests.get(path, headers=headers, timeout=10).status_code == 200


def threat_of(answer):
    return answer.json()["threats"][0]["id"]


def goes_on(sidecar, number, seconds=10):
    until = time.monotonic() + seconds
    while (answer := send(sidecar, number)).status_code != 201:
        assert time.monotonic() < until, answer.text
        time.sleep(0.1)
    return threat_of(answer)


def test_a_full_disk_refuses_keeps_what_it_had_and_goes_on_when_there_is_room(on_disk, small_disk):
    first = threat_of(send(on_disk, 0))
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        while shutil.disk_usage(small_disk).free > 0:
            try:
                file.write(b"x" * 65_536)
                file.flush()
            except OSError:
                break
    answers = [send(on_disk, number) for number in range(1, 60)]

    refused = [one for one in answers if one.status_code != 201]
    assert refused, "the write-ahead log still had room"
    assert {one.status_code for one in refused} == {503}
    assert refused[0].headers["Content-Type"] == "application/problem+json"
    ballast.unlink()
    last = goes_on(on_disk, 999)
    kept = [threat_of(one) for one in answers if one.status_code == 201]
    assert all(is_kept(on_disk, one) for one in [first, last, *kept])


def test_a_read_only_file_system_refuses_and_still_shows(on_disk):
    """The kernel's own words are put in its mouth: a file system in use cannot be remounted."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    first = threat_of(send(on_disk, 0))
    (worker,) = on_disk.workers()
    words = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EROFS", "-o", "/dev/null"]
    breaking = subprocess.Popen(["strace", "-f", "-p", str(worker), *words],
                                stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        until = time.monotonic() + 10
        while (answer := send(on_disk, f"ro-{time.monotonic()}")).status_code == 201:
            assert time.monotonic() < until
        shown = is_kept(on_disk, first)
    finally:
        breaking.terminate()
        breaking.wait(10)

    assert answer.status_code == 503
    assert shown
    goes_on(on_disk, 2)


def test_a_start_on_a_read_only_file_system_ends_with_a_clear_word(on_disk, small_disk):
    on_disk.stop()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(AssertionError, match="cannot be written"):
        on_disk.start()


def test_a_database_that_another_locks_refuses_after_five_seconds_and_goes_on(tmp_path):
    sidecar = Sidecar(tmp_path, find_free_port())
    sidecar.token = sidecar.eme("token", "create", "a", "--right", "ingest", "--right", "read",
                                "--json")["token"]  # fmt: skip
    sidecar.start()
    try:
        first = threat_of(send(sidecar, 0))
        with sqlite3.connect(tmp_path / "data" / "eme.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            answer = send(sidecar, 1)
            waited = time.monotonic() - began
            assert is_kept(sidecar, first), "reading goes on"
            other.execute("ROLLBACK")
        other.close()

        assert answer.status_code == 503
        assert 4 < waited < 8  # less than twice five, whoever waited before it
        goes_on(sidecar, 2)
    finally:
        sidecar.kill()
