"""asv's own pages without the internet: grid, list and graphs, with the libraries that are kept.

The results are committed ones, at commits of a small checkout.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench_core.report.asv_libraries import VARIABLE, find_libraries, library_folder, use_libraries
from bench_core.report.asv_pages import link_from_asv
from bench_core.report.site import asv as run_asv
from bench_core.report.site import find_project
from tests.history.made_history import made_commits
from tests.installed import ROOT
from tests.report.browser import Browser, Tab

asv = pytest.importorskip("asv", reason="asv is not installed (extra: bench)")

BENCHMARK = "threads.Threads.track_inverse_speed_up"
MACHINE = "epyc-2core"
SLOWER = (1.0, 1.25, 1.5)
"""Factors of the committed figures at the three commits."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


def _committed() -> dict[str, Any]:
    """Return a committed file of asv's results, of the one benchmark; some commits lack it."""
    for path in sorted((ROOT / "results" / MACHINE).glob("*BLASopenblas*KERNELSdefault.json")):
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if BENCHMARK in found["results"]:
            return {**found, "results": {BENCHMARK: found["results"][BENCHMARK]}}
    raise LookupError(f"no committed results of {MACHINE} with OpenBLAS have {BENCHMARK}")


def _write_project(root: Path) -> list[float]:
    """Write a project with three commits, and return the figure of one case at them."""
    commits = made_commits(root, len(SLOWER))
    places = {"benchmark_dir": "benchmarks", "results_dir": "results", "html_dir": "html"}
    configuration = {"version": 1, "project": "made", "repo": ".", "branches": ["HEAD"], **places}
    configuration["show_commit_url"] = "ridgebench-history.html#"
    (root / "asv.conf.json").write_text(json.dumps(configuration))
    (root / "benchmarks").mkdir()
    folder = root / "results" / MACHINE
    folder.mkdir(parents=True)
    (folder / "machine.json").write_text((ROOT / "results" / MACHINE / "machine.json").read_text())
    known = json.loads((ROOT / "results" / "benchmarks.json").read_text("utf-8"))
    kept = {"version": known["version"], BENCHMARK: known[BENCHMARK]}
    (root / "results" / "benchmarks.json").write_text(json.dumps(kept))
    result = _committed()
    values, *rest = result["results"][BENCHMARK]
    shown = []
    for number, (commit, factor) in enumerate(zip(commits, SLOWER, strict=True)):
        slower = [value * factor for value in values]
        at = {"commit_hash": commit, "date": result["date"] + number * 86_400_000}
        text = json.dumps({**result, **at, "results": {BENCHMARK: [slower, *rest]}})
        (folder / f"{commit[:8]}-{result['env_name']}.json").write_text(text)
        shown.append(slower[3])  # parcels, two threads, scale 1/24
    return shown


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[float]]]:
    """Serve asv's published pages to this machine alone; yield their address and the figures."""
    page = (Path(asv.__file__).parent / "www" / "index.html").read_text("utf-8")
    kept = library_folder()
    root = tmp_path_factory.mktemp("asv")
    (root / "index.html").write_text(page)
    missing = use_libraries(root, kept).missing
    if missing:
        names = ", ".join(one.name for one in missing)
        pytest.skip(f"{kept} lacks {names}: fill it as docs/offline.md says, or set {VARIABLE}")
    shown = _write_project(root)
    project = find_project(root)
    run_asv(project, "publish", "--no-pull")
    assert link_from_asv(project.html, "ridgebench.html") == []
    assert use_libraries(project.html, kept).missing == ()
    assert find_libraries((project.html / "index.html").read_text("utf-8")) == []
    serve = partial(_Quiet, directory=str(project.html))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}/index.html", shown
        found.shutdown()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    opened = Tab(browser)
    yield opened
    opened.close()


def _assert_all_from(address: str, tab: Tab) -> None:
    here = address.rpartition("/")[0]
    assert {one for one in tab.requests if not one.startswith((here, "data:", "about:"))} == set()
    assert tab.errors == []


def test_a_graph_is_drawn(served: tuple[str, list[float]], tab: Tab) -> None:
    address, shown = served
    query = "x-axis=commit&p-resolution='parcels'&p-threads=2&p-scale='1/24'"
    tab.open_address(f"{address}#{BENCHMARK}?{query}", "#main-graph canvas.flot-base")
    # The script that drew it is the library's, and its points are the results'.
    drawn = "$('#main-graph').data('plot').getData()"
    found = tab.run(f"{drawn}.map((one) => one.data.map((point) => point[1]))")
    assert any(line == pytest.approx(shown) for line in found)
    dark = """(() => { const canvas = document.querySelector("#main-graph canvas.flot-base");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let n = 3; n < data.length; n += 4) count += data[n] > 0;
      return count; })()"""
    assert tab.run(dark) > 1000
    assert BENCHMARK in tab.run("document.querySelector('#title').textContent")
    _assert_all_from(address, tab)


def test_the_list_and_the_grid_name_the_benchmark(
    served: tuple[str, list[float]], tab: Tab
) -> None:
    address, _ = served
    tab.open_address(f"{address}#/summarylist?sort=1&dir=asc", "#summarylist-body tbody tr")
    assert BENCHMARK in tab.run("document.querySelector('#summarylist-body').textContent")
    tab.open_address(f"{address}#/", "#summarygrid-display .benchmark-container canvas")
    grid = tab.run("document.querySelector('#summarygrid-display').textContent")
    assert "track_inverse_speed_up" in grid
    tab.open_address(f"{address}#/regressions", "#regressions-body *")
    _assert_all_from(address, tab)


def test_the_bar_leads_to_our_pages(served: tuple[str, list[float]], tab: Tab) -> None:
    address, _ = served
    tab.open_address(f"{address}#/", "#nav-li-ridgebench a")
    link = tab.run("document.querySelector('#nav-li-ridgebench a').href")
    assert link == address.replace("index.html", "ridgebench.html")
