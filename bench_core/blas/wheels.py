"""Wheels of numpy and scipy: the files that call the bundled BLAS, and their symbols."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from bench_core.blas import elf
from bench_core.blas.routines import PREFIX, Routine, parse
from bench_core.errors import RidgebenchError

PACKAGES = ("numpy", "scipy")
_BUNDLED = re.compile(r"lib(scipy_)?openblas.*\.so[.0-9]*")


class NotRelinkableError(RidgebenchError):
    """An environment whose numpy and scipy cannot be relinked to another BLAS."""


@dataclass(frozen=True)
class Caller:
    """One extension module that calls the bundled BLAS.

    Attributes
    ----------
    name : its path below the folder where packages are installed, "/" between parts.
    bundled : its DT_NEEDED entry for the bundled library.
    symbols : every symbol that it imports from there, with its routine.
    """

    name: str
    bundled: str
    symbols: dict[str, Routine]


@dataclass(frozen=True)
class Wheel:
    """One installed package with its bundled BLAS.

    Attributes
    ----------
    package : "numpy" or "scipy".
    version : its version.
    bits : the integer width of its calls.
    library : the bundled BLAS.
    callers : the files that call it.
    """

    package: str
    version: str
    bits: int
    library: Path
    callers: tuple[Caller, ...]

    @property
    def routines(self) -> set[Routine]:
        """Every routine that the package calls."""
        return {routine for caller in self.callers for routine in caller.symbols.values()}


def site_packages() -> Path:
    """Return the folder that holds this environment's numpy; raise `NotRelinkableError` if none.

    Only a virtual environment with its own numpy and scipy in one folder may be changed.
    """
    if Path(sys.prefix, "conda-meta").is_dir():
        raise NotRelinkableError(
            "this is a conda environment, where the BLAS is a package of its own: " + conda_advice()
        )
    if sys.prefix == sys.base_prefix:
        raise NotRelinkableError(
            f"{sys.prefix} is not a virtual environment, and the system's numpy must not be "
            "changed: make one with `python -m venv .venv` and run ridgebench from there"
        )
    folders = {package: _installed(package) for package in PACKAGES}
    for package, found in folders.items():
        folder = Path(str(found.locate_file("")))
        if not folder.resolve().is_relative_to(Path(sys.prefix).resolve()):
            raise NotRelinkableError(
                f"{package} lies in {folder}, outside this environment ({sys.prefix}): "
                f"`pip install --ignore-installed {package}` puts one inside"
            )
    if len({str(found.locate_file("")) for found in folders.values()}) != 1:
        raise NotRelinkableError(
            "numpy and scipy lie in different folders: reinstall both with pip"
        )
    return Path(str(folders["numpy"].locate_file("")))


def conda_advice() -> str:
    """Return the conda commands that choose the BLAS, one for each library.

    Anaconda's own channel chooses by builds of ``blas`` and has no ``libblas``, conda-forge's
    environments have both.
    """
    from bench_core.blas.libraries import all_libraries

    packages = Path(sys.prefix, "conda-meta")
    anaconda = any(packages.glob("blas-*.json")) and not any(packages.glob("libblas-*.json"))
    specs = [
        (lib.anaconda_spec if anaconda else lib.conda_spec, lib.title) for lib in all_libraries()
    ]
    offered = ", ".join(f"'{spec}' for {title}" for spec, title in specs if spec)
    return f"run `conda install SPEC` with {offered}"


def recorded_digests(package: str) -> dict[str, str]:
    """Return the SHA-256 (hex) that pip recorded for each file of ``package``, by name."""
    return {
        file.as_posix(): base64.urlsafe_b64decode(file.hash.value + "==").hex()
        for file in _installed(package).files or ()
        if file.hash is not None and file.hash.mode == "sha256"
    }


def package_modules(folder: Path, package: str) -> list[str]:
    """Return the names of all extension modules of ``package``, below ``folder``."""
    found = Path(folder, package).rglob("*.so")
    return sorted(path.relative_to(folder).as_posix() for path in found)


def digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def wheel(package: str, folder: Path, original: dict[str, Path]) -> Wheel:
    """Return ``package`` as it was installed.

    Parameters
    ----------
    folder : where packages are installed.
    original : paths of the originals of replaced files, by name.

    Raises
    ------
    NotRelinkableError : the package has no bundled OpenBLAS behind prefixed names.
    """
    found = _installed(package)
    callers = []
    libraries: set[Path] = set()
    for name in package_modules(folder, package):
        source = original.get(name, folder / name)
        binary = elf.read(source)
        bundled = next((n for n in binary.needed if _BUNDLED.fullmatch(Path(n).name)), None)
        if bundled is None:
            continue
        library = Path(folder, f"{package}.libs", bundled)
        if not library.is_file():
            raise NotRelinkableError(
                f"{name} needs {bundled}, which is not in {library.parent}: this is not {package} "
                f"as pip installs it; `pip install --force-reinstall {package}=={found.version}`"
            )
        offered = elf.read(library).exported
        symbols = {s: parse(s) for s in binary.undefined if s in offered and s.startswith(PREFIX)}
        if not symbols:
            raise NotRelinkableError(
                f"{package} {found.version} calls its OpenBLAS by names without the prefix "
                f"{PREFIX!r}, which other libraries share: numpy 2.0 and scipy "
                "1.15 or later are needed"
            )
        callers.append(Caller(name, bundled, symbols))
        libraries.add(library)
    widths = {routine.bits for caller in callers for routine in caller.symbols.values()}
    if len(libraries) != 1 or len(widths) != 1:
        raise NotRelinkableError(
            f"{package} {found.version} has no bundled OpenBLAS of one kind: only wheels that pip "
            "installs from PyPI on Linux can be relinked"
        )
    return Wheel(package, found.version, widths.pop(), libraries.pop(), tuple(callers))


def _installed(package: str) -> Distribution:
    try:
        return distribution(package)
    except PackageNotFoundError:
        raise NotRelinkableError(
            f"{package} is not installed here: `pip install {package}`"
        ) from None
