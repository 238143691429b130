"""Provision of the BLAS that an environment declares."""

from __future__ import annotations

import subprocess
import sys

from bench_core.blas.environment import DECLARATION, declared
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.relink import use
from bench_core.blas.report import BlasMismatchError
from bench_core.errors import InputError, counted
from bench_core.progress import Progress, silent


def provision(progress: Progress = silent) -> str:
    """Switch this environment to the BLAS that ``RIDGEBENCH_BLAS`` names; return a description.

    Nothing is done where that BLAS is loaded already. Otherwise "openblas" restores the library
    of the wheels; every other name is relinked as by `use`.

    Raises
    ------
    InputError : no BLAS is declared.
    NotRelinkableError, UnusableLibraryError : the environment or the library does not allow it.
    BlasMismatchError : another library is called afterwards.
    """
    name = declared()
    if name is None:
        raise InputError(f"{DECLARATION} is not set: set it to the name of a BLAS")
    library = LIBRARIES.get(name)
    if _mismatch(name) is None:
        return f"numpy and scipy run on {library.title} already"
    changed = use(["bundled" if name == "openblas" else name], progress=progress).changed
    mismatch = _mismatch(name)
    if mismatch is not None:
        raise BlasMismatchError(mismatch)
    return f"numpy and scipy now run on {library.title}: {counted(len(changed), 'file')} replaced"


def _mismatch(name: str) -> str | None:
    """Return the message of `require` in a fresh process, None if it passes."""
    done = subprocess.run(
        [sys.executable, "-c", f"from bench_core.blas import require; require({name!r})"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]
