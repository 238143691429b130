"""A sweep that goes on: records of its first part are put into the session of the next.

Every record is published the moment it is there (`bench_core.records.store`). With the variable
``RIDGEBENCH_RESUME`` those of this environment and commit are not measured again. Its value is the
time, in seconds since 1970, from which on they count: ``1`` for all of them.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from bench_core.errors import InputError
from bench_core.files import write_text
from bench_core.records import Record, parse_record, record_line
from bench_core.records.store import records_folder
from bench_core.runner.spec import record_stem

RESUME = "RIDGEBENCH_RESUME"


def seed_session(session: Path, *, without: Collection[str] = ()) -> int:
    """Put valid records into a new session and return their number; 0 without the variable.

    What failed, was refused or cannot be read is measured again, as are files of the names
    ``without``, without their suffix.

    Raises
    ------
    InputError : the variable is no number.
    """
    text = os.environ.get(RESUME)
    folder = records_folder()
    if not text or folder is None:
        return 0
    try:
        since = float(text)
    except ValueError:
        raise InputError(
            f"{RESUME} is {text!r}: give 1 for every record of this commit, or the seconds since "
            "1970 from which on they count"
        ) from None
    count = 0
    for path in sorted(folder.glob("[!.]*.json")):
        if path.stat().st_mtime < since:
            continue
        try:
            record = parse_record(path.read_text("utf-8"), str(path))
        except (InputError, OSError, UnicodeDecodeError):
            continue
        if record.status != "ok":
            continue
        if isinstance(record, Record):
            case = record.case
            stem = record_stem(
                case.strategy, case.problem.name, case.nodes, case.threads, record.key
            )
        else:
            stem = path.stem
        if stem in without:
            continue
        write_text(session / f"{stem}.json", record_line(record) + "\n")
        count += 1
    return count
