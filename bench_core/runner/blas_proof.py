"""Proof of the BLAS that was measured: the libraries of every process, and where calls go."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path

from bench_core.blas import BlasReport, Library, detect, proof, require
from bench_core.blas.kernels import wrong_kernels as kernels_differ
from bench_core.blas.known_bad import refuse_known_bad
from bench_core.errors import counted
from bench_core.machine import cpu
from bench_core.records import codec
from bench_core.records.blas import BlasCalls, BlasProof, LibraryRecord


def calls_of(name: str | None) -> BlasCalls:
    """Return which BLAS numpy and scipy call in this process.

    Raises `BlasMismatchError` where a ``name`` is given and another library answers.
    """
    report = (require(name) if name else detect()).to_dict()
    return BlasCalls(LibraryRecord(**report["numpy"]), LibraryRecord(**report["scipy"]))


def wrong_threads(reports: Iterable[BlasCalls], threads: int) -> str | None:
    """Return what is wrong where a BLAS runs other than the ``threads`` it was given."""
    for report in reports:
        for caller, library in (("numpy", report.numpy), ("scipy", report.scipy)):
            if library.threads is not None and library.threads != threads:
                return (
                    f"{caller}'s {library.name} runs {counted(library.threads, 'thread')} where "
                    f"{threads} were asked for: look for what sets threads in the strategy or at "
                    "start-up"
                )
    return None


def wrong_kernels(reports: Iterable[BlasCalls], kernels: str) -> str | None:
    """Return what is wrong where kernels were asked for by name and others run."""
    reasons = (kernels_differ(_report(one), kernels) for one in reports)
    return next((reason for reason in reasons if reason), None)


def mixture(reports: Iterable[BlasCalls]) -> str | None:
    """Return why numpy and scipy run on two libraries in some process, None if they do not."""
    reasons = (_report(one).mixture() for one in reports)
    return next((reason for reason in reasons if reason), None)


def refuse_bad_build(
    calls: BlasCalls, t: int, p: int, threads: int, *, whole_matrices: bool
) -> None:
    """Raise `KnownBadBuildError` where this BLAS is known to fail on t samples × p features.

    Parameters
    ----------
    whole_matrices : whether Gram matrices are made by one call, as scikit-learn does;
        `bench_core.ridge` multiplies in smaller pieces.
    """
    report = _report(calls)
    refuse_known_bad(
        {"numpy": report.numpy, "scipy": report.scipy},
        cpu(),
        inner=max(t, p),
        order=min(t, p) if whole_matrices else 0,
        threads=threads,
    )


def _report(calls: BlasCalls) -> BlasReport:
    return BlasReport(Library(**vars(calls.numpy)), Library(**vars(calls.scipy)))


def locate_calls(calls: BlasCalls, folder: Path) -> BlasProof:
    """Return the ``calls``, ``exceptions`` and ``relinked`` of `bench_core.blas.proof`.

    Reading every symbol of every extension module takes seconds, so the answer is kept in
    ``folder`` for as long as the same libraries answer and no extension module has changed.
    """
    libraries = [[one.file, one.version] for one in (calls.numpy, calls.scipy)]
    state = json.dumps([libraries, _extension_modules()])
    kept = folder / "blas" / f"{hashlib.sha256(state.encode()).hexdigest()[:16]}.json"
    if kept.is_file():
        return codec.read(BlasProof, kept)
    whole = proof()
    found = BlasProof(*(whole[name] for name in ("calls", "exceptions", "relinked")))
    codec.write_if_space(found, kept)
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
