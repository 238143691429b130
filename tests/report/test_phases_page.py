"""Where the time goes, on the page and in the terminal: the figures are the record's."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bench_core.cli.record_rows import result_rows
from bench_core.records import parse_record, record_line
from bench_core.records.phases import PhaseSeconds, PhasesRecord
from bench_core.report.phases import phase_rows, phases_figure
from bench_core.report.runs import EnvironmentRun
from tests.report.site_html import site_of

COLOURS = {"gram": "#1b6ca8", "factorisation": "#d1495b", "scores": "#edae49"}


@pytest.fixture
def two_nodes() -> PhasesRecord:
    path = PhaseSeconds(
        "critical path", gram=1.0, factorisation=2.0, scores=0.5, transfers=0.3, other=0.2
    )
    main = PhaseSeconds("main", waiting=3.75, other=0.25)
    first = PhaseSeconds("node 0", gram=1.0, factorisation=2.0, scores=0.5, waiting=0.5)
    second = PhaseSeconds("node 1", scores=0.75, waiting=3.25)
    return PhasesRecord(4.0, path, (main, first, second))


@pytest.fixture
def one_process() -> PhasesRecord:
    main = PhaseSeconds("main", factorisation=6.0, scores=2.0)
    return PhasesRecord(8.0, replace(main, process="critical path"), (main,))


@pytest.fixture
def run(record, two_nodes, one_process) -> EnvironmentRun:
    shared = replace(record(4.0, strategy="bmor-shared", nodes=2), phases=two_nodes)
    alone = replace(record(8.0, strategy="multitarget"), phases=one_process)
    without = record(2.5, strategy="bmor", nodes=2)
    failed = replace(record(status="invalid", reason="no"), phases=one_process)
    return EnvironmentRun("here", "c0ffee00", "env-a", [shared, alone, without, failed])


def test_phases_survive_the_way_to_the_disk_and_back(run):
    for one in run.fits:
        assert parse_record(record_line(one), "the test") == one
    assert run.fits[0].phases.deviation == 0
    late = replace(run.fits[0].phases, fit_s=5.0)
    assert late.deviation == pytest.approx(0.2)


def test_every_process_is_a_row_and_one_process_is_its_own_path(run):
    rows = phase_rows([run])
    assert [(row.strategy, row.nodes, row.seconds.process) for row in rows] == [
        ("bmor-shared", 2, "critical path"),
        ("bmor-shared", 2, "main"),
        ("bmor-shared", 2, "node 0"),
        ("bmor-shared", 2, "node 1"),
        ("multitarget", 1, "critical path"),
    ]


def test_the_page_has_the_records_seconds_as_a_table_and_in_words(run, tmp_path):
    page = site_of([run], tmp_path / "page.html")["phases"]
    head = next(row for row in page.rows if "Gram or covariance" in row)
    names = ["Gram or covariance", "factorisation", "scores", "transfers", "waiting", "other"]
    assert head[6:] == names  # those that anything took time in
    body = {
        (row[1], row[4]): dict(zip(head, row, strict=True))
        for row in page.rows
        if len(row) == len(head) and row is not head
    }
    assert len(body) == 5
    path = body["bmor-shared", "critical path"]
    assert path["factorisation"] == "2 s"
    assert path["transfers"] == "300 ms"
    assert path["fit"] == "4 s"
    assert body["bmor-shared", "node 1"]["waiting"] == "3.25 s"
    assert body["multitarget", "critical path"]["scores"] == "2 s"
    (label,) = [one for one in page.labels if "Longest phase" in one]
    assert "multitarget on 1 x 1, openblas 0.3.30 Haswell: factorisation 75%" in label
    assert all(page.labels)  # every figure has words


def test_bars_are_as_long_as_the_seconds(run):
    svg = phases_figure(phase_rows([run]))
    found = {}
    for name, colour in COLOURS.items():
        paths = re.findall(rf'<path d="([^"]+)"[^>]*style="fill: {colour}', svg)
        corners = [[float(x) for x in re.findall(r"[ML] ([\d.]+) ", path)] for path in paths]
        found[name] = sorted(max(xs) - min(xs) for xs in corners)[-2:]  # not the legend's
    unit = found["factorisation"][-1] / 6.0
    assert found["factorisation"][-2] == pytest.approx(2.0 * unit, rel=1e-3)
    assert found["gram"][-1] == pytest.approx(1.0 * unit, rel=1e-3)
    assert found["scores"][-1] == pytest.approx(2.0 * unit, rel=1e-3)


def test_records_without_phases_draw_nothing(record, tmp_path):
    run = EnvironmentRun("here", "c0ffee00", "env-a", [record(2.5)])
    assert phases_figure(phase_rows([run])) is None
    assert "phases" not in site_of([run], tmp_path / "page.html")


def test_the_terminal_has_the_parts_of_the_path(run):
    shared, alone, without, _ = run.fits
    assert dict(result_rows(shared))["phases"] == (
        "factorisation 50%, Gram or covariance 25%, scores 12%, transfers 8%, other 5% "
        "(critical path)"
    )
    assert dict(result_rows(alone))["phases"] == "factorisation 75%, scores 25%"
    assert "phases" not in dict(result_rows(without))


def test_parts_of_the_path_below_a_hundredth_are_left_out(record):
    main = PhaseSeconds("main", scores=99.5, reading=0.5)
    whole = PhasesRecord(100.0, main, (main,))
    assert dict(result_rows(replace(record(), phases=whole)))["phases"] == "scores 100%"
