"""The policy, and the kill switch."""

from __future__ import annotations

from eme_connector.domain.policy import Scope, Setting
from eme_connector.usecases.policies import default_id
from tests.build import CI
from tests.pages.conftest import token_of


def automatic(site):
    found = [one for one in site.eme.store.policy_settings_of(CI) if one.scope.is_default]
    return found[0].automatic if found else frozenset()


def test_without_scripts_it_is_saved(site, look):
    page = look("anna", "/policy", scripts=False)
    assert page.locator("main li").count() == 8
    assert page.locator("input:checked").count() == 0

    page.check("#act-isolate")
    page.check("#act-install_patches")
    page.click("text=Save policy")

    assert "The policy is saved" in page.inner_text("main")
    assert page.is_checked("#act-isolate")
    assert automatic(site) == {"isolate", "install_patches"}


def test_each_action_is_explained_with_impact_and_undo(site):
    page = site.read("anna", "/policy")

    assert "Cuts the host off the network" in page
    assert "To undo: Put the host back on the network." in page
    assert "60/100" in page


def test_what_somebody_else_saved_is_not_overwritten(site):
    anna, again = site.client("anna"), site.client("anna")
    form = {"csrf_token": token_of(anna, "/policy"), "etag": f"{default_id(CI)}@0"}
    late = form | {"csrf_token": token_of(again, "/policy")}

    first = anna.post("/policy", data=form | {"automatic": "isolate"})
    second = again.post("/policy", data=late | {"automatic": "shutdown"})

    assert first.status_code == 303
    assert second.status_code == 412
    assert "Somebody else has saved the policy" in second.text
    assert automatic(site) == {"isolate"}


def test_who_lacks_the_right_reads_only(site):
    client = site.client("bob")

    page = client.get("/policy").text
    refused = client.post("/policy", data={"csrf_token": token_of(client, "/policy")})

    assert "Save policy" not in page
    assert "disabled" in page
    assert refused.status_code == 403


def test_narrower_policies_are_shown(site):
    narrow = Setting("s1", CI, frozenset({"isolate"}), Scope(tag="line-4"), 1, "anna", 1)
    site.eme.store.transact(lambda tx: tx.save_policy_setting(narrow))

    page = site.read("anna", "/policy")

    assert "tag line-4" in page
    assert "isolate host" in page


def test_the_kill_switch_asks_once_more_and_wants_a_reason(site, look):
    page = look("bob", "/threats", scripts=False)
    page.click("header >> text=Stop")
    assert "Stop all responses of CI-1?" in page.inner_text("h1")
    assert not site.eme.store.stopped(CI)

    page.fill("#reason", "the line must not stop now")
    page.click("main button")

    assert site.eme.store.stopped(CI)
    assert "Nothing is sent to any orchestrator" in page.inner_text("body")
    page.click("header >> text=Start again")
    page.fill("#reason", "over")
    page.click("text=Start sending again")
    assert not site.eme.store.stopped(CI)


def test_the_kill_switch_is_for_those_who_may_decide(site):
    assert site.client("vera").get("/stop").status_code == 403
