"""asv really builds its rattler environments from a channel on disk, and each proves its BLAS.

Stands in for a run against conda-forge: envs/asv.conda.conf.json as it is, but for the channel, the
Python version and the BLAS libraries that the channel holds. What is installed is real (numpy,
scipy, scikit-learn, oneMKL); how conda-forge builds them is not what is tested.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import json5
import pytest
from blas_builds import build_string
from runnable_channel import PYTHON, ROOT, build_channel, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        (sys.platform, platform.machine()) != ("linux", "x86_64"),
        reason="oneMKL's wheels, and relinking to them, are for Linux on x86-64",
    ),
]
BACKENDS = ("openblas", "mkl")
MACHINE = "bench"
BENCHMARK = """
import json
import os
from pathlib import Path

import numpy as np

from bench_core.blas import declared, require


class Gram:
    version = "1"
    timeout = 60

    def setup(self):
        self.x = np.random.default_rng(0).standard_normal((200, 100))

    def time_gram(self):
        self.x.T @ self.x

    def track_largest_eigenvalue(self):
        report = require(declared())
        kernels = os.environ["RIDGEBENCH_KERNELS"]
        proof = Path(os.environ["ASV_CONF_DIR"], f"proof-{declared()}-{kernels}.json")
        proof.write_text(json.dumps(report.to_dict()))
        return float(np.linalg.eigvalsh(self.x.T @ self.x)[-1])
"""


@dataclass(frozen=True)
class Bench:
    """A project that asv has run, and where it did."""

    folder: Path
    output: str

    def results(self) -> dict[tuple[str, str], dict]:
        found = {}
        for file in sorted((self.folder / "results" / MACHINE).glob("*-rattler-*.json")):
            result = json.loads(file.read_text(encoding="utf-8"))
            key = (result["env_vars"]["RIDGEBENCH_BLAS"], result["env_vars"]["RIDGEBENCH_KERNELS"])
            found[key] = result
        return found

    def environment(self, blas: str) -> Path:
        spec = f"*=*{blas}"
        for file in (self.folder / ".asv" / "env").glob("*/asv-env-info.json"):
            if json.loads(file.read_text(encoding="utf-8"))["requirements"]["libblas"] == spec:
                return file.parent
        raise AssertionError(f"asv made no environment with libblas={spec}: {self.output}")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Write the channel and a small project, and run asv on them once."""
    folder = tmp_path_factory.mktemp("rattler")
    try:
        yield run_bench(folder)
    finally:
        # Some gigabytes, of which pytest would keep three generations.
        shutil.rmtree(folder)


def run_bench(folder: Path) -> Bench:
    channel = build_channel(folder)
    project = folder / "project"
    write_project(project, channel)
    home = {
        **os.environ,
        # asv keeps its machine file, and rattler its packages, away from the user's own.
        "HOME": str(folder),
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PIP_NO_COMPILE": "1",
        "RATTLER_CACHE_DIR": str(folder / "rattler-cache"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config")),
    }
    asv = (sys.executable, "-m", "asv")
    config = ("--config", project / "envs" / "asv.conda.conf.json")
    run(*asv, "machine", "--machine", MACHINE, "--yes", *config, env=home)
    output = run(*asv, "run", "--quick", "--show-stderr", "--machine", MACHINE, *config, env=home)
    return Bench(project, output)


def write_project(project: Path, channel: str) -> None:
    """Commit this working tree's packages, one benchmark and the adapted configuration."""
    project.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("bench_core", "encoders"):
        shutil.copytree(ROOT / name, project / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    (project / "benchmarks").mkdir()
    (project / "benchmarks" / "__init__.py").touch()
    (project / "benchmarks" / "gram.py").write_text(BENCHMARK)
    config = json5.loads((ROOT / "envs" / "asv.conda.conf.json").read_text(encoding="utf-8"))
    config["conda_channels"] = [channel]
    config["pythons"] = [PYTHON]
    config["matrix"]["env"]["RIDGEBENCH_BLAS"] = list(BACKENDS)
    config["matrix"]["req"]["libblas"] = [f"*=*{name}" for name in BACKENDS]
    (project / "envs").mkdir()
    (project / "envs" / "asv.conda.conf.json").write_text(json.dumps(config, indent=1))
    git = ("git", "-C", project, "-c", "user.name=test", "-c", "user.email=test@example.org")
    run("git", "init", "--quiet", project)
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--message", "The project under test")


def test_every_environment_ran_the_benchmark(bench: Bench) -> None:
    results = bench.results()
    assert set(results) == {("openblas", "default"), ("openblas", "best"), ("mkl", "default")}
    eigenvalues = []
    for result in results.values():
        columns = result["result_columns"]
        by_name = {
            name: dict(zip(columns, values, strict=False))["result"]
            for name, values in result["results"].items()
        }
        assert all(seconds > 0 for seconds in by_name["gram.Gram.time_gram"])
        eigenvalues.append(by_name["gram.Gram.track_largest_eigenvalue"])
    for other in eigenvalues[1:]:
        assert other == pytest.approx(eigenvalues[0], rel=1e-12)


@pytest.mark.parametrize("blas", BACKENDS)
def test_the_solver_picked_the_declared_build(bench: Bench, blas: str) -> None:
    meta = bench.environment(blas) / "conda-meta"
    builds = {}
    for file in meta.glob("*.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        builds[record["name"]] = record["build"]
    assert {builds[name] for name in ("libblas", "libcblas", "liblapack")} == {build_string(blas)}
    assert builds["numpy"].endswith(f"_{blas}")
    assert builds["scipy"].endswith(f"_{blas}")
    assert ("mkl" in builds, "libopenblas" in builds) == (blas == "mkl", blas == "openblas")


@pytest.mark.parametrize("blas", BACKENDS)
def test_the_declared_library_is_the_loaded_one(bench: Bench, blas: str) -> None:
    proof = json.loads((bench.folder / "envs" / f"proof-{blas}-default.json").read_text())
    environment = bench.environment(blas).resolve()
    for package in ("numpy", "scipy"):
        assert proof[package]["name"] == blas
        assert Path(proof[package]["file"]).resolve().is_relative_to(environment)


@pytest.mark.parametrize(("blas", "wrong"), [BACKENDS, BACKENDS[::-1]])
def test_a_wrong_declaration_is_found_out(bench: Bench, blas: str, wrong: str) -> None:
    python = bench.environment(blas) / "bin" / "python"
    check = "from bench_core.blas import declared, require; require(declared())"
    for declared, meant in ((blas, 0), (wrong, 1)):
        done = subprocess.run(
            [python, "-c", check],
            env={**os.environ, "RIDGEBENCH_BLAS": declared},
            cwd=bench.folder.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == meant, done.stderr
        assert ("BlasMismatchError" in done.stderr) == bool(meant)


def test_a_conda_environment_is_not_relinked(bench: Bench) -> None:
    """Its files are hard links into the package cache, and its BLAS is a package of its own."""
    done = subprocess.run(
        [
            bench.environment("openblas") / "bin" / "python",
            *["-m", "bench_core.cli", "blas", "use", "mkl"],
        ],
        cwd=bench.folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "libblas=*=*mkl" in done.stderr
