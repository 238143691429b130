from dataclasses import replace as changed
from pathlib import Path

import pytest

from bench_core.errors import InputError
from bench_core.records import SCHEMA_KERNELS, KernelCase, KernelRate, KernelsRecord
from bench_core.records.record import PlanRecord
from bench_core.report.markdown import TABLES, comparison, replace
from bench_core.report.runs import EnvironmentRun, read_runs
from bench_core.report.solver_table import solver_runs, solver_table

BEGIN, END = "<!-- reference run of here: begin -->", "<!-- reference run of here: end -->"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def runs(record):
    return [
        EnvironmentRun(
            "here", "c0ffee00", "env-a", [record(8.0), record(2.0, strategy="bmor", nodes=2)]
        ),
    ]


def test_a_row_per_configuration_with_its_speed_up(runs):
    lines = comparison(runs).splitlines()
    assert lines[0].endswith("| openblas 0.3.30 Haswell |")
    assert "| whole-brain-bmor 1/16 | bmor | 2 × 1 | 2 s (4.00×) |" in lines
    assert "| whole-brain-bmor 1/16 | ridgecv | 1 × 1 | 8 s (1.00×) |" in lines


def test_only_what_is_between_the_markers_changes(runs):
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = replace(text, lambda machine: runs, "README.md")
    assert new == f"before\n{BEGIN}\n{comparison(runs)}\n{END}\nafter\n"
    assert replace(new, lambda machine: runs, "README.md") == new


def test_another_machine_takes_the_place(runs):
    asked = []

    def read(machine):
        asked.append(machine)
        return runs

    text = f"{BEGIN}\nold\n{END}\n"
    new = replace(text, read, "README.md", "there")
    assert asked == ["there"]
    assert new == f"{text}".replace("here", "there").replace("old", comparison(runs))
    replace(new, read, "README.md")
    assert asked == ["there", "there"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nothing", "README.md"),
        (f"{BEGIN}\n", "README.md"),
        ("<!-- solver of here: begin -->\n<!-- solver of here: end -->", "solver of here"),
        ("<!-- solvers of mars: begin -->\n<!-- solvers of mars: end -->", "solvers of mars"),
    ],
)
def test_a_file_without_a_place_or_a_run_is_refused(runs, text, named):
    with pytest.raises(InputError) as error:
        replace(text, lambda machine: runs if machine == "here" else [], "README.md")
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("page", "tables"), [("README.md", ["reference run"]), ("docs/ridge.md", ["solvers"])]
)
def test_pages_show_the_committed_records(page, tables):
    """Nobody edits a figure by hand."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert all(f"<!-- {table} of " in text for table in tables)
    assert set(tables) <= set(TABLES)
    assert replace(text, lambda machine: read_runs(ROOT / "results", machine), page) == text


def test_a_run_of_fewer_problems_does_not_take_the_place_of_the_whole_suite(record):
    def run(commit, started, *names):
        fits = [record(1.0, suite="solvers", problem={"name": name}) for name in names]
        fits = [changed(one, started=f"2026-01-0{started}T00:00:00Z") for one in fits]
        return EnvironmentRun("here", commit, "env-a", fits)

    whole = run("aaaaaaaa", 2, "parcels", "roi", "whole-brain-bmor")
    older = run("bbbbbbbb", 1, "parcels", "roi", "whole-brain-bmor")
    small = run("cccccccc", 3, "whole-brain-bmor")
    other = EnvironmentRun("here", "aaaaaaaa", "env-b", [])
    assert solver_runs([older, small, whole, other]) == [whole, other]
    assert solver_runs([small]) == [small]
    assert solver_runs([other]) == []
    assert solver_table([other]) == ""


def test_solvers_are_compared_with_scikit_learn_and_with_the_gemm(record):
    """Ratios by hand: 8 s and 6 s against 2 s; 20 s against 2 s and 0.5 s of predictions."""
    shape = {"t_train": 900, "p": 2000, "s": 70_000}
    solvers = [
        record(seconds, suite="solvers", problem=shape, alphas=(1.0, 10.0), **case)
        for seconds, case in (
            (20.0, {}),
            (8.0, {"threads": 2}),
            (6.0, {"threads": 2, "options": {"gcv_mode": "svd"}}),
            (2.0, {"threads": 2, "strategy": "multitarget"}),
        )
    ]
    solvers = [changed(one, times=changed(one.times, predict_s=0.5)) for one in solvers]
    flops = 1.2e11
    plan = PlanRecord("dual", 1.5e11, flops, 1000, (), None, {})
    solvers[-1] = changed(solvers[-1], plan=plan)
    rate = KernelRate(1.0, 100.0, 1.0)
    gemm = KernelsRecord(
        SCHEMA_KERNELS,
        "ok",
        None,
        KernelCase(2, 4096, None, "default", ("gemm",)),
        {kind: {"gemm": rate} for kind in ("float64", "float32")},
    )
    table = solver_table([EnvironmentRun("here", "c0ffee00", "env-a", [*solvers, gemm])])
    source, line = table.splitlines()[0], table.splitlines()[-1]
    for part in ("openblas", "here (A test's CPU)", "commit c0ffee00", "2026-01-01 00:00"):
        assert part in source
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1].startswith("multitarget, ")
    assert cells[3:7] == ["2 s", "2.5 s", "3.0×", "8.0×"]
    assert float(cells[7]) == pytest.approx(flops / 2 / 100e9, abs=0.01)
