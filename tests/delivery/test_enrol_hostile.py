"""Texts of a handshake that nobody's sidecar wrote: refused in words, never a crash."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eme_connector.adapters.keys import load_signer
from eme_connector.errors import EmeError, InvalidInput
from eme_connector.formats import handshake
from eme_connector.usecases import enrol, peering
from tests.build import CERT, CI, OTHER_CI
from tests.delivery.two import CEREBRATE

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
FIELDS = ["handshake", "version", "code", "to", "expires_at", "sender", "offer", "keys", "nonce",
          "of"]  # fmt: skip


def signed(system, document):
    content = json.dumps(document).encode()
    return system.signer.sign(content, issued_at=system.clock())


@pytest.fixture
def texts(two):
    """An offer of the CI and the CERT's answer to it, as documents."""
    offer = two.offer()
    answer = two.accept(offer.offer)
    return [json.loads(handshake.payload(one)) for one in (offer.offer, answer.answer)]


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(name=st.sampled_from(FIELDS), value=ANY, within=st.booleans())
def test_whatever_a_signed_text_says_is_refused_in_words(two, texts, name, value, within):
    for document, system in zip(texts, (two.ci, two.cert), strict=True):
        change = {"sender": document["sender"] | {name: value}} if within else {name: value}
        text = signed(system, document | change)
        for take in (
            lambda text=text: two.accept(text),
            lambda text=text: two.finalise(text),
            lambda text=text: enrol.confirm(text, system=two.cert),
        ):
            try:
                take()
            except EmeError:
                continue


@given(text=st.text(max_size=200) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,80}\.[\w-]{0,40}"))
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_whatever_is_no_signed_text_is_refused_in_words(two, text):
    for take in (two.accept, two.finalise, lambda one: enrol.confirm(one, system=two.cert)):
        with pytest.raises(EmeError):
            take(text)


@pytest.mark.parametrize(
    "url",
    ["http://", "http://[", "http://a:99999", "http://a:0", "https://u:p@a", "https://a?x=1",
     "https://a#b", "ftp://a", "https://a b", "https://é.example", "http:a", "https://a\n.b"],
)  # fmt: skip
def test_an_address_that_cannot_be_called_is_refused_at_once(two, url):
    document = json.loads(handshake.payload(two.offer().offer))
    document["sender"]["url"] = url

    with pytest.raises(InvalidInput, match="/sender/url"):
        two.accept(signed(two.ci, document))


def test_a_certificate_that_names_another_organisation_is_refused(two, tmp_path):
    document = json.loads(handshake.payload(two.offer().offer))
    stranger = load_signer(tmp_path / "stranger", OTHER_CI)
    document["sender"]["certificate"] = stranger.certificate
    text = stranger.sign(json.dumps(document).encode(), issued_at=two.clock())

    with pytest.raises(InvalidInput, match="does not name its organisation"):
        two.accept(text)


def test_nobody_speaks_for_an_organisation_that_we_serve(two, make):
    served = [{"uuid": CERT, "name": "CERT-1"}, {"uuid": CI, "name": "CI-1", "served_by": CERT}]
    ours = make(CERT, "serving", clock=two.clock, organisations=served,
                sharing_groups=[]).eme  # fmt: skip

    with pytest.raises(InvalidInput, match="served by us"):
        enrol.offer(CI, caller=CEREBRATE, system=ours)
    with pytest.raises(InvalidInput, match="served by us"):
        two.accept(two.offer().offer, system=ours)


def test_a_key_that_was_lost_is_made_anew_and_offered_as_such(two):
    """A sidecar whose key file is gone has another key: its open handshakes are over."""
    offer = two.offer()
    answer = two.accept(offer.offer)
    folder = two.ci.config.instance.data_dir / "keys"
    shutil.rmtree(folder)
    fresh = two.sidecar(CI)

    with pytest.raises(InvalidInput, match="/keys"):
        enrol.finalise(answer.answer, CERT, caller=CEREBRATE, system=fresh)
    assert peering.export_peer(fresh)["certificate"] != two.ci.signer.certificate
