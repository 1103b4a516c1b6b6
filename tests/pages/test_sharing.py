"""Who will see a threat is shown before it is shared, and by which rule."""

from __future__ import annotations

import re

import pytest

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.domain.threat import Tlp
from tests.build import CERT, CI, GROUP


@pytest.fixture
def threat(site):
    return site.add(group=None)


def test_the_card_says_who_sees_it_by_which_rule_and_way(site):
    page = site.read("anna", f"/threats/{site.add().id}")

    assert "CERT-1" in page
    assert "member of the group · by message" in page


def test_choosing_a_group_shows_who_will_see_it_and_changes_nothing(site, threat):
    page = site.read("anna", f"/threats/{threat.id}/sharing?group={GROUP}")

    assert "Who will see it" in page
    assert "member of the group" in page
    assert "Share with 1 organisation" in page
    assert site.now(threat).group is None


def test_what_was_shown_is_what_the_button_does(site, threat):
    page = site.read("anna", f"/threats/{threat.id}/sharing?group={GROUP}")
    form = dict(re.findall(r'<input type="hidden" name="(group|recipient)" value="([^"]*)"', page))

    site.post("anna", f"/threats/{threat.id}/sharing", **form)

    assert site.now(threat).group == GROUP


def test_nobody_is_said_plainly(site, threat):
    page = site.read("anna", f"/threats/{threat.id}/sharing?group=")

    assert "Save: nobody else sees it" in page


def test_the_strictest_markings_ask_whom_before_they_share(site):
    red = site.add(tlp=Tlp.RED)
    path = f"/threats/{red.id}/sharing?group={GROUP}"

    nobody = site.read("anna", path)
    one = site.read("anna", f"{path}&recipient={CERT}")

    assert "nobody is named" in nobody
    assert "Members who do not see it (1)" in nobody
    assert "named by a person" in one
    assert f'name="recipient" value="{CERT}"' in one


def test_whoever_is_picked_stands_with_what_cerebrate_says_of_reaching_them(site):
    told = RemoteOrganisation(CERT, "CERT-1", contacts="csirt@cert.example <b>, +352 1")
    group = RemoteGroup(GROUP, "Transport", CI, {CI: True, CERT: False})
    site.eme.store.transact(
        lambda tx: tx.replace_entries("cerebrate", Snapshot({CERT: told}, {GROUP: group}), [], 1)
    )

    page = site.read("anna", f"/threats/{site.add(tlp=Tlp.RED).id}")

    assert "csirt@cert.example &lt;b&gt;, +352 1" in page


def test_who_may_not_share_sees_no_preview(site, threat):
    answer = site.client("vera").get(f"/threats/{threat.id}/sharing?group={GROUP}")

    assert answer.status_code in (403, 404)


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_way_through_works_in_a_browser(site, look, threat, width, scheme):
    page = look("anna", f"/threats/{threat.id}", width=width, scheme=scheme, scripts=False)
    page.get_by_text("Change who sees this").click()
    page.get_by_label("Sharing group").select_option(GROUP)
    page.get_by_role("button", name="Show who will see it").click()
    share = page.get_by_role("button", name="Share with 1 organisation")
    share.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    share.click()
    page.get_by_text("Saved who sees this threat.").wait_for()

    assert site.now(threat).group == GROUP
