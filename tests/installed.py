"""The wheel of this checkout in an environment of its own: what users without a clone have."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Distributions:
    """The source distribution, and the wheel that was built from it, in one folder."""

    folder: Path

    @property
    def sdist(self) -> Path:
        (found,) = self.folder.glob("*.tar.gz")
        return found

    @property
    def wheel(self) -> Path:
        (found,) = self.folder.glob("*.whl")
        return found


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and the dependencies of the environment of the tests.

    ``prefix`` is the environment's folder, ``home`` the home folder of what runs in it.
    """

    folder: Path

    @property
    def prefix(self) -> Path:
        return self.folder / "environment"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def python(self) -> Path:
        return self.prefix / "bin" / "python"

    def run(
        self, *words: str, cwd: Path, status: int | None = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment (``ridgebench``, ``asv``, ``python``) in a folder.

        Anything but the exit ``status`` (None: any) fails the test, with what was printed.
        Variables of Python and of ridgebench are not inherited.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "RIDGEBENCH", "ASV", "COV_"))
        }
        path = os.pathsep.join([str(self.prefix / "bin"), kept.get("PATH", os.defpath)])
        environment = {
            **kept,
            "PATH": path,
            "HOME": str(self.home),
            "RIDGEBENCH_ACCEPT_LOAD": "1",
            "RIDGEBENCH_SCRATCH": str(self.home / "scratch"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{
                f"GIT_{who}_{what}": "tests@localhost"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
            **variables,
        }
        if words[0] in ("asv", "ridgebench"):
            module = {"asv": "asv", "ridgebench": "bench_core.cli"}[words[0]]
            words = (str(self.python), "-P", "-m", module, *words[1:])
        elif words[0] == "python":
            words = (str(self.python), "-P", *words[1:])
        done = subprocess.run(
            words,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if status is not None:
            assert done.returncode == status, f"{words}\n{done.stdout}\n{done.stderr}"
        return done


def build(folder: Path) -> None:
    """Build the source distribution of this checkout and from that the wheel, without a network."""
    for package in ("build", "hatchling"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the dev extra)")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))


def install(wheel: Path, folder: Path) -> None:
    """Install a wheel into a new environment below ``folder``.

    What it depends on is taken from the environment of the tests, by a path: of that environment's
    own ridgebench nothing is seen, editable or not.
    """
    made = Installed(folder)
    made.home.mkdir(parents=True)
    _run(sys.executable, "-m", "venv", "--without-pip", str(made.prefix))
    python = str(made.python)
    options = ("--no-deps", "--no-index", "--no-compile", "--quiet")
    _run(sys.executable, "-m", "pip", "--python", python, "install", *options, str(wheel))
    (packages,) = made.prefix.glob("lib/python*/site-packages")
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n", encoding="utf-8")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
