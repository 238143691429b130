"""Timed fits: warm-up, repeats under observation, and the null."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy import pearson_r, shuffled_rows, summary
from bench_core.data import Problem
from bench_core.progress import Progress, silent
from bench_core.records.case import Until
from bench_core.records.phases import PhasesRecord
from bench_core.records.results import NullAccuracy
from bench_core.records.scalars import Stopped
from bench_core.records.times import Memory
from bench_core.runner.agreement import sample_targets
from bench_core.runner.host_memory import HostsWatch
from bench_core.runner.link_meter import LinkMeter
from bench_core.runner.memory import MemoryWatch
from bench_core.runner.phase_meter import PhaseMeter
from bench_core.runner.processor import FitMeter
from bench_core.runner.repeats import Repeats

#: Median fit time above which the null of "auto" is found on the sampled targets only.
LONG_FIT_S = 60.0
#: Seconds of fits after which none is begun.
ENOUGH_S = 180.0
_WARM_SIZE = 384
_READ_BYTES = 8 * 2**20

Counter = Callable[[], dict[str, int]]


def warm_blas(dtype: str) -> None:
    """Call numpy's and scipy's BLAS and LAPACK once, so that libraries and threads are there."""
    import scipy.linalg

    square = np.random.default_rng(0).standard_normal((_WARM_SIZE, _WARM_SIZE)).astype(dtype)
    gram = square @ square.T
    for linalg in (np.linalg, scipy.linalg):
        linalg.eigh(gram)
        linalg.svd(square, full_matrices=False)
    scipy.linalg.solve(gram + np.eye(_WARM_SIZE, dtype=dtype), square[:, :8], assume_a="pos")


def warmup_subset(problem: Problem, nodes: int) -> Problem:
    """Return at most 64 samples, 16 features and a few targets per node, in memory."""
    rows, targets = min(problem.t, 64), min(problem.s, max(8, 2 * nodes))
    return Problem(
        np.array(problem.X[:rows, :16]),
        np.array(problem.Y[:rows, :targets]),
        problem.runs[:rows],
    )


def read_through(files: Iterable[Path]) -> None:
    """Read files once, so that the first fit does not wait for the disk.

    The pages go to the page cache only: no process's memory grows by them.
    """
    buffer = bytearray(_READ_BYTES)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


@contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """Collect the texts of warnings about data and results, each once; others are shown as usual.

    Those about code (deprecated, about to change) are not of this kind.
    """
    texts: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", RuntimeWarning)
        warnings.simplefilter("always", UserWarning)
        show = warnings.showwarning

        def keep(message: Any, category: type[Warning], *where: Any, **options: Any) -> None:
            if not issubclass(category, RuntimeWarning | UserWarning):
                show(message, category, *where, **options)
            elif str(message) not in texts:
                texts.append(str(message))

        warnings.showwarning = keep
        yield texts


class TimedFits(NamedTuple):
    """What timed fits leave.

    Parameters
    ----------
    model : the last estimator.
    times : wall time of every repeat, in seconds.
    moved : bytes moved by one fit, the median over the repeats of each count.
    warm_up : wall times of whole fits before the repeats.
    stopped : why no further repeat was begun.
    phases : of the repeat of median time, where they were taken.
    link_seconds : of every link between hosts in one fit; see `bench_core.runner.link_meter`.

    Examples
    --------
    >>> TimedFits(None, [1.0, 1.1], {"total": 0}).warm_up
    ()
    """

    model: Any
    times: list[float]
    moved: dict[str, int]
    warm_up: Sequence[float] = ()
    stopped: Stopped = "repeats"
    phases: PhasesRecord | None = None
    link_seconds: Mapping[str, float] = MappingProxyType({})


def timed_fits(
    make: Callable[[], Any],
    problem: Problem,
    repeats: int,
    *,
    until: Until | None = None,
    bytes_moved: Counter | None = None,
    meter: FitMeter | None = None,
    phases: PhaseMeter | None = None,
    links: LinkMeter | None = None,
    progress: Progress = silent,
    clock: Callable[[], float] = perf_counter,
) -> TimedFits:
    """Fit new estimators one after another, ``repeats`` times or until their times are known.

    None is begun once `ENOUGH_S` have gone by. ``meter`` reads processor time around every fit,
    outside the timed part, and forgets those that were warm-up. Counters of bytes and ``links`` are
    read outside the timed part too. ``phases`` has every fit take the seconds of its phases, and
    asks for them afterwards.

    Parameters
    ----------
    until : see `bench_core.runner.repeats.Repeats`; None for a fixed number without warm-up.
    clock : returns seconds.
    """
    model: Any = None
    fits = Repeats(repeats, until, ENOUGH_S)
    moved: list[dict[str, int]] = []
    while fits.stopped is None:
        number = len(fits.times)
        progress("fitting", *((number, repeats) if until is None and repeats > 1 else ()))
        model = None  # so that two fits are never in memory together
        gc.collect()
        model = make()
        if phases is not None:
            phases.begin(model)
        if links is not None:
            links.begin()
        before = bytes_moved() if bytes_moved else {"total": 0}
        if meter is not None:
            meter.begin()
        started = clock()
        model.fit(problem.X, problem.Y)
        fits.add(clock() - started)
        if meter is not None:
            meter.end()
        after = bytes_moved() if bytes_moved else {"total": 0}
        if links is not None:
            links.end()
        # A node that was lost takes its counts with it.
        moved.append({name: max(0, after[name] - before.get(name, 0)) for name in after})
        if phases is not None:
            phases.end(model, fits.times[-1])
    moved = moved[len(fits.warm_up) :]
    if meter is not None:
        meter.forget(len(fits.warm_up))
    if phases is not None:
        phases.forget(len(fits.warm_up))
    if links is not None:
        links.forget(len(fits.warm_up))
    each = {name: int(median(one[name] for one in moved)) for name in moved[0]}
    found = None if phases is None else phases.middle
    took = {} if links is None else links.seconds
    return TimedFits(model, fits.repeats, each, fits.warm_up, fits.stopped, found, took)


def watched_fits(
    make: Callable[[], Any],
    problem: Problem,
    repeats: int,
    watch: MemoryWatch | HostsWatch,
    *,
    names: dict[int, str],
    until: Until | None = None,
    bytes_moved: Counter | None = None,
    meter: FitMeter | None = None,
    phases: PhaseMeter | None = None,
    links: LinkMeter | None = None,
    progress: Progress = silent,
) -> tuple[TimedFits, Memory]:
    """Return `timed_fits` and the record's ``memory``, sampled over all of the fits."""
    gc.collect()
    watch.start()
    fits = timed_fits(
        make,
        problem,
        repeats,
        until=until,
        bytes_moved=bytes_moved,
        meter=meter,
        phases=phases,
        links=links,
        progress=progress,
    )
    return fits, watch.stop(names)


def null_accuracy(
    make: Callable[[], Any],
    train: Problem,
    test: Problem,
    *,
    method: str,
    fit_seconds: float,
    alphas: tuple[float, ...],
    fit_intercept: bool,
    seed: int,
    per_target: bool = False,
    keep: Callable[[NDArray[np.float64]], object] | None = None,
) -> NullAccuracy | None:
    """Return held-out r after training on rows of X shuffled against those of Y; None for "skip".

    "fit" fits the strategy itself once more. "sample" fits scikit-learn's RidgeCV to the sampled
    targets instead, with a penalty ``per_target`` where the strategy has one; "auto" does so for
    fits of more than `LONG_FIT_S`.

    keep : called with r of every target (s,) where the strategy itself was fitted.
    """
    if method == "auto":
        method = "fit" if fit_seconds <= LONG_FIT_S else "sample"
    if method == "skip":
        return None
    rows = shuffled_rows(train.t, seed=seed)
    if method == "fit":
        X, Y = train.X, train.Y
        # Only which rows meet matters, so the smaller of the two is the one to copy.
        if train.p <= train.s:
            X = X[rows]
        else:
            Y = Y[rows]
        model, truth = make(), test.Y
    else:
        from sklearn.linear_model import RidgeCV

        targets = sample_targets(train.s, seed)
        X, Y = train.X, train.Y[:, targets][rows]
        model = RidgeCV(alphas=alphas, fit_intercept=fit_intercept, alpha_per_target=per_target)
        truth = test.Y[:, targets]
    predictions = np.asarray(model.fit(X, Y).predict(test.X)).reshape(truth.shape)
    r = pearson_r(truth, predictions)
    if keep is not None and method == "fit":
        keep(r)
    return NullAccuracy(
        method="fit" if method == "fit" else "sample",
        targets=int(truth.shape[1]),
        **summary(r),
    )
