"""Recommendation: the fastest way to fit that memory allows, with its reason and command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench_core import strategies
from bench_core.advice.candidates import Candidate, ProblemSize, candidates
from bench_core.errors import InputError, counted, readable_bytes
from bench_core.records.fit_words import option_words
from bench_core.scaling.calibration import Calibration
from bench_core.scaling.prediction import Prediction, predict


@dataclass(frozen=True)
class Limits:
    """What there is to compute on.

    nodes : most worker processes. threads : most threads of all nodes of one machine together.
    memory_bytes : of one machine. machines : over which nodes are spread evenly.

    Examples
    --------
    >>> Limits(nodes=8, threads=32, memory_bytes=250 * 2**30, machines=8).per_machine(8)
    1
    """

    nodes: int
    threads: int
    memory_bytes: int
    machines: int = 1

    def per_machine(self, nodes: int) -> int:
        """Return how many of ``nodes`` nodes share the fullest machine."""
        return -(-nodes // min(nodes, self.machines))


@dataclass(frozen=True)
class Predicted:
    """One way to fit with its predicted time.

    memory_bytes : that the fullest machine needs. excess_bytes : by how much that is too much; 0
    where it fits. speed_up : time of ``ridgecv`` on one node and one thread, in float64 and by
    leave-one-out, over this one's. measured : medians of recorded fits of the same way, by machine,
    in seconds.

    Examples
    --------
    >>> from bench_core.scaling.calibration import read_calibration
    >>> table, size = read_calibration("xeon-6130-mkl"), ProblemSize(900, 16_384, 2000)
    >>> found = advise(size, [table], Limits(1, 1, 2**34), names=["ridgecv"]).predicted[0]
    >>> found.fits, found.same_answer
    (True, True)
    """

    candidate: Candidate
    blas: str
    prediction: Prediction
    memory_bytes: int
    excess_bytes: int
    speed_up: float
    measured: tuple[tuple[str, float], ...] = ()

    @property
    def fits(self) -> bool:
        """True where memory suffices."""
        return self.excess_bytes == 0

    @property
    def same_answer(self) -> bool:
        """True where the strategy promises RidgeCV's answer."""
        return strategies.get(self.candidate.strategy).claims_ridgecv


@dataclass(frozen=True)
class Advice:
    """Predictions of a problem, best first, and what is recommended.

    refused : ways that cannot be fitted, with the reason. reason : one sentence. command : runs
    the recommended fit; None where nothing fits.

    Examples
    --------
    >>> from bench_core.scaling.calibration import read_calibration
    >>> table, size = read_calibration("xeon-6130-mkl"), ProblemSize(9000, 16_384, 264_805)
    >>> advice = advise(size, [table], Limits(8, 32, 250 * 2**30, machines=8))
    >>> advice.best.candidate.strategy
    'bmor-shared'
    """

    size: ProblemSize
    limits: Limits
    predicted: tuple[Predicted, ...]
    refused: tuple[tuple[str, str], ...]
    best: Predicted | None
    reason: str
    command: str | None


def advise(
    size: ProblemSize,
    calibrations: Sequence[Calibration],
    limits: Limits,
    *,
    names: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    nodes: Sequence[int] | None = None,
    threads: Sequence[int] | None = None,
    data: str = "--x X.npy --y Y.npy",
) -> Advice:
    """Return predictions for every way to fit within the limits, and the recommended one.

    Parameters
    ----------
    calibrations : of one machine, one for each BLAS.
    names : strategies; None for all that say what they cost.
    nodes, threads : counts to predict; None for powers of two up to the limits.
    data : what the command gets for the data.

    Raises
    ------
    InputError : no calibration, or no strategy that says what it costs.
    """
    if not calibrations:
        raise InputError("no calibration: run `ridgebench calibrate`, or name one")
    known = strategies.with_cost()
    chosen = list(names) if names is not None else known
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise InputError(f"{', '.join(unknown) or 'no strategy'}: says nothing of its cost")
    node_counts = nodes or powers_of_two(limits.nodes)
    thread_counts = threads or powers_of_two(limits.threads)
    found: list[Predicted] = []
    refused: dict[tuple[str, str], None] = {}
    for calibration in calibrations:
        reference = _reference(size, calibration)
        for candidate in candidates(
            size, names=chosen, dtypes=dtypes, nodes=node_counts, threads=thread_counts
        ):
            together = limits.per_machine(candidate.nodes)
            if candidate.cost is None:
                refused[candidate.strategy, candidate.refused or "no cost is known"] = None
                continue
            if together * candidate.threads > limits.threads:
                continue
            found.append(_predicted(candidate, calibration, limits, together, reference))
    ranked = tuple(sorted(found, key=lambda one: (not one.fits, one.prediction.total)))
    best = next((one for one in ranked if one.fits and one.same_answer), None)
    return Advice(
        size,
        limits,
        ranked,
        tuple(refused),
        best,
        _reason(ranked, best),
        None if best is None else command(best, data, size.penalty.alphas),
    )


def powers_of_two(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4, … and ``most``.

    >>> powers_of_two(12)
    (1, 2, 4, 8, 12)
    """
    return tuple(sorted({*(2**k for k in range(most.bit_length()) if 2**k <= most), most}))


def _reference(size: ProblemSize, calibration: Calibration) -> float:
    """Return the seconds of ``ridgecv`` on one node and one thread, by leave-one-out."""
    cost = strategies.get("ridgecv")(**size.penalty.candidates).cost(size.t, size.p, size.s)
    assert cost is not None
    return predict(cost, calibration, 1).seconds


def _predicted(
    candidate: Candidate,
    calibration: Calibration,
    limits: Limits,
    together: int,
    reference: float,
) -> Predicted:
    assert candidate.cost is not None
    distributed = strategies.get(candidate.strategy).distributed
    prediction = predict(
        candidate.cost,
        calibration,
        candidate.threads,
        nodes_per_machine=together,
        distributed=distributed,
    )
    needed = candidate.cost.machine_bytes(together)
    return Predicted(
        candidate,
        calibration.blas.name,
        prediction,
        needed,
        max(0, needed - limits.memory_bytes),
        reference / prediction.seconds,
    )


def _reason(ranked: Sequence[Predicted], best: Predicted | None) -> str:
    """Return the reason in one sentence."""
    if best is None:
        least = min(
            (one for one in ranked if one.same_answer),
            key=lambda one: one.excess_bytes,
            default=None,
        )
        if least is None:
            return "Nothing was predicted that gives RidgeCV's answer."
        return (
            f"Nothing fits in memory: {way(least)} needs the least and lacks "
            f"{readable_bytes(least.excess_bytes)}."
        )
    phase, share = largest(best.prediction)
    others = [
        one
        for one in ranked
        if one.fits and one.same_answer and one.candidate.strategy != best.candidate.strategy
    ]
    than = ""
    if others:
        times = others[0].prediction.total / best.prediction.total
        than = f", {times:.3g} times as fast as {way(others[0])}, the best of another strategy"
    return (
        f"{way(best)} gives RidgeCV's answer soonest of all that fits{than}; "
        f"{phase} takes {share:.0%} of it."
    )


def largest(prediction: Prediction) -> tuple[str, float]:
    """Return the phase that takes most of the time, and its part of it."""
    phase = max(prediction.phases, key=lambda name: prediction.phases[name])
    return phase, prediction.phases[phase] / prediction.seconds


def way(found: Predicted) -> str:
    """Return a way to fit in words."""
    one = found.candidate
    form = one.cost.form if one.cost is not None else ""
    return (
        f"{one.strategy} ({form}, {one.dtype}, {found.blas}) on {counted(one.nodes, 'node')} of "
        f"{counted(one.threads, 'thread')}"
    )


def command(found: Predicted, data: str, alphas: Sequence[float] | None = None) -> str:
    """Return the command that fits so; ``alphas`` are the candidates, None for the thesis's."""
    one = found.candidate
    words = ["ridgebench", "fit", one.strategy, data]
    if one.nodes > 1:
        words.append(f"--nodes {one.nodes}")
    words.append(f"--threads {one.threads}")
    if options := option_words(one.options, alphas):
        words.append(shlex.join(options))
    if one.dtype != "float64":
        words.append(
            f"--option dtype={one.dtype}"
            if "dtype" in strategies.get(one.strategy).supports
            else f"--dtype {one.dtype}"
        )
    words.append(f"--blas {found.blas} --out results/advised")
    return " ".join(words)


def as_dict(advice: Advice) -> dict[str, Any]:
    """Return the advice as JSON's own types."""
    return {
        "t": advice.size.t,
        "p": advice.size.p,
        "s": advice.size.s,
        "penalty": {**advice.size.penalty.candidates, **advice.size.penalty.options},
        "limits": {
            "nodes": advice.limits.nodes,
            "threads": advice.limits.threads,
            "memory_bytes": advice.limits.memory_bytes,
            "machines": advice.limits.machines,
        },
        "recommended": None if advice.best is None else predicted_dict(advice.best),
        "reason": advice.reason,
        "command": advice.command,
        "predicted": [predicted_dict(one) for one in advice.predicted],
        "refused": [{"strategy": name, "reason": reason} for name, reason in advice.refused],
    }


def predicted_dict(found: Predicted) -> dict[str, Any]:
    """Return one prediction as JSON's own types."""
    one, prediction = found.candidate, found.prediction
    return {
        "strategy": one.strategy,
        "form": None if one.cost is None else one.cost.form,
        "options": one.options,
        "blas": found.blas,
        "dtype": one.dtype,
        "nodes": one.nodes,
        "threads": one.threads,
        "seconds": prediction.seconds,
        "interval": [prediction.low, prediction.high],
        "start_s": prediction.start_s,
        "phases": prediction.phases,
        "kinds": prediction.kinds,
        "memory_bytes": found.memory_bytes,
        "excess_bytes": found.excess_bytes,
        "speed_up": found.speed_up,
        "ridgecv_answer": found.same_answer,
        "measured": dict(found.measured),
    }
