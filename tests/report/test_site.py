"""The site as files: every page, its links, its data, and what is there without Bokeh."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from bench_core.records import EnvironmentRun
from bench_core.report import charts
from bench_core.report.blocks import Cell, Table, Text, as_csv, rows_of
from bench_core.report.pages import build_pages, write_site
from bench_core.report.published_rows import published_rows
from bench_core.report.rows import rows
from bench_core.report.scaling_figures import scaling_figures
from bench_core.report.sections import Section, all_sections
from bench_core.report.sections.scaling import scaling_chart
from bench_core.report.site_data import SiteData
from tests.report.made_site import COMMITS, MadeSite, make_runs, make_site
from tests.report.site_html import SitePage

PAGES = [
    "answer",
    "scaling",
    "fits",
    "compare",
    "history",
    "accuracy",
    "environments",
    "limits",
    "phases",
    "encoders",
    "skipped",
]


@pytest.fixture(scope="module")
def pages(site: MadeSite) -> dict[str, SitePage]:
    return _pages(site)


def _pages(site: MadeSite) -> dict[str, SitePage]:
    return {path.name: SitePage(path.read_text("utf-8")) for path in site.pages}


def test_every_section_with_content_is_a_page(site: MadeSite, pages: dict[str, SitePage]) -> None:
    names = [path.stem.removeprefix("ridgebench-") for path in site.pages]
    assert [name for name in names if name in PAGES or name == "ridgebench"] == [
        "ridgebench",
        *PAGES[1:],
    ]
    for path in site.pages:
        page = pages[path.name]
        assert page.source.count('aria-current="page"') == 1
        assert page.tags.count("h1") == 1
        linked = [one for one in page.links if one in {other.name for other in site.pages}]
        assert set(linked) == {other.name for other in site.pages}


def test_every_address_is_there_and_none_is_elsewhere(
    site: MadeSite, pages: dict[str, SitePage]
) -> None:
    folder = site.path.parent
    ids: dict[Path, set[str]] = {}
    for path in site.pages:
        page = pages[path.name]
        for address in {*page.links, *page.fetched} - {"index.html", "feed.xml", "data:,"}:
            name, _, fragment = address.partition("#")
            target = folder / name if name else path
            assert target.is_file(), (path.name, address)
            if fragment and target not in ids:
                ids[target] = set(SitePage(target.read_text("utf-8")).ids)
            assert not fragment or fragment in ids[target], (path.name, address)


def test_ids_are_unique_and_every_figure_has_words(pages: dict[str, SitePage]) -> None:
    for page in pages.values():
        assert len(page.ids) == len(set(page.ids))
        assert page.unnamed_figures == 0
        assert all(page.labels)
        assert page.events == []


def test_the_numbers_of_the_table_are_those_of_the_records(
    site: MadeSite, pages: dict[str, SitePage]
) -> None:
    page = pages["ridgebench-fits.html"]
    head, *body = page.rows
    found = [dict(zip(head, row, strict=True)) for row in body]
    table = rows(site.runs)
    assert len(found) == len(table)
    for shown, row in zip(found, table, strict=True):
        assert (shown["machine"], shown["BLAS"]) == (row.machine, row.environment)
        assert shown["DSU"] == f"{row.dsu:.2f}"
        assert shown["disagreement"] == f"{row.disagreement:.1e}"
    text = (site.path.parent / "ridgebench-files/fits-fits.csv").read_text("utf-8")
    whole = list(csv.DictReader(io.StringIO(text)))
    assert [float(one["time"]) for one in whole] == [row.seconds for row in table]
    assert [float(one["SU"]) for one in whole] == [row.su for row in table]


def test_a_time_leads_to_its_record(site: MadeSite, pages: dict[str, SitePage]) -> None:
    page = pages["ridgebench-fits.html"]
    links = [one for one in page.links if "records" in one]
    table = rows(site.runs)
    assert len(links) == len(table)
    for link, row in zip(links, table, strict=True):
        name, _, place = link.partition("#")
        text = (site.path.parent / name).read_text("utf-8")
        article = text[text.index(f'id="{place}"') :].partition("</article>")[0]
        shown = re.search(r"<pre[^>]*>(.*)</pre>", article, re.DOTALL)
        assert shown is not None
        record = json.loads(shown[1].replace("&quot;", '"').replace("&#x27;", "'"))
        assert record["id"] == row.record
        assert record["times"]["median_s"] == row.seconds


def test_the_chart_has_the_records_and_the_published_times(site: MadeSite) -> None:
    data = SiteData(site.runs, site.everything, "ridgebench", site.history)
    chart = scaling_chart(data)
    table = rows(site.runs)
    thesis = [row for row in published_rows() if row.problem == "parcels"]
    assert chart.length == len(table) + len(thesis) == len(table) + 12
    assert list(chart.columns["su"]) == [row.su for row in [*table, *thesis]]
    assert all(len(column) == chart.length for column in chart.columns.values())
    # Scales differ: the thesis's seconds are in no picture of ours.
    assert list(chart.columns["seconds"])[len(table) :] == [None] * 12
    inside = [
        low <= su <= high
        for low, su, high in zip(
            *(chart.columns[name] for name in ("su_low", "su", "su_high")), strict=True
        )
        if low is not None
    ]
    assert len(inside) > 5
    assert all(inside)


def test_published_ratios_are_those_of_the_thesis() -> None:
    found = {
        (row.suite, row.environment, row.strategy, row.nodes, row.threads): row
        for row in published_rows()
        if row.problem != "roi"
    }
    one = found["figure 3.6", "mkl", "ridgecv", 1, 32]
    assert one.su == pytest.approx(4161.0 / 480.17, rel=1e-4)
    assert one.pe == pytest.approx(4161.0 / 480.17 / 32, rel=1e-4)
    assert found["figure 3.10", "mkl", "bmor", 8, 32].dsu == pytest.approx(28.1, abs=0.2)
    assert found["figure 3.9", "mkl", "mor", 8, 32].dsu is None  # its RidgeCV is not published


def test_the_thesis_figures_are_drawn_for_what_was_measured(site: MadeSite) -> None:
    drawn = {name: svg for name, _, _, svg in scaling_figures(rows(site.runs))}
    assert list(drawn) == ["figure-3-6", "figure-3-8", "figure-3-9", "figure-3-10", "figure-3-11"]
    assert "thesis, openblas" in drawn["figure-3-6"]
    assert "time relative to one thread" in drawn["figure-3-6"]
    assert "parallel efficiency" in drawn["figure-3-8"]
    assert "thesis: 32 threads a node" in drawn["figure-3-9"]
    assert scaling_figures([]) == []


def test_steps_and_commits_link_to_each_other(pages: dict[str, SitePage]) -> None:
    page = pages["ridgebench-history.html"]
    assert set(COMMITS) <= set(page.ids)
    assert "worse" in page.text
    inside = {one[1:] for one in page.links if one.startswith("#")}
    assert {COMMITS[5], COMMITS[6]} <= inside


def test_without_bokeh_the_site_says_so_and_has_all_figures(
    site: MadeSite, pages: dict[str, SitePage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bokeh", None)
    plain = make_site(tmp_path / "ridgebench.html")
    assert [path.name for path in plain.pages] == [path.name for path in site.pages]
    found = _pages(plain)
    scaling = found["ridgebench-scaling.html"]
    assert "Bokeh was not installed" in scaling.text
    assert not (tmp_path / "ridgebench-files" / charts.SCRIPT).exists()
    assert scaling.tags.count("svg") == pages["ridgebench-scaling.html"].tags.count("svg")


def test_bokehs_script_is_the_packages_own(site: MadeSite) -> None:
    script = charts.bokeh_script()
    if script is None:
        pytest.skip("Bokeh is not installed (extra: report)")
    copied = site.path.parent / "ridgebench-files" / charts.SCRIPT
    assert copied.read_bytes() == script.read_bytes()
    records = site.path.parent / "ridgebench-records"
    whole = sum(
        path.stat().st_size
        for path in site.path.parent.rglob("*")
        if path.is_file() and records not in path.parents
    )
    assert whole < 8e6


def test_a_new_section_is_one_file(
    site: MadeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench_core.report import pages

    mine = Section("Mine <b>", 5, lambda data: [Text(f"{len(data.rows)} <i>fits</i>")])
    first = [one for one in all_sections() if one[0] == "answer"]
    monkeypatch.setattr(pages, "all_sections", lambda: [*first, ("mine", mine)])
    written = write_site(site.runs, tmp_path / "site.html")
    text = (tmp_path / "site-mine.html").read_text("utf-8")
    assert f"{len(rows(site.runs))} &lt;i&gt;fits&lt;/i&gt;" in text
    assert tmp_path / "site-mine.html" in written
    assert "Mine &lt;b&gt;" in (tmp_path / "site.html").read_text("utf-8")


def test_a_page_without_content_goes_with_its_data(site: MadeSite, tmp_path: Path) -> None:
    folder = shutil.copytree(site.path.parent, tmp_path / "site")
    path = folder / site.path.name
    assert (folder / "ridgebench-scaling.html").exists()
    assert len(list((folder / "ridgebench-records").iterdir())) == 2  # 225 records
    (only,) = write_site([], path)
    assert only == path
    assert not list(folder.glob("ridgebench-*.html"))
    assert not list((folder / "ridgebench-files").glob("*.csv"))
    assert not list((folder / "ridgebench-records").iterdir())
    assert "more than one configuration yet" in path.read_text("utf-8")


def test_long_tables_are_cut_and_say_so() -> None:
    table = Table("t", ("a",), rows_of([[str(n)] for n in range(30)]), most=10)
    assert len(table.shown) == 10
    assert len(as_csv(table).splitlines()) == 31


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_text_is_a_formula_of_a_spreadsheet(text: str) -> None:
    table = Table("t", ("a", "b"), rows_of([[text, Cell("-1.5 s", -1.5)]]))
    ((first, second),) = list(csv.reader(as_csv(table).splitlines()))[1:]
    assert first == f"'{text}"
    assert float(second) == -1.5


def test_records_of_two_machines_are_told_apart(pages: dict[str, SitePage]) -> None:
    page = pages["ridgebench-environments.html"]
    machines = {row[0] for row in page.rows}
    assert {"here", "there"} <= machines
    answer = pages["ridgebench.html"]
    assert " on there" in answer.text


def test_environments_name_what_differs(pages: dict[str, SitePage]) -> None:
    page = pages["ridgebench-environments.html"]
    (numpy,) = [row for row in page.rows if row[0] == "numpy"]
    assert set(numpy[1:]) == {"2.0", "2.1"}
    assert not [row for row in page.rows if row[0] == "scipy"]


def test_limits_are_rates_over_gemm_and_memory_over_the_data() -> None:
    from dataclasses import replace

    from bench_core.records.record import PlanRecord

    run = make_runs()[0]
    fit = next(one for one in run.fits if one.case.threads == 2 and one.case.nodes == 1)
    plan = PlanRecord("dual", 4e10, 2e10 * fit.times.median_s, 1, (), None, {})
    problem = replace(fit.case.problem, t=1000, p=50, s=150)
    fit = replace(fit, plan=plan, case=replace(fit.case, problem=problem))
    kernels = [one for one in run.records if one in run.kernels]
    data = SiteData([EnvironmentRun("here", run.commit, "env", [fit, *kernels])], [], "site")
    page = next(page for page in build_pages(data) if page.name == "limits")
    table = next(b for b in page.blocks if isinstance(b, Table) and b.name == "limits-table")
    cells = dict(zip(table.headings, table.rows[0].cells, strict=True))
    assert cells["over gemm"].value == pytest.approx(20 / 50)
    assert cells["over X and Y"].value == pytest.approx(3 * 1024**3 / (1000 * 200 * 8))
