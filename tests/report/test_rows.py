from dataclasses import replace

import numpy as np
import pytest

from bench_core.comparison.cases import case_of
from bench_core.records.blas import GpuRecord, LibraryRecord, TorchRecord
from bench_core.records.skips import make_skips
from bench_core.records.statistics import few_samples, r_error
from bench_core.report.rows import (
    environment_label,
    find_issues,
    proved_libraries,
    rows,
    scale_text,
)
from bench_core.report.runs import EnvironmentRun
from bench_core.report.sections import skipped
from bench_core.report.site_data import SiteData


def test_ratios_are_within_one_run(record):
    run = EnvironmentRun(
        "here",
        "c0ffee00",
        "env-a",
        [
            record(8.0),
            record(5.0, threads=2),
            record(4.0, strategy="bmor", nodes=2),
            record(2.0, strategy="bmor", nodes=2, threads=2),
        ],
    )
    other = EnvironmentRun(
        "here", "c0ffee00", "env-b", [record(1.0, strategy="bmor", nodes=2, threads=2)]
    )
    found = {
        (row.strategy, row.nodes, row.threads): row for row in rows([run]) if row.seconds != 1.0
    }
    assert found["ridgecv", 1, 2].su == pytest.approx(8 / 5)
    assert found["ridgecv", 1, 2].pe == pytest.approx(8 / 5 / 2)
    assert found["bmor", 2, 2].su == pytest.approx(4 / 2)
    assert found["bmor", 2, 2].pe == pytest.approx(1.0)
    assert found["bmor", 2, 2].dsu == pytest.approx(8 / 2)
    (alone,) = rows([other])
    assert (alone.su, alone.pe, alone.dsu) == (None, None, None)


def test_only_valid_measurements_make_rows_or_references(record):
    run = EnvironmentRun(
        "here",
        "c0ffee00",
        "env-a",
        [record(8.0, status="invalid", reason="wrong BLAS"), record(4.0, threads=2)],
    )
    (row,) = rows([run])
    assert row.threads == 2
    assert row.dsu is None
    (trouble,) = find_issues([run])
    assert (trouble.status, trouble.reason, trouble.count) == ("invalid", "wrong BLAS", 1)


def test_another_problem_is_no_reference(record):
    run = EnvironmentRun(
        "here",
        "c0ffee00",
        "env-a",
        [record(8.0, problem={"dtype": "float32"}), record(4.0, threads=2)],
    )
    assert all(row.dsu is None for row in rows([run]) if row.threads == 2)


def test_options_are_part_of_a_strategy(record):
    run = EnvironmentRun(
        "here",
        "c0ffee00",
        "env-a",
        [record(8.0), record(6.0, options={"gcv_mode": "svd"})],
    )
    assert [row.strategy for row in rows([run])] == ["ridgecv gcv_mode=svd", "ridgecv"]


def test_label_is_what_was_proved(record):
    assert (
        environment_label(EnvironmentRun("m", "c", "env-a", [record()]))
        == "openblas 0.3.30 Haswell"
    )
    failed = record(status="failed", reason="x")
    assert environment_label(EnvironmentRun("m", "c", "env-a", [failed])) == "env-a"


def test_find_issues_are_counted_by_reason(record):
    skipped = [record(status="skipped", reason="4 threads, 2 cores", threads=4) for _ in range(3)]
    failed = record(status="failed", reason="boom")
    found = find_issues([EnvironmentRun("m", "c", "env-a", [record(), *skipped, failed])])
    assert [(one.status, one.count) for one in found] == [("failed", 1), ("skipped", 3)]


def test_the_table_of_what_failed_names_every_case_and_leads_to_its_record(record):
    lost = [record(status="failed", reason="node lost", strategy="bmor", nodes=n) for n in (2, 4)]
    lost = [replace(one, id=f"lost-{one.case.nodes}") for one in lost]
    runs = [EnvironmentRun("m", "c", "env-a", [record(), *lost])]
    assert [(one.count, one.case) for one in find_issues(runs)] == [(2, "")]
    data = SiteData(runs, runs, "site")
    (table,) = skipped.SECTION.build(data)
    at = table.headings.index("case")
    assert [(row.status, row.cells[at].text, row.cells[at].link) for row in table.rows] == [
        ("failed", str(case_of(one)), data.records.link(one.id)) for one in lost
    ]
    assert all(row.cells[at].link for row in table.rows)


def test_the_same_trouble_everywhere_is_said_once(record):
    skipped = record(status="skipped", reason="4 threads, 2 cores", threads=4)
    runs = [EnvironmentRun("m", "c", name, [skipped]) for name in ("env-a", "env-b")]
    (one,) = find_issues(runs)
    assert one.environments == ("env-a", "env-b")
    assert one.count == 1


def test_what_the_grids_leave_out_is_counted():
    left_out = make_skips({("threads", "profile small leaves out scale 1"): 9})
    (found,) = find_issues([EnvironmentRun("m", "c", "env-a", [left_out])])
    assert (found.status, found.count) == ("skipped", 9)
    assert found.text == "threads: profile small leaves out scale 1"


def test_scales_are_written_as_people_write_them():
    assert [scale_text(1 / 16), scale_text(1.0), scale_text(None)] == ["1/16", "1", ""]


def test_a_suite_that_measured_its_reference_is_held_against_that(record):
    """The others fall back on what another suite of the run measured."""
    run = EnvironmentRun(
        "here",
        "c0ffee00",
        "env-a",
        [
            record(8.0),
            record(2.0, strategy="bmor", nodes=2),
            record(6.0, suite="solvers"),
            record(3.0, suite="solvers", strategy="multitarget"),
            record(4.0, suite="accuracy", strategy="multitarget"),
        ],
    )
    found = {(row.suite, row.strategy): row.dsu for row in rows([run])}
    assert found["nodes_bmor", "ridgecv"] == 1
    assert found["nodes_bmor", "bmor"] == 4
    assert found["solvers", "multitarget"] == 2
    assert found["accuracy", "multitarget"] in (1.5, 2)


def test_scales_are_in_order_of_size_and_not_of_spelling(record):
    scales = [1 / 4, 1 / 24, 1 / 32, 1.0, 1 / 8]
    run = EnvironmentRun(
        "here", "c0ffee00", "env-a", [record(problem={"scale": one}) for one in scales]
    )
    assert [row.scale for row in rows([run])] == ["1/32", "1/24", "1/8", "1/4", "1"]


@pytest.mark.parametrize("samples", [4, 14, 15, 400])
def test_the_rule_is_the_spread_of_r_where_nothing_is_to_be_found(samples):
    rng = np.random.default_rng(0)
    r = [np.corrcoef(rng.standard_normal((2, samples)))[0, 1] for _ in range(4000)]
    if samples > 10:
        # Fisher's z is nearly r there.
        assert r_error(samples) == pytest.approx(np.arctanh(r).std(), rel=0.05)
    assert (few_samples(samples) is None) == (samples >= 15)
    assert few_samples(3) is not None


def in_torch(record, library, device="cpu", gpu=None):
    """Return the record of a fit whose products ran in torch."""
    proof = TorchRecord(
        device, library, {"torch": "2.13.0"}, "highest", False, "seen", 1e-7, 90.0, gpu
    )
    return replace(record, blas=replace(record.blas, torch=proof))


def test_fits_in_torch_count_for_torchs_library_alone(record):
    mkl = LibraryRecord("mkl", "2024.2", "def", "gnu", 1, "libtorch_cpu.so", "lp64")
    cublas = LibraryRecord("cublas", "12.8.4", "sm_90", None, None, "libcublas.so.12", None)
    gpu = GpuRecord(0, "NVIDIA H100", 85 * 10**9, "9.0", "550.54", "12.8")
    own = record(4.0, strategy="multitarget")
    run = EnvironmentRun(
        "here",
        "c0ffee00",
        "env-openblas",
        [
            in_torch(record(2.0, strategy="multitarget", options={"device": "torch"}), mkl),
            record(8.0),
            own,
            in_torch(
                record(1.0, strategy="multitarget", options={"device": "cuda"}),
                cublas,
                "cuda:0",
                gpu,
            ),
        ],
    )
    assert environment_label(run) == "openblas 0.3.30 Haswell"
    assert len(run.proofs) == 2
    labels = {row.strategy: row.environment for row in rows([run])}
    assert labels == {
        "ridgecv": "openblas 0.3.30 Haswell",
        "multitarget": "openblas 0.3.30 Haswell",
        "multitarget device=torch": "torch mkl 2024.2 def on cpu",
        "multitarget device=cuda": "torch cublas 12.8.4 sm_90 on NVIDIA H100",
    }
    assert [(caller, one.name, n) for caller, one, n in proved_libraries(run)] == [
        ("numpy", "openblas", 2),
        ("scipy", "openblas", 2),
        ("torch 2.13.0 on NVIDIA H100", "cublas", 1),
        ("torch 2.13.0 on cpu", "mkl", 1),
    ]


def test_an_environment_of_torch_alone_is_not_named_after_numpys_library(record):
    mkl = LibraryRecord("mkl", "2024.2", "def", "gnu", 1, "libtorch_cpu.so", "lp64")
    run = EnvironmentRun("here", "c0ffee00", "env-openblas", [in_torch(record(2.0), mkl)])
    assert environment_label(run) == "env-openblas"
    assert [caller for caller, _, _ in proved_libraries(run)] == ["torch 2.13.0 on cpu"]
