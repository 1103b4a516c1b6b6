"""A backup that is damaged, forged or of another kind is refused before anything is touched."""

from __future__ import annotations

import errno
import io
import json
import stat
import tarfile

import pytest

from eme_connector.adapters.backup import archive
from eme_connector.adapters.backup.archive import Manifest
from eme_connector.errors import Conflict, Malformed

TOLD = Manifest("1", "0001", "org", "sqlite", 1_700_000_000.0)


@pytest.fixture
def written(tmp_path):
    """Return a backup of two files."""
    (tmp_path / "a").write_bytes(b"a" * 3_000)
    (tmp_path / "b").write_bytes(b"secret")
    target = tmp_path / "backup.tar"
    archive.write(target, TOLD, {"database.sqlite": tmp_path / "a", "keys/b": tmp_path / "b"})
    return target


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_what_is_written_is_read_again(written, folder):
    found = archive.read(written, folder)

    assert (found.schema, found.organisation) == ("0001", "org")
    assert (folder / "keys" / "b").read_bytes() == b"secret"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "keys" / "b").stat().st_mode) == 0o600


def test_nothing_is_overwritten_and_nothing_half_written_stays(written, tmp_path):
    with pytest.raises(Conflict):
        archive.write(written, TOLD, {"keys/b": tmp_path / "b"})

    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


def test_of_two_that_write_the_same_at_once_one_is_kept_whole(tmp_path, folder, monkeypatch):
    (tmp_path / "a").write_bytes(b"a" * 3_000)
    (tmp_path / "b").write_bytes(b"b" * 9_000)
    target, fill = tmp_path / "backup.tar", archive._fill

    def meanwhile(*words):
        with monkeypatch.context() as now:
            now.setattr(archive, "_fill", fill)
            archive.write(target, TOLD, {"keys/b": tmp_path / "b"})
        fill(*words)

    monkeypatch.setattr(archive, "_fill", meanwhile)
    with pytest.raises(Conflict):
        archive.write(target, TOLD, {"keys/b": tmp_path / "a"})
    archive.read(target, folder)

    assert (folder / "keys" / "b").read_bytes() == b"b" * 9_000
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


def test_a_stick_without_hard_links_takes_it_once(tmp_path, folder, monkeypatch):
    def link(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(archive.os, "link", link)
    (tmp_path / "b").write_bytes(b"secret")
    target = tmp_path / "backup.tar"
    archive.write(target, TOLD, {"keys/b": tmp_path / "b"})
    with pytest.raises(Conflict):
        archive.write(target, TOLD, {"keys/b": tmp_path / "b"})
    archive.read(target, folder)

    assert (folder / "keys" / "b").read_bytes() == b"secret"
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


def test_every_changed_byte_of_content_is_found(written, folder):
    data = written.read_bytes()
    for at in (data.index(b"aaaa"), data.index(b"aaaa") + 2_500, data.index(b"secret")):
        written.write_bytes(data[:at] + b"X" + data[at + 1 :])
        with pytest.raises(Malformed, match="damaged"):
            archive.read(written, _fresh(folder))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_half_a_backup_is_refused(written, folder, part):
    data = written.read_bytes()
    written.write_bytes(data[: int(len(data.rstrip(b"\0")) * part)])

    with pytest.raises(Malformed):
        archive.read(written, folder)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "keys/../../evil", "a//b", ".hidden"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, folder, name):
    files = {name: {"bytes": 0, "sha256": "0" * 64}}
    target = _forge(tmp_path, {**_document(), "files": files}, {name: b""})

    with pytest.raises(Malformed):
        archive.read(target, folder)
    assert list(folder.rglob("*")) == []


def test_what_the_manifest_does_not_name_is_refused(tmp_path, folder):
    target = _forge(tmp_path, _document(), {"more": b"x"})

    with pytest.raises(Malformed, match="does not name"):
        archive.read(target, folder)


@pytest.mark.parametrize("document", [{}, [], {"format": 2}, {**{"format": 1}, "x": 1}])
def test_a_manifest_of_another_kind_is_refused(tmp_path, folder, document):
    with pytest.raises(Malformed):
        archive.read(_forge(tmp_path, document, {}), folder)


def test_a_file_of_another_kind_is_refused(tmp_path, folder):
    (tmp_path / "x").write_bytes(b"not a backup")

    with pytest.raises(Malformed):
        archive.read(tmp_path / "x", folder)


def _document():
    return {"format": 1, "version": "1", "schema": "0001", "organisation": "o",
            "database": "sqlite", "made_at": 1.0, "files": {}}  # fmt: skip


def _forge(tmp_path, document, members):
    target = tmp_path / "forged.tar"
    with tarfile.open(target, "w") as made:
        for name, data in {archive.MANIFEST: json.dumps(document).encode(), **members}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return target


def _fresh(folder):
    found = folder / str(len(list(folder.iterdir())))
    found.mkdir()
    return found
