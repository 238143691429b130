"""The BLAS part of a record: what answered in every process, and where every call goes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from bench_core.blas import detect, proof, require
from bench_core.measure.record import write_json

Report = dict[str, dict[str, Any]]


def blas_report(name: str | None) -> Report:
    """Return which BLAS numpy and scipy call in this process.

    Raises `BlasMismatchError` where a ``name`` is given and another library answers.
    """
    return (require(name) if name else detect()).to_dict()


def wrong_threads(reports: list[Report], threads: int) -> str | None:
    """Return what is wrong where a BLAS runs other than the ``threads`` it was given."""
    for report in reports:
        for caller in ("numpy", "scipy"):
            runs = report[caller]["threads"]
            if runs is not None and runs != threads:
                return (
                    f"{caller}'s {report[caller]['name']} runs {runs} threads where {threads} "
                    "were asked for: look for what sets threads in the strategy or at start-up"
                )
    return None


def where_calls_go(report: Report, scratch: Path) -> dict[str, Any]:
    """Return the ``calls``, ``exceptions`` and ``relinked`` of `bench_core.blas.proof`.

    Reading every symbol of every extension module takes seconds, so the answer is kept in
    ``scratch`` for as long as the same libraries answer and no extension module has changed.
    """
    libraries = [[report[caller]["file"], report[caller]["version"]] for caller in sorted(report)]
    state = json.dumps([libraries, _extension_modules()])
    kept = scratch / "blas" / f"{hashlib.sha256(state.encode()).hexdigest()[:16]}.json"
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        return found
    whole = proof()
    found = {name: whole[name] for name in ("calls", "exceptions", "relinked")}
    write_json(found, kept)
    return found


def _extension_modules() -> list[tuple[str, int, int]]:
    """Return path, size and time of change of numpy's and scipy's compiled files."""
    found = []
    for package in ("numpy", "scipy"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for folder in (root, root.with_name(f"{package}.libs")):
            for path in sorted(folder.rglob("*.so*")):
                status = path.stat()
                found.append((str(path), status.st_size, status.st_mtime_ns))
    return found
