"""The answer of a report, on records whose order and spread are known."""

import shlex
from dataclasses import replace

import pytest
from click.testing import CliRunner

from bench_core.cli.commands.fit import command as fit_command_line
from bench_core.penalties import log_spaced
from bench_core.records.statistics import median_interval
from bench_core.records.times import RunTimes
from bench_core.report.answers import find_answers, fit_command
from bench_core.report.runs import EnvironmentRun


@pytest.fixture
def repeated(record):
    """Return a function that makes a record of several repeats, 1 % apart."""

    def make(seconds, **case):
        made = record(seconds, **case)
        fits = tuple(seconds * factor for factor in (0.99, 1.0, 1.01, 0.995, 1.005))
        times = replace(made.times, fit_s=fits, median_s=seconds, ci95_s=median_interval(fits))
        return replace(made, times=times)

    return make


def _run(records, environment="env-a"):
    return EnvironmentRun("here", "c0ffee00", environment, records)


def test_one_answer_for_all_precisions_of_a_problem(repeated):
    records = [
        repeated(8.0, threads=2),
        repeated(16.0),
        repeated(2.0, strategy="multitarget", threads=2),
        repeated(1.0, strategy="multitarget", threads=2, problem={"dtype": "float32"}),
    ]
    (answer,) = find_answers([_run(records)])
    assert (answer.best.case.strategy, answer.best.case.dtype) == ("multitarget", "float32")
    assert (answer.others, answer.alike) == (3, ())
    assert answer.default.record == records[0]  # scikit-learn's, on the most threads
    assert answer.saving.ratio == pytest.approx(8.0)
    low, high = answer.saving.interval
    assert 6 < low < 8 < high < 11
    assert answer.times == pytest.approx((0.99, 1.01))


def test_what_cannot_be_told_apart_is_named(repeated):
    records = [
        repeated(8.0),
        repeated(1.0, strategy="bmor", nodes=2),
        repeated(1.005, strategy="mor", nodes=2),
    ]
    (answer,) = find_answers([_run(records)])
    assert [one.case.strategy for one in answer.alike] == ["mor"]
    assert "mor" in answer.sureness


def test_single_times_are_never_sure(record):
    (answer,) = find_answers([_run([record(8.0), record(1.0, strategy="bmor", nodes=2)])])
    assert answer.best.case.strategy == "bmor"
    assert answer.alike == ()
    assert [one.case.strategy for one in answer.unsure] == ["ridgecv"]
    assert answer.saving.interval is None
    for text in (answer.sureness, answer.against_default):
        assert "8 times" in text
    assert "within the noise" not in answer.sureness


def test_a_single_time_beside_repeated_ones_is_named_apart(repeated, record):
    records = [
        repeated(1.0, strategy="bmor", nodes=2),
        repeated(1.005, strategy="mor", nodes=2),
        repeated(4.0, strategy="mor"),
        record(67.0),
    ]
    (answer,) = find_answers([_run(records)])
    assert [one.case.strategy for one in answer.alike] == ["mor"]
    assert [one.case.strategy for one in answer.unsure] == ["ridgecv"]
    assert "67 times" in answer.against_default
    assert "ridgecv" not in answer.sureness.partition("1 configuration")[0]


def test_times_that_count_although_others_used_the_machine_are_warned_of(repeated):
    def at(seconds, reason, **case):
        made = repeated(seconds, **case)
        run = RunTimes(0, "2026-01-01T00:00:00Z", (), made.times.fit_s, "repeats", disturbed=reason)
        return replace(made, times=replace(made.times, runs=(run,)))

    for reason in ("others kept 1.9 cores busy", None):
        records = [at(1.0, reason, strategy="bmor"), at(2.0, None)]
        (answer,) = find_answers([_run(records)])
        assert [one for one in answer.warnings if "1.9 cores" in one] == list(
            answer.warnings if reason else ()
        )
        assert bool(answer.warnings) == bool(reason)


def test_the_default_is_no_saving_over_itself(repeated):
    (answer,) = find_answers([_run([repeated(1.0), repeated(8.0, strategy="mor", nodes=2)])])
    assert answer.default is answer.best
    assert answer.saving is None


def test_a_default_that_was_not_measured_is_said(repeated):
    records = [repeated(1.0, strategy="bmor"), repeated(2.0, strategy="mor")]
    (answer,) = find_answers([_run(records)])
    assert answer.default is None
    assert "not measured" in answer.against_default


def test_a_problem_with_one_configuration_has_no_answer(record):
    """Two suites that measured the same fit are two runs of one configuration."""
    assert find_answers([_run([record(1.0), record(2.0, suite="threads")])]) == []
    invalid = record(0.1, status="invalid", reason="another BLAS", strategy="bmor")
    assert find_answers([_run([record(1.0), invalid])]) == []


def test_answers_of_a_problem_stand_together(record):
    """Small scales come before large ones, whatever suite measured them."""
    records = [
        record(seconds, suite=suite, problem={"name": name, "scale": scale}, strategy=strategy)
        for suite, name, scale in [
            ("accuracy", "roi", 1 / 4),
            ("nodes", "parcels", 1 / 8),
            ("solvers", "roi", 1 / 24),
            ("threads", "parcels", None),
        ]
        for seconds, strategy in ((2.0, "ridgecv"), (1.0, "bmor"))
    ]
    found = find_answers([_run(records)])
    assert [one.problem for one in found] == [
        "parcels at scale 1/8",
        "parcels",
        "roi at scale 1/24",
        "roi at scale 1/4",
    ]


def test_too_few_held_out_samples_are_no_answer(record):
    few = {"t": 31, "t_train": 27, "t_test": 4}
    records = [record(1.0, problem=few), record(2.0, problem=few, strategy="bmor", nodes=2)]
    assert find_answers([_run(records)]) == []
    enough = {"t": 151, "t_train": 136, "t_test": 15}
    records = [record(1.0, problem=enough), record(2.0, problem=enough, strategy="bmor", nodes=2)]
    assert len(find_answers([_run(records)])) == 1


def test_general_kernels_of_mkl_are_a_warning(record):
    def on(name, vendor):
        made = record(1.0)
        library = replace(made.blas.numpy, name=name, architecture="def")
        machine = replace(made.machine, cpu={"vendor": vendor})
        return replace(made, blas=replace(made.blas, numpy=library), machine=machine)

    slower = record(2.0, strategy="bmor")
    for name, vendor, count in [
        ("mkl", "AuthenticAMD", 1),
        ("mkl", "GenuineIntel", 0),
        ("openblas", "AuthenticAMD", 0),
    ]:
        (answer,) = find_answers([_run([on(name, vendor), slower])])
        assert len(answer.warnings) == count


def test_the_command_is_one_that_the_command_line_takes(record):
    made = record(
        1.0,
        strategy="multitarget",
        nodes=1,
        threads=2,
        options={"solver": "dual", "coef": None},
        problem={"dtype": "float32", "scale": 1 / 24, "subject": "sub-02"},
    )
    words = shlex.split(fit_command(made))
    assert words[:2] == ["ridgebench", "fit"]
    context = fit_command_line.make_context("fit", words[2:])
    assert context.params["strategy"] == "multitarget"
    assert (context.params["threads"], context.params["dtype"]) == (2, "float32")
    assert float(context.params["scale"]) == pytest.approx(1 / 24)
    refused = CliRunner().invoke(fit_command_line, [*words[2:], "--nosuch"])
    assert refused.exit_code == 2


@pytest.fixture
def asked(monkeypatch):
    """Return a function that gives the request which a command makes of `fit`; none is fitted."""

    def request_of(words):
        found = []

        def fit(request, **_):
            found.append(request)
            raise SystemExit(0)

        monkeypatch.setattr("bench_core.fitting.run.fit", fit)
        done = CliRunner().invoke(fit_command_line, words)
        assert done.exit_code == 0, done.output + str(done.exception)
        return found[0]

    return request_of


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"alphas": (1.0, 10.0)},
        {"alphas": log_spaced(1e-3, 1e7, 15)},
        {"alphas": (3.0,), "fit_intercept": False},
        {"options": {"cv": "gcv", "alpha_per_target": True}},
        {"options": {"cv": 5, "scoring": "pearson", "extend_alphas": 3, "coef": None}},
        {"options": {"cv": "run", "memory_limit": 5 * 2**30, "device": "cpu", "solver": "dual"}},
        {"split": {"kind": "run"}},
        {"split": {"kind": "random", "reason": "two runs are too few to hold one out"}},
    ],
    ids=str,
)
def test_the_command_asks_for_the_very_case(record, asked, case):
    """Whatever the record was measured with is in the request that its command makes."""
    options = case.get("options", {})
    made = record(1.0, strategy="multitarget", **{"options": options, "blas": None} | case_of(case))
    if "split" in case:
        split = replace(made.case.split, **case["split"])
        made = replace(made, case=replace(made.case, split=split))
    request = asked(shlex.split(fit_command(made))[2:])
    kept = {name: value for name, value in options.items() if name != "coef"}
    limit = kept.pop("memory_limit", None)
    assert dict(request.options) == kept
    assert (request.memory_limit, request.coef) == (limit, "coef" not in options)
    assert tuple(request.alphas) == tuple(made.case.alphas)
    assert request.fit_intercept == made.case.fit_intercept
    reason = made.case.split.reason
    assert request.split == ("auto" if reason is not None else made.case.split.kind)


def case_of(case):
    return {name: value for name, value in case.items() if name not in ("options", "split")}


def test_hostile_names_are_quoted_in_the_command(record):
    made = record(1.0, problem={"name": "a; rm -r $HOME"})
    assert "'a; rm -r $HOME'" in fit_command(made)
