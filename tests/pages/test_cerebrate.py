"""Sharing → Cerebrate: how links stand, what is there, what waits."""

from __future__ import annotations

import shutil

import pytest

from eme_connector.bootstrap import build
from eme_connector.config import parse
from tests.build import GROUP, OTHER_CI
from tests.doubles.cerebrate import CerebrateServer
from tests.pages.conftest import _tree
from tests.pages.test_looks import SCREENS, serious

PATH = "/sharing/cerebrate"


@pytest.fixture
def upstream():
    server = CerebrateServer("CERT-NATIONAL")
    server.state.organisation(uuid=OTHER_CI, name="CI-2", sector="Energy")
    yield server
    server.close()


@pytest.fixture
def eme(tmp_path, prepared, there, upstream):
    shutil.copytree(prepared / "data", tmp_path / "data")
    section = {
        "url": there.url,
        "key": there.state.key("admin"),
        "timeout_s": 2,
        "upstreams": [
            {"name": "national", "url": upstream.url, "key": upstream.state.key("reader"),
             "into": "directory"}
        ],
    }  # fmt: skip
    tree = _tree() | {"cerebrate": section, "egress": {"private_networks": ["127.0.0.0/8"]}}
    built = build(parse(tree, {}, base=tmp_path))
    yield built
    built.store.close()


def run(site, name="cerebrate", **form):
    return site.post("anna", f"{PATH}/{name}/run", **form)


def test_before_anything_was_read_it_says_so(site):
    page = site.read("anna", PATH)

    assert "Not read yet" in page
    assert "upstream" in page
    assert "New records only" in page


def test_after_reading_it_shows_numbers_and_that_our_key_stands_there(site):
    assert run(site).status_code == 303

    page = site.read("anna", PATH)

    assert "13 organisations, 1 group, 1 key" in page
    assert "mirror: sees every group" in page
    assert "It stands in Cerebrate as S/MIME key of our organisation." in page


def test_what_waits_in_cerebrate_itself_is_told(site, there):
    there.state.insert(there.state.inbox, {
        "uuid": "x", "scope": "LocalTool", "action": "IncomingConnectionRequest",
        "title": "Request for EME Inter-connection <i>", "origin": "", "created": ""})  # fmt: skip
    there.state.brood("https://national.example", "x" * 40, name="National CERT")
    run(site)

    page = site.read("anna", PATH)

    assert "Request for EME Inter-connection &lt;i&gt;" in page
    assert "National CERT" in page
    assert "x" * 40 not in page


def test_what_is_down_says_why_and_what_to_do(site, there):
    there.stop()
    run(site)

    page = site.read("anna", PATH)

    assert "unreachable" in page
    assert "check its url, that it runs, and that no firewall is between" in page


def test_without_scripts_a_loss_is_shown_and_confirmed(site, there, look):
    run(site)
    for key in list(there.state.members)[:8]:
        del there.state.members[key]
    run(site)
    page = look("anna", PATH, scripts=False)
    assert "8 members would go" in page.inner_text("main")
    assert len(site.eme.topology.groups[GROUP].members) == 12

    page.get_by_label("Transport").check()
    page.click("text=It is true")

    assert "cerebrate was read" in page.inner_text("main")
    assert len(site.eme.topology.groups[GROUP].members) == 4


def test_the_connection_is_looked_at_step_by_step(site, there):
    page = site.post("anna", f"{PATH}/cerebrate/check").text
    assert "Cerebrate 1.35 answers" in page
    assert "13 organisations, 1 sharing groups" in page
    assert "the key belongs to CERT-ONE, not to CI-1" in page

    there.state.authkeys.clear()
    page = site.post("anna", f"{PATH}/cerebrate/check").text
    assert "key-refused" in page
    assert "make a new authkey" in page


def test_what_is_there_is_shown_beside_what_is_here(site):
    run(site)

    page = site.read("anna", f"{PATH}/national/browse?state=differs")

    assert "CI-2" in page
    assert "Energy" in page
    assert "only here (13)" in page
    assert "Operator of the network" not in page


def test_names_from_there_are_text(site):
    run(site)

    assert "CERT &lt;b&gt;One&lt;/b&gt;" in site.read("anna", f"{PATH}/cerebrate/browse")


def test_browsing_one_that_is_down_is_told(site, upstream):
    upstream.stop()

    found = site.client("anna").get(f"{PATH}/national/browse")

    assert found.status_code == 502
    assert "unreachable" in found.text


@pytest.mark.parametrize("name", ["bob", "carl", "vera"])
def test_it_is_for_administrators_of_our_own_organisation(site, name):
    client = site.client(name)

    assert client.get(PATH).status_code == 403
    assert client.get(f"{PATH}/cerebrate/browse").status_code == 403
    assert site.post(name, f"{PATH}/cerebrate/run").status_code == 403
    assert site.post(name, f"{PATH}/cerebrate/check").status_code == 403
    assert 'href="/sharing/cerebrate"' not in client.get("/threats").text


def test_an_unknown_name_is_not_there(site):
    assert site.client("anna").get(f"{PATH}/nosuch/browse").status_code == 404
    assert site.post("anna", f"{PATH}/nosuch/run").status_code == 404


@pytest.mark.parametrize("path", ["", "/cerebrate/browse"])
def test_a_page_fits_and_can_be_used_by_all(site, there, look, path):
    run(site)
    run(site, "national")
    for key in list(there.state.members)[:8]:
        del there.state.members[key]
    run(site)
    page = look("anna", PATH + path)

    for width, scheme, rule in SCREENS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious(page, rule) == [], (width, scheme)
