"""Whose certificate is whose, and who is believed for it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eme_connector.adapters.keys import load_signer
from eme_connector.domain.accounts import Peer
from eme_connector.domain.directory import (
    EncryptionKey,
    RemoteGroup,
    RemoteOrganisation,
    Snapshot,
)
from eme_connector.errors import Conflict, InvalidInput, NotAuthenticated
from eme_connector.formats import certificate as certificates
from eme_connector.formats import eme_message
from eme_connector.usecases import keyring, peering, share
from tests.build import CERT, CI, GROUP, OTHER_CI, person
from tests.delivery.world import fresh

SECTION = {"url": "http://127.0.0.1:9", "key": "0" * 40, "trust_keys": True}


@pytest.fixture
def certificate(tmp_path):
    """Return how to make a sidecar's certificate for an organisation."""

    def make(organisation=CI, folder="keys"):
        return load_signer(tmp_path / f"{folder}-{organisation}", organisation).certificate

    return make


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return load_signer(tmp_path_factory.mktemp("sound"), CI).certificate


def key(text, owner=CI, **fields):
    return EncryptionKey(f"uuid-of-{owner[:4]}", "smime", owner, text, **fields)


def ring(*keys):
    return keyring.key_ring(keys)


def test_a_certificate_is_its_holders_own(certificate):
    text = certificate()

    (held,) = ring(key(text)).held.values()

    assert (held.organisation, held.certificate) == (CI, text)
    assert held.is_usable(2_000_000_000)
    assert not held.is_usable(9_000_000_000)


def test_a_strangers_certificate_is_nobodys(certificate):
    assert ring(key(certificate(CI), owner=OTHER_CI)).held == {}


def test_a_stranger_cannot_revoke_it_either(certificate):
    text = certificate()

    found = ring(key(text), key(text, owner=OTHER_CI, revoked=True))

    assert len(found.held) == 1


def test_revoked_once_it_stays_so_however_often_it_stands_there(certificate):
    text = certificate()

    for keys in [(key(text), key(text, revoked=True)), (key(text, revoked=True), key(text))]:
        found = ring(*keys)
        assert found.held == {}
        assert len(found.revoked) == 1


def test_what_is_no_sidecars_certificate_is_left_out(certificate):
    text = certificate()
    broken = text.replace("MII", "MIJ", 1)

    assert ring(
        key("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        key("nothing"),
        key(broken),
        replace(key(text), kind="pgp"),
        replace(key(text), of_individual=True),
    ).held == {}  # fmt: skip


def test_an_expiry_in_the_key_store_counts(certificate):
    (held,) = ring(key(certificate(), expires=1_700_000_000)).held.values()

    assert held.is_usable(1_699_999_999)
    assert not held.is_usable(1_700_000_000)


PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.integers(0, 9))
@settings(max_examples=200)
def test_a_broken_certificate_breaks_nothing(sound, changes, cut):
    whole = base64.b64decode("".join(sound.splitlines()[1:-1]))
    der = bytearray(whole)
    for at, byte in changes:
        der[at % len(der)] = byte
    broken = bytes(der[: len(der) - cut])

    found = ring(key(PEM.format(base64.b64encode(broken).decode()))).held

    assert bool(found) == (broken == whole)


# who is believed


@pytest.fixture
def cert(make):
    return make(CERT, cerebrate=SECTION)


def told(sidecar, *keys):
    """Let the key store say *keys*."""
    group = RemoteGroup(GROUP, "Transport", CERT, {CI: False, CERT: False})
    snapshot = Snapshot({CI: RemoteOrganisation(CI, "CI-1")}, {GROUP: group})
    sidecar.store.transact(lambda tx: tx.replace_entries("cerebrate", snapshot, keys, 1))


def test_a_peer_whose_certificate_stands_there_needs_no_typed_fingerprint(cert, certificate):
    text = certificate()
    print_ = certificates.fingerprint(text)
    assert keyring.find_peer(print_, cert.eme) is None

    told(cert, key(text))

    found = keyring.find_peer(print_, cert.eme)
    assert (found.organisation, found.certificate, found.url) == (CI, text, "")


def test_once_it_is_revoked_there_or_gone_it_is_a_stranger_again(cert, certificate):
    text = certificate()
    print_ = certificates.fingerprint(text)
    told(cert, key(text))

    told(cert, key(text, revoked=True))
    assert keyring.find_peer(print_, cert.eme) is None
    told(cert)
    assert keyring.find_peer(print_, cert.eme) is None


@pytest.mark.parametrize("section", [None, SECTION | {"trust_keys": False}])
def test_without_the_configuration_saying_so_it_counts_for_nothing(make, certificate, section):
    cert = make(CERT, cerebrate=section)
    text = certificate()
    told(cert, key(text))

    assert keyring.find_peer(certificates.fingerprint(text), cert.eme) is None


def test_nobody_else_speaks_for_us(cert, certificate):
    text = certificate(CERT, "elsewhere")
    told(cert, key(text, owner=CERT))

    assert keyring.find_peer(certificates.fingerprint(text), cert.eme) is None


def test_an_organisation_that_we_do_not_know_is_no_peer(cert, certificate):
    stranger = "99999999-9999-4999-8999-999999999999"
    text = certificate(stranger)
    told(cert, key(text, owner=stranger))

    assert keyring.find_peer(certificates.fingerprint(text), cert.eme) is None


def test_a_typed_peer_is_refused_once_its_key_is_revoked_there(make, certificate):
    cert = make(CERT, cerebrate=SECTION | {"trust_keys": False})
    text = certificate()
    print_ = certificates.fingerprint(text)
    peer = Peer(CI, "CI-1", "http://127.0.0.1:9", text, print_, 1, "anna")
    cert.store.transact(lambda tx: tx.save_peer(peer))
    assert keyring.find_peer(print_, cert.eme) == peer

    told(cert, key(text, revoked=True))

    assert keyring.find_peer(print_, cert.eme) is None


def test_a_peer_file_is_taken_without_a_fingerprint_for_as_long_as_the_key_stands_there(make):
    ci, cert = make(CI), make(CERT, cerebrate=SECTION)
    file = json.dumps(peering.export_peer(ci.eme) | {"url": "http://127.0.0.1:9"}).encode()

    def add():
        return peering.add_peer(file, None, caller=person(CERT), system=cert.eme)

    with pytest.raises(InvalidInput, match="key store"):
        add()
    told(cert, key(ci.eme.signer.certificate))
    peer = add()
    assert f"peer:{CI}" in cert.eme.channels()

    told(cert)
    assert f"peer:{CI}" not in cert.eme.channels()
    assert keyring.find_peer(peer.fingerprint, cert.eme) is None
    told(cert, key(ci.eme.signer.certificate))
    assert keyring.find_peer(peer.fingerprint, cert.eme) == peer


def test_a_peer_file_needs_its_fingerprint_where_the_key_store_is_not_trusted(make):
    ci, cert = make(CI), make(CERT, cerebrate=SECTION | {"trust_keys": False})
    told(cert, key(ci.eme.signer.certificate))
    file = json.dumps(peering.export_peer(ci.eme)).encode()

    with pytest.raises(Conflict, match="trust_keys"):
        peering.add_peer(file, None, caller=person(CERT), system=cert.eme)


def test_a_key_that_is_revoked_there_is_taken_by_no_way(make):
    ci, cert = make(CI), make(CERT, cerebrate=SECTION)
    told(cert, key(ci.eme.signer.certificate, revoked=True))
    file = json.dumps(peering.export_peer(ci.eme)).encode()

    with pytest.raises(Conflict, match="revoked in Cerebrate"):
        peering.add_peer(
            file, peering.own_fingerprint(ci.eme), caller=person(CERT), system=cert.eme
        )


def test_a_message_is_taken_without_a_peering_and_refused_after_the_revocation(make):
    ci, cert = make(CI), make(CERT, cerebrate=SECTION)
    content = eme_message.render(fresh(), recipient=CERT, full=True, raw=None)
    jws = ci.eme.signer.sign(eme_message.with_id(content, str(uuid4())), issued_at=ci.clock())
    with pytest.raises(NotAuthenticated, match="not that of a peer"):
        share.receive_message(jws, system=cert.eme)

    told(cert, key(ci.eme.signer.certificate))
    assert share.receive_message(jws, system=cert.eme)

    told(cert, key(ci.eme.signer.certificate, revoked=True))
    with pytest.raises(NotAuthenticated, match="not that of a peer"):
        share.receive_message(jws, system=cert.eme)
