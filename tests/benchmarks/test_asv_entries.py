"""What asv makes of the values that the suites hand over: no false regression, none hidden."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import benchmarks
from benchmarks import common
from benchmarks.accuracy import next_decade
from tests.comparison.made_runs import make_record

ROOT = Path(benchmarks.__file__).parents[1]
CONFIGURATIONS = ["asv.conf.json", *(f"envs/{p.name}" for p in (ROOT / "envs").glob("asv.*.json"))]


def _config(name: str):
    config = pytest.importorskip("asv.config", reason="asv is the bench extra")
    return config.Config.load(str(ROOT / name))


def _regressions(benchmark: str, values: list[float], name: str = "asv.conf.json"):
    from asv.step_detect import detect_regressions, detect_steps

    found = _config(name).regressions_thresholds
    threshold = max(value for regex, value in found.items() if re.match(regex, benchmark))
    return detect_regressions(detect_steps(values), threshold)[2]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_is_hidden_and_commits_have_links(name: str) -> None:
    conf = _config(name)
    assert conf.regressions_first_commits == {}
    assert conf.show_commit_url == "ridgebench-history.html#"
    r = [0.75] * 10 + [0.82] * 10  # r from 0.25 to 0.18
    assert _regressions("accuracy.Accuracy.track_r_shortfall(x)", r, name)
    assert not _regressions("accuracy.Accuracy.track_r_shortfall(x)", r[::-1], name)
    time = [1.0] * 10 + [1.15] * 10
    assert _regressions("threads.Threads.track_time(x)", time, name)
    assert not _regressions("threads.Threads.track_time(x)", time[::-1], name)


def test_of_every_entry_less_is_better() -> None:
    """asv counts increases alone; a rate or r as it is would be a regression where it improves."""
    names = {name for suite in common.suites() for name in dir(suite) if name.startswith("track_")}
    assert "track_ns_per_operation" in names
    assert "track_largest_r_shortfall" in names
    assert not {name for name in names if re.match("track_(gflops|fraction_of_gemm|r_m)", name)}


def test_rounding_is_no_regression() -> None:
    agreement = make_record(1.0).agreement
    assert agreement is not None

    def handed(worst: float) -> float:
        return next_decade(replace(agreement, worst=worst))

    assert handed(1e-14) == handed(2e-14) == handed(1e-16) == agreement.tolerance * 1e-4
    assert handed(3e-10) == pytest.approx(1e-9)
    name = "accuracy.Accuracy.track_disagreement(x)"
    assert not _regressions(name, [handed(1e-14)] * 10 + [handed(2e-14)] * 10)
    assert _regressions(name, [handed(1e-14)] * 10 + [handed(1e-10)] * 10)


def test_asv_takes_repeats_and_compares_by_them() -> None:
    pytest.importorskip("asv", reason="asv is the bench extra")
    from asv._stats import get_weight
    from asv.commands.compare import _is_result_better
    from asv_runner.statistics import compute_stats

    one, many = make_record(1.0, 1.3, 0.9).times, make_record(0.5, 0.7, 0.55).times
    twice = [
        replace(t, fit_s=tuple(2 * s for s in t.fit_s), median_s=2 * t.median_s)
        for t in (one, many)
    ]

    def stored(handed):
        median, stats = compute_stats(handed["samples"], handed["number"])
        return median, (stats, None)

    median, (stats, _) = stored(common.samples(one))
    assert median == pytest.approx(one.median_s)
    assert stats["repeat"] == 3
    get_weight(stats)
    before, doubled = stored(common.samples(many, one)), stored(common.samples(twice[1], twice[0]))
    assert before[0] == pytest.approx(doubled[0])
    for first, second in ((before, doubled), (doubled, before)):
        assert not _is_result_better(first[0], second[0], first[1], second[1], 1.1)


def test_a_record_that_is_not_valid_fails_with_its_reason() -> None:
    record = make_record(1.0, status="invalid", reason="another BLAS")
    with pytest.raises(RuntimeError, match="invalid: another BLAS"):
        common.usable(record)
    with pytest.raises(NotImplementedError, match="too big"):
        common.usable(make_record(status="skipped", reason="too big"))
