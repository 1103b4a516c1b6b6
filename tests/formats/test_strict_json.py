"""Strict JSON: what two parsers could read differently is refused."""

from __future__ import annotations

import contextlib
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eme_connector.errors import EmeError, Malformed, TooLarge
from eme_connector.formats.strict_json import gunzip, loads

SAFE_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | SAFE_TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SAFE_TEXT, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES, st.booleans())
def test_what_is_valid_is_read_like_the_standard_library_reads_it(value, ascii_only):
    data = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert loads(data) == json.loads(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_our_own_errors(data):
    with contextlib.suppress(EmeError):
        loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1}{}',
        b'{"a":1} x',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b"NaN",
        b"[-Infinity]",
        b"1e400",
        b"[123456789012345678901234567890]",
        b'"\\u0000"',
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b'"\xff"',
        b'"a\x00b"',
        b"\xef\xbb\xbf{}",
        b"012",
        b'"line\nbreak"',
        b"[" * 65 + b"]" * 65,
        b"[" * 200_000,
        b'{"a":' * 5_000,
    ],
)
def test_what_is_refused(data):
    with pytest.raises(Malformed):
        loads(data)


def test_brackets_inside_strings_are_not_nesting():
    assert loads(json.dumps(["[{" * 500]).encode()) == ["[{" * 500]


def test_a_pair_of_surrogates_is_a_character():
    assert loads(b'"\\ud83d\\ude80"') == "\U0001f680"


def test_the_offset_counts_bytes():
    with pytest.raises(Malformed) as caught:
        loads('{"α": x}'.encode())
    assert caught.value.offset == 7


def test_a_document_over_the_limit_is_too_large():
    with pytest.raises(TooLarge):
        loads(b'"' + b"a" * 100 + b'"', max_bytes=50)


@given(st.binary(max_size=5_000))
def test_gunzip_undoes_gzip(data):
    assert gunzip(gzip.compress(data)) == data


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b"x" * 100)[:-9], gzip.compress(b"x") + b"tail", b"\x1f\x8b"],
)
def test_broken_gzip_is_malformed(data):
    with pytest.raises(Malformed):
        gunzip(data)


def test_a_bomb_stops_at_the_limit():
    with pytest.raises(TooLarge):
        gunzip(gzip.compress(b"\0" * 50_000_000), max_bytes=1_000_000)


def test_several_members_are_one_body():
    assert gunzip(gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"
