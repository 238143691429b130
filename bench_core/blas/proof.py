"""Evidence for a record: the libraries that run, and the calls that each receives."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench_core.blas import elf, journal
from bench_core.blas.bindings import bindings
from bench_core.blas.detection import detect
from bench_core.blas.environment import declared
from bench_core.blas.libraries import identify


def state() -> dict[str, Any]:
    """Return the changes of `blas use` in this environment, from its journal; cheap.

    ``phase`` is "bundled", "changing" (a change was interrupted) or "relinked"; ``packages`` has
    the target, name and file of the library of each relinked package, and the routines that stay
    with the bundled one, by reason.
    """
    kept = journal.read(_folder())
    packages = {name: dict(vars(choice)) for name, choice in kept.packages.items()}
    return {"phase": kept.phase, "packages": packages}


def proof() -> dict[str, Any]:
    """Return the evidence for the BLAS that this environment runs on.

    Keys: ``numpy`` and ``scipy`` as `detect` reports them; ``declared``; ``relinked`` as `state`
    reports it; ``calls``, for each package a list with one entry per library that its extension
    modules are bound to (``library``, ``name``, ``symbols``: how many, ``files``), the one that
    gemm goes to first; ``exceptions``, for each package the symbols that go elsewhere.
    """
    report = detect().to_dict()

    counted: dict[str, dict[str, set[tuple[str, str]]]] = {"numpy": {}, "scipy": {}}
    for file, bound in bindings(_folder()).items():
        package = counted[file.partition("/")[0]]
        for symbol, library in bound.items():
            package.setdefault(_family(library), set()).add((file, symbol))
    calls: dict[str, list[dict[str, Any]]] = {}
    exceptions: dict[str, dict[str, list[str]]] = {}
    for name, libraries in counted.items():
        entries = [_entry(library, pairs) for library, pairs in libraries.items()]
        main = _family(report[name]["file"] or "")
        calls[name] = sorted(entries, key=lambda entry: entry["library"] != main)
        exceptions[name] = {
            entry["library"]: sorted({symbol for _, symbol in libraries[entry["library"]]})
            for entry in calls[name][1:]
        }
    return {
        **report,
        "declared": declared(),
        "relinked": state(),
        "calls": calls,
        "exceptions": exceptions,
    }


def _entry(library: str, pairs: set[tuple[str, str]]) -> dict[str, Any]:
    files: defaultdict[str, int] = defaultdict(int)
    for file, _ in pairs:
        files[file] += 1
    known = identify(Path(library), elf.read(library).exported)
    return {
        "library": library,
        "name": known.name if known else "unknown",
        "symbols": len({symbol for _, symbol in pairs}),
        "files": dict(sorted(files.items())),
    }


def _family(library: str) -> str:
    """Return the main file of the BLAS that ``library`` is a part of.

    Modules loaded after oneMKL's first call are bound to its inner libraries directly.
    """
    path = Path(library)
    front = next(path.parent.glob("libmkl_rt.so.*"), None) if "libmkl_" in path.name else None
    return str(front or library)


def _folder() -> Path:
    spec = importlib.util.find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent
