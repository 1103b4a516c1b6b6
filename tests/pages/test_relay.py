"""Sharing → Sharing groups: how targets stand, what waits, what was written and taken back."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest
from sqlalchemy import select

from eme_connector.adapters.database import tables as t
from eme_connector.bootstrap import build
from eme_connector.config import parse
from eme_connector.usecases import relay_fleet
from eme_connector.web.app import create_app
from tests.build import GROUP
from tests.doubles.misp import Misp
from tests.pages.conftest import Site, _tree, token_of
from tests.pages.test_looks import SCREENS, serious

PATH = "/sharing/groups"


@pytest.fixture
def misp():
    made = Misp("Fleet MISP")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clock(misp, monkeypatch):
    """Let the second pass at once that an announcement waits for."""
    misp.clock.hold()
    office = relay_fleet.office

    def quick(*given):
        return replace(office(*given), sleep=lambda seconds: misp.clock.advance(2))

    monkeypatch.setattr(relay_fleet, "office", quick)


@pytest.fixture
def eme(tmp_path, prepared, there, misp):
    shutil.copytree(prepared / "data", tmp_path / "data")
    more = {
        "cerebrate": {"url": there.url, "key": there.state.key("admin"), "timeout_s": 2},
        "sync": {"targets": [
            {"name": "fleet", "url": misp.url, "key": misp.admin, "roaming": True, "timeout_s": 2}
        ]},
        "egress": {"private_networks": ["127.0.0.0/8"]},
    }  # fmt: skip
    built = build(parse(_tree() | more, {}, base=tmp_path))
    yield built
    built.store.close()


def apply(site, **form):
    return site.post("anna", f"{PATH}/fleet/apply", **form)


def lose(there, count):
    """Take the last *count* members out of the group in Cerebrate."""
    for key in list(there.state.members)[-count:]:
        del there.state.members[key]


def members(misp):
    return {one.org_id for one in misp.state.groups.by(uuid=GROUP).members}


def confirmation(page):
    return re.search(r'name="confirm" value="([^"]+)"', page)[1]


def audits(site, event):
    rows = site.eme.store._all(select(t.audit).where(t.audit.c.event == event))
    return [(row.by, json.loads(row.detail)) for row in rows]


def test_before_the_first_cycle_it_says_so(site):
    page = site.read("anna", PATH)

    assert "Not compared yet" in page
    assert "sync.every_s is not set" in page


def test_comparing_tells_by_name_and_writes_nothing(site, misp):
    assert site.post("anna", f"{PATH}/fleet/compare").status_code == 303

    page = site.read("anna", PATH)

    assert "Something differs" in page
    assert "25 to do, 0 waiting, 0 stuck" in page
    assert "Transport &lt;i&gt;" in page
    assert "CERT &lt;b&gt;One&lt;/b&gt;" in page
    assert misp.state.groups.by(uuid=GROUP) is None


def test_applying_shows_the_cycle_who_did_it_and_what_it_wrote(site, misp):
    apply(site)

    page = site.read("anna", PATH)
    assert "Nothing differs" in page
    assert "by anna" in page
    assert len(members(misp)) == 12
    run = re.search(r'href="([^"]+/runs/[^"]+)"', page)[1]
    wrote = site.read("anna", run)
    assert wrote.count("member-missing") == 12
    assert "organisation-missing" in wrote


def test_a_loss_is_named_to_the_last_one_and_confirmed_without_scripts(site, there, misp, look):
    apply(site)
    lose(there, 8)
    apply(site)
    page = look("anna", PATH, scripts=False)
    told = page.inner_text("main")
    assert "Removals wait for you" in told
    assert "8 organisations would be taken out:" in told
    assert all(f"Operator of the network {n}" in told for n in range(1, 9))
    assert len(members(misp)) == 12

    page.get_by_label("Transport").check()
    page.click("text=It is true")

    assert "nothing differs" in page.inner_text("main")
    assert len(members(misp)) == 4
    ((by, detail),) = audits(site, "loss-confirmed")
    assert (by, detail["targets"]) == ("anna", ["fleet"])


def test_a_confirmation_counts_for_what_was_read_and_for_nothing_else(site, there, misp):
    apply(site)
    lose(there, 8)
    apply(site)
    read = confirmation(site.read("anna", PATH))

    lose(there, 1)
    apply(site, confirm=read)

    assert len(members(misp)) == 12
    page = site.read("anna", PATH)
    assert "9 organisations would be taken out:" in page
    apply(site, confirm=confirmation(page))
    assert len(members(misp)) == 3


def test_a_bare_uuid_confirms_nothing_on_the_page(site, there, misp):
    apply(site)
    lose(there, 8)

    apply(site, confirm=GROUP)
    apply(site, confirm="all")

    assert len(members(misp)) == 12


def test_without_the_token_of_the_form_nothing_is_done(site, misp):
    assert site.client("anna").post(f"{PATH}/fleet/apply").status_code == 400
    assert misp.state.groups.by(uuid=GROUP) is None


def test_what_nobody_can_settle_says_who_does_what_where(site, there, misp):
    apply(site)
    next(iter(there.state.groups.values()))["active"] = False
    site.post("anna", f"{PATH}/fleet/compare")

    page = site.read("anna", PATH)

    assert "Nobody can settle by API (1)" in page
    assert "General &gt; Make the sharing group selectable (active)" in page


def test_both_sides_having_changed_a_text_is_told(site, there, misp):
    apply(site)
    misp.state.groups.by(uuid=GROUP).description = "by hand"
    next(iter(there.state.groups.values()))["description"] = "from the source"
    site.post("anna", f"{PATH}/fleet/compare")

    page = site.read("anna", PATH)

    assert "Changed on both sides; the source wins (1)" in page
    assert "by hand" in page
    assert "from the source" in page


def test_the_last_apply_is_looked_at_and_taken_back(site, there, misp, look):
    apply(site)
    lose(there, 1)
    apply(site)
    assert len(members(misp)) == 11

    page = look("anna", PATH, scripts=False)
    page.click("text=Take the last apply back")
    assert "Operator of the network 8" in page.inner_text("main")
    page.click("text=Take 1 change back at fleet")

    told = page.inner_text("main")
    assert "1 change was taken back at fleet" in told
    assert "Last undo" in told
    assert "a person undid this" in told
    assert len(members(misp)) == 12


def test_an_undo_takes_back_only_the_run_that_was_read(site, there, misp):
    apply(site)
    lose(there, 1)
    apply(site)
    read = re.search(r'name="run" value="([^"]+)"', site.read("anna", f"{PATH}/fleet/undo"))[1]
    lose(there, 1)
    apply(site)

    found = site.post("anna", f"{PATH}/fleet/undo", run=read)

    assert found.location.endswith("/fleet/undo")
    assert len(members(misp)) == 10


def test_nothing_to_take_back_is_told(site):
    assert "Nothing was applied there" in site.read("anna", f"{PATH}/fleet/undo")


def test_a_target_that_is_down_keeps_what_was_seen_and_says_what_to_do(site, there, misp):
    apply(site)
    lose(there, 8)
    apply(site)
    misp.close()
    apply(site)

    page = site.read("anna", PATH)

    assert "The last cycle failed" in page
    assert "check its url, that it runs, and that no firewall is between" in page
    assert "8 organisations would be taken out:" in page


def test_a_source_that_is_down_is_told(site, there):
    there.stop()
    client = site.client("anna")
    form = {"csrf_token": token_of(client, "/threats")}

    client.post(f"{PATH}/fleet/compare", data=form)

    assert "The source: it cannot be reached (unreachable)" in client.get(PATH).text


@pytest.mark.parametrize("name", ["bob", "carl", "vera", "olga"])
def test_it_is_for_administrators_of_our_own_organisation(site, name):
    apply(site)
    run = site.eme.store.runs()[0].id
    client = site.client(name)

    for path in (PATH, f"{PATH}/fleet/undo", f"{PATH}/runs/{run}"):
        assert client.get(path).status_code == 403, path
    for verb in ("compare", "apply", "undo"):
        assert site.post(name, f"{PATH}/fleet/{verb}").status_code == 403, verb
    assert f'href="{PATH}"' not in client.get("/threats").text


def test_the_api_tells_the_same_to_the_same_people(site, there, misp):
    apply(site)
    lose(there, 8)
    apply(site)

    (found,) = site.client("anna").get("/api/v1/relay/targets").get_json()["targets"]

    assert (found["target"], found["state"]) == ("fleet", "differs")
    assert len(found["found"]["held"][0]["steps"]) == 8
    assert found["last_apply"]["by"] == "anna"
    for name in ("bob", "carl", "vera", "olga"):
        assert site.client(name).get("/api/v1/relay/targets").status_code == 403


def test_an_unknown_target_or_run_is_not_there(site):
    assert site.client("anna").get(f"{PATH}/nosuch/undo").status_code == 404
    assert site.post("anna", f"{PATH}/nosuch/apply").status_code == 404
    assert site.client("anna").get(f"{PATH}/runs/nosuch").status_code == 404


def test_a_page_fits_and_can_be_used_by_all(site, there, misp, look):
    apply(site)
    next(iter(there.state.groups.values()))["active"] = False
    lose(there, 8)
    apply(site)
    run = site.eme.store.runs()[0].id
    page = look("anna", PATH)

    for path in (PATH, f"{PATH}/fleet/undo", f"{PATH}/runs/{run}"):
        page.goto(path)
        for width, scheme, rule in SCREENS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert serious(page, rule) == [], (path, width, scheme)


def test_without_a_cerebrate_sharing_leads_here(tmp_path, prepared, misp):
    shutil.copytree(prepared / "data", tmp_path / "data")
    target = {"name": "fleet", "url": misp.url, "key": misp.admin, "roaming": True}
    sync = {"sync": {"source": "file", "targets": [target]}}
    built = build(parse(_tree() | sync, {}, base=tmp_path))
    try:
        client = Site(built, create_app(built)).client("anna")
        assert f'href="{PATH}"' in client.get("/threats").text
        assert 'aria-label="Sharing"' not in client.get(PATH).text
        assert client.get("/sharing/cerebrate").status_code == 404
    finally:
        built.store.close()


def test_without_a_relay_there_is_no_page(tmp_path, prepared):
    shutil.copytree(prepared / "data", tmp_path / "data")
    built = build(parse(_tree(), {}, base=tmp_path))
    try:
        client = Site(built, create_app(built)).client("anna")
        assert client.get(PATH).status_code == 404
        assert "/sharing/" not in client.get("/threats").text
    finally:
        built.store.close()
