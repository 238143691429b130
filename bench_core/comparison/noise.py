"""Noise of repeated times: between repeats, between runs, and draws of the error that both leave.

Times are compared as natural logarithms, so noise is relative. Three repeats say little about
their own spread. So the spread of a case is moderated by that of all cases of the comparison
(G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004, section 6), and its shape is that of all
residuals together, whatever it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

Floats = NDArray[np.float64]
Runs = tuple[tuple[float, ...], ...]
"""Times of one case on one side, in seconds: a tuple of repeats for every run."""

ASSUMED_FLOOR = 0.05
"""Noise floor where no case was measured in two runs, as a ratio minus 1."""

DRAWS = 40_000
_Z95 = 1.959964
_PRIOR_RUNS = 2.0
"""Weight of the assumed floor beside measured pairs, in degrees of freedom."""

_LEAST_FLOOR = 0.02
"""Measured floors are not smaller: a few pairs agree by chance."""

_FEWEST_GROUPS = 4
"""Cases from which the spread of others moderates that of one."""

_LEAST_SD = 1e-3
"""Relative: clocks and schedulers are no better."""

_SMOOTHING = 0.35
"""Part of normal noise in draws from residuals (Silverman and Young, Biometrika 74, 1987)."""


@dataclass(frozen=True)
class Noise:
    """Noise of all cases of a comparison, as standard deviations of log times.

    Parameters
    ----------
    repeat_sd : typical standard deviation of repeats of one run.
    repeat_df : degrees of freedom that it adds to those of a case; 0 where cases are too few.
    run_sd : standard deviation between runs of the same case in the same environment.
    run_df : degrees of freedom of ``run_sd``; infinite where it is assumed.
    pairs : number of pairs of runs (A/A) that it was estimated from; 0 where it is assumed.
    side_sd, side_df, side_pairs : the same between sides that were measured interleaved, in one
        session: what slows the machine for minutes slows both.
    residuals : standardised residuals of all repeats.

    Examples
    --------
    >>> noise = estimate([((1.0, 1.1, 0.9),), ((2.0, 2.2, 2.1),)])
    >>> noise.pairs, round(noise.floor, 3)
    (0, 0.05)
    """

    repeat_sd: float
    repeat_df: float
    run_sd: float
    run_df: float
    pairs: int
    residuals: Floats
    side_sd: float = 0.0
    side_df: float = math.inf
    side_pairs: int = 0

    @property
    def floor(self) -> float:
        """Ratio minus 1 that two runs of the same exceed in 5 % of cases, repeats apart."""
        return math.expm1(_Z95 * math.sqrt(2) * self.run_sd)

    @property
    def side_floor(self) -> float:
        """The same of two runs of the same that were measured interleaved."""
        return math.expm1(_Z95 * math.sqrt(2) * self.side_sd)


def estimate(
    groups: Sequence[Runs],
    *,
    interleaved: Sequence[tuple[Runs, Runs]] = (),
    same: Sequence[tuple[Runs, Runs]] = (),
) -> Noise:
    """Return the noise of ``groups``: for every case and side, its runs of repeated times.

    Parameters
    ----------
    interleaved : pairs of sides whose runs were measured interleaved, run by run. Their ratio
        may be anything; that it differs from run to run is noise.
    same : such pairs of one environment with itself (A/A), whose ratio is 1 but for noise.
    """
    paired = [side for pair in (*interleaved, *same) for side in pair]
    groups = [*groups, *paired]
    logs = [[np.log(np.asarray(run, dtype=np.float64)) for run in runs] for runs in groups]
    spreads = [spread(runs) for runs in logs]
    known = [(variance, df) for variance, df in spreads if df > 0]
    variance, df = moderation(known)
    residuals = [
        _residuals(runs, _moderated(one, variance, df))
        for runs, one in zip(logs, spreads, strict=True)
    ]
    pool = np.concatenate([*residuals, np.empty(0)])
    if len(pool):
        pool = pool - np.median(pool)
    assumed = _run_sd(ASSUMED_FLOOR)
    noise = Noise(math.sqrt(variance), df, assumed, math.inf, 0, pool, assumed)
    separate = len(groups) - len(paired)
    noise = _with_runs(noise, logs[:separate], spreads[:separate])
    return _with_sides(noise, interleaved, same)


def spread(runs: Sequence[Floats]) -> tuple[float, int]:
    """Return the variance of log times about the mean of their run, and its degrees of freedom."""
    df = sum(len(run) - 1 for run in runs)
    if df == 0:
        return 0.0, 0
    total = sum(float(np.sum((run - run.mean()) ** 2)) for run in runs)
    return max(total / df, _LEAST_SD**2), df


def location(runs: Runs) -> float:
    """Return the mean over runs of the logarithm of each run's median time."""
    return math.fsum(math.log(median(run)) for run in runs) / len(runs)


def _moderated(one: tuple[float, int], variance: float, df: float) -> float:
    """Return a case's variance drawn towards that of all (Smyth 2004, equation 5)."""
    if one[1] + df == 0:
        return _LEAST_SD**2
    return (one[0] * one[1] + variance * df) / (one[1] + df)


def moderation(known: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Return the prior variance and its degrees of freedom (Smyth 2004, section 6.2)."""
    if not known:
        return _LEAST_SD**2, 0.0
    half = np.asarray([df / 2 for _, df in known])
    logs = np.log([variance for variance, _ in known])
    centred = logs - digamma(half) + np.log(half)
    if len(known) < _FEWEST_GROUPS:
        return float(np.exp(np.mean(logs))), 0.0
    excess = float(np.var(centred, ddof=1) - np.mean(polygamma(1, half)))
    most = 200.0
    if excess <= float(polygamma(1, most / 2)):
        df = most
    elif excess >= float(polygamma(1, 0.25)):
        df = 0.5
    else:
        df = float(brentq(lambda d: float(polygamma(1, d / 2)) - excess, 0.5, most))
    variance = math.exp(float(np.mean(centred)) + float(digamma(df / 2)) - math.log(df / 2))
    return variance, df


def _residuals(runs: Sequence[Floats], variance: float) -> Floats:
    found = [
        (run - run.mean()) * math.sqrt(len(run) / (len(run) - 1)) for run in runs if len(run) > 1
    ]
    return np.concatenate([*found, np.empty(0)]) / math.sqrt(variance)


def _run_sd(floor: float) -> float:
    """Return the standard deviation between runs that a noise floor stands for."""
    return math.log1p(floor) / (_Z95 * math.sqrt(2))


def _with_runs(
    noise: Noise, logs: Sequence[Sequence[Floats]], spreads: Sequence[tuple[float, int]]
) -> Noise:
    """Return the noise with what runs of the same case differ by, beyond their repeats."""
    errors = Errors(noise, seed=1)
    total, df, pairs = 0.0, 0, 0
    for runs, one in zip(logs, spreads, strict=True):
        if len(runs) < 2 or one[1] + noise.repeat_df == 0:
            continue
        medians = np.asarray([float(np.median(run)) for run in runs])
        within = _moderated(one, noise.repeat_sd**2, noise.repeat_df) * np.mean(
            [errors.median_variance(len(run)) for run in runs]
        )
        total += (float(np.var(medians, ddof=1)) - float(within)) * (len(runs) - 1)
        df += len(runs) - 1
        pairs += len(runs) * (len(runs) - 1) // 2
    if df == 0:
        return noise
    weight = _PRIOR_RUNS + df
    variance = (_PRIOR_RUNS * _run_sd(ASSUMED_FLOOR) ** 2 + total) / weight
    run_sd = max(math.sqrt(max(variance, 0.0)), _run_sd(_LEAST_FLOOR))
    return replace(noise, run_sd=run_sd, run_df=weight, pairs=pairs)


def _with_sides(
    noise: Noise,
    interleaved: Sequence[tuple[Runs, Runs]],
    same: Sequence[tuple[Runs, Runs]],
) -> Noise:
    """Return the noise with what interleaved sides of the same differ by, beyond their repeats.

    The logarithm of the ratio of two such runs has twice the variance of a side, and what repeats
    leave. It is taken about 0 for a pair of the same, about its mean over runs for others.
    """
    errors = Errors(noise, seed=1)
    total, df, pairs = 0.0, 0, 0
    for kind, of_same in ((same, True), (interleaved, False)):
        for sides in kind:
            logs = [[np.log(np.asarray(run, dtype=np.float64)) for run in side] for side in sides]
            spreads = [spread(side) for side in logs]
            own_df = len(logs[0]) - (not of_same)
            if own_df < 1 or any(one[1] + noise.repeat_df == 0 for one in spreads):
                continue
            within = sum(
                _moderated(one, noise.repeat_sd**2, noise.repeat_df)
                * float(np.mean([errors.median_variance(len(run)) for run in side]))
                for one, side in zip(spreads, logs, strict=True)
            )
            medians = np.asarray([[float(np.median(run)) for run in side] for side in logs])
            ratios = medians[1] - medians[0]
            squares = np.sum((ratios - (0.0 if of_same else ratios.mean())) ** 2)
            total += (float(squares) - within * own_df) / 2
            df += own_df
            pairs += len(ratios)
    if df == 0:
        return noise
    weight = _PRIOR_RUNS + df
    variance = (_PRIOR_RUNS * _run_sd(ASSUMED_FLOOR) ** 2 + total) / weight
    side_sd = max(math.sqrt(max(variance, 0.0)), _run_sd(_LEAST_FLOOR))
    found = replace(noise, side_sd=side_sd, side_df=weight, side_pairs=pairs)
    if same and side_sd > found.run_sd:  # runs hours apart differ by no less than runs in turn
        found = replace(found, run_sd=side_sd, run_df=weight)
    return found


class Errors:
    """Seeded draws of the error of a measured log time, by resampling repeats and runs.

    Examples
    --------
    >>> runs = ((1.0, 1.1, 0.9, 1.0),)
    >>> errors = Errors(estimate([runs, runs]))
    >>> errors.of_repeats(runs).shape
    (40000,)
    """

    def __init__(self, noise: Noise, *, seed: int = 0, draws: int = DRAWS) -> None:
        self.noise, self.draws = noise, draws
        self._random = np.random.default_rng(seed)
        self._normal = self._random.standard_normal(draws)
        self._medians: dict[int, Floats] = {}
        self._scales: dict[float, Floats] = {}

    def of_repeats(self, runs: Runs) -> Floats | None:
        """Return draws of the error that repeats leave in `location`; None if nothing tells it.

        Nothing does where the case has one time alone, or where neither it nor the others show
        how repeats differ.
        """
        logs = [np.log(np.asarray(run, dtype=np.float64)) for run in runs]
        variance, df = spread(logs)
        weight = df + self.noise.repeat_df
        if sum(map(len, runs)) < 2 or weight == 0 or not len(self.noise.residuals):
            return None
        scale = math.sqrt(_moderated((variance, df), self.noise.repeat_sd**2, self.noise.repeat_df))
        total = np.sum([self._rolled(self._median(len(run))) for run in runs], axis=0) / len(runs)
        found: Floats = scale * self._rolled(self._scale(weight)) * total
        return found

    def of_runs(self, first: int, second: int, *, interleaved: bool = False) -> Floats:
        """Return draws of the error between sides of so many runs each."""
        noise = self.noise
        sd, df = (noise.side_sd, noise.side_df) if interleaved else (noise.run_sd, noise.run_df)
        found: Floats = (
            sd
            * math.sqrt(1 / first + 1 / second)
            * self._rolled(self._scale(df))
            * self._rolled(self._normal)
        )
        return found

    def median_variance(self, repeats: int) -> float:
        """Return the variance of the median of so many repeats of standard deviation 1."""
        return float(np.var(self._median(repeats)))

    def _median(self, repeats: int) -> Floats:
        """Return medians of ``repeats`` draws from the residuals, smoothed, of unit variance."""
        if repeats not in self._medians:
            pool = self.noise.residuals
            if not len(pool):
                return np.zeros(self.draws)
            size = (self.draws, repeats)
            drawn = self._random.choice(pool, size=size)
            smooth = self._random.standard_normal(size) * max(float(np.std(pool)), 1e-12)
            mixed = math.sqrt(1 - _SMOOTHING**2) * drawn + _SMOOTHING * smooth
            self._medians[repeats] = np.median(mixed, axis=1)
        return self._medians[repeats]

    def _scale(self, df: float) -> Floats:
        """Return factors by which a standard deviation of ``df`` degrees of freedom may be off."""
        if df not in self._scales:
            drawn = (
                np.ones(self.draws)
                if math.isinf(df)
                else self._random.chisquare(df, self.draws) / df
            )
            self._scales[df] = 1 / np.sqrt(drawn)
        return self._scales[df]

    def _rolled(self, values: Floats) -> Floats:
        """Return the draws in another order, so that two cases do not share an error."""
        return np.roll(values, int(self._random.integers(self.draws)))
