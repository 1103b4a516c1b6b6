"""Protected events: ours are signed with our MISP's key, those of others have to be by theirs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from uuid import uuid4

import pytest

from eme_connector.adapters.gpg import GnuPg
from eme_connector.domain.directory import EncryptionKey
from eme_connector.errors import ConfigError
from eme_connector.usecases.obligations import owe_share
from tests.build import CERT, CI
from tests.conftest import left_out
from tests.doubles.misp.protection import forget_key, make_key, private_key
from tests.misp.community import Community
from tests.misp.post import uuid_of

BODY = b'{"Event": {"info": "a b"}}'


@pytest.fixture(scope="module", autouse=True)
def gpg():
    if shutil.which("gpg") is None:
        left_out("gpg is not installed: apt-get install gnupg")


@pytest.fixture
def community(tmp_path):
    """Return a community whose MISPs have keys, and whose CERT knows none of them."""
    made = Community(tmp_path)
    make_key(made.a)
    make_key(made.b)
    yield made
    made.close()


@pytest.fixture
def shared(community, tmp_path):
    """Return a threat of the operator, whose event is protected by its MISP's key; its sidecar."""
    section = {"signing_key": private_key(community.a)}
    sender = community.sidecar(tmp_path / "signing", CI, community.a, section)
    threat = sender.add(dispatch=None, share=True)
    community.deliver(sender)
    yield threat, sender
    sender.close()


def trust(community, text, whose=CI, **more):
    """Let the CERT's directory know a key of an organisation."""
    key = EncryptionKey(uuid=str(uuid4()), kind="pgp", owner=whose, text=text, **more)
    community.cert.store.transact(lambda tx: tx.save_entry("national", key, 1))


def reasons(community):
    return community.poll(community.cert)["reasons"]


def test_our_events_are_protected_before_they_leave(community, shared):
    threat, _ = shared
    for side in (community.pair.a, community.pair.b):
        event = side.event(uuid_of(threat))
        assert event["protected"] is True
        prints = [one["fingerprint"] for one in event["CryptographicKey"]]
        assert prints == [community.a.fingerprint]


def test_a_change_of_ours_follows_under_the_same_key(community, shared):
    threat, sender = shared
    named = replace(threat.detection, name="Patched twice")
    sender.change(threat.id, detection=named, sequence=threat.sequence + 1)
    sender.store.transact(lambda tx: owe_share(tx.find_threat(threat.id), tx))
    community.deliver(sender)

    event = community.pair.b.event(uuid_of(threat))
    assert "Patched twice" in event["info"]
    assert len(event["CryptographicKey"]) == 1


def test_it_is_believed_where_its_keys_are_its_organisations(community, shared):
    trust(community, community.a.public_key)
    trust(community, community.b.public_key, CERT)

    assert community.poll(community.cert)["new"] == 1


@pytest.mark.parametrize("known", [{}, {"revoked": True}, {"expires": 1}, {"of_individual": True}])
def test_without_a_usable_key_of_its_organisation_it_is_refused(community, shared, known):
    if known:
        trust(community, community.a.public_key, **known)

    assert reasons(community) == {"no-key-of-organisation": 1}
    assert community.cert.threat(shared[0].id) is None


def test_protected_by_another_key_than_its_organisations_it_is_refused(community, shared):
    trust(community, community.b.public_key)

    assert reasons(community) == {"key-not-of-organisation": 1}


def test_signed_by_a_key_that_nobody_vouches_for_it_is_refused(community, shared):
    trust(community, community.a.public_key)

    assert reasons(community) == {"signature-not-believed": 1}


def test_unsigned_it_is_refused(community, shared):
    trust(community, community.a.public_key)
    forget_key(community.b)
    community.b.gpg_home = None

    assert reasons(community) == {"unsigned": 1}


def test_a_signature_holds_for_its_body_and_key_only(community):
    with_key = GnuPg(private_key(community.a))
    made = with_key.sign(BODY)
    public = with_key.public_key()

    assert with_key.is_signed(b'{"Event":{"info":"ab"}}', made, [public])
    assert not with_key.is_signed(BODY + b"x", made, [public])
    assert not with_key.is_signed(BODY, made, [])
    assert not with_key.is_signed(BODY, "nonsense!", [public])
    assert with_key.fingerprints("nonsense") == frozenset()


@pytest.mark.parametrize("key", [None, "nonsense"])
def test_a_key_that_cannot_sign_says_so(key):
    with pytest.raises(ConfigError, match=r"misp\.signing_key"):
        GnuPg(key).sign(BODY)
