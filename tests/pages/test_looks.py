"""Every page on a desk and on a phone, in the light and in the dark."""

from __future__ import annotations

import gzip

import pytest

from eme_connector.domain.threat import Kind
from tests.build import CERT, CI, detection
from tests.conftest import ROOT, left_out
from tests.pages.conftest import waiting

AXE = ROOT / "eme_connector/web/assets/node_modules/axe-core/axe.min.js"
# everything once on a desk and once on a phone; what differs besides is contrast
SCREENS = [(1280, "light", ""), (1280, "dark", "color-contrast"),
           (360, "light", "color-contrast"), (360, "dark", "")]  # fmt: skip
LONG = "Unauthorised-write-to-holding-registers-of-a-programmable-controller-" * 3


@pytest.fixture
def threat(site):
    site.add(detection=detection(name=LONG, kind=Kind.VULNERABILITY, playbooks=()),
             decision=waiting((None, "no-playbook")), viewers=(CI, CERT))  # fmt: skip
    return site.add(decision=waiting(("2", "not-automatic")), viewers=(CI, CERT))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("anna", "/threats?sort=rank"),
        ("anna", "/threats/{id}"),
        ("anna", "/threats/{id}/data"),
        ("anna", "/policy"),
        ("anna", "/stop"),
        ("carl", "/threats"),
        ("carl", "/threats/{id}"),
        ("", "/login"),
    ],
)
def test_a_page_fits_and_can_be_used_by_all(look, threat, name, path):
    page = look(name, path.format(id=threat.id))

    for width, scheme, rule in SCREENS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious(page, rule) == [], (width, scheme)


def test_what_keeps_people_out_would_be_found(look):
    page = look("anna", "/policy")

    page.evaluate("document.querySelector('h1').className = 'hardly'")
    page.add_style_tag(url="/static/css/tokens.css")
    page.evaluate("document.styleSheets[0].insertRule('.hardly { color: #ccc; }', 0)")

    assert [one for one in serious(page) if "color-contrast" in one]


def test_an_error_page_can_be_used_by_all(look):
    page = look("anna", "/threats/00000000-0000-4000-8000-000000000000")

    assert "There is no such threat here" in page.inner_text("h1")
    assert serious(page) == []


def test_home_is_light_and_does_not_shift(site, look, threat, chromium):
    page = look("anna", "/login")
    sizes = []
    page.on("response", lambda answer: sizes.append(len(gzip.compress(answer.body()))))
    page.add_init_script(
        "window.shifts = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(one) => { window.shifts += one.value; })).observe({type: 'layout-shift', buffered: true})"
    )

    page.goto("/threats", wait_until="load")
    page.wait_for_timeout(300)

    assert sum(sizes) <= 300_000
    assert page.evaluate("window.shifts") < 0.01


def test_nothing_moves_where_motion_is_not_wanted(site, chromium, threat):
    context = chromium.new_context(reduced_motion="reduce", base_url=site.url)
    page = context.new_page()
    page.goto("/login")

    found = "getComputedStyle(document.querySelector('.button')).transitionDuration"
    assert page.evaluate(found) == "0s"
    context.close()


def test_slash_leads_to_the_search(look):
    page = look("anna", "/threats")

    page.keyboard.press("/")

    assert page.evaluate("document.activeElement.type") == "search"


def test_the_skip_link_is_first_and_leads_to_the_content(look):
    page = look("anna", "/threats")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"


def serious(page, rule="") -> list[str]:
    """Return what axe-core finds that would keep somebody out."""
    if not AXE.exists():
        left_out("axe-core is not installed: make assets")
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text(encoding="utf-8"))
    only = {"runOnly": [rule]} if rule else {}
    found = page.evaluate("(only) => axe.run(only)", only | {"resultTypes": ["violations"]})
    return [
        f"{one['id']}: {node['html'][:120]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
