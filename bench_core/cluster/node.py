"""What runs in each node's process: ``python -m bench_core.cluster.node CONFIG.json``.

The environment of the process already holds the thread and kernel variables, so they are in
place before any BLAS is loaded.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import pickle
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from bench_core.errors import RidgebenchError

_WARM = ("sklearn.linear_model", "sklearn.multioutput")


def main() -> None:
    """Join the scheduler that the configuration names, and serve until told to stop.

    A pickled dictionary is left at the configuration's ``report``: what `NodeInfo` holds once
    the node serves, or the ``error`` that kept it from serving.
    """
    config: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if config["watch_parent"]:
        _die_with_parent(config["scratch"])
    sys.path.extend(entry for entry in config["path"] if entry not in sys.path)
    try:
        blas = _prove_blas(config["blas"])
    except RidgebenchError as error:
        _leave(Path(config["report"]), {"error": error})
        sys.exit(2)
    asyncio.run(_serve(config, blas))


def _die_with_parent(scratch: str) -> None:
    """End at once when the parent's end of standard input closes, as it does however it died.

    The parent cannot tidy up after a SIGKILL, so its nodes remove the scratch folder.
    """

    def watch() -> None:
        while os.read(0, 1):
            pass
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def _prove_blas(declared: str | None) -> dict[str, Any]:
    """Return what this process's numpy and scipy call.

    Raises `BlasMismatchError` if not as declared.
    """
    from bench_core import blas

    return (blas.detect() if declared is None else blas.require(declared)).to_dict()


async def _serve(config: dict[str, Any], blas: dict[str, Any]) -> None:
    import dask
    from distributed import Worker

    from bench_core.cluster import comm_bytes
    from bench_core.cluster.cores import affinity, pin

    class Node(Worker):
        def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
            """Listen on no port for a dashboard that nobody reads."""

    # What tasks will need, or the first fit would be timed with these imports in it.
    for module in _WARM:
        importlib.import_module(module)
    comm_bytes.install()
    # The statistical profiler wakes every 10 ms: it would be part of what is measured.
    dask.config.set({"distributed.worker.profile.enabled": False})
    node = Node(
        config["scheduler"],
        name=config["name"],
        host=config["host"],
        local_directory=config["scratch"],
        nthreads=1,  # one task at a time: its BLAS threads fill the node's cores
        memory_limit=None,  # spilling to disk or pausing would be measured as fitting
    )
    async with node:
        if config["cpus"]:
            pin(config["cpus"])
        found = {"address": node.address, "pid": os.getpid(), "cpus": affinity(), "blas": blas}
        _leave(Path(config["report"]), found)
        await node.finished()


def _leave(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(pickle.dumps(content))
    os.replace(partial, path)


if __name__ == "__main__":
    main()
