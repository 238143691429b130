"""The sweep that `ridgebench bench` is at, so that one which was interrupted goes on.

``.asv/sweep.json`` says what was asked for and since when; it is removed when the sweep ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench_core.errors import InputError
from bench_core.files import read_json, write_json
from bench_core.records import Record, parse_record

FILE = "sweep.json"


@dataclass(frozen=True)
class Sweep:
    """What a sweep measures: cases of a profile at a commit on a machine.

    Parameters
    ----------
    arguments : further ones of `asv run`.
    since : seconds since 1970 at which it began.

    Examples
    --------
    >>> Sweep("here", "small", ("--bench", "kernels"), "c0ffee", 1.0).profile
    'small'
    """

    machine: str
    profile: str
    arguments: tuple[str, ...]
    commit: str | None
    since: float

    def same_as(self, other: Sweep) -> bool:
        """Return whether another sweep asks for the same."""
        return self.asked() == other.asked()

    def asked(self) -> tuple[Any, ...]:
        """Return what was asked for."""
        return self.machine, self.profile, self.arguments, self.commit


def begin_sweep(
    folder: Path,
    machine: str,
    profile: str,
    arguments: Sequence[str],
    commit: str | None,
    *,
    again: bool,
) -> tuple[Sweep, bool]:
    """Return the sweep to carry out, and whether it is one that was interrupted.

    Parameters
    ----------
    folder : ``.asv``. again : measure everything anew.
    """
    asked = Sweep(machine, profile, tuple(arguments), commit, time.time())
    before = unfinished_sweep(folder)
    if before is not None and before.same_as(asked) and not again:
        return before, True
    write_json(folder / FILE, asdict(asked))
    return asked, False


def unfinished_sweep(folder: Path) -> Sweep | None:
    """Return the sweep that was interrupted, None where there is none or it cannot be read."""
    if not (folder / FILE).is_file():
        return None
    try:
        values = read_json(folder / FILE)
        return Sweep(**values | {"arguments": tuple(values["arguments"])})
    except (InputError, TypeError, KeyError):
        return None


def end_sweep(folder: Path) -> None:
    """Note that the sweep has ended."""
    (folder / FILE).unlink(missing_ok=True)


def count_records(pending: Path, since: float) -> dict[str, int]:
    """Return the number of valid records of fits since then, per environment."""
    found: dict[str, int] = {}
    for path in sorted(pending.glob("*/*/[!.]*.json")):
        if path.stat().st_mtime < since:
            continue
        try:
            record = parse_record(path.read_text("utf-8"), str(path))
        except (InputError, UnicodeDecodeError):
            continue
        if isinstance(record, Record) and record.status == "ok":
            name = path.parent.parent.name
            found[name] = found.get(name, 0) + 1
    return found
