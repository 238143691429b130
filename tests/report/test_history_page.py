"""The page's histories: steps, links to commits, machines, and names that are no markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench_core.history.commits import Commit, CommitOrder
from bench_core.history.regressions import Regressions, find_regressions
from bench_core.history.series import case_histories
from bench_core.records import EnvironmentRun
from tests.history.made_history import record_at, runs_of
from tests.report.site_html import SitePage, site_of

COMMITS = [f"{number:08x}" + 32 * "0" for number in range(1, 21)]
HOSTILE = (
    "javascript:document.title='hit'{{ 7 * 7 }}<script>document.title='hit'</script>"
    '"><img src=x onerror="document.title=\'hit\'"></title></svg><script></script>'
)


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
    path = tmp_path / "page.html"
    page = site_of(runs[-1:], path, found, feed="ridgebench-regressions.xml")["history"]
    assert set(COMMITS) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert inside
    assert set(inside) <= set(page.ids)
    assert "ridgebench-regressions.xml" in page.fetched
    figures = {one.figure.name: one for one in found.changes if one.figure is not None}
    assert set(figures) == {"time", "inverse speed-up", "inverse distributed speed-up"}
    step = figures["time"]
    assert step.after.full in inside
    assert "broken" in page.text
    assert "worse +" in page.text


def test_machines_are_told_apart_by_a_column(tmp_path: Path) -> None:
    runs, found = _made()
    other = [EnvironmentRun("there", one.commit, one.environment, one.records) for one in runs]
    pages = site_of([runs[-1], other[-1]], tmp_path / "two.html", found)
    for name in ("fits", "environments"):
        head, *rows = pages[name].rows
        assert head[0] == "machine"
        assert {"here", "there"} <= {row[0] for row in rows}


def test_names_from_outside_are_no_markup(tmp_path: Path) -> None:
    plain = _written(tmp_path / "plain" / "page.html", "parcels")
    found = _written(tmp_path / "page.html", HOSTILE)
    assert list(found) == list(plain)
    for section, page in found.items():
        other = plain[section]
        assert page.events == []
        assert sorted(page.tags) == sorted(other.tags)
        assert {one for one in page.links if not one.startswith("#")} == {
            one for one in other.links if not one.startswith("#")
        }
    assert HOSTILE in found["history"].text


def _written(path: Path, name: str) -> dict[str, SitePage]:
    runs, found = _made(name)
    return site_of(runs[-3:], path, found)
