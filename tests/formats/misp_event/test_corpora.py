"""The mapping over real bundles: nothing is lost, and what it says of them is true."""

from __future__ import annotations

import gzip
import json
import logging
from uuid import UUID

import pytest

from eme_connector.errors import EmeError
from eme_connector.formats import strict_json
from eme_connector.formats.misp_event import accounting, bundle
from eme_connector.formats.misp_event.bundle import Options
from eme_connector.formats.misp_event.foreign import converter
from eme_connector.formats.misp_event.objects import escape
from eme_connector.formats.strict_json import canonical
from tests.formats.misp_event import misp, resolve

NAMESPACE = UUID("7d3f0c51-2a0d-4a87-9b2a-5b9e4f0f6c11")
MOST = 8_388_608
SAMPLE = 17
"""One file of so many is looked at in the short form."""


def mapped(document):
    found = bundle.render(document, NAMESPACE, Options(), converter(NAMESPACE))
    return found, accounting.account(document, found)


def check(document):
    """Return the accounting of *document* after everything about it was looked at."""
    sent = canonical(document)
    found, book = mapped(document)
    assert book.count("unaccounted") == 0
    resolve.check(document, found.event, book)
    assert [t for t in misp.texts(found.event) if any(ord(c) > 0xFFFF for c in t)] == []
    # the raw attachment is not among the attributes: what comes back is what was mapped and kept
    assert canonical(bundle.as_received(misp.answer(found.event))) == sent
    return book


def read(path):
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return strict_json.loads(data, max_bytes=MOST)


def is_bundle(document):
    return isinstance(document, dict) and document.get("type") == "bundle"


def bundles_of(folder):
    """Yield (name, document) of every bundle that can be read below *folder*."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".stix2"):
            try:
                document = read(path)
            except EmeError:
                continue
            if is_bundle(document):
                yield path.relative_to(folder).as_posix(), document


def test_every_iris_bundle_comes_back_equal_and_nine_tenths_of_it_are_mapped(corpora):
    books = [check(read(path)) for path in sorted((corpora / "iris").glob("*.json"))]

    leaves = sum(len(one.entries) for one in books)
    assert len(books) == 8
    assert sum(one.count("mapped") for one in books) >= 0.9 * leaves


def test_hostile_bundles_are_accounted_for_or_refused(corpora):
    refused = []
    for path in sorted((corpora / "iris-hostile").glob("h*")):
        try:
            check(read(path))
        except EmeError as exc:
            refused.append((path.name[:3], exc.status))

    assert refused == [
        ("h01", 400), ("h02", 400), ("h05", 413), ("h06", 400), ("h07", 400), ("h09", 400),
        ("h10", 400), ("h15", 400),
    ]  # fmt: skip


def theirs(document):
    """Return the values that misp-stix makes of a whole bundle; None where it stops."""
    from misp_stix_converter import ExternalSTIX2toMISPParser
    from misp_stix_converter.tools import load_stix2_content

    logging.getLogger("pymisp").setLevel(logging.ERROR)
    try:
        parser = ExternalSTIX2toMISPParser()
        loaded = load_stix2_content(json.dumps(document), {}, max_size=2 * MOST)
        parser.load_stix_bundle(loaded)
        parser.parse_stix_bundle(single_event=True, galaxies_as_tags=True)
    except Exception:
        return None
    event = json.loads(parser.misp_event.to_json())
    inner = [one for found in event.get("Object", ()) for one in found["Attribute"]]
    return [one["value"] for one in (*event.get("Attribute", ()), *inner)]


def text(value):
    """Return a value as the text that MISP stores."""
    return escape(str(int(value) if isinstance(value, bool) else value)).strip()


def compare(documents):
    """Return (bundles, those that stop misp-stix) after comparing each with misp-stix."""
    seen = stopped = 0
    for name, document in documents:
        check(document)
        found, _ = mapped(document)
        inner = [one for each in found.event["Object"] for one in each["Attribute"]]
        ours = {one["value"] for one in (*found.event["Attribute"], *inner)}
        expected = theirs(document)
        stopped += expected is None
        seen += 1
        missing = {text(one) for one in expected or ()} - ours
        assert missing == set(), name
    return seen, stopped


def test_bundles_of_others_yield_what_misp_stix_yields(corpora):
    every = [one for one in bundles_of(corpora / "stix") if len(canonical(one[1])) < 300_000]

    assert compare(every[::SAMPLE])[0] >= 10


@pytest.mark.long
def test_every_bundle_of_others_yields_what_misp_stix_yields(corpora):
    seen, stopped = compare(bundles_of(corpora / "stix"))

    assert seen > 200
    assert stopped >= 1
