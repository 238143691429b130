"""The site in a real browser without a network: it renders, it answers keys, no name is markup."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench_core.comparison.compare import answer, compare
from bench_core.report.asv_libraries import use_libraries
from bench_core.report.charts import bokeh_script
from bench_core.report.rows import rows
from tests.installed import ROOT
from tests.report.browser import Browser, Tab, needs_bokeh
from tests.report.made_site import COMMITS, MadeSite, make_site

HOSTILE = "".join(
    (
        "<script>document.title='hit'</script>",
        '"><img src=x onerror="document.title=\'hit\'">',
        "</title></svg></script><script>document.title='hit'</script>",
        "{{ 7 * 7 }}javascript:document.title='hit'",
    )
)


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    opened = Tab(browser)
    yield opened
    opened.close()


LOOK = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  const texts = "h1, h2, p, a, td, th, code, summary, label, button";
  for (const element of document.querySelectorAll(texts)) {
    if (element.closest("svg") || !element.textContent.trim()) continue;
    if (!element.checkVisibility()) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) faint.push([element.tagName, element.textContent.slice(0, 40), contrast]);
  }
  const box = (element) => element.getBoundingClientRect();
  const shown = (element) => element.checkVisibility() && box(element).height > 0;
  return {
    title: document.title,
    heading: document.querySelector("h1").textContent,
    wide: document.documentElement.scrollWidth - innerWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    faint,
    figures: Array.from(document.querySelectorAll("figure svg")).every(shown),
    charts: Array.from(document.querySelectorAll("section.chart")).map((one) => [
      one.id, Number(one.dataset.points), box(one.querySelector(".canvas") || one).width,
    ]),
  };
})()"""


SCREENSHOTS = Path(os.environ.get("RIDGEBENCH_SCREENSHOTS") or ROOT / "build" / "screenshots")
"""Where pictures of all pages are left: on a wide light screen, and on a dark phone."""


@pytest.mark.parametrize("width", [1300, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_renders(browser: Browser, site: MadeSite, width: int, dark: bool) -> None:
    tab = Tab(browser, width=width, dark=dark)
    kept = (width, dark) in ((1300, False), (400, True))
    for path in site.pages:
        tab.open(path)
        found = tab.run(LOOK)
        assert found["title"] == f"{found['heading']} · ridgebench"
        assert found["wide"] <= 0, path.name
        assert found["faint"] == [], path.name
        assert found["figures"], path.name
        assert found["paper"] == ("rgb(20, 25, 31)" if dark else "rgb(255, 255, 255)")
        for name, points, across in found["charts"]:
            if bokeh_script() is not None:
                assert points > 0, (path.name, name)
                assert 0 < across <= width
        if kept:
            picture = SCREENSHOTS / f"{path.stem}-{width}-{'dark' if dark else 'light'}.png"
            tab.screenshot(picture)
            assert picture.read_bytes()[:4] == b"\x89PNG"
    assert tab.errors == []
    folder = site.path.parent.as_uri()
    assert {one for one in tab.requests if not one.startswith((folder, "data:", "about:"))} == set()
    tab.close()


def test_a_page_is_printed_without_controls_and_not_cut_off(tab: Tab, site: MadeSite) -> None:
    tab.print_media()
    tab.open(site.path.with_name("ridgebench-fits.html"))
    assert tab.run("document.querySelector('.filter').checkVisibility()") is False
    last = "document.querySelector('tbody tr td:last-child').getBoundingClientRect().right"
    assert 0 < tab.run(last) <= 1300


FOCUSABLE = """Array.from(document.querySelectorAll(
  "a[href], button, select, input, summary, [tabindex='0']"
)).filter((one) => one.checkVisibility())"""


def test_the_keyboard_reaches_every_control(tab: Tab, site: MadeSite) -> None:
    kinds = ("ridgebench", "ridgebench-scaling", "ridgebench-compare", "ridgebench-skipped")
    for path in [one for one in site.pages if one.stem in kinds]:
        tab.open(path)
        tab.run(f"window.wanted = new Set({FOCUSABLE})")
        wanted = tab.run("wanted.size")
        assert wanted > 10
        for _ in range(wanted + 20):
            tab.press("Tab", 9)
            tab.run("wanted.delete(document.activeElement)")
        missed = "Array.from(wanted, (one) => one.outerHTML.slice(0, 80))"
        assert tab.run(missed) == [], path.name
    assert tab.errors == []


def test_a_table_is_sorted_and_filtered(tab: Tab, site: MadeSite) -> None:
    tab.open(site.path.with_name("ridgebench-fits.html"))
    column = """Array.from(document.querySelectorAll("#fits tbody tr:not([hidden])"),
      (row) => row.cells[9].dataset.v).map(Number)"""
    times = sorted(row.seconds for row in rows(site.runs))
    tab.run("document.querySelectorAll('#fits th button')[9].click()")
    assert tab.run(column) == times
    assert tab.run("document.querySelectorAll('#fits th')[9].ariaSort") == "ascending"
    tab.run("document.querySelectorAll('#fits th button')[9].click()")
    assert tab.run(column) == times[::-1]
    tab.run(
        """(() => { const input = document.querySelector("#fits input");
        input.value = "there bmor"; input.dispatchEvent(new Event("input")); })()"""
    )
    wanted = [
        row.seconds for row in rows(site.runs) if (row.machine, row.strategy) == ("there", "bmor")
    ]
    assert tab.run(column) == sorted(wanted, reverse=True)
    assert tab.run("document.querySelector('#fits output').textContent").startswith("4 of ")


CHOOSE = """((name, value) => {
  const list = ridgebenchChoices[0].lists[name];
  list.value = value; list.dispatchEvent(new Event("change"));
  return document.querySelector(".choice .answer").textContent; })"""


def test_any_two_are_chosen_and_compared_either_way(tab: Tab, site: MadeSite) -> None:
    tab.open(site.path.with_name("ridgebench-compare.html"))
    tab.run(f"{CHOOSE}('what', 'strategy')")
    names = tab.run("ridgebenchChoices[0].sides.map((one) => one[0])")
    tab.run(f"{CHOOSE}('first', {names.index('ridgecv')})")
    text = tab.run(f"{CHOOSE}('second', {names.index('bmor')})")
    judged = compare(site.everything, "strategy", "ridgecv", "bmor")
    assert text.startswith(answer(judged))
    cells = """Array.from(document.querySelectorAll(".choice tbody tr"),
      (row) => [Number(row.cells[4].dataset.v), row.cells[7].textContent])"""
    found = tab.run(cells)
    wanted = [(verdict.ratio, verdict.verdict) for *_, verdict in judged.rows()]
    assert [one[0] for one in found] == pytest.approx([one[0] for one in wanted], rel=1e-4)
    assert [one[1] for one in found] == [one[1] for one in wanted]

    tab.run(f"{CHOOSE}('first', {names.index('bmor')})")
    text = tab.run(f"{CHOOSE}('second', {names.index('ridgecv')})")
    turned = compare(site.everything, "strategy", "bmor", "ridgecv")
    assert text.partition(",")[0] == answer(turned).partition(",")[0]
    opposite = {"faster": "slower", "slower": "faster"}
    found = tab.run(cells)
    assert [one[0] for one in found] == pytest.approx([1 / one[0] for one in wanted], rel=1e-4)
    assert [one[1] for one in found] == [opposite.get(one[1], one[1]) for one in wanted]
    assert "choose two" in tab.run(f"{CHOOSE}('first', {names.index('ridgecv')})")
    assert tab.errors == []


def test_two_are_chosen_by_keyboard(tab: Tab, site: MadeSite) -> None:
    tab.open(site.path.with_name("ridgebench-compare.html"))
    tab.run(f"{CHOOSE}('what', 'commit')")
    before = tab.run("ridgebenchChoices[0].lists.first.value")
    tab.run("ridgebenchChoices[0].lists.first.focus()")
    tab.press("ArrowDown", 40)
    chosen = int(tab.run("ridgebenchChoices[0].lists.first.value"))
    assert chosen == int(before) + 1
    name = COMMITS[::-1][chosen][:8]
    assert f"against {name}: " in tab.run("document.querySelector('.choice .answer').textContent")
    assert tab.run("Number(document.querySelector('.choice').dataset.rows)") == 18


def test_what_the_page_has_no_room_for_has_its_command(tab: Tab, site: MadeSite) -> None:
    tab.open(site.path.with_name("ridgebench-compare.html"))
    tab.run(f"{CHOOSE}('what', 'commit')")
    tab.run(f"{CHOOSE}('first', {len(COMMITS) - 1})")
    tab.run(f"{CHOOSE}('second', {len(COMMITS) - 2})")
    command = f"ridgebench compare --commit {COMMITS[0][:8]} {COMMITS[1][:8]}"
    assert tab.run("document.querySelector('.choice .answer code').textContent") == command
    left_out = "Array.from(document.querySelectorAll('#left-out tbody tr'), (r) => r.textContent)"
    assert sum(row.endswith(command) for row in tab.run(left_out)) == 1
    assert tab.errors == []


def test_asvs_pages_load_their_libraries_from_beside_them(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "html").mkdir()
    (tmp_path / "kept").mkdir()
    page = tmp_path / "html" / "index.html"
    page.write_text(
        '<!doctype html><script src="https://example.org/a.js" crossorigin="anonymous"></script>'
        "<title>asv</title><link rel=icon href='data:,'>"
    )
    (tmp_path / "kept" / "a.js").write_text("window.loaded = true;")
    tab = Tab(browser)
    tab.open(page)
    assert tab.run("window.loaded") is None  # the network is refused
    assert use_libraries(page.parent, tmp_path / "kept").missing == ()
    tab.errors.clear()
    tab.open(page)
    assert tab.run("window.loaded") is True
    assert tab.errors == []
    tab.close()


@needs_bokeh
def test_the_chart_shows_the_records_figures(tab: Tab, site: MadeSite) -> None:
    tab.open(site.path.with_name("ridgebench-scaling.html"))
    points = "ridgebenchCharts[0].points.data"
    table = rows(site.runs)
    here = [row.seconds for row in table if row.machine == "here"]
    assert sorted(tab.run(f"{points}.y")) == pytest.approx(sorted(here), rel=1e-8)
    choose = """((label, value) => {
      const found = Array.from(document.querySelectorAll(".controls label"))
        .find((one) => one.firstChild.textContent === label).querySelector("select");
      found.value = value; found.dispatchEvent(new Event("change")); })"""
    tab.run(f"{choose}('Machine', '')")
    every = [row.seconds for row in table]
    assert sorted(tab.run(f"{points}.y")) == pytest.approx(sorted(every), rel=1e-8)
    tab.run(f"{choose}('Figure', 'dsu')")
    tab.run(f"{choose}('Machine', '=there')")
    tab.run(f"{choose}('Published times', '=no')")
    tab.run(f"{choose}('Strategy', '=bmor')")
    wanted = [row.dsu for row in table if (row.machine, row.strategy) == ("there", "bmor")]
    assert sorted(tab.run(f"{points}.y")) == pytest.approx(sorted(wanted), rel=1e-8)
    assert tab.run("ridgebenchCharts[0].plot.left[0].axis_label").startswith("DSU")
    tab.run(f"{choose}('Figure', 'dsu-inverse')")
    inverse = [1 / row.dsu for row in table if (row.machine, row.strategy) == ("there", "bmor")]
    assert sorted(tab.run(f"{points}.y")) == pytest.approx(sorted(inverse), rel=1e-8)
    low, high = tab.run(f"{points}.low"), tab.run(f"{points}.high")
    assert all(a <= y <= b for a, y, b in zip(low, tab.run(f"{points}.y"), high, strict=True))
    assert any(a < b for a, b in zip(low, high, strict=True))
    tab.run(f"{choose}('Figure', 'su-over')")
    efficient = [row.pe for row in table if (row.machine, row.strategy) == ("there", "bmor")]
    assert sorted(tab.run(f"{points}.y")) == pytest.approx(sorted(efficient), rel=1e-8)
    tab.run(f"{choose}('Figure', 'dsu')")
    tab.run(f"{choose}('Published times', '=yes')")
    tab.run(f"{choose}('Strategy', '=ridgecv')")
    assert max(tab.run(f"{points}.y")) == pytest.approx(4161.0 / 480.17, rel=1e-4)
    assert tab.errors == []


@needs_bokeh
def test_a_point_leads_to_its_record_by_keyboard(tab: Tab, site: MadeSite) -> None:
    path = site.path.with_name("ridgebench-scaling.html")
    tab.open(path)
    tab.run(
        """Array.from(document.querySelectorAll(".controls button"))
        .find((one) => one.textContent === "Next point").focus()"""
    )
    tab.press("Enter", 13)
    tab.run("document.activeElement.click()")
    address = tab.run("document.querySelector('.picked a').getAttribute('href')")
    shown = tab.run("document.querySelector('.picked').textContent")
    name, _, place = address.partition("#")
    tab.open(path.with_name(name) if "/" not in name else path.parent / name, f"#{place}")
    record = tab.run(f"document.querySelector('#{place} pre').textContent")
    seconds = float(re.findall(r'"median_s": ([\d.e-]+)', record)[0])
    assert float(re.findall(r"seconds: ([\d.]+)", shown)[0]) == pytest.approx(seconds, rel=1e-5)
    assert tab.errors == []


@needs_bokeh
def test_hovering_over_a_point_shows_its_figures(tab: Tab, site: MadeSite) -> None:
    tab.open(site.path.with_name("ridgebench-scaling.html"))
    tab.run("document.querySelector('.canvas').scrollIntoView({ block: 'center' })")
    place = tab.run(
        """(() => {
        const chart = ridgebenchCharts[0];
        const view = Bokeh.index.find_one(chart.plot);
        const frame = view.frame;
        const box = document.querySelector(".canvas").getBoundingClientRect();
        const { x, y } = chart.points.data;
        return [box.left + frame.x_scale.compute(x[0]), box.top + frame.y_scale.compute(y[0]),
                chart.columns.time(chart.points.data.row[0])];
        })()"""
    )
    for shift in (30, 0):
        tab.mouse("mouseMoved", place[0] + shift, place[1] + shift)
    texts = """new Promise((done) => {
      const all = (root) => Array.from(root.querySelectorAll("*")).flatMap(
        (one) => one.shadowRoot ? [one.shadowRoot.textContent, ...all(one.shadowRoot)] : []);
      let left = 100;
      const look = () => {
        const found = all(document).join(" ");
        if (found.includes("nodes × threads") || --left === 0) done(found);
        else requestAnimationFrame(look);
      };
      look();
    })"""
    assert place[2] in tab.run(texts)


@needs_bokeh
def test_zooming_keeps_points_and_whole_brings_them_back(tab: Tab, site: MadeSite) -> None:
    tab.open(site.path.with_name("ridgebench-scaling.html"))
    span = "ridgebenchCharts[0].plot.y_range.end / ridgebenchCharts[0].plot.y_range.start"
    click = """((text) => Array.from(document.querySelectorAll(".controls button"))
      .find((one) => one.textContent === text).click())"""
    before = tab.run(span)
    tab.run(f"{click}('Zoom in')")
    assert tab.run(span) == pytest.approx(before**0.5)
    tab.run(f"{click}('Whole')")
    assert tab.run(span) == pytest.approx(before)


def test_an_old_address_of_a_commit_leads_to_the_history(tab: Tab, site: MadeSite) -> None:
    tab.open(site.path, f"#{COMMITS[3]}")
    there = tab.run(
        """new Promise((done) => {
        const look = () => location.href.includes("history") && document.readyState === "complete"
          ? done([location.href, document.querySelector(":target").textContent])
          : requestAnimationFrame(look);
        look(); })"""
    )
    assert there[0].endswith(f"ridgebench-history.html#{COMMITS[3]}")
    assert COMMITS[3] in there[1]


def test_no_name_is_markup(browser: Browser, site: MadeSite, tmp_path: Path) -> None:
    hostile = make_site(tmp_path / "ridgebench.html", HOSTILE)
    assert [path.name for path in hostile.pages] == [path.name for path in site.pages]
    tab = Tab(browser)
    records = sorted((tmp_path / "ridgebench-records").iterdir())
    tags = "Array.from(document.querySelectorAll('img, iframe, object'), (one) => one.outerHTML)"
    for path in [*hostile.pages, *records]:
        tab.open(path)
        assert tab.run("document.title").endswith("ridgebench") or path in records
        assert tab.run("document.title") != "hit"
        assert tab.run(tags) == [], path.name
        if path.name == "ridgebench-scaling.html" and bokeh_script() is not None:
            tab.run("ridgebenchCharts[0].step(1)")
            assert HOSTILE in tab.run("document.querySelector('.picked').textContent")
            kept = "new ChartPicture(ridgebenchCharts[0]).element()"
            assert HOSTILE[:30] in tab.run(f"{kept}.textContent")
            inside = f"Array.from({kept}.querySelectorAll('*'), (one) => one.tagName)"
            assert not {"script", "img"} & {one.lower() for one in tab.run(inside)}
            assert tab.run(tags) == []
    assert tab.errors == []
    tab.close()
