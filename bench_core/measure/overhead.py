"""Cost of observation: the fit time with memory sampling and byte counters over that without."""

from __future__ import annotations

from pathlib import Path

from bench_core.leftovers import owned_folder
from bench_core.records import codec
from bench_core.runner.launcher import launch, worker_environment
from bench_core.runner.memory import INTERVAL_MS
from bench_core.runner.problem_cache import cached, scratch_folder
from bench_core.runner.protocol import FitJob, OverheadResult
from bench_core.runner.run import WORKER
from bench_core.runner.spec import FitSpec
from bench_core.runner.split_choice import with_split


def measure_overhead(
    spec: FitSpec,
    *,
    pairs: int = 25,
    interval_ms: float = INTERVAL_MS,
    store: Path,
    scratch: Path | None = None,
    timeout: float | None = None,
) -> OverheadResult:
    """Return the ratio of fit times with and without observation, from a fresh process.

    Read from ``store`` where it is there.
    """
    spec = with_split(spec)
    path = store / f"overhead-{interval_ms:g}-{pairs}-{spec.stem}.json"
    if path.is_file():
        return codec.read(OverheadResult, path)
    folder = scratch_folder(scratch).resolve()
    with (
        codec.reserved(path) as write,
        cached(spec, scratch=folder) as entry,
        owned_folder(folder, "run") as own,
    ):
        data = entry.data(own)
        found = launch(
            WORKER,
            FitJob(
                spec=spec,
                options=dict(spec.options),
                train=data.train,
                test=data.test,
                scratch=str(own),
                kept=str(folder),
                interval_ms=interval_ms,
                pairs=pairs,
            ),
            OverheadResult,
            environment=worker_environment(spec.threads, spec.kernels, spec.blas).variables,
            log=path.with_suffix(".log"),
            timeout=timeout,
        )
        write(found)
    return found
