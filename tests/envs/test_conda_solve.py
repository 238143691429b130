"""A real solver picks, from a channel tied like conda-forge's, the BLAS that each file asks for."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import yaml
from anaconda_builds import anaconda_builds
from blas_builds import BLAS_USERS, BUILT_FOR, blas_builds
from conda_channel import Package, write_channel
from rattler import MatchSpec, solve
from rattler.exceptions import SolverError

ENVS = Path(__file__).parents[2] / "envs"
FILES = {"linux-64": ("openblas", "mkl", "blis", "netlib"), "osx-arm64": ("accelerate",)}
CASES = [(subdir, name) for subdir, names in FILES.items() for name in names]


def dependencies(name: str) -> list[str]:
    return yaml.safe_load((ENVS / f"{name}.yml").read_text(encoding="utf-8"))["dependencies"]


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Every package that an environment file names, and BLAS builds for two platforms."""
    lowest = {}
    for spec in dependencies("openblas"):
        parsed = re.match(r"([\w-]+)(?:>=([\d.]+))?", spec)
        assert parsed is not None
        lowest[parsed.group(1)] = parsed.group(2) or "1.0"
    del lowest["libblas"]
    users = {"numpy": BLAS_USERS, "scipy": BLAS_USERS, "scikit-learn": ("numpy", "scipy")}
    packages = [
        Package(name, version, depends=users.get(name, ()), subdir="noarch")
        for name, version in lowest.items()
    ]
    for subdir, implementations in BUILT_FOR.items():
        for implementation in implementations:
            packages += blas_builds(implementation, subdir=subdir)
    return write_channel(tmp_path_factory.mktemp("channel"), packages)


def solved(channel: str, specs: list[str], subdir: str = "linux-64") -> dict[str, str]:
    """Return the chosen build string of every chosen package."""
    # Strings would be parsed strictly, which refuses conda's "=*=*mkl"; asv passes MatchSpecs.
    asked = [MatchSpec(spec) for spec in specs]
    records = asyncio.run(solve(sources=[channel], specs=asked, platforms=[subdir, "noarch"]))
    return {record.name.normalized: str(record.build) for record in records}


@pytest.mark.parametrize(("subdir", "name"), CASES)
def test_each_file_gets_the_library_it_is_named_after(channel: str, subdir: str, name: str) -> None:
    chosen = solved(channel, dependencies(name), subdir)
    build = {"accelerate": "newaccelerate"}.get(name, name)
    lapack = {"blis": "netlib"}.get(name, build)
    assert chosen["libblas"].endswith(f"_{build}")
    assert chosen["libcblas"].endswith(f"_{build}")
    assert chosen["liblapack"].endswith(f"_{lapack}")
    libraries = {"openblas": "libopenblas", "mkl": "mkl", "blis": "blis"}
    present = set(libraries.values()) & set(chosen)
    assert present == ({libraries[name]} if name in libraries else set())


def test_without_a_spec_the_default_is_openblas(channel: str) -> None:
    assert solved(channel, ["numpy"])["libblas"].endswith("_openblas")


@pytest.mark.parametrize(
    "specs",
    [
        ["libblas=*=*mkl", "libblas=*=*openblas"],
        ["libblas=*=*mkl", "liblapack=*=*openblas", "numpy"],
        ["libblas=*=*openblas", "blas=*=mkl"],
    ],
)
def test_two_libraries_never_meet_in_one_environment(channel: str, specs: list[str]) -> None:
    with pytest.raises(SolverError):
        solved(channel, specs)


def test_a_library_that_the_platform_lacks_is_refused(channel: str) -> None:
    with pytest.raises(SolverError, match="libblas"):
        solved(channel, dependencies("mkl"), "osx-arm64")


def test_both_accelerate_builds_answer_to_the_plain_glob(channel: str) -> None:
    """Why accelerate.yml says ``*_newaccelerate``: ``*accelerate`` leaves the choice open."""
    for build in ("*_accelerate", "*_newaccelerate"):
        chosen = solved(channel, ["libblas=*=*accelerate", f"libblas=*={build}"], "osx-arm64")
        assert chosen["libblas"].endswith(build.lstrip("*"))


@pytest.fixture(scope="module")
def anaconda(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A channel tied like Anaconda's, with what its environment files name."""
    versions = {"numpy": "1.26", "scipy": "1.12", "scikit-learn": "1.5"}
    others = [Package(name, "3.12", subdir="noarch") for name in ("python", "pip")]
    packages = [*others, *anaconda_builds(versions, subdir="linux-64")]
    return write_channel(tmp_path_factory.mktemp("anaconda"), packages)


@pytest.mark.parametrize("name", ["mkl", "openblas"])
def test_anacondas_files_get_the_library_they_are_named_after(anaconda: str, name: str) -> None:
    chosen = solved(anaconda, dependencies(f"anaconda-{name}"))
    assert chosen["blas"] == name
    assert {chosen[user] for user in ("numpy", "scipy", "scikit-learn")} == {f"py312_{name}_0"}
    assert ("mkl" in chosen, "libopenblas" in chosen) == (name == "mkl", name == "openblas")


def test_anacondas_default_is_mkl_and_nomkl_takes_it_away(anaconda: str) -> None:
    assert solved(anaconda, ["scikit-learn"])["blas"] == "mkl"
    without = solved(anaconda, ["scikit-learn", "nomkl"])
    assert without["blas"] == "openblas"
    assert "mkl" not in without


@pytest.mark.parametrize(
    "specs",
    [["blas=*=mkl", "blas=*=openblas"], ["nomkl", "blas=*=mkl"], ["nomkl", "numpy=*=*mkl*"]],
)
def test_two_libraries_never_meet_in_anacondas_either(anaconda: str, specs: list[str]) -> None:
    with pytest.raises(SolverError):
        solved(anaconda, specs)
