"""Putting an environment on the BLAS that it declares."""

from __future__ import annotations

import subprocess
import sys

from bench_core.blas.environment import DECLARATION, declared
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.relink import Progress, use
from bench_core.blas.report import BlasMismatchError
from bench_core.errors import InputError


def provision(progress: Progress | None = None) -> str:
    """Put this environment on the BLAS that ``RIDGEBENCH_BLAS`` names; return what was done.

    An environment that runs on it already is left alone. Otherwise "openblas" brings back the
    library that the wheels came with; every other name is relinked as by `use`.

    Raises
    ------
    InputError : nothing is declared.
    NotRelinkableError, UnusableLibraryError : the environment or the library does not allow it.
    BlasMismatchError : it was done, and yet another library answers.
    """
    name = declared()
    if name is None:
        raise InputError(f"{DECLARATION} is not set: say there which BLAS this environment is for")
    library = LIBRARIES.get(name)
    if _complaint(name) is None:
        return f"numpy and scipy run on {library.title} already"
    changed = use(["bundled" if name == "openblas" else name], progress=progress).changed
    complaint = _complaint(name)
    if complaint is not None:
        raise BlasMismatchError(complaint)
    return f"numpy and scipy now run on {library.title}: {len(changed)} files replaced"


def _complaint(name: str) -> str | None:
    """Return what `require` has against ``name`` in a fresh process, None if nothing."""
    done = subprocess.run(
        [sys.executable, "-c", f"from bench_core.blas import require; require({name!r})"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]
