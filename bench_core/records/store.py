"""Places of records: a session's store, and the project's folder of records to report.

One `asv run` of one environment is a session. Its store is the folder that asv makes for
`setup_cache` and removes afterwards; what is to be reported is published to
``.asv/records/ENVIRONMENT/COMMIT/`` of the project, from where `bench_core.report` collects it.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bench_core.errors import InputError
from bench_core.records import codec
from bench_core.records.figures import FiguresRecord
from bench_core.records.kernels import KernelsRecord
from bench_core.records.provenance import commit, environment
from bench_core.records.reading import AnyRecord, identity
from bench_core.records.record import Record
from bench_core.records.session import SessionRecord
from bench_core.records.skips import SkipsRecord, add_skips

RECORDS = "RIDGEBENCH_RECORDS"
SESSION = "RIDGEBENCH_SESSION"


def session_store() -> str:
    """Return the store of this session, for suites to return from ``setup_cache``.

    asv calls ``setup_cache`` once per environment and run, in a new folder that becomes the
    working folder of every benchmark of that run and is removed after the last. So within a run
    the first benchmark of a parameter set measures and the others read, and the next run measures
    anew. Suites that inherit one ``setup_cache`` share the folder.

    `ridgebench bench` measures before asv does, in turns, and names a folder for it
    (``RIDGEBENCH_SESSION``): asv then finds every record there.
    """
    root = os.environ.get(SESSION)
    if not root:
        return str(Path.cwd())
    folder = Path(root, _folder_name())
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


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
    return root / _folder_name() / (commit()[0] or "unknown")


def _folder_name() -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", environment() or "existing")


def publish(record: AnyRecord) -> Path | None:
    """Write a record to `records_folder` and return the file; None where there is no project.

    A later record of the same case replaces it; skips are merged with those of earlier runs.
    """
    folder = records_folder()
    if folder is None:
        return None
    if isinstance(record, SkipsRecord):
        counts = {(one.suite, one.reason): one.count for one in record.left_out}
        return add_skips(counts, folder)
    path = folder / _name(record)
    if isinstance(record, FiguresRecord) and path.is_file():
        # Every benchmark that reads the figures publishes them again: they were found but once.
        with suppress(InputError):
            earlier = codec.read(FiguresRecord, path)
            record = replace(record, started=earlier.started) if _same(earlier, record) else record
    return codec.write(record, path)


def _same(one: FiguresRecord, other: FiguresRecord) -> bool:
    """Return whether two records have the same figures, whenever they were found."""
    return replace(one, started="") == replace(other, started="")


def _name(record: Record | KernelsRecord | SessionRecord | FiguresRecord) -> str:
    if isinstance(record, Record):
        return f"{record.case.suite}-{record.key}.json"
    if isinstance(record, FiguresRecord):
        key = hashlib.sha256(identity(record).encode()).hexdigest()[:16]
        return f"{record.case.suite}-figures-{key}.json"
    if isinstance(record, SessionRecord):
        return f"session-{record.case.kind}-{record.case.session}.json"
    case = record.case
    words = [case.kernels, case.threads, case.size, *case.operations]
    return f"kernels-{'-'.join(map(str, words))}.json"
