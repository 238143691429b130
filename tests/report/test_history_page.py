"""The page's histories: steps, links to commits, machines, and names that are no markup."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bench_core.history.commits import Commit, CommitOrder
from bench_core.history.regressions import Regressions, find_regressions
from bench_core.history.series import case_histories
from bench_core.records import EnvironmentRun
from bench_core.report.page import write_page
from tests.history.made_history import record_at, runs_of

COMMITS = [f"{number:08x}" + 32 * "0" for number in range(1, 21)]
HOSTILE = [
    "<script>document.title='hit'</script>",
    '"><img src=x onerror="document.title=\'hit\'">',
    "</title></svg><script>document.title='hit'</script>",
    "javascript:document.title='hit'",
    "{{ 7 * 7 }}",
]


class _Page(HTMLParser):
    """Collects tags, ids, links within the page, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.events: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name == "href" and value is not None:
                self.links.append(value)
            if name.startswith("on"):
                self.events.append(name)

    def handle_data(self, data: str) -> None:
        self.text += data


def _made(name: str = "parcels") -> tuple[list[EnvironmentRun], Regressions]:
    noise = np.exp(np.random.default_rng(0).normal(0, 0.03, 20))
    problem = {"name": name, "scale": None, "subject": name}
    records = [
        [
            record_at(
                one,
                float(noise[n] * (1.5 if n >= 12 else 1)),
                problem=problem,
                suite="other",
            ),
            record_at(
                one, 1.0, threads=2, problem=problem, suite="other",
                **({"status": "failed", "reason": name} if n > 17 else {}),
            ),
        ]
        for n, one in enumerate(COMMITS)
    ]  # fmt: skip
    runs = runs_of(COMMITS, records, environment=name.replace("/", "_"))
    order = CommitOrder(
        tuple(Commit(one[:8], one, f"{name} {one[:4]}", 0.0) for one in COMMITS), ()
    )
    return runs, find_regressions(case_histories(runs), order, notes=[name])


def test_steps_are_marked_and_link_to_commits(tmp_path: Path) -> None:
    runs, found = _made()
    page = _Page(write_page(runs[-1:], tmp_path / "page.html", found).read_text("utf-8"))
    assert set(COMMITS) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert inside
    assert set(inside) <= set(page.ids)
    assert set(page.links) - {f"#{one}" for one in inside} == {
        "index.html",
        "ridgebench-regressions.xml",
    }
    figures = {one.figure.name: one for one in found.changes if one.figure is not None}
    assert set(figures) == {"time", "inverse speed-up", "inverse distributed speed-up"}
    step = figures["time"]
    assert step.after.full in inside
    assert "broken" in page.text
    assert "worse +" in page.text


def test_machines_are_told_apart_by_a_column(tmp_path: Path) -> None:
    runs, found = _made()
    other = [EnvironmentRun("there", one.commit, one.environment, one.records) for one in runs]
    one = write_page(runs[-1:], tmp_path / "one.html", found).read_text("utf-8")
    two = write_page([runs[-1], other[-1]], tmp_path / "two.html", found).read_text("utf-8")
    assert two.count("<td>there</td>") > 1
    assert two.count("<th>machine</th>") == one.count("<th>machine</th>") + 2


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_outside_are_no_markup(tmp_path: Path, name: str) -> None:
    plain = _Page(_written(tmp_path / "plain.html", "parcels"))
    page = _Page(_written(tmp_path / "page.html", name))
    assert page.events == []
    assert sorted(page.tags) == sorted(plain.tags)
    assert {one for one in page.links if not one.startswith("#")} == {
        one for one in plain.links if not one.startswith("#")
    }
    assert name in page.text


def _written(path: Path, name: str) -> str:
    runs, found = _made(name)
    return write_page(runs[-3:], path, found).read_text("utf-8")


def test_no_name_runs_in_a_browser(tmp_path: Path) -> None:
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if browser is None:
        pytest.skip("no chromium here: names are checked by the parser alone")
    path = tmp_path / "page.html"
    _written(path, HOSTILE[0] + HOSTILE[1] + HOSTILE[2])
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "<title>ridgebench: what is fastest here</title>" in done.stdout
