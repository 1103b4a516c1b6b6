"""Bundles and threats in every form that is taken in, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from eme_connector.domain.playbook import ACTIONS
from eme_connector.domain.threat import (
    Decision,
    Detection,
    Execution,
    Resolution,
    Status,
    Threat,
    Tlp,
    Waiting,
)
from eme_connector.errors import InvalidBundle
from eme_connector.formats import iris_bundle, iris_event
from eme_connector.formats.markings import marking_id
from tests import bundles

Json = dict[str, Any]

_NASTY = [
    "", " ", " blank ends ", "two\nlines", "carriage\r\nreturn", "bell\x07", "tab\t", "😀 emoji 🛂",
    "\\u{1F600}", "\\u{5C}u{", "Ελληνικά", "‮override", "' OR 1=1 --", "<b>x</b>", "cam-1", "0",
    "CVE-2024-12345", "T0855 and AML.T0015", "é" * 40_000, "none", "/", "~1", "a.b", "1.0",
]  # fmt: skip
_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.sampled_from(_NASTY) | st.text(_characters, max_size=12)
words = texts.filter(lambda text: bool(text.strip()))
numbers = st.integers(-(10**18) + 1, 10**18 - 1) | st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
times = st.sampled_from(
    ["", "2026-02-03T04:05:06Z", "2026-02-03T04:05:06.78901+02:00", "2026-02-03 04:05:06"]
)
uuids = st.uuids(version=4).map(str)


def _some(required: Json, optional: Json) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(required, optional=optional)


def _with_more(strategy: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Add members that nobody knows."""
    more = st.dictionaries(st.sampled_from(["x_note", "x/y~z", "x 😀", ""]), values, max_size=2)
    return st.builds(lambda one, extra: extra | one, strategy, more)


def _number(low: int, high: int) -> st.SearchStrategy[object]:
    whole = st.integers(low, high)
    return whole | whole.map(str) | whole.map(float)


_detection = _with_more(
    _some(
        {
            "organisation": words,
            "detection_name": words,
            "classification": st.sampled_from(["attack", "Vulnerability ", "ATTACK"]),
            "iris_id": words | st.integers(0, 10**12),
        },
        {
            "detection_summary": texts,
            "source": texts,
            "actor": texts,
            "threat": texts,
            "first_seen": times,
            "last_seen": times,
            "confidence": _number(0, 100),
            "risk_score": st.sampled_from([0, 10, "7.54", "8", 3.25, 9.96, None, ""]),
        },
    )
)
_asset = _with_more(
    _some(
        {},
        {
            "organisation": words,
            "asset_ip": st.sampled_from(["", "10.0.0.7", "2001:DB8::7", " 192.0.2.1 "]),
            "asset_device": texts,
            "criticality": _number(1, 5),
        },
    )
)
_step = _with_more(
    _some(
        {"action": st.sampled_from(["Isolate Host", "Block Host Service"]) | words},
        {
            "impacted_actor": texts,
            "description": texts,
            "execution_api": texts,
            "action_impact": _number(0, 100),
        },
    )
)
_policies = _with_more(
    _some(
        {},
        {
            "organisation": words,
            "action_policy": st.dictionaries(
                st.sampled_from(["contain", "harden", "recover"]) | words,
                st.dictionaries(
                    st.sampled_from(list(ACTIONS)) | words,
                    st.sampled_from(["enabled", "disabled", "Enabled ", True, False]),
                    max_size=3,
                ),
                max_size=3,
            ),
        },
    )
)


@st.composite
def _playbook(draw: st.DrawFn) -> Json:
    steps = draw(st.lists(_step, max_size=4))
    for number, one in enumerate(steps):
        one["id"] = draw(st.sampled_from([number, str(number), f"step {number} 😀"]))
    return draw(
        _with_more(
            _some(
                {"workflow": st.just(steps)},
                {
                    "playbook_id": texts,
                    "name": texts,
                    "created_by": texts,
                    "created": times,
                    "modified": times,
                    "playbook_valid_from": st.sampled_from(["", "2025-01-01T00:00:00Z"]),
                    "playbook_valid_until": st.sampled_from(["", "2027-01-01T00:00:00.5+01:00"]),
                    "playbook_type": texts,
                    "organization_type": texts,
                    "asset": texts,
                    "playbook_impact": _number(0, 100),
                    "playbook_severity": _number(0, 100),
                    "playbook_priority": _number(0, 100),
                    "risk_score": st.sampled_from(["7.55", 3, None]),
                    "playbook_standard": texts,
                    "spec_version": texts,
                    "workflow_start": st.integers(0, 5) | st.sampled_from(["0", "", "nowhere"]),
                },
            )
        )
    )


def _one_or_more(strategy: st.SearchStrategy[Json]) -> st.SearchStrategy[object]:
    return strategy | st.lists(strategy, min_size=1, max_size=3)


@st.composite
def carriers(draw: st.DrawFn) -> Json:
    """Return one object with IRIS blocks, wherever they may stand."""
    blocks: Json = {"detection": draw(_one_or_more(_detection))}
    optional = {
        "policies": _policies,
        "criticalities": _one_or_more(_asset),
        "playbook_actions": _one_or_more(_playbook()),
    }
    for name, strategy in optional.items():
        if draw(st.booleans()):
            blocks[name] = draw(strategy)
    if "policies" in blocks:
        for name in ("criticalities", "playbook_actions"):
            if name in blocks and draw(st.booleans()):
                blocks["policies"][name] = blocks.pop(name)
    one: Json = draw(
        _with_more(
            _some(
                {"id": words},
                {
                    "type": texts,
                    "spec_version": st.just("2.1"),
                    "name": texts,
                    "description": texts | st.none(),
                    "extension_types": st.lists(texts, max_size=2) | texts,
                    "created": times,
                    "object_marking_refs": st.lists(
                        st.sampled_from(list(Tlp)).map(marking_id) | texts, max_size=2
                    ),
                },
            )
        )
    )
    where = draw(st.sampled_from(["", "extension-definition--1", "odd/key~"]))
    if not where:
        return one | blocks
    beside = draw(st.dictionaries(st.just("extension_type"), texts))
    return one | {"extensions": {where: blocks | beside}}


def _is_read(document: Json) -> bool:
    try:
        parse(document)
    except InvalidBundle:
        return False
    return True


def parse(document: Json) -> iris_bundle.ParsedBundle:
    return iris_bundle.parse(document, is_sender=lambda _: True, criticality_order="descending")


_others = st.fixed_dictionaries({"type": st.just("x-other"), "id": texts}, optional={"x": values})


@st.composite
def iris_bundles(draw: st.DrawFn) -> Json:
    """Return a bundle that is taken in: carriers, and objects that are none."""
    found = draw(st.lists(carriers(), min_size=1, max_size=2))
    document: Json = {"type": "bundle", "objects": [*found, *draw(st.lists(_others, max_size=2))]}
    if draw(st.booleans()):
        document["id"] = draw(texts)
    assume(_is_read(document))
    return document


@st.composite
def _events(draw: st.DrawFn) -> Detection:
    event = draw(
        _with_more(
            _some(
                {"id": words, "name": words},
                {"summary": texts, "threat": texts, "source": texts, "first_seen": times,
                 "asset": st.just({"address": "10.1.1.1", "device": "x", "criticality": 2}),
                 "tlp": st.sampled_from(list(Tlp)), "risk_score": st.just(7.1)},
            )
        )
    )  # fmt: skip
    found = iris_event.parse(event, is_sender=lambda _: True, criticality_order="ascending")
    return found.detections[0]


_moments = st.integers(0, 4_000_000_000_000_000)
_digests = st.sampled_from(["", "ab" * 32])


@st.composite
def _decisions(draw: st.DrawFn, detection: Detection) -> Decision:
    ids = [step.id for step in detection.steps]
    waiting = st.builds(Waiting, st.none() | st.sampled_from([*ids, "9"]), texts, texts)
    return Decision(
        status=draw(st.sampled_from([Status.PENDING, Status.APPROVED, Status.DECLINED])),
        by=draw(texts),
        at=draw(st.none() | _moments),
        reason=draw(texts),
        digest=draw(_digests),
        steps=tuple(draw(st.lists(st.sampled_from(ids), unique=True))) if ids else (),
        valid_until=draw(st.none() | st.just("2027-01-01T00:00:00+00:00")),
        dispatch_digest=draw(_digests),
        policies=tuple(draw(st.lists(words, max_size=2))),
        waiting=tuple(draw(st.lists(waiting, max_size=2))),
    )


@st.composite
def threats(draw: st.DrawFn) -> Threat:
    """Return a threat as a sender, people and peers may have left it."""
    detection = draw(
        iris_bundles().map(lambda one: parse(one).detections[0])
        | _events()
        | st.just(parse(bundles.bundle()).detections[0])
    )
    return Threat(
        id=draw(uuids),
        organisation=draw(uuids),
        detection=detection,
        received_at=draw(_moments),
        updated_at=draw(_moments),
        tlp=draw(st.sampled_from(list(Tlp))),
        criticality=draw(st.integers(1, 5)),
        origin=draw(st.none() | uuids),
        revision=draw(st.integers(1, 99)),
        sequence=draw(st.integers(1, 99)),
        group=draw(st.none() | uuids),
        group_sent=draw(st.booleans()),
        recipients=tuple(draw(st.lists(uuids, max_size=2))),
        decision=draw(_decisions(detection)),
        execution=draw(st.sampled_from(list(Execution))),
        resolution=draw(st.none() | st.builds(Resolution, words, _moments, texts)),
        bundle_id=draw(texts),
        content_digest=draw(_digests),
        flags=tuple(draw(st.lists(words, max_size=2))),
    )


__all__ = ["carriers", "iris_bundles", "parse", "texts", "threats", "values"]
