"""Results of several machines, or of one machine from several places, in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_core.errors import InputError, listed
from bench_core.files import write_text
from bench_core.records.case_lines import CaseLines, each_line
from bench_core.records.runs import SUFFIX

_MACHINE, _BENCHMARKS = "machine.json", "benchmarks.json"
_HARDWARE = ("arch", "cpu", "num_cpu")
"""What tells machines apart; memory and kernel of a virtual machine differ from boot to boot."""


@dataclass
class Merged:
    """What `merge_results` did.

    Parameters
    ----------
    written : files that are new or have changed, relative to the folder.
    replaced : records, and benchmarks of asv, that gave way to a later one of the same case.
    unread : lines that are no record; they are kept as they are.

    Examples
    --------
    >>> Merged().written
    []
    """

    written: list[str] = field(default_factory=list)
    replaced: int = 0
    unread: int = 0


def merge_results(sources: Sequence[Path], target: Path) -> Merged:
    """Add the results of ``sources`` to ``target``, machine by machine.

    Records are of one case where kind, parameters, machine, commit and environment are the same.
    The one that was started later stays; of kernels' rates, which do not say when, that of the
    later source. asv's results are merged by benchmark, likewise. Repeated
    measurements that are all to count are kept in folders of their own instead, and read together
    by ``--results``. Nothing is written where two machines of one name are not the same.

    Raises
    ------
    InputError : a folder without results, machines of one name that differ, or a file of asv that
        cannot be read.
    """
    done = Merged()
    machines = [path for source in sources for path in _machines(source)]
    different = [text for path in machines if (text := _difference(path, target / path.name))]
    if different:
        raise listed(
            different, "different machines of one name", "rename one of the folders and its machine"
        )
    files: dict[str, str] = {}
    for folder in machines:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or not path.name.endswith((".json", SUFFIX)):
                continue
            name = f"{folder.name}/{path.name}"
            place, text = target / name, _read(path)
            earlier = files.get(name) or (_read(place) if place.is_file() else None)
            if earlier is None or path.name == _MACHINE:
                files.setdefault(name, text if earlier is None else earlier)
            elif path.name.endswith(SUFFIX):
                files[name] = _records(earlier, text, done)
            else:
                files[name] = _asv(earlier, text, path, done)
    for source in sources:
        path, place = source / _BENCHMARKS, target / _BENCHMARKS
        if path.is_file():
            earlier = files.get(_BENCHMARKS) or (_read(place) if place.is_file() else "{}")
            known = {**_parsed(_read(path), path), **_parsed(earlier, place)}
            files[_BENCHMARKS] = json.dumps(known, indent=4, sort_keys=True)
    for name, text in files.items():
        path = target / name
        if not path.is_file() or _read(path) != text:
            write_text(path, text)
            done.written.append(name)
    return done


def _machines(source: Path) -> list[Path]:
    """Return the folders of machines in a folder of results."""
    found = sorted({path.parent for path in source.glob("[!.]*/[!.]*.json*")})
    if not found:
        raise InputError(f"{source} has no results: a folder for each machine is expected in it")
    return found


def _difference(first: Path, second: Path) -> str | None:
    """Return how two machines of one name differ, None where that is not known or nothing."""
    paths = [folder / _MACHINE for folder in (first, second)]
    if not all(path.is_file() for path in paths):
        return None
    known = [_parsed(_read(path), path) for path in paths]
    said = [
        f"{key} {known[0][key]} and {known[1][key]}"
        for key in _HARDWARE
        if key in known[0] and key in known[1] and known[0][key] != known[1][key]
    ]
    return f"{first} and {second}: {', '.join(said)}" if said else None


def _records(earlier: str, later: str, done: Merged) -> str:
    """Return the lines of two files of records, one for every case."""
    kept = CaseLines()
    for line, record in (*each_line(earlier), *each_line(later)):
        done.replaced += kept.add(line, record, later_stays=True)
    done.unread += len(kept.unread)
    return kept.text


def _asv(earlier: str, later: str, path: Path, done: Merged) -> str:
    """Return two files of asv's results of one run as one: of every benchmark the later result."""
    first, second = _parsed(earlier, path), _parsed(later, path)
    try:
        if first["commit_hash"] != second["commit_hash"]:
            raise InputError(
                f"{path} is of another commit than the file of this name that is there"
            )
        sides = [
            {
                name: dict(zip(one["result_columns"], row, strict=False))
                for name, row in one["results"].items()
            }
            for one in (first, second)
        ]
        columns = list(dict.fromkeys([*first["result_columns"], *second["result_columns"]]))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no result of asv ({error!r}): leave it out") from None
    found = dict(sides[0])
    for name, row in sides[1].items():
        if name in found and found[name] != row:
            done.replaced += 1
            if (found[name].get("started_at") or 0) > (row.get("started_at") or 0):
                continue
        found[name] = row
    results = {name: _row(row, columns) for name, row in sorted(found.items())}
    durations = {**first.get("durations", {}), **second.get("durations", {})}
    merged = {**first, "result_columns": columns, "results": results, "durations": durations}
    return json.dumps(merged)


def _row(values: dict[str, Any], columns: Sequence[str]) -> list[Any]:
    """Return a row as asv writes it, without what is None at its end."""
    row = [values.get(column) for column in columns]
    while row and row[-1] is None:
        row.pop()
    return row


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}): leave it out") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} is no JSON object: leave it out")
    return found
