"""Read foreign JSON strictly: what two parsers could read differently is refused.

Refused: bytes that are not UTF-8, a byte order mark, more than one document, duplicate keys,
NaN and infinities (also by overflow), integers of more than 18 digits, NUL, lone surrogates,
nesting deeper than the limit.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import Any, NoReturn

from eme_connector.errors import Malformed, TooLarge

MAX_BYTES = 1_048_576
MAX_DEPTH = 64
MAX_DIGITS = 18
_CHUNK = 65_536
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Return the one JSON document in *data*.

    Raises:
        TooLarge: more than *max_bytes*.
        Malformed: anything that is refused; `offset` is the byte where known.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"more than {max_bytes} bytes")
    _check_depth(data, max_depth)
    text = _decode(data)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as exc:
        offset = len(text[: exc.pos].encode())
        raise Malformed(f"not JSON at byte {offset}: {exc.msg}", offset=offset) from exc
    except RecursionError as exc:
        raise Malformed("nested too deeply") from exc
    if _SUSPECT.search(data):
        _check_characters(value)
    return value


def gunzip(data: bytes, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return *data* inflated, stopping as soon as it grows beyond *max_bytes*.

    Raises:
        TooLarge, Malformed
    """
    inflated = bytearray()
    while data:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            inflated += _inflate(member, data, max_bytes + 1 - len(inflated))
            if len(inflated) > max_bytes:
                raise TooLarge(f"more than {max_bytes} bytes after inflation")
            data = member.unconsumed_tail
            if not data and not member.eof:
                raise Malformed("the gzip stream ends too early")
        data = member.unused_data
    return bytes(inflated)


def canonical(value: Any) -> str:
    """Return *value* as JSON text with sorted keys and no spaces, for comparing and keeping."""
    return _CANONICAL.encode(value)


def _inflate(member: Any, data: bytes, most: int) -> bytes:
    try:
        found: bytes = member.decompress(data, min(_CHUNK, most))
    except zlib.error as exc:
        raise Malformed("not gzip") from exc
    return found


def _decode(data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        raise Malformed("starts with a byte order mark", offset=0)
    if b"\0" in data:
        raise Malformed("holds a NUL byte", offset=data.index(b"\0"))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Malformed(f"not UTF-8 at byte {exc.start}", offset=exc.start) from exc


def _check_depth(data: bytes, limit: int) -> None:
    if data.count(b"[") + data.count(b"{") <= limit:
        return
    brackets = _STRINGS.sub(b"", data).translate(None, delete=_NOT_BRACKETS)
    depth = 0
    for byte in brackets:
        if byte in b"[{":
            depth += 1
            if depth > limit:
                raise Malformed(f"nested deeper than {limit} levels")
        else:
            depth -= 1


def _check_characters(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value or _SURROGATE.search(value):
            raise Malformed("holds a NUL or a lone surrogate")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_characters(key)
            _check_characters(item)
    elif isinstance(value, list):
        for item in value:
            _check_characters(item)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("an object has the same key twice")
    return found


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Malformed("a number is too large")
    return value


def _int(text: str) -> int:
    if len(text.removeprefix("-")) > MAX_DIGITS:
        raise Malformed(f"an integer has more than {MAX_DIGITS} digits")
    return int(text)


def _constant(_: str) -> NoReturn:
    raise Malformed("NaN and infinities are not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_float, parse_int=_int, parse_constant=_constant
)
