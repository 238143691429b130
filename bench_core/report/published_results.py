"""The published timings as asv results, on a machine of their own, beside the user's lines.

asv shows a result at a commit. The published times belong to none of ours, so they stand at the
first commit of the history: to the left of everything that was measured.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_core.errors import RidgebenchError
from bench_core.scaling.published_times import mean_seconds, published_times

#: As asv's machine file has it; 2 sockets of 16 cores, as the thesis states the nodes.
MACHINE = {
    "machine": "thesis-2025",
    "os": "Linux",
    "arch": "x86_64",
    "cpu": "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz",
    "num_cpu": "32",
    "ram": "250GB",
}
_THREADS = (1, 2, 4, 8, 16, 32)
_NODES = (1, 2, 4, 6, 8)
_SUBJECTS = tuple(f"sub-{number:02}" for number in range(1, 7))
_VERSION = "1"

Value = Callable[..., float | None]


def write_published(results_dir: Path, repository: Path) -> list[Path]:
    """Write the published times below ``results_dir`` and return the files, one per BLAS.

    What was published for a configuration is the mean over its subjects. Files of an earlier
    first commit (a rewritten history) are replaced.

    Raises
    ------
    RidgebenchError : ``repository`` is no git checkout with a commit.
    """
    from asv.results import Results
    from asv.runner import BenchmarkResult
    from asv.util import write_json

    commit, milliseconds = _first_commit(repository)
    folder = results_dir / MACHINE["machine"]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(str(folder / "machine.json"), dict(MACHINE), 1)
    written = []
    for blas in ("mkl", "openblas"):
        results = Results(
            params={**MACHINE, "python": "published"},
            requirements={},
            commit_hash=commit,
            date=milliseconds,
            python="published",
            env_name=f"published-RIDGEBENCH_BLAS{blas}",
            env_vars={"RIDGEBENCH_BLAS": blas, "RIDGEBENCH_KERNELS": "default"},
        )
        for name, grid, value in _benchmarks(blas):
            values = [value(*combination) for combination in itertools.product(*grid)]
            if all(one is None for one in values):
                continue
            results.add_result(
                {
                    "name": name,
                    "type": "track",
                    "version": _VERSION,
                    "params": [[repr(item) for item in axis] for axis in grid],
                },
                BenchmarkResult(
                    result=[float("nan") if one is None else one for one in values],
                    samples=[None] * len(values),
                    number=[None] * len(values),
                    errcode=0,
                    stderr="",
                    profile=None,
                ),
                started_at=datetime.fromtimestamp(milliseconds / 1000, UTC),
            )
        results.save(str(results_dir))
        written.append(folder / f"{commit[:8]}-{results.env_name}.json")
    for stale in folder.glob("*-published-*.json"):
        if stale not in written:
            stale.unlink()
    return written


def _first_commit(repository: Path) -> tuple[str, int]:
    """Return the hash and the date, in milliseconds since 1970, of the first commit."""
    done = subprocess.run(
        ["git", "log", "--max-parents=0", "--format=%H %ct", "HEAD"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise RidgebenchError(
            f"{repository} is no git checkout with a commit ({done.stderr.strip()}); "
            "asv needs one: run this in a clone"
        )
    commit, seconds = done.stdout.split("\n")[0].split()
    return commit, int(seconds) * 1000


def _benchmarks(blas: str) -> list[tuple[str, Sequence[Sequence[Any]], Value]]:
    """Return benchmark name, parameter grid and value of each published figure."""
    times = published_times()

    def threads_time(resolution: str, threads: int, _: str) -> float | None:
        return mean_seconds(times, figure="3.6", blas=blas, resolution=resolution, threads=threads)

    def mor_time(strategy: str, nodes: int, threads: int, _: str) -> float | None:
        return mean_seconds(
            times, figure="3.9", blas=blas, strategy=strategy, nodes=nodes, threads=threads
        )

    def bmor_time(strategy: str, nodes: int, threads: int, _: str) -> float | None:
        figure = "3.11" if (strategy, nodes, threads) == ("ridgecv", 1, 1) else "3.10"
        return mean_seconds(
            times, figure=figure, blas=blas, strategy=strategy, nodes=nodes, threads=threads
        )

    def subject_time(strategy: str, subject: str, nodes: int, threads: int, _: str) -> float | None:
        figure = "3.11" if (strategy, nodes, threads) == ("ridgecv", 1, 1) else "3.10"
        return mean_seconds(
            times,
            figure=figure,
            blas=blas,
            strategy=strategy,
            subject=subject,
            nodes=nodes,
            threads=threads,
        )

    def subject_threads_time(resolution: str, subject: str, threads: int, _: str) -> float | None:
        return mean_seconds(
            times,
            figure="3.6",
            blas=blas,
            resolution=resolution,
            subject=subject,
            threads=threads,
        )

    def subject_inverse_speed_up(
        resolution: str, subject: str, threads: int, scale: str
    ) -> float | None:
        return _ratio(
            subject_threads_time(resolution, subject, threads, scale),
            subject_threads_time(resolution, subject, 1, scale),
        )

    def subject_mor_time(
        strategy: str, subject: str, nodes: int, threads: int, _: str
    ) -> float | None:
        return mean_seconds(
            times,
            figure="3.9",
            blas=blas,
            strategy=strategy,
            subject=subject,
            nodes=nodes,
            threads=threads,
        )

    def subject_inverse_dsu(
        strategy: str, subject: str, nodes: int, threads: int, scale: str
    ) -> float | None:
        return _ratio(
            subject_time(strategy, subject, nodes, threads, scale),
            subject_time("ridgecv", subject, 1, 1, scale),
        )

    def inverse_speed_up(resolution: str, threads: int, scale: str) -> float | None:
        return _ratio(threads_time(resolution, threads, scale), threads_time(resolution, 1, scale))

    def inverse_efficiency(resolution: str, threads: int, scale: str) -> float | None:
        ratio = inverse_speed_up(resolution, threads, scale)
        return None if ratio is None else threads * ratio

    def inverse_dsu(strategy: str, nodes: int, threads: int, scale: str) -> float | None:
        return _ratio(bmor_time(strategy, nodes, threads, scale), bmor_time("ridgecv", 1, 1, scale))

    by_subject = (("ridgecv", "bmor"), _SUBJECTS, (1, 8), (1, 32), ("1",))
    threads_by_subject = (("parcels", "roi"), _SUBJECTS, _THREADS, ("1",))
    mor_by_subject = (("mor",), _SUBJECTS, (2, 8), (2, 32), ("1",))
    by_threads = (("parcels", "roi"), _THREADS, ("1",))
    return [
        ("threads.Threads.track_time", by_threads, threads_time),
        ("threads.Threads.track_inverse_speed_up", by_threads, inverse_speed_up),
        ("threads.Threads.track_inverse_efficiency", by_threads, inverse_efficiency),
        ("nodes_mor.MultiOutput.track_time", (("mor",), _NODES, _THREADS, ("1",)), mor_time),
        (
            "nodes_bmor.WholeBrain.track_time",
            (("ridgecv", "bmor"), _NODES, _THREADS, ("1",)),
            bmor_time,
        ),
        (
            "nodes_bmor.WholeBrain.track_inverse_dsu",
            (("ridgecv", "bmor"), _NODES, _THREADS, ("1",)),
            inverse_dsu,
        ),
        ("subjects.Subjects.track_time", by_subject, subject_time),
        ("subjects.Subjects.track_inverse_dsu", by_subject, subject_inverse_dsu),
        ("subjects.SubjectsSpeedUp.track_time", threads_by_subject, subject_threads_time),
        (
            "subjects.SubjectsSpeedUp.track_inverse_speed_up",
            threads_by_subject,
            subject_inverse_speed_up,
        ),
        ("subjects.SubjectsMor.track_time", mor_by_subject, subject_mor_time),
    ]


def _ratio(seconds: float | None, reference: float | None) -> float | None:
    return None if seconds is None or reference is None else seconds / reference
