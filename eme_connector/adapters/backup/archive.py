"""The file of a backup: a tar of a manifest and what it names, each with size and SHA-256."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from eme_connector.errors import Conflict, Malformed

FORMAT = 1
MANIFEST = "manifest.json"
MOST_MANIFEST = 1_000_000
_CHUNK = 1 << 20
_NAME = re.compile(r"[^./\0][^/\0]*(/[^./\0][^/\0]*)*")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of. `files`: name -> {bytes, sha256}; `made_at` in seconds since 1970."""

    version: str
    schema: str
    organisation: str
    database: str
    made_at: float
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    format: int = FORMAT


def write(target: Path, manifest: Manifest, files: Mapping[str, Path]) -> Manifest:
    """Write *files* by name into *target*, readable by its owner alone; return what was written.

    Raises:
        Conflict: it is there already.
        OSError
    """
    measured = {name: _measure(path) for name, path in files.items()}
    manifest = Manifest(**asdict(manifest) | {"files": measured})
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            _fill(file, manifest, files)
            file.flush()
            os.fsync(file.fileno())
        _name(draft, target)
    except FileExistsError as exc:
        raise Conflict(f"{target} is there already") from exc
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _name(draft: Path, target: Path) -> None:
    """Give *draft* the name of *target*, which nothing may have yet."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links there, as on most sticks
        if target.exists():
            raise FileExistsError from None
        draft.rename(target)


def read(source: Path, folder: Path) -> Manifest:
    """Unpack *source* into the empty *folder*, checking every file; return its manifest.

    Raises:
        Malformed: it is not a backup, of another format, incomplete or damaged.
    """
    try:
        with tarfile.open(source, "r:") as archive:
            manifest = _manifest(archive)
            for member in archive:
                _unpack(archive, member, manifest, folder)
    except (tarfile.TarError, OSError, EOFError) as exc:
        raise Malformed(f"{source}: cannot be read as a backup: {type(exc).__name__}") from exc
    missing = [name for name in manifest.files if not (folder / name).is_file()]
    if missing:
        raise Malformed(f"{source}: {missing[0]} is missing in it")
    return manifest


def _fill(file: IO[bytes], manifest: Manifest, files: Mapping[str, Path]) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        text = json.dumps(asdict(manifest), indent=1).encode()
        archive.addfile(_entry(MANIFEST, len(text), manifest.made_at), io.BytesIO(text))
        for name, path in files.items():
            with path.open("rb") as content:
                size = manifest.files[name]["bytes"]
                archive.addfile(_entry(name, size, manifest.made_at), content)


def _entry(name: str, size: int, at: float) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size, found.mode, found.mtime = size, 0o600, int(at)
    return found


def _manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    if first is None or first.name != MANIFEST or not 0 < first.size <= MOST_MANIFEST:
        raise Malformed("it is not a backup of a sidecar: it does not begin with a manifest")
    content = archive.extractfile(first)
    try:
        document: dict[str, Any] = json.load(content) if content else {}
        if document["format"] != FORMAT:
            raise Malformed(f"the backup has format {document['format']}, {FORMAT} is understood")
        manifest = Manifest(**document)
        names = [name for name in manifest.files if not _NAME.fullmatch(name)]
        sizes = [int(one["bytes"]) for one in manifest.files.values()]
        digests = [str(one["sha256"]) for one in manifest.files.values()]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Malformed("the manifest cannot be read") from exc
    if names or min(sizes, default=0) < 0 or any(len(one) != 64 for one in digests):
        raise Malformed("the manifest names what cannot be in a backup")
    return manifest


def _unpack(
    archive: tarfile.TarFile, member: tarfile.TarInfo, manifest: Manifest, folder: Path
) -> None:
    if member.name == MANIFEST:
        return
    known = manifest.files.get(member.name)
    content = archive.extractfile(member) if known and member.isreg() else None
    if known is None or content is None:
        raise Malformed("there is something in it that its manifest does not name")
    target = folder / member.name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        found = _digest(content, file)
        file.flush()
        os.fsync(file.fileno())
    if found != (known["bytes"], known["sha256"]):
        raise Malformed(f"{member.name} in it is damaged: its checksum is another")


def _measure(path: Path) -> dict[str, Any]:
    with path.open("rb") as content:
        size, digest = _digest(content)
    return {"bytes": size, "sha256": digest}


def _digest(content: IO[bytes], copy: IO[bytes] | None = None) -> tuple[int, str]:
    size, found = 0, hashlib.sha256()
    for chunk in _chunks(content):
        found.update(chunk)
        size += len(chunk)
        if copy is not None:
            copy.write(chunk)
    return size, found.hexdigest()


def _chunks(content: IO[bytes]) -> Iterable[bytes]:
    while chunk := content.read(_CHUNK):
        yield chunk
