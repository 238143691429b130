"""Intervals and verdicts in simulation: the truth is planted, so coverage can be counted."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from bench_core.comparison.noise import ASSUMED_FLOOR, Runs, estimate
from bench_core.comparison.verdicts import Judgement, judge
from bench_core.errors import InputError

TAU = math.log1p(ASSUMED_FLOOR) / (1.96 * math.sqrt(2))


def _noise(random: np.random.Generator, kind: str, size: int) -> np.ndarray:
    if kind == "heavy":
        return random.standard_t(3, size) / math.sqrt(3)
    found = random.normal(0, 1, size)
    if kind == "first slower":
        found[0] += 2.6  # 13 % at 5 % noise
    return found


def _side(
    random: np.random.Generator,
    kind: str,
    repeats: int,
    runs: int,
    tau: float,
    mean: float,
    sd: float,
) -> Runs:
    return tuple(
        tuple(np.exp(mean + random.normal(0, tau) + sd * _noise(random, kind, repeats)))
        for _ in range(runs)
    )


def _comparison(
    seed: int,
    *,
    kind: str = "lognormal",
    repeats: int = 5,
    runs: int = 1,
    tau: float = TAU,
    change: float = 0.0,
    cases: int = 20,
    same: int = 0,
    changed: int | None = None,
) -> Judgement:
    """Judge made cases of 5 % noise on average, ``changed`` of which differ by ``change``."""
    random = np.random.default_rng(seed)
    pairs = []
    for number in range(cases):
        sd, mean = 0.05 * math.exp(random.normal(0, 0.4)), random.normal(0, 2)
        planted = change if changed is None or number < changed else 0.0
        pairs.append(
            (
                _side(random, kind, repeats, runs, tau, mean, sd),
                _side(random, kind, repeats, runs, tau, mean + planted, sd),
            )
        )
    others = [_side(random, kind, repeats, 2, tau, 0.0, 0.05) for _ in range(same)]
    return judge(pairs, others=others, seed=seed)


@pytest.mark.parametrize("kind", ["lognormal", "heavy", "first slower"])
@pytest.mark.parametrize(
    ("repeats", "runs", "tau", "same"),
    [(3, 1, TAU, 0), (5, 1, TAU, 0), (5, 1, 0.05, 12), (5, 3, 0.05, 0)],
    ids=["3 repeats", "5 repeats", "A/A pairs", "3 runs"],
)
def test_the_95_percent_interval_covers(
    kind: str, repeats: int, runs: int, tau: float, same: int
) -> None:
    covered = []
    for seed in range(15):
        found = _comparison(
            seed, kind=kind, repeats=repeats, runs=runs, tau=tau, change=0.1, same=same
        )
        for one in found.cases:
            assert one.interval is not None
            covered.append(one.interval[0] <= math.exp(0.1) <= one.interval[1])
    assert 0.90 <= np.mean(covered) <= 0.99


def test_identical_environments_show_no_difference() -> None:
    means: Counter[str] = Counter()
    cases: Counter[str] = Counter()
    for seed in range(200):
        found = _comparison(seed, repeats=12, cases=8)
        assert found.mean is not None
        means[found.mean.verdict] += 1
        cases.update(one.verdict for one in found.cases)
    assert means["no difference"] >= 190
    assert cases["no difference"] >= 0.95 * cases.total()
    assert cases["faster"] + cases["slower"] <= 0.01 * cases.total()


def test_few_noisy_repeats_cannot_tell_rather_than_err() -> None:
    found = [one.verdict for seed in range(20) for one in _comparison(seed, repeats=3).cases]
    assert found.count("cannot tell") > 0.05 * len(found)
    assert found.count("faster") + found.count("slower") <= 0.01 * len(found)


@pytest.mark.parametrize(("change", "verdict"), [(1.2, "slower"), (1 / 1.2, "faster")])
def test_planted_differences_are_found(change: float, verdict: str) -> None:
    found = [_comparison(seed, repeats=12, change=math.log(change)) for seed in range(5)]
    cases = [one.verdict for judged in found for one in judged.cases]
    assert cases.count(verdict) >= 0.95 * len(cases)  # type: ignore[arg-type]
    assert all(judged.mean is not None and judged.mean.verdict == verdict for judged in found)


def test_false_discoveries_among_true_ones_are_few() -> None:
    false = true = 0
    for seed in range(20):
        found = _comparison(seed, repeats=8, change=0.25, changed=10)
        said = [one.verdict in ("faster", "slower") for one in found.cases]
        true += sum(said[:10])
        false += sum(said[10:])
    assert true > 190
    assert false <= 0.05 * (true + false)


def test_pairs_of_runs_measure_the_noise_floor() -> None:
    random = np.random.default_rng(0)
    groups = [_side(random, "lognormal", 5, 2, 0.08, 0.0, 0.03) for _ in range(60)]
    noise = estimate(groups)
    assert noise.pairs == 60
    assert noise.floor == pytest.approx(math.expm1(1.96 * math.sqrt(2) * 0.08), rel=0.25)
    assumed = estimate([one[:1] for one in groups])
    assert (assumed.pairs, assumed.floor) == (0, pytest.approx(ASSUMED_FLOOR))


def test_one_time_alone_cannot_tell() -> None:
    repeated = ((1.0, 1.02, 0.99, 1.01),)
    found = judge([(repeated, repeated)] * 5 + [(((1.0,),), ((2.0,),))])
    alone = found.cases[-1]
    assert (alone.verdict, alone.interval, alone.p) == ("cannot tell", None, None)
    assert alone.ratio == pytest.approx(2)
    assert found.mean is not None
    assert found.mean.ratio == pytest.approx(1)


def test_equal_inputs_give_equal_verdicts() -> None:
    first, second = _comparison(3), _comparison(3)
    assert first.cases == second.cases
    assert first.mean == second.mean


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.0}, {"margin": 0.0}])
def test_a_rate_or_margin_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong.values())):g}"):
        judge([], **wrong)


def _in_turn(
    random: np.random.Generator,
    *,
    change: float,
    rounds: int = 2,
    repeats: int = 4,
    drift: float = 0.1,
    side: float = 0.02,
    kind: str = "lognormal",
) -> tuple[Runs, Runs]:
    """Return two sides whose runs took turns: each pair of runs shares the machine's drift."""
    sd, mean = 0.04 * math.exp(random.normal(0, 0.4)), random.normal(0, 2)
    sides: tuple[list[tuple[float, ...]], ...] = ([], [])
    for _ in range(rounds):
        common = random.normal(0, drift)
        for number, runs in enumerate(sides):
            level = mean + common + number * change + random.normal(0, side)
            runs.append(tuple(np.exp(level + sd * _noise(random, kind, repeats))))
    return tuple(sides[0]), tuple(sides[1])


@pytest.mark.parametrize(
    ("kind", "side", "same", "rounds"),
    [("heavy", 0.02, 0, 2), ("lognormal", 0.05, 12, 2), ("heavy", 0.05, 12, 1)],
)
def test_the_interval_of_sides_in_turn_covers_and_drift_does_not_widen_it(
    kind: str, side: float, same: int, rounds: int
) -> None:
    covered, widths = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        options = {"rounds": rounds, "side": side, "kind": kind}
        pairs = [_in_turn(random, change=0.1, **options) for _ in range(20)]  # type: ignore[arg-type]
        known = [_in_turn(random, change=0.0, **options) for _ in range(same)]  # type: ignore[arg-type]
        found = judge(pairs, interleaved=[True] * len(pairs), same=known, seed=seed)
        for one in found.cases:
            assert one.interval is not None
            covered.append(one.interval[0] <= math.exp(0.1) <= one.interval[1])
            widths.append(math.log(one.interval[1] / one.interval[0]))
    assert 0.90 <= np.mean(covered) <= 0.99
    # Runs that did not take turns would differ by a drift of 14 % (sd) alone.
    assert np.median(widths) < 0.35


def test_the_same_environment_in_turn_with_itself_shows_no_difference() -> None:
    cases: Counter[str] = Counter()
    means: Counter[str] = Counter()
    for seed in range(200):
        random = np.random.default_rng(seed)
        pairs = [_in_turn(random, change=0.0, repeats=6) for _ in range(6)]
        known = [_in_turn(random, change=0.0, repeats=6) for _ in range(8)]
        found = judge(pairs, interleaved=[True] * 6, same=known, seed=seed)
        assert found.mean is not None
        means[found.mean.verdict] += 1
        cases.update(one.verdict for one in found.cases)
    assert means["no difference"] >= 190
    assert cases["no difference"] >= 0.95 * cases.total()
    assert cases["faster"] + cases["slower"] <= 0.01 * cases.total()


def test_pairs_of_the_same_measure_the_floor_between_sides() -> None:
    random = np.random.default_rng(0)
    same = [_in_turn(random, change=0.0, side=0.06) for _ in range(60)]
    noise = estimate([], same=same)
    assert noise.side_pairs == 120
    assert noise.side_floor == pytest.approx(math.expm1(1.96 * math.sqrt(2) * 0.06), rel=0.25)
    assert noise.floor == noise.side_floor  # runs that took no turns differ by no less
    # A ratio that is not 1 is no noise where it is the same in every run.
    apart = estimate([], interleaved=[_in_turn(random, change=0.5, side=0.06) for _ in range(60)])
    assert apart.side_floor == pytest.approx(noise.side_floor, rel=0.3)
