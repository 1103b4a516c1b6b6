"""Signatures of webhooks: what holds, and everything that must not."""

from __future__ import annotations

import base64

import pytest

from eme_connector.errors import NotAuthenticated
from eme_connector.formats import standard_webhooks as webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_614_265_330.0
BODY = b'{"test": 2432232314}'


def _keys(text=SECRET):
    return webhooks.secrets(text)


def _signed(**changes):
    return webhooks.headers(_keys(), "msg_1", NOW, BODY) | changes


def test_the_signature_is_that_of_the_published_example():
    # the example of the Standard Webhooks reference libraries
    found = webhooks.sign(_keys(), "msg_p5jXN8AQM9LWM0D4loKWxJek", int(NOW), BODY)

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_we_signed_holds():
    assert webhooks.verify(_keys(), _signed(), BODY, now=NOW + 299) == "msg_1"


def test_one_of_several_signatures_is_enough():
    other = "whsec_" + base64.b64encode(b"n" * 32).decode()
    both = webhooks.headers(_keys(f"{other} {SECRET}"), "msg_1", NOW, BODY)

    assert len(both[webhooks.SIGNATURE].split()) == 2
    assert webhooks.verify(_keys(), both, BODY, now=NOW) == "msg_1"
    assert webhooks.verify(_keys(f"{SECRET} {other}"), _signed(), BODY, now=NOW) == "msg_1"


@pytest.mark.parametrize(
    ("changes", "body", "now"),
    [
        pytest.param({}, BODY + b" ", NOW, id="another body"),
        pytest.param({webhooks.ID: "msg_2"}, BODY, NOW, id="another id"),
        pytest.param({webhooks.TIMESTAMP: str(int(NOW) + 1)}, BODY, NOW, id="another time"),
        pytest.param({}, BODY, NOW + 301, id="too old"),
        pytest.param({}, BODY, NOW - 301, id="too far ahead"),
        pytest.param({webhooks.TIMESTAMP: "yesterday"}, BODY, NOW, id="no number"),
        pytest.param({webhooks.SIGNATURE: ""}, BODY, NOW, id="no signature"),
        pytest.param({webhooks.SIGNATURE: "v2,AAAA v1,AAAA"}, BODY, NOW, id="a false one"),
        pytest.param({webhooks.SIGNATURE: "v1,\u00e9"}, BODY, NOW, id="not ASCII"),
    ],
)
def test_anything_else_is_refused(changes, body, now):
    with pytest.raises(NotAuthenticated):
        webhooks.verify(_keys(), _signed(**changes), body, now=now)


def test_a_missing_header_is_refused():
    got = _signed()
    del got[webhooks.TIMESTAMP]

    with pytest.raises(NotAuthenticated):
        webhooks.verify(_keys(), got, BODY, now=NOW)


@pytest.mark.parametrize("text", ["", "geheim", "whsec_%%%%", "whsec_c2hvcnQ=", SECRET[6:]])
def test_a_secret_of_another_form_is_refused_without_repeating_it(text):
    with pytest.raises(ValueError, match="a secret") as caught:
        webhooks.secrets(text)

    assert not text or text not in str(caught.value)
