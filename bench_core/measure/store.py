"""Where records lie: a session's store, and the project's folder of records to report.

One `asv run` of one environment is a session. Its store is the folder that asv makes for
`setup_cache` and removes afterwards; what is to be reported is published to
``.asv/records/ENVIRONMENT/COMMIT/`` of the project, from where `bench_core.report` collects it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench_core.measure.provenance import commit, environment
from bench_core.measure.record import write_json

RECORDS = "RIDGEBENCH_RECORDS"


def session_store() -> str:
    """Return the store of this session, for suites to return from ``setup_cache``.

    asv calls ``setup_cache`` once per environment and run, in a new folder that becomes the
    working folder of every benchmark of that run and is removed after the last. So within a run
    the first benchmark of a parameter set measures and the others read, and the next run measures
    anew. Suites that inherit one ``setup_cache`` share the folder.
    """
    return str(Path.cwd())


def records_folder() -> Path | None:
    """Return the folder of this environment and commit below the project's records.

    The records are in ``RIDGEBENCH_RECORDS``, else in ``.asv/records`` of the folder that asv
    runs in, else of the checkout that the package lies in; None where there is none of these.
    """
    if os.environ.get(RECORDS):
        root = Path(os.environ[RECORDS])
    elif os.environ.get("ASV_CONF_DIR"):
        root = Path(os.environ["ASV_CONF_DIR"], ".asv", "records")
    elif (checkout := Path(__file__).parents[2]).joinpath("asv.conf.json").is_file():
        root = checkout / ".asv" / "records"
    else:
        return None
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", environment() or "existing")
    return root / name / (commit()[0] or "unknown")


def publish(record: Mapping[str, Any]) -> Path | None:
    """Copy a measurement to `records_folder` and return the file; None where there is no project.

    A later record of the same suite and case replaces it.
    """
    return _put(record, f"{record['case']['suite']}-{record['key']}.json")


def publish_kernels(record: Mapping[str, Any]) -> Path | None:
    """Copy a record of `measure_kernels` to `records_folder`, as `publish` does."""
    case = record["case"]
    words = [case["kernels"], case["threads"], case["size"], *case["operations"]]
    return _put(record, f"kernels-{'-'.join(map(str, words))}.json")


def _put(record: Mapping[str, Any], name: str) -> Path | None:
    folder = records_folder()
    if folder is None:
        return None
    write_json(record, folder / name)
    return folder / name
