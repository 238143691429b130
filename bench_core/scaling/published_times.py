"""The published training times, and the claims that follow from them.

`published/README.md` beside this file names the source. Every claim is recomputed from the 420
times; none is copied.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from importlib.resources import files
from statistics import fmean

from bench_core.scaling.ratios import speed_up


@dataclass(frozen=True)
class PublishedTime:
    """One published training time: a figure, a configuration, a subject and its seconds."""

    figure: str
    resolution: str
    blas: str
    strategy: str
    subject: str
    nodes: int
    threads: int
    seconds: float


def published_times() -> tuple[PublishedTime, ...]:
    """Return the 420 published times in the order of their file."""
    text = (files("bench_core.scaling") / "published" / "timings.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(
        PublishedTime(
            figure=row["figure"],
            resolution=row["resolution"],
            blas=row["blas"],
            strategy=row["strategy"],
            subject=row["subject"],
            nodes=int(row["nodes"]),
            threads=int(row["threads"]),
            seconds=float(row["seconds"]),
        )
        for row in rows
    )


def select(times: Iterable[PublishedTime], **wanted: object) -> Iterator[PublishedTime]:
    """Yield the times whose fields have the ``wanted`` values.

    Raises
    ------
    TypeError : a keyword that is no field of `PublishedTime`.
    """
    known = {field.name for field in fields(PublishedTime)}
    if unknown := set(wanted) - known:
        raise TypeError(f"no such field: {', '.join(sorted(unknown))}; known: {sorted(known)}")
    for time in times:
        if all(getattr(time, name) == value for name, value in wanted.items()):
            yield time


def mean_seconds(times: Iterable[PublishedTime], **wanted: object) -> float | None:
    """Return the mean over subjects of one configuration, None where nothing was published."""
    seconds = [time.seconds for time in select(times, **wanted)]
    return fmean(seconds) if seconds else None


def mkl_over_openblas(resolution: str, threads: int) -> float:
    """Return T(OpenBLAS) / T(MKL), means over subjects, figure 3.6."""
    times = published_times()
    by_blas = {
        blas: mean_seconds(times, figure="3.6", resolution=resolution, blas=blas, threads=threads)
        for blas in ("openblas", "mkl")
    }
    if None in by_blas.values():
        raise ValueError(f"nothing published for {resolution!r} with {threads} threads")
    assert by_blas["openblas"] is not None
    assert by_blas["mkl"] is not None
    return by_blas["openblas"] / by_blas["mkl"]


def bmor_speed_ups(nodes: int, threads: int) -> dict[str, dict[str, float]]:
    """Return B-MOR's speed-ups per subject against both baselines of the thesis.

    ``one_thread``: over scikit-learn's RidgeCV on one thread (figure 3.11); ``one_node``: over
    RidgeCV on one node with the same number of threads (figure 3.10).
    """
    times = published_times()
    ratios: dict[str, dict[str, float]] = {}
    for time in select(times, figure="3.10", strategy="bmor", nodes=nodes, threads=threads):
        one_thread = mean_seconds(times, figure="3.11", subject=time.subject)
        one_node = mean_seconds(
            times, figure="3.10", strategy="ridgecv", threads=threads, subject=time.subject
        )
        assert one_thread is not None
        assert one_node is not None
        ratios[time.subject] = {
            "one_thread": speed_up(one_thread, time.seconds),
            "one_node": speed_up(one_node, time.seconds),
        }
    if not ratios:
        raise ValueError(f"nothing published for bmor on {nodes} nodes with {threads} threads")
    return ratios
