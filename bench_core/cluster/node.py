"""Process of one node: ``python -m bench_core.cluster.node CONFIG.json``.

Its environment holds the thread and kernel variables before any BLAS is loaded.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from bench_core.errors import RidgebenchError
from bench_core.files import write_json

#: Imported before a node serves, so that no fit is timed with these imports.
WARM = ("sklearn.linear_model", "sklearn.multioutput")


def main() -> None:
    """Join the scheduler that the configuration names, and serve until it ends.

    A JSON file is written to the configuration's ``report``: the fields of `NodeInfo` once the node
    serves, or the ``error`` that prevented it, by the name of its class, and its ``text``.
    """
    config: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    _end_with_parent(config["scratch"])
    sys.path.extend(entry for entry in config["path"] if entry not in sys.path)
    try:
        blas = prove_blas(config["blas"])
    except RidgebenchError as error:
        _write_report(config, {"error": type(error).__name__, "text": str(error)})
        sys.exit(2)
    asyncio.run(_serve(config, blas))


def _end_with_parent(scratch: str) -> None:
    """End at once when standard input closes, as it does however the parent ends.

    A parent that was killed cannot clean up, so its nodes remove the scratch folder.
    """

    def watch() -> None:
        while os.read(0, 1):
            pass
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def prove_blas(declared: str | None) -> dict[str, Any]:
    """Return the BLAS of numpy and scipy here; raise `BlasMismatchError` if not as declared."""
    from bench_core import blas

    return (blas.detect() if declared is None else blas.require(declared)).to_dict()


async def _serve(config: dict[str, Any], blas: dict[str, Any]) -> None:
    import dask
    from distributed import Worker

    from bench_core.cluster import comm_bytes
    from bench_core.cluster.cores import affinity, pin

    class Node(Worker):
        def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
            """Start no dashboard."""

    # Imported here, so that the first fit is not timed with these imports.
    for module in WARM:
        importlib.import_module(module)
    comm_bytes.install()
    # The statistical profiler wakes every 10 ms and would be measured.
    dask.config.set({"distributed.worker.profile.enabled": False})
    node = Node(
        config["scheduler"],
        name=config["name"],
        host=config["host"],
        local_directory=config["scratch"],
        nthreads=1,  # one task at a time: its BLAS threads fill the node's cores
        memory_limit=None,  # spilling to disk or pausing would be timed
    )
    async with node:
        if config["cpus"]:
            pin(config["cpus"])
        found = {"address": node.address, "pid": os.getpid(), "cpus": affinity(), "blas": blas}
        _write_report(config, found)
        await node.finished()


def _write_report(config: dict[str, Any], content: dict[str, Any]) -> None:
    write_json(Path(config["report"]), content)


if __name__ == "__main__":
    main()
