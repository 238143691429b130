"""What is done in the process of a worker to make it a node: run there, called from outside.

The worker was started by a scheduler's user, a job or SSH. It gets its cores, its number of BLAS
threads, counters of bytes, and the imports that a first fit would be timed with.
"""

from __future__ import annotations

import importlib
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_core.cluster import comm_bytes
from bench_core.cluster.cores import affinity, pin
from bench_core.cluster.inspection import NodeFacts, look
from bench_core.cluster.node import WARM, prove_blas
from bench_core.errors import RidgebenchError

_SEEN_TRIES, _SEEN_EVERY_S = 10, 0.05

# The CPUs of this worker before it was made a node.
_FORMER: list[int] = []


@dataclass(frozen=True)
class Orders:
    """What a worker is to become.

    Attributes
    ----------
    cpus : to keep to. threads : of its BLAS.
    blas : library that it must call, or None.

    Examples
    --------
    >>> Orders(cpus=(0, 1), threads=2, blas=None).threads
    2
    """

    cpus: tuple[int, ...]
    threads: int
    blas: str | None


def first_look() -> NodeFacts:
    """Return the facts of this worker, with the CPUs that it had before it was ever a node."""
    release()
    return look()


def prepare(orders: Mapping[str, Orders], dask_worker: Any) -> dict[str, Any]:
    """Become a node; return pid, CPUs and BLAS, or the ``error`` and its ``text``.

    orders : of every worker, by its address.
    """
    own = orders[dask_worker.address]
    warm_imports()
    comm_bytes.install()
    _stop_profiling(dask_worker)
    if not _FORMER:
        _FORMER.extend(affinity())
    pin(own.cpus)
    _limit_threads(own.threads)
    try:
        blas = prove_blas(own.blas)
    except RidgebenchError as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {"pid": os.getpid(), "cpus": tuple(affinity()), "blas": blas}


def warm_imports() -> None:
    """Import what tasks refer to: whoever unpickles the first one does not answer meanwhile."""
    for module in WARM:
        importlib.import_module(module)


def limit_threads(threads: int) -> None:
    """Give every BLAS so many threads in the thread that runs tasks: OpenMP counts by thread."""
    _limit_threads(threads)


def release() -> None:
    """Give the worker the CPUs back that it had before it was a node."""
    if _FORMER:
        pin(_FORMER)
        _FORMER.clear()


def sees(token: str, text: str) -> bool:
    """Return whether the file ``token`` holds ``text`` here, and answer beside it.

    A network file system may show a new file a moment late.
    """
    path = Path(token)
    for _ in range(_SEEN_TRIES):
        with suppress(OSError):
            if path.read_text(encoding="ascii") == text:
                path.with_name(f"{path.name}.seen-{os.getpid()}-{secrets.token_hex(4)}").touch()
                return True
        time.sleep(_SEEN_EVERY_S)
    return False


def _stop_profiling(worker: Any) -> None:
    """Stop the statistical profiler, which wakes every 10 ms and would be measured."""
    for name in ("profile", "profile-cycle"):
        callback = getattr(worker, "periodic_callbacks", {}).get(name)
        if callback is not None:
            callback.stop()


def _limit_threads(threads: int) -> None:
    """Give the loaded libraries so many threads; one that has them already is left alone."""
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    if any(library.num_threads != threads for library in controller.lib_controllers):
        # Its effect is meant to stay: the limit is only undone where it is used as a context.
        controller.limit(limits=threads)
