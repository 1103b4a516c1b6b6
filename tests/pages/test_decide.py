"""A person decides, with and without scripts, by mouse and by keyboard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eme_connector.domain.threat import Asset, Status
from tests.build import detection, playbook, step
from tests.pages.conftest import waiting


@pytest.fixture
def threat(site):
    return site.add(decision=waiting(("2", "not-automatic")))


def test_the_queue_stands_first_and_approves_in_one_click(site, look, threat):
    page = look("anna", "/threats")
    assert page.locator("main h2").first.inner_text() == "Waiting for you (1)"

    page.click("text=Approve 2 steps")

    assert "You approved 2 steps" in page.inner_text("main")
    assert site.now(threat).decision.steps == ("1", "2")


def test_without_scripts_the_ticked_steps_are_approved(site, look, threat):
    page = look("bob", f"/threats/{threat.id}", scripts=False)

    page.uncheck("#tick-2")
    page.fill("#reason", "the second would stop the line")
    page.click("text=Approve the ticked steps")

    decided = site.now(threat).decision
    assert (decided.status, decided.by, decided.steps) == (Status.APPROVED, "bob", ("1",))
    assert decided.reason == "the second would stop the line"
    assert "1 of 2 steps: isolate host (contain)" in page.inner_text("main")


def test_without_scripts_all_is_declined_with_a_reason(site, look, threat):
    page = look("bob", f"/threats/{threat.id}", scripts=False)

    page.fill("#reason", "false alarm")
    page.click("text=Decline all")

    assert site.now(threat).decision.status is Status.DECLINED
    assert "Declined by bob" in page.inner_text("main")


def test_declining_asks_for_a_reason(site, look, threat):
    page = look("bob", f"/threats/{threat.id}", scripts=False)

    page.eval_on_selector("#reason", "field => field.removeAttribute('required')")
    page.click("text=Decline all")

    assert "Say why you decline" in page.inner_text("[role=alert]")
    assert site.now(threat).decision.status is Status.PENDING


def test_by_keyboard_alone(site, look, threat):
    page = look("anna", f"/threats/{threat.id}")

    _tab_to(page, "tick-1")
    page.keyboard.press("Space")
    _tab_to(page, "reason")
    page.keyboard.type("only the second")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText.trim()") == "Approve 1 step"
    page.keyboard.press("Enter")

    page.wait_for_selector("text=You approved 1 step")
    assert site.now(threat).decision.steps == ("2",)


def test_the_focus_can_always_be_seen(look, threat):
    page = look("anna", f"/threats/{threat.id}")

    for _ in range(30):
        page.keyboard.press("Tab")
        width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 3, page.evaluate("document.activeElement.outerHTML")


def test_the_button_counts_what_it_approves(look, threat):
    page = look("anna", f"/threats/{threat.id}")
    button = page.locator("[data-approve]")
    assert button.inner_text() == "Approve 2 steps"

    page.uncheck("#tick-1")
    assert button.inner_text() == "Approve 1 step"
    page.uncheck("#tick-2")

    assert button.inner_text() == "Tick a step to approve"
    assert button.is_disabled()


def test_a_playbook_outside_its_validity_asks_for_a_new_end(site, look):
    old = playbook(step(1), valid_until="2023-06-21T14:29:22Z")
    threat = site.add(detection=detection(playbooks=(old,)))
    page = look("anna", f"/threats/{threat.id}", scripts=False)

    page.click("text=Approve 1 step")
    assert "needs a new end" in page.inner_text("[role=alert]")
    page.select_option("#valid-until", index=1)
    chosen = page.input_value("#valid-until")
    page.click("text=Approve 1 step")

    assert site.now(threat).decision.valid_until == chosen


def test_what_changed_since_it_was_read_is_shown(site, look, threat):
    page = look("anna", f"/threats/{threat.id}")
    other = replace(
        threat.detection,
        assets=(Asset("10.0.0.99", "cam-1", 4),),
        playbooks=(playbook(step(1), step(3, "Shutdown host")),),
    )
    site.change(threat, detection=other, revision=2)

    page.click("[data-approve]")

    said = page.inner_text("main")
    assert "It changed since you read it" in said
    assert "Step 3 was added" in said
    assert "Step 2 was removed" in said
    assert "cam-1 10.0.0.7" in said
    assert "cam-1 10.0.0.99" in said
    assert site.now(threat).decision.status is Status.PENDING


def test_the_second_other_decision_learns_who_was_first(site, look, threat):
    anna, bob = look("anna", f"/threats/{threat.id}"), look("bob", f"/threats/{threat.id}")
    anna.click("[data-approve]")

    bob.fill("#reason", "no")
    bob.click("text=Decline all")

    assert "decided before you" in bob.inner_text("h1")
    assert "Approved by anna" in bob.inner_text("main")
    assert site.now(threat).decision.by == "anna"


def test_a_person_closes_with_a_reason(site, look, threat):
    page = look("anna", f"/threats/{threat.id}", scripts=False)

    page.click("text=Close this threat")
    page.fill("#close-reason", "exercise")
    page.click("text=Close as resolved")

    assert site.now(threat).resolution.reason == "exercise"
    assert "Resolved by anna" in page.inner_text("main")


def _tab_to(page, wanted):
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == wanted:
            return
    raise AssertionError(f"#{wanted} cannot be reached by keyboard")
