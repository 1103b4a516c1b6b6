"""The list: what waits first, filters in the URL, page by page."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from eme_connector.domain.threat import Decision, Kind, Resolution, Status
from eme_connector.web.pages import assets
from tests.build import CERT, CI, detection, playbook, step
from tests.conftest import left_out
from tests.pages.conftest import waiting

DAY = 86_400_000_000


def names(page):
    return re.findall(r'<a class="clamp" [^>]*><bdi>([^<]*)</bdi>', page)


def named(name, **fields):
    return detection(name=name, **fields)


def ending(until):
    return (playbook(step(1), valid_until=until),)


def test_the_oldest_deadline_is_on_top(site):
    site.add(detection=named("no end"))
    site.add(detection=named("late", playbooks=ending("2099-01-02T00:00:00Z")))
    site.add(detection=named("soon", playbooks=ending("2099-01-01T00:00:00Z")))
    site.add(detection=named("over", playbooks=ending("2023-01-01T00:00:00Z")))

    page = site.read("anna", "/threats")

    queue = re.findall(r'<h3 id="ask-[^"]+"><a[^>]*><bdi>([^<]*)</bdi>', page)
    assert queue == ["over", "soon", "late", "no end"]
    assert "Waiting for you (4)" in page
    assert "Set a new end and decide" in page


def test_the_queue_says_what_a_click_would_do(site):
    site.add(decision=waiting(("2", "not-automatic")))

    page = re.sub(r"<[^>]+>", "", site.read("anna", "/threats"))

    assert "Would isolate host → block service on cam-1" in page
    assert "criticality 4/5" in page
    assert "Greatest impact 60 of 100." in page
    assert "Shared with CERT-1." in page
    assert "step 2 (block service): no policy covers this action" in page


def test_a_long_queue_shows_the_first_and_counts_all(site):
    for number in range(7):
        site.add(detection=named(f"threat {number}"))

    page = site.read("anna", "/threats")

    assert page.count('<article class="ask"') == 5
    assert "Show all 7 that wait" in page


def test_what_happened_and_why_is_said(site):
    at = round(site.eme.clock() * 1_000_000)
    by_policy = Decision(Status.APPROVED, "policy", at, steps=("1",), policies=("p@1",))
    site.add(detection=detection(playbooks=(playbook(step(1)),)), decision=by_policy)
    site.add(decision=Decision(Status.DECLINED, "bob", at, "false alarm"))
    site.add(resolution=Resolution("orchestrator:shuffle", at, "every step succeeded"))

    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", site.read("anna", "/threats")))

    assert re.search(r"Approved by policy \d\d:\d\d:\d\d isolate host \(contain\)", page)
    assert re.search(r"Declined by bob \d\d:\d\d:\d\d false alarm", page)
    assert "Resolved by orchestrator shuffle" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"a", "b", "c"}),
        ("type=vulnerability", {"b"}),
        ("status=declined", {"c"}),
        ("risk=low", {"b"}),
        ("criticality=5", {"a"}),
        ("from=2020-01-01", {"a", "b", "c"}),
        ("to=2020-01-01", set()),
        ("type=nonsense&risk=%00&criticality=99&from=yesterday&sort=name", {"a", "b", "c"}),
    ],
)
def test_filters_are_in_the_url(site, query, found):
    site.add(detection=named("a", risk_score=9.0), criticality=5)
    site.add(detection=named("b", kind=Kind.VULNERABILITY, risk_score=1.0))
    site.add(detection=named("c"), decision=Decision(Status.DECLINED, "bob", 1, "no"))

    assert set(names(site.read("anna", f"/threats?{query}"))) == found


def test_the_greatest_risk_can_come_first(site):
    for name, risk in (("low", 1.0), ("high", 9.0), ("middle", 5.0)):
        site.add(detection=named(name, risk_score=risk))

    assert names(site.read("anna", "/threats?sort=rank")) == ["high", "middle", "low"]


def test_pages_go_on_where_the_last_one_ended(site):
    at = round(site.eme.clock() * 1_000_000)
    for number in range(30):
        site.add(detection=named(f"threat {number}"), received_at=at - number * 1_000_000)
    first = site.read("anna", "/threats?type=attack")
    (address,) = re.findall(r'rel="next" href="([^"]+)"', first)

    second = site.read("anna", address.replace("&amp;", "&"))

    assert parse_qs(urlsplit(address.replace("&amp;", "&")).query)["type"] == ["attack"]
    assert names(first) + names(second) == [f"threat {number}" for number in range(30)]
    assert "First page" in second
    assert 'rel="next"' not in second


def test_a_cursor_of_another_list_leads_to_the_first_page(site):
    answer = site.client("anna").get("/threats?sort=rank&cursor=bogus")

    assert (answer.status_code, answer.location) == (302, "/threats?sort=rank")


def test_nothing_yet_nothing_found_and_nothing_more_differ(site):
    empty = site.read("anna", "/threats")
    site.add()
    none = site.read("anna", "/threats?type=vulnerability")

    assert "No threat has arrived yet" in empty
    assert "Nothing waits for you" in empty
    assert "No threat matches these filters" in none
    assert "1 threat waits for you" in none


def test_a_cert_filters_by_organisation(site):
    site.add(viewers=(CI, CERT))

    page = site.read("carl", "/threats")

    assert f'<option value="{CI}">CI-1</option>' in page
    assert names(site.read("carl", f"/threats?organisation={CI}")) == ["Adversarial patch"]
    assert names(site.read("carl", f"/threats?organisation={CERT}")) == []


def test_times_are_in_the_readers_zone(site):
    threat = site.add(received_at=1_700_000_000_000_000)
    client = site.client("anna")
    client.set_cookie("zone", "Asia/Kolkata")

    page = client.get(f"/threats/{threat.id}").text
    client.set_cookie("zone", "../../etc/passwd")

    assert "2023-11-15 03:43:20" in page
    assert "Times are in Asia/Kolkata (UTC+05:30)." in page
    assert "Times are in UTC." in client.get("/threats").text


def test_a_filter_changes_the_list_in_place(site, look):
    if not assets.manifest():
        left_out("the assets are not built: make assets")
    site.add(detection=named("a"))
    site.add(detection=named("b", kind=Kind.VULNERABILITY))
    page = look("anna", "/threats")
    page.evaluate("window.same = true")

    page.select_option("#filter-type", "vulnerability")

    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.evaluate("window.same")
    assert "type=vulnerability" in page.url
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_without_scripts_a_filter_is_a_form(site, look):
    site.add(detection=named("a"))
    site.add(detection=named("b", kind=Kind.VULNERABILITY))
    page = look("anna", "/threats", scripts=False)

    page.select_option("#filter-type", "vulnerability")
    page.click("#filters button")

    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.input_value("#filter-type") == "vulnerability"


def test_a_bare_checkout_has_plain_scripts_and_sheets(site, monkeypatch):
    monkeypatch.setattr(assets, "manifest", dict)

    page = site.read("anna", "/threats")

    found = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(found) >= 8
    assert {site.client().get(one).status_code for one in found} == {200}


def test_what_is_built_may_be_kept_for_ever(site):
    page = site.read("anna", "/threats")

    for address in set(re.findall(r'"(/static/[^"#]+)"', page)):
        if "?v=" in address or "/dist/" in address:
            kept = site.client().get(address).headers["Cache-Control"]
            assert "immutable" in kept
            assert "max-age=31536000" in kept
