"""What publishing 10,000 records costs, and the chart of them in a browser, for docs/report.md.

Run as ``python -m tests.report.site_speed``; minutes. The records are made: committed ones with
other cases and times. asv's own part of publishing is not in the figures.
"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "report-speed.json"
COUNT = 10_000
PROBLEMS = ("parcels", "roi", "whole-brain-bmor", "whole-brain-mor", "mine")
STRATEGIES = ("ridgecv", "mor", "bmor", "bmor-shared", "multitarget")
GRID = tuple(
    itertools.product(PROBLEMS, STRATEGIES, (1, 2, 4, 8), (1, 2, 4, 8, 16), ("float64", "float32"))
)
"""1,000 cases: problem, strategy, nodes, threads, precision."""


def made_lines(commit: str, environment: int, machine: str, count: int) -> Iterator[str]:
    """Yield ``count`` records of one environment as lines of JSON."""
    results = sorted((ROOT / "results" / "reference-2core").glob("*.records.jsonl"))
    lines = [line for path in results for line in path.read_text("utf-8").splitlines()]
    valid = [one for one in map(json.loads, lines) if one["status"] == "ok" and "memory" in one]
    random = np.random.default_rng([int(commit[:8], 16), environment, len(machine)])
    for number, case in enumerate(GRID[:count]):
        problem, strategy, nodes, threads, dtype = case
        record = json.loads(json.dumps(valid[number % len(valid)]))
        whole = 5.0 * (1 + PROBLEMS.index(problem)) * (1 + 0.1 * environment)
        seconds = whole * (0.1 + 0.9 / (nodes * threads)) * (0.6 if dtype == "float32" else 1)
        times = np.sort(seconds * np.exp(random.normal(0, 0.02, 5)))
        record["case"] |= {"strategy": strategy, "nodes": nodes, "threads": threads, "options": {}}
        record["case"]["problem"] |= {"name": problem, "dtype": dtype, "scale": 0.25}
        record["id"] = f"{commit[:8]}-{machine}-{environment}-{number}"
        record["commit"] = commit
        record["times"] |= {
            "fit_s": times.tolist(),
            "median_s": float(times[2]),
            "ci95_s": [float(times[0]), float(times[-1])],
            "runs": [],
        }
        record["times"] = {k: v for k, v in record["times"].items() if k != "runs"}
        record["started"] = "2026-01-01T00:00:00Z"
        yield json.dumps(record, sort_keys=True)


def make_results(folder: Path) -> int:
    """Write `COUNT` records: 8,000 of the newest commit, the others of ten before it."""
    commits = [f"{number:08x}" + 32 * "0" for number in range(1, 12)]
    sides = [
        (machine, commits[-1], environment, len(GRID))
        for machine in ("here", "there")
        for environment in range(4)
    ]
    sides += [
        ("here", commit, environment, 100) for commit in commits[:-1] for environment in (0, 1)
    ]
    total = 0
    for machine, commit, environment, count in sides:
        path = folder / machine / f"{commit[:8]}-env-{environment}.records.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = list(made_lines(commit, environment, machine, count))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        total += len(lines)
    return total


def publish(results: Path, html: Path) -> dict[str, Any]:
    """Publish in this process; return processor seconds of every part, and the peak of memory."""
    from rich.console import Console

    from bench_core.history.reading import read_regressions
    from bench_core.report.answers import find_answers
    from bench_core.report.pages import write_site
    from bench_core.report.runs import latest, read_runs
    from bench_core.report.terminal import print_summary

    began = time.process_time(), time.perf_counter()
    parts: dict[str, float] = {}

    def done(name: str) -> None:
        parts[name] = time.process_time() - began[0] - sum(parts.values())

    everything = read_runs(results)
    done("reading records")
    history = read_regressions(everything, [results], root=None)
    done("regressions")
    runs = latest(everything)
    answers = find_answers(runs)
    done("answers")
    write_site(runs, html / "ridgebench.html", history, everything=everything, answers=answers)
    done("pages")
    with (html / "summary.txt").open("w", encoding="utf-8") as file:
        print_summary(runs, Console(file=file, width=100), answers=answers)
    done("summary")
    records = html / "ridgebench-records"
    files = {path: path.stat().st_size for path in html.rglob("*.*") if path.is_file()}
    data = {path: size for path, size in files.items() if path.suffix == ".csv"}
    sizes = {path: size for path, size in files.items() if path.parent != records}
    return {
        "records": sum(len(run.records) for run in everything),
        "processor_s": {name: round(seconds, 2) for name, seconds in parts.items()},
        "processor_s_total": round(time.process_time() - began[0], 2),
        "wall_s": round(time.perf_counter() - began[1], 2),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "summary_lines": len((html / "summary.txt").read_text("utf-8").splitlines()),
        "site_bytes": sum(sizes.values()) - sum(data.values()),
        "csv_bytes": sum(data.values()),
        "records_bytes": sum(files.values()) - sum(sizes.values()),
        "largest_page_bytes": max(size for path, size in sizes.items() if path.suffix == ".html"),
        "bokeh_bytes": sizes.get(html / "ridgebench-files" / "bokeh.min.js", 0),
    }


def in_browser(page: Path, profile: Path) -> dict[str, Any] | None:
    """Return how long the page takes until its chart can be used; None without a browser."""
    from tests.report.browser import Browser, Tab, find_browser

    program = find_browser()
    if program is None:
        return None
    browser = Browser(program, profile)
    try:
        times = []
        for _ in range(3):
            tab = Tab(browser)
            tab.open(page)
            times.append(tab.run("performance.now()") / 1000)
            points = tab.run("document.querySelector('.chart').dataset.points")
            tab.run(
                """(() => { const found = (label) => Array.from(
                  document.querySelectorAll(".controls label"))
                .find((one) => one.firstChild.textContent === label).querySelector("select");
                const all = (list) => { list.value = ""; list.dispatchEvent(new Event("change")); };
                all(found("Machine"));
                window.began = performance.now();
                all(found("Problem")); })()"""
            )
            tab.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
            all_points = tab.run("document.querySelector('.chart').dataset.points")
            redrawn = tab.run("(performance.now() - window.began) / 1000")
            tab.close()
        return {
            "open_s": [round(one, 2) for one in times],
            "points_first": int(points),
            "points_all": int(all_points),
            "all_points_drawn_s": round(redrawn, 2),
        }
    finally:
        browser.close()


def main() -> None:
    """Write the figures; with two folders as arguments publish from one to the other."""
    if len(sys.argv) == 3:
        print(json.dumps(publish(Path(sys.argv[1]), Path(sys.argv[2]))))
        return
    from bench_core import machine
    from bench_core.records import provenance

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = make_results(folder / "results")
        (folder / "html").mkdir()
        before = machine.load()
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, str(folder / "results"), str(folder / "html")],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        found = json.loads(done.stdout)
        page = folder / "html" / "ridgebench-scaling.html"
        record = {
            "commit": provenance.commit()[0],
            "started": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "cpu": machine.describe()["cpu"]["model"],
            "busy_cores": [before["busy_cores"], machine.load()["busy_cores"]],
            "made": made,
            "publish": found,
            "browser": in_browser(page, folder / "profile"),
        }
    FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
