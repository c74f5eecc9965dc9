"""The HTML report in a real browser: drawn, usable, harmless, and nothing but a file."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_finbot.reports.html import NoSeries, html_report, write_html
from tests.browser.conftest import looked_at
from tests.reports.hostile import MESSAGES, NAMES
from tests.reports.html.made_pages import Made, a_report
from tests.reports.html.test_page import hostile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COLOURS = """
(canvases) => canvases.map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  for (const pixel of new Uint32Array(data.buffer)) seen.add(pixel);
  return [...seen];
})
"""
CANVASES = """
() => [...document.querySelectorAll(".chart")].map((chart) => {
  const found = [], look = (node) => {
    if (node.tagName === "CANVAS" && node.width > 100) found.push(node);
    if (node.shadowRoot) [...node.shadowRoot.children].forEach(look);
    [...node.children].forEach(look);
  };
  look(chart);
  return found;
})
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 60 runs, of which two moved and two failed."""
    return write_html(tmp_path_factory.mktemp("page"), a_report(60, 2, 2), Made())


def draw(page: Page, sections: int = 1) -> None:
    """Go down to the charts of the first runs, and wait until they are there."""
    for section in page.locator("[data-charts]").all()[:sections]:
        section.scroll_into_view_if_needed()
        section.locator(":scope[data-drawn=yes]").wait_for(timeout=20_000)
    page.wait_for_timeout(300)


def colours(page: Page) -> list[set[int]]:
    """The colours of each chart's canvas."""
    drawn = f"(({CANVASES})().filter((all) => all.length).map((all) => all[0]))"
    return [set(one) for one in page.evaluate(f"() => ({COLOURS})({drawn})")]


def rgb(hexadecimal: str) -> int:
    """A colour as a canvas has it in 32 bits, opaque."""
    return int.from_bytes(bytes.fromhex(hexadecimal.removeprefix("#")) + b"\xff", "little")


def test_charts_are_drawn_light_and_dark(browser: Browser, written: Path, screenshots: Path) -> None:
    with looked_at(browser, written, color_scheme="dark") as page:
        draw(page)
        found = colours(page)
        assert len(found) == 4
        for seen in found:
            assert rgb("#12161c") in seen
            assert rgb("#7fb8f5") in seen
            assert len(seen) > 10
        page.screenshot(path=screenshots / "html-dark.png", full_page=True)
        page.get_by_role("button", name="Light or dark").click()
        page.wait_for_timeout(500)
        for seen in colours(page):
            assert rgb("#ffffff") in seen
            assert rgb("#0b5cad") in seen
            assert rgb("#7fb8f5") not in seen
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=screenshots / "html-light.png", full_page=True)


def test_charts_share_their_time_axis_and_tell_what_is_under_the_pointer(
    browser: Browser, written: Path
) -> None:
    with looked_at(browser, written) as page:
        draw(page)
        section = page.locator("[data-charts]").first
        charts = section.locator(".chart")
        charts.nth(1).scroll_into_view_if_needed()
        box = charts.nth(1).bounding_box()
        assert box is not None
        across = [box["x"] + box["width"] * part for part in (0.3, 0.6)]
        middle = box["y"] + box["height"] / 2
        readout = section.locator(".readout").nth(1)
        page.mouse.move(across[0], middle)
        page.mouse.move(across[0] + 2, middle)
        said = readout.inner_text()
        assert "now " in said
        assert "baseline " in said
        before = page.evaluate("Bokeh.documents[0].roots().map((plot) => plot.x_range.start)")
        page.mouse.down()
        page.mouse.move(across[1], middle, steps=4)
        page.mouse.up()
        after = page.evaluate("Bokeh.documents[0].roots().map((plot) => plot.x_range.start)")
        assert len(set(after)) == 1
        assert after[0] > before[0]
        section.get_by_role("button", name="Show all sessions").click()
        assert page.evaluate("Bokeh.documents[0].roots().map((plot) => plot.x_range.start)") == before


def test_under_the_pointer_each_value_is_told_with_its_day(browser: Browser, written: Path) -> None:
    with looked_at(browser, written) as page:
        draw(page)
        section = page.locator("[data-charts]").first
        chart = section.locator(".chart").nth(3)
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        assert box is not None
        for right in (0.3, 0.5, 0.6):
            page.mouse.move(box["x"] + box["width"] * right, box["y"] + box["height"] / 2)
            assert_of_their_days(section.locator(".readout").nth(3).inner_text())


def assert_of_their_days(said: str) -> None:
    """Each value of ``2015-03-04: KO, now 9.1, KO, baseline 18.2 on 2015-02-27`` is that of its day."""
    day = said.partition(": ")[0]
    sides = Made().sides(a_report().changed[0])
    found = re.findall(r"([A-Z]+), (now|baseline) ([\d,.]*\d)(?: on ([\d-]+))?", said)
    assert len(found) == 10
    for asset, side, value, own_day in found:
        result = sides.now if side == "now" else sides.baseline
        assert result is not None
        assert result.market_values is not None
        row = int(np.searchsorted(result.sessions, np.datetime64(own_day or day)))
        held = result.market_values[row, result.assets.index(asset)]
        assert float(value.replace(",", "")) == pytest.approx(held, rel=1e-6), said


def names(page: Page) -> list[str]:
    return page.evaluate(
        "[...document.querySelectorAll('#runs tbody tr:not([hidden]) th')].map((cell) => cell.textContent)"
    )


def test_the_table_sorts_filters_and_links(browser: Browser, written: Path) -> None:
    with looked_at(browser, written, at="#run=run_41") as page:
        assert page.locator("tr.target th").inner_text() == "run_41"
        assert page.locator("tr.target").is_visible()
        assert len(names(page)) == 60
        assert page.get_by_role("status").inner_text() == "60 runs"
        heading = page.get_by_role("columnheader", name="Sharpe")
        heading.get_by_role("button").click()
        assert names(page)[0] == "run_55"
        assert heading.get_attribute("aria-sort") == "descending"
        heading.get_by_role("button").click()
        assert names(page)[0] == "run_0"
        # What has no value comes last, either way.
        assert names(page)[-1] == "failed_1"
        page.get_by_label("Filter").fill("RUN_1")
        assert names(page) == ["run_1", *(f"run_1{n}" for n in range(10))]
        assert page.get_by_role("status").inner_text() == "11 of 60 runs"
        page.get_by_label("Filter").fill("")
        page.get_by_label("Verdict").select_option("moved")
        assert sorted(names(page)) == ["moved_0", "moved_1"]
        page.get_by_role("link", name="moved_1").click()
        assert page.url.endswith("#run=moved_1")
        assert page.locator("section.target h2").inner_text() == "moved_1"
        page.evaluate("location.hash = 'run=failed_0'")
        page.locator("details.target[open]").wait_for()
        page.evaluate("location.hash = 'run=run_7'")  # which the filter hides
        page.locator("tr.target", has_text="run_7").wait_for()
        table = page.locator("details.rows").first
        table.locator("summary").click()
        rows = table.locator("tbody tr")
        rows.first.wait_for()
        assert 90 <= rows.count() <= 100
        assert "of 3,300 sessions" in table.inner_text()


def test_it_fits_a_phone_and_a_sheet_of_paper(browser: Browser, written: Path, screenshots: Path) -> None:
    phone = {"width": 390, "height": 844}
    with looked_at(browser, written, viewport=phone, is_mobile=True, has_touch=True) as page:
        draw(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        days = "(plot) => plot.below[0].ticker.desired_num_ticks"
        assert set(page.evaluate(f"Bokeh.documents[0].roots().map({days})")) == {3}
        money = "Bokeh.documents[0].roots()[1].left[0].formatter.doFormat([180000, -0.5], {loc: 0})"
        assert page.evaluate(money) == ["180,000", "-0.5"]
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=screenshots / "html-phone.png", full_page=True)
    with looked_at(browser, written) as page:
        draw(page)
        page.emulate_media(media="print")
        assert not page.locator("#theme").is_visible()
        page.set_viewport_size({"width": 718, "height": 1123})  # A4 within Chromium's margins
        assert page.evaluate("document.documentElement.scrollWidth") <= 718
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details.error[open]").count() == 2
        assert len(page.pdf(path=screenshots / "html-print.pdf")) > 10_000
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details.error[open]").count() == 0


def test_on_paper_no_chart_is_cut_dark_or_missing_without_a_word(browser: Browser, written: Path) -> None:
    look = "([of, pseudo, style]) => getComputedStyle(document.querySelectorAll(of)[0], pseudo)[style]"
    with looked_at(browser, written, color_scheme="dark") as page:
        draw(page)
        wide = page.locator(".chart").first.bounding_box()
        assert wide is not None
        assert wide["width"] > 1_000
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        late = page.locator("[data-charts].too-late")
        assert late.count() == 1
        assert late.get_attribute("data-drawn") is None  # what is drawn now stays blank on paper for good
        page.emulate_media(media="print")
        zoom = float(page.evaluate(look, [".chart", None, "zoom"]))
        assert zoom * wide["width"] <= 718 - 2 * 16  # A4 within Chromium's margins
        assert page.evaluate(look, ["body", None, "backgroundColor"]) == "rgb(255, 255, 255)"
        assert "invert" in page.evaluate(look, [".chart", None, "filter"])
        said = page.evaluate(look, [".too-late .chart", "::before", "content"])
        assert "Not drawn: it was not on the screen yet" in said
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert late.count() == 0
        page.locator("[data-charts][data-drawn=yes]").nth(1).wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_barrier_is_found(browser: Browser, tmp_path: Path, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path = write_html(tmp_path, a_report(4, 1, 1), Made(8))
    with looked_at(browser, path, color_scheme=scheme) as page:
        draw(page)
        for details in page.locator("details").all():
            details.evaluate("(one) => { one.open = true; }")
        # What differs between the two are colours.
        rules = None if scheme == "light" else {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
        found = Axe().run(page, options=rules).response["violations"]
        told = [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert not told


def test_what_others_say_does_nothing(browser: Browser, tmp_path: Path) -> None:
    rows = []
    for name, message in zip(NAMES, MESSAGES, strict=False):
        report = hostile(name, message)
        rows += [*report.changed, *report.failed, *report.others]
    base = hostile("plain", "\n".join(MESSAGES[:40]))
    assets = tuple(dict.fromkeys(name or " " for name in NAMES))[:12]
    report = dataclasses.replace(
        base,
        changed=tuple(run for run in rows if run.verdict == "moved"),
        failed=tuple(run for run in rows if run.status == "failed" and run.verdict != "moved"),
        others=tuple(run for run in rows if run.status == "success"),
    )
    path = write_html(tmp_path, report, Made(50, assets))
    with looked_at(browser, path) as page:
        draw(page)
        assert (
            page.evaluate("document.querySelectorAll('img, iframe, link, object, form, marquee').length") == 0
        )
        assert page.locator("main script").count() == 0
        links = page.evaluate("[...document.querySelectorAll('a')].map((link) => link.getAttribute('href'))")
        assert all(link.startswith("#run=") for link in links)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for heading in page.locator("#runs thead button").all():
            heading.click()
        page.get_by_label("Filter").fill("<script>")
        assert any("<script>" in name for name in names(page))


def test_two_thousand_runs_are_sorted(browser: Browser, tmp_path: Path) -> None:
    path = write_html(tmp_path, a_report(2_001, 1), NoSeries("not here"))
    with looked_at(browser, path) as page:
        page.get_by_role("columnheader", name="Sharpe").get_by_role("button").click()
        shown: list[Any] = names(page)
        assert shown[:2] == ["run_1999", "run_1998"]
        assert page.get_by_role("status").inner_text() == "2,001 runs"
        page.get_by_role("button", name="further runs").click()
        assert 200 < len(names(page)) < 2_001
        page.evaluate("location.hash = 'run=run_700'")
        page.locator("tr.target", has_text="run_700").wait_for()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert names(page) == [*(f"run_{n}" for n in reversed(range(2_000))), "moved_0"]


def test_the_page_says_so_where_charts_cannot_be_drawn(browser: Browser, tmp_path: Path) -> None:
    page_of = html_report(a_report(), Made(30))
    start = page_of.index('<script type="application/json"')
    broken = page_of[start:].replace('"x":"', '"x":"!', 1)
    path = tmp_path / "broken.html"
    path.write_text(page_of[:start] + broken, encoding="utf-8", newline="")
    with looked_at(browser, path) as page:
        page.locator("[data-charts]").first.scroll_into_view_if_needed()
        page.locator(".why-not", has_text="Not drawn, because this browser could not").wait_for()
