"""What the card of a threat says about MISP: where its event is, who has it, what to do."""

from __future__ import annotations

import html
import re
import shutil
from dataclasses import replace

import pytest

from eme_connector.bootstrap import build
from eme_connector.config import parse
from eme_connector.domain.arrival import check_lane
from eme_connector.domain.delivery import State
from eme_connector.domain.misp import Enrichment, Known, Related
from eme_connector.domain.misp_reasons import REASONS
from eme_connector.formats.misp_event.event import event_uuid
from eme_connector.ports import Owed
from tests.build import AT, CERT, CI, OTHER_CI
from tests.pages.conftest import _tree
from tests.pages.test_looks import SCREENS, serious

URL = "https://misp.ci-1.example"
THERE = check_lane(CERT)


@pytest.fixture
def eme(tmp_path, prepared):
    shutil.copytree(prepared / "data", tmp_path / "data")
    receiver = {"organisation": CERT, "url": "https://misp.cert-1.example", "key": "k" * 40}
    misp = {"url": URL, "key": "k" * 40, "receivers": [receiver]}
    built = build(parse(_tree() | {"misp": misp}, {}, base=tmp_path))
    yield built
    built.store.close()


def owe(site, threat, lane, state, reason="", **receipt):
    kind = "misp" if lane == "misp" else "misp-check"

    def work(tx):
        one = tx.owe(Owed(lane, kind, threat.id, CI, threat.sequence))
        moved = replace(one, state=state, reason=reason, receipt=receipt, attempts=1,
                        fence=one.fence + 1)  # fmt: skip
        tx.save_delivery(moved, fence=one.fence)

    site.eme.store.transact(work)


def published(site, threat, **more):
    members = {CERT: {"check": True}, OTHER_CI: {}}
    url = f"{URL}/events/view/{event_uuid(threat.id)}"
    told = {"url": url, "sequence": 1, "published": True, "members": members}
    owe(site, threat, "misp", State.DELIVERED, **told | more)


def card(site, threat, name="anna"):
    page = site.read(name, f"/threats/{threat.id}")
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def test_the_event_is_linked_and_each_member_is_told_of(site):
    threat = site.add()
    published(site, threat)
    owe(site, threat, THERE, State.DELIVERED, sequence=1, note="")

    page = site.read("anna", f"/threats/{threat.id}")

    assert f'href="{URL}/events/view/{event_uuid(threat.id)}"' in page
    said = card(site, threat)
    assert "Open the event published" in said
    assert "CERT-1 arrived" in said
    assert f"CI-2 unknown {REASONS['no-key'].says}" in said
    assert REASONS["no-key"].remedy in said
    assert "the MISP of CERT-1 has it" in said


@pytest.mark.parametrize("code", ["not-seen-there", "hidden-there", "url-differs"])
def test_what_a_member_has_not_is_told_with_what_to_do(site, code):
    threat = site.add()
    published(site, threat)
    owe(site, threat, THERE, State.REFUSED, code, detail="some detail")

    said = card(site, threat)

    assert REASONS[code].says in said
    assert REASONS[code].remedy in said
    assert f"{REASONS[code].says}, some detail" in said
    assert "Send again to the MISP of CERT-1" in said


@pytest.mark.parametrize(("code", "offered"), [("not-seen-there", 1), ("on-its-way", 0)])
def test_what_a_look_has_missed_can_be_sent_again_while_it_is_looked_for(site, code, offered):
    threat = site.add()
    published(site, threat)
    owe(site, threat, THERE, State.OWED, code)

    assert card(site, threat).count("Send again to the MISP of CERT-1") == offered


def test_what_our_misp_refused_is_told_with_what_to_do(site):
    threat = site.add()
    owe(site, threat, "misp", State.REFUSED, "blocklisted")

    said = card(site, threat)

    assert "its newest state is not there" in said
    assert REASONS["blocklisted"].says in said
    assert "site admin takes the uuid off the event blocklist" in said


def test_what_misp_left_out_is_told_although_it_took_the_event(site):
    threat = site.add()
    lost = {"reason": "tags-dropped", "detail": "rsit:other"}
    published(site, threat, warnings=[lost, {"reason": "may-extend", "organisation": CERT}])

    said = card(site, threat)

    assert f"{REASONS['tags-dropped'].says} rsit:other" in said
    assert f"CERT-1 {REASONS['may-extend'].says}" in said


def test_what_comes_from_misp_is_text(site):
    threat = site.add()
    owe(site, threat, "misp", State.OWED, "blocked-by-workflow", detail="<b>no</b>")

    assert "<b>no</b>" not in site.read("anna", f"/threats/{threat.id}")


def test_a_cert_is_not_told_who_has_it_elsewhere(site):
    threat = site.add(origin=CI, viewers=(CERT,))
    published(site, threat)

    said = card(site, threat, "carl")

    assert "Open the event its event, once it has come to our MISP" in said
    assert "CI-2 unknown" not in said


def test_before_it_is_shared_there_is_no_event(site):
    assert "no event: it has not been shared" in card(site, site.add())


def test_it_fits_a_phone_and_can_be_used_by_all(site, look):
    threat = site.add()
    published(site, threat, warnings=[{"reason": "values-changed", "detail": "x" * 150}])
    owe(site, threat, THERE, State.REFUSED, "group-wider-there", detail=f"{CERT}, {CI}")
    page = look("anna", f"/threats/{threat.id}")

    for width, scheme, rule in SCREENS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious(page, rule) == [], (width, scheme)


KNOWN = Enrichment(
    "", 1, AT, 3,
    (
        Known(
            "198.51.100.7",
            (Related("e", "<b>Scanning</b>", "CERT-9", f"{URL}/events/view/e", {"0": 2}),),
            ("Public DNS",),
        ),
    ),
)  # fmt: skip


def test_what_our_misp_knows_of_its_values_stands_on_the_card(site):
    threat = site.add(viewers=(CI, CERT))
    found = replace(KNOWN, threat_id=threat.id)
    site.eme.store.transact(lambda tx: tx.save_enrichment(found))

    page = site.read("anna", f"/threats/{threat.id}")

    assert f'href="{URL}/events/view/e"' in page
    assert "&lt;b&gt;Scanning&lt;/b&gt;" in page
    shown = card(site, threat)
    assert "Known to our MISP 198.51.100.7 on the warning list Public DNS" in shown
    assert "CERT-9 · seen 2 times" in shown
    assert "Known to our MISP" not in card(site, threat, "carl")
