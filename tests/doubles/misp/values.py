"""What MISP takes for a valid attribute, and what its database makes of strange characters."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import re
from functools import cache
from pathlib import Path

from tests.doubles.misp.rows import Json

MOST_BYTES = 65_535
_HASHES = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
_DOMAIN = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)+[A-Za-z0-9-]{2,}")
_ADDRESSES = {"ip-src", "ip-dst"}


@cache
def described() -> Json:
    """Return MISP's own table of types and categories, as PyMISP brings it along."""
    # found without importing it, which takes seconds
    spec = importlib.util.find_spec("pymisp")
    text = (
        Path(str(spec and spec.origin)).with_name("data").joinpath("describeTypes.json").read_text()
    )
    found: Json = json.loads(text)["result"]
    return found


def category_of(kind: str) -> str:
    return str(described()["sane_defaults"].get(kind, {}).get("default_category", "Other"))


def to_ids_of(kind: str) -> bool:
    return bool(described()["sane_defaults"].get(kind, {}).get("to_ids", 0))


def errors_of(kind: str, category: str, value: str) -> dict[str, list[str]]:
    """Return what is wrong with an attribute, as attributes/add tells it."""
    known = described()
    if kind not in known["types"]:
        return {"type": ["Options depend on the selected category."]}
    if category not in known["categories"]:
        return {"category": ["Options : " + ", ".join(known["categories"])]}
    if kind not in known["category_type_mappings"][category]:
        return {"type": ["Options depend on the selected category."]}
    if not value.strip():
        return {"value": ["Value not empty."]}
    if len(value.encode()) > MOST_BYTES:
        return {"value": [f"Value is too long, maximum is {MOST_BYTES} bytes."]}
    wrong = _wrong_value(kind, value)
    return {"value": [wrong]} if wrong else {}


def _wrong_value(kind: str, value: str) -> str:
    if "|" in kind:
        kinds, parts = kind.split("|"), value.split("|")
        if len(parts) != len(kinds):
            return "Composite type has to have two values."
        wrong = (_wrong_value(one, part) for one, part in zip(kinds, parts, strict=True))
        return next((one for one in wrong if one), "")
    if kind in _ADDRESSES or kind == "ip":
        return "" if _is_address(value) else "IP address has an invalid format."
    if kind == "port":
        fine = value.isdigit() and 1 <= int(value) <= 65_535
        return "" if fine else "Port numbers have to be integers between 1 and 65535."
    if kind in ("domain", "hostname"):
        wrong = f"{kind.capitalize()} has an invalid format."
        return "" if _DOMAIN.fullmatch(value.rstrip(".")) else wrong
    if kind in _HASHES:
        fine = re.fullmatch(rf"[0-9A-Fa-f]{{{_HASHES[kind]}}}", value)
        return "" if fine else f"Checksum has an invalid length or format ({kind})."
    return ""


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        return False
    return True


def has_4_byte_characters(text: str) -> bool:
    return any(ord(letter) > 0xFFFF for letter in text)


def stored(text: str) -> str:
    """Return a text as the database keeps it: a 4-byte character becomes a question mark."""
    return "".join("?" if ord(letter) > 0xFFFF else letter for letter in text)
