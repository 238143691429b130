"""asv really builds its rattler environments from a channel on disk, and each proves its BLAS.

Stands in for runs against conda-forge and Anaconda's channel: their configurations in envs/ as they
are, but for the channel, the Python version and the BLAS libraries that the channel holds. What is
installed is real (numpy, scipy, scikit-learn, oneMKL); how the channels build them is not tested.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import json5
import pytest
from blas_builds import build_string
from rattler import MatchSpec, install, solve
from runnable_channel import BACKENDS, PYTHON, ROOT, SITE, build_channels, run

from bench_core.records.codec import read
from bench_core.records.record import Record
from bench_core.records.skips import SkipsRecord

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        (sys.platform, platform.machine()) != ("linux", "x86_64"),
        reason="oneMKL's wheels, and relinking to them, are for Linux on x86-64",
    ),
]
MACHINE = "bench"
SUITE = "nodes_mor.MultiOutput.track_time"
# Its smallest fit, by the way of every other: the problem, the worker, the proof, the agreement.
SELECTION = rf"{SUITE}\('ridgecv', 1, 1, '1/7'\)"
NO_BETTER_KERNELS = "no better kernels to choose"


@dataclass(frozen=True)
class Flavour:
    """A channel's way to choose a BLAS: our configuration for it, and the package that chooses."""

    channel: str
    config: str
    chooser: str
    spec: str
    lines: tuple[tuple[str, str], ...]


FLAVOURS = (
    Flavour(
        "conda-forge",
        "asv.conda.conf.json",
        "libblas",
        "*=*{}",
        (("openblas", "default"), ("openblas", "best"), ("mkl", "default")),
    ),
    # Kernels are chosen as in the first.
    Flavour(
        "Anaconda",
        "asv.anaconda.conf.json",
        "blas",
        "*={}",
        (("openblas", "default"), ("mkl", "default")),
    ),
)


@dataclass(frozen=True)
class Bench:
    """A project that asv has run, and where it did."""

    flavour: Flavour
    folder: Path
    output: str

    def results(self) -> dict[tuple[str, str], dict]:
        found = {}
        for file in sorted((self.folder / "results" / MACHINE).glob("*-rattler-*.json")):
            result = json.loads(file.read_text(encoding="utf-8"))
            key = (result["env_vars"]["RIDGEBENCH_BLAS"], result["env_vars"]["RIDGEBENCH_KERNELS"])
            found[key] = result
        return found

    def records(self) -> dict[tuple[str, str], Path]:
        """Return the folder of the records of each line, of the commit that asv ran."""
        return {
            key: next((self.folder / ".asv" / "records").glob(f"*_BLAS{key[0]}-*_KERNELS{key[1]}"))
            / result["commit_hash"]
            for key, result in self.results().items()
        }

    def environment(self, blas: str) -> Path:
        chooser, spec = self.flavour.chooser, self.flavour.spec.format(blas)
        for file in (self.folder / ".asv" / "env").glob("*/asv-env-info.json"):
            if json.loads(file.read_text(encoding="utf-8"))["requirements"][chooser] == spec:
                return file.parent
        raise AssertionError(f"asv made no environment with {chooser}={spec}: {self.output}")

    def builds(self, blas: str) -> dict[str, str]:
        """Return the build of every package in the environment."""
        found = {}
        for file in (self.environment(blas) / "conda-meta").glob("*.json"):
            record = json.loads(file.read_text(encoding="utf-8"))
            found[record["name"]] = record["build"]
        return found


@dataclass(frozen=True)
class Channels:
    """The addresses of each flavour's channels, and the folder that holds all."""

    folder: Path
    addresses: dict[str, list[str]]


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channels]:
    """Write the channels once."""
    folder = tmp_path_factory.mktemp("rattler")
    try:
        yield Channels(folder, build_channels(folder))
    finally:
        # Some gigabytes, of which pytest would keep three generations.
        shutil.rmtree(folder)


@pytest.fixture(scope="module", params=FLAVOURS, ids=[each.channel for each in FLAVOURS])
def bench(request: pytest.FixtureRequest, channels: Channels) -> Bench:
    """Write a small project, and run asv on it once for each flavour."""
    return run_bench(channels, request.param)


def run_bench(channels: Channels, flavour: Flavour) -> Bench:
    folder = channels.folder
    project = folder / f"project-{flavour.chooser}"
    write_project(project, flavour, channels.addresses[flavour.channel])
    # A suite that another test imported says where records go: not there. Without bytecode every
    # process would compile scikit-learn and Dask again.
    theirs = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RIDGEBENCH_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    home = {
        **theirs,
        # asv keeps its machine file, and rattler its packages, away from the user's own.
        "HOME": str(folder),
        "RIDGEBENCH_ACCEPT_LOAD": "1",  # other tests run beside it
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PIP_NO_COMPILE": "0",  # pip's way to say yes to an option that begins with "no"
        "RATTLER_CACHE_DIR": str(folder / "rattler-cache"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config")),
    }
    asv = (sys.executable, "-m", "asv")
    config = ("--config", project / "envs" / flavour.config)
    run(*asv, "machine", "--machine", MACHINE, "--yes", *config, env=home)
    options = ("--quick", "--show-stderr", "--machine", MACHINE, "--bench", SELECTION)
    output = run(*asv, "run", *options, *config, env=home)
    return Bench(flavour, project, output)


def write_project(project: Path, flavour: Flavour, channels: list[str]) -> None:
    """Commit this working tree's packages and suites, and the adapted configuration."""
    project.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("bench_core", "benchmarks", "encoders", "envs"):
        shutil.copytree(ROOT / name, project / name, ignore=ignore)
    for name in ("asv.conf.json", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    config = json5.loads((ROOT / "envs" / flavour.config).read_text(encoding="utf-8"))
    config["conda_channels"] = channels
    config["pythons"] = [PYTHON]
    config["matrix"]["env"]["RIDGEBENCH_BLAS"] = list(BACKENDS)
    config["matrix"]["req"][flavour.chooser] = [flavour.spec.format(name) for name in BACKENDS]
    kernels = sorted({each for _, each in flavour.lines})
    config["matrix"]["env_nobuild"]["RIDGEBENCH_KERNELS"] = kernels
    (project / "envs" / flavour.config).write_text(json.dumps(config, indent=1))
    git = ("git", "-C", project, "-c", "user.name=test", "-c", "user.email=test@example.org")
    run("git", "init", "--quiet", project)
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--message", "The project under test")


def test_every_environment_ran_the_suite(bench: Bench) -> None:
    results = bench.results()
    assert set(results) == set(bench.flavour.lines)
    accuracies = []
    for (blas, kernels), folder in bench.records().items():
        values = dict(
            zip(
                results[blas, kernels]["result_columns"],
                results[blas, kernels]["results"][SUITE],
                strict=False,
            )
        )["result"]
        measured = [value for value in values if value is not None and not math.isnan(value)]
        files = list(folder.glob("nodes_mor-*.json"))
        left_out = read(SkipsRecord, folder / "left-out.json").left_out
        reasons = {one.reason for one in left_out if one.suite == "nodes_mor"}
        if any(reason.startswith(NO_BETTER_KERNELS) for reason in reasons):
            # OpenBLAS chose the best kernels of this processor itself: the line has no numbers.
            assert kernels == "best"
            assert (measured, files) == ([], [])
            continue
        (file,) = files
        record = read(Record, file)
        assert record.status == "ok"
        assert (record.case.blas, record.case.kernels) == (blas, kernels)
        assert measured == [record.times.median_s]
        assert record.commit == results[blas, kernels]["commit_hash"]
        accuracies.append(record.accuracy.mean)
    assert len(accuracies) >= len(BACKENDS)
    for other in accuracies[1:]:
        assert other == pytest.approx(accuracies[0], rel=1e-9)


@pytest.mark.parametrize("blas", BACKENDS)
def test_the_solver_picked_the_declared_build(bench: Bench, blas: str) -> None:
    builds = bench.builds(blas)
    if bench.flavour.channel == "conda-forge":
        libraries = {builds[name] for name in ("libblas", "libcblas", "liblapack")}
        assert libraries == {build_string(blas)}
    else:
        assert builds["blas"] == blas
        assert "libblas" not in builds
    for user in ("numpy", "scipy"):
        assert f"_{blas}" in builds[user]
        assert builds[f"{user}-files"].endswith(f"_{blas}")
    assert ("mkl" in builds, "libopenblas" in builds) == (blas == "mkl", blas == "openblas")


@pytest.mark.parametrize("blas", BACKENDS)
def test_the_declared_library_is_the_loaded_one(bench: Bench, blas: str) -> None:
    (file,) = bench.records()[blas, "default"].glob("nodes_mor-*.json")
    proof = read(Record, file).blas
    assert proof is not None
    # Records are published: folders are renamed in them, that of the installed package as well.
    environment = bench.environment(blas)
    folders = {"<environment>": environment, "<ridgebench>": environment / SITE}
    for library in (proof.numpy, proof.scipy):
        assert library.name == blas
        root, _, rest = library.file.partition("/")
        assert (folders[root] / rest).is_file()


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
    advised = re.findall(r"'([^']+)' for", done.stderr)
    assert f"{bench.flavour.chooser}={bench.flavour.spec.format('mkl')}" in advised


def test_nomkl_gives_an_environment_that_answers_with_openblas(channels: Channels) -> None:
    """In the place of ``blas=*=openblas``, as envs/anaconda-openblas.yml says."""
    folder = channels.folder / "nomkl"

    async def make() -> None:
        found = await solve(
            sources=channels.addresses["Anaconda"],
            specs=[MatchSpec(spec) for spec in ("scikit-learn", "nomkl", "python")],
        )
        await install(
            records=found,
            target_prefix=folder,
            cache_dir=channels.folder / "rattler-cache" / "pkgs",
            show_progress=False,
        )

    asyncio.run(make())
    python = folder / "bin" / "python"
    shown = run(
        python,
        *("-m", "bench_core.cli", "blas", "show", "--json"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    answer = json.loads(shown)
    assert {answer[caller]["name"] for caller in ("numpy", "scipy")} == {"openblas"}
