"""Keys and peerings: trust comes from a person who typed a fingerprint."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading

import pytest

from eme_connector.adapters.keys import load_signer
from eme_connector.errors import (
    ConfigError,
    Conflict,
    InvalidInput,
    Malformed,
    NotAllowed,
    NotAuthenticated,
    NotFound,
)
from eme_connector.formats.certificate import fingerprint
from eme_connector.usecases import peering
from tests.build import CERT, CI, OTHER_CI, person

ADMIN = person()


@pytest.fixture
def ours(make):
    return make(CI).eme


@pytest.fixture
def theirs(make):
    return make(CERT).eme


def _file(system, **changes):
    return json.dumps(peering.export_peer(system) | changes).encode()


def _add(theirs, ours, typed=None, caller=ADMIN, **changes):
    typed = typed or theirs.signer.fingerprint
    return peering.add_peer(_file(theirs, **changes), typed, caller=caller, system=ours)


def test_a_peer_whose_fingerprint_was_typed_is_trusted(ours, theirs):
    peer = _add(theirs, ours)

    assert peering.list_peers(caller=ADMIN, system=ours) == (peer,)
    assert (peer.organisation, peer.created_by) == (CERT, "anna")
    assert f"peer:{CERT}" in ours.channels()


@pytest.mark.parametrize(
    "written",
    [str.upper, lambda text: " ".join(text[n : n + 4] for n in range(0, 64, 4)),
     lambda text: ":".join(text[n : n + 2] for n in range(0, 64, 2)), lambda text: f" {text}\n"],
)  # fmt: skip
def test_how_a_fingerprint_is_written_does_not_matter(ours, theirs, written):
    assert _add(theirs, ours, written(theirs.signer.fingerprint))


@pytest.mark.parametrize("typed", ["0" * 64, " ", "abc"])
def test_another_fingerprint_is_refused(ours, theirs, typed):
    with pytest.raises(InvalidInput):
        _add(theirs, ours, typed)
    assert ours.store.peers() == ()


def test_half_a_fingerprint_is_refused(ours, theirs):
    with pytest.raises(InvalidInput):
        _add(theirs, ours, theirs.signer.fingerprint[:32])


def test_peering_needs_an_administrator(ours, theirs):
    for wrong in (person(role="operator"), person(role="auditor")):
        with pytest.raises(NotAllowed):
            _add(theirs, ours, caller=wrong)
        with pytest.raises(NotAllowed):
            peering.revoke_peer("x", caller=wrong, system=ours)
        with pytest.raises(NotAllowed):
            peering.list_peers(caller=wrong, system=ours)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"organisation": "99999999-9999-4999-8999-999999999999"}, "/organisation"),
        ({"organisation": CI}, "/organisation"),
        ({"organisation": 7}, "/organisation"),
        ({"url": "file:///etc/passwd"}, "/url"),
        ({"name": ""}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"certificate": "no"}, "/certificate"),
        ({"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
         "/certificate"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_with_its_place(ours, theirs, changes, pointer):
    with pytest.raises(InvalidInput) as caught:
        _add(theirs, ours, **changes)

    assert caught.value.pointer == pointer


def test_a_file_that_is_no_json_is_refused(ours):
    with pytest.raises(Malformed):
        peering.add_peer(b"not json", "x", caller=ADMIN, system=ours)


def test_a_new_key_of_the_same_organisation_takes_the_old_one_s_place(ours, theirs, make):
    old = _add(theirs, ours)
    new = _add(make(CERT, folder="moved").eme, ours)

    by_key = {one.fingerprint: one.revoked_at for one in ours.store.peers()}
    assert by_key[old.fingerprint] is not None
    assert by_key[new.fingerprint] is None


def test_a_revoked_key_does_not_come_back(ours, theirs):
    peer = _add(theirs, ours)
    peering.revoke_peer(peer.fingerprint, caller=ADMIN, system=ours)

    assert f"peer:{CERT}" not in ours.channels()
    with pytest.raises(Conflict):
        _add(theirs, ours)


def test_adding_a_peer_again_only_moves_its_address(ours, theirs):
    first = _add(theirs, ours)
    second = _add(theirs, ours, url="https://elsewhere.example/")

    assert ours.store.peers() == (second,)
    assert (second.created_at, second.url) == (first.created_at, "https://elsewhere.example")


def test_an_unknown_fingerprint_cannot_be_revoked(ours):
    with pytest.raises(NotFound):
        peering.revoke_peer("0" * 64, caller=ADMIN, system=ours)


def test_revoking_twice_changes_nothing(ours, theirs):
    peer = _add(theirs, ours)
    once = peering.revoke_peer(peer.fingerprint, caller=ADMIN, system=ours)

    assert peering.revoke_peer(peer.fingerprint, caller=ADMIN, system=ours) == once


def test_the_key_is_made_once_and_is_ours_alone(tmp_path):
    made = load_signer(tmp_path, CI)
    path = tmp_path / "keys" / "signing.pem"

    assert (
        load_signer(tmp_path, CI).fingerprint == made.fingerprint == fingerprint(made.certificate)
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["signing.pem"]
    assert "PRIVATE" not in made.certificate


def test_of_several_that_start_at_once_all_have_the_same_key(tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(load_signer(tmp_path, CI).fingerprint))
        for _ in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path):
    load_signer(tmp_path, CI)
    (tmp_path / "keys" / "signing.pem").chmod(0o640)

    with pytest.raises(ConfigError):
        load_signer(tmp_path, CI)


def test_a_signature_holds_for_its_key_only(tmp_path):
    one, other = load_signer(tmp_path / "a", CI), load_signer(tmp_path / "b", OTHER_CI)
    jws = one.sign(b"content", issued_at=12.9)

    verified = other.verify(jws, one.certificate)

    assert (verified.payload, verified.issued_at) == (b"content", 12.0)
    assert verified.fingerprint == one.fingerprint == other.key_id(jws)
    with pytest.raises(NotAuthenticated):
        one.verify(jws, other.certificate)
    with pytest.raises(NotAuthenticated):
        one.verify(jws, "not a certificate")


def test_loading_a_key_does_not_load_cryptography(tmp_path):
    load_signer(tmp_path, CI)
    code = (
        "import sys, pathlib;"
        "from eme_connector.adapters.keys import load_signer;"
        f"load_signer(pathlib.Path({str(tmp_path)!r}), 'x');"
        "print(sorted({'cryptography', 'joserfc'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
