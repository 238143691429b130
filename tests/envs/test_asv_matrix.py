"""asv expands each configuration of envs/ into exactly the environments that are meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from asv import environment, util
from asv.config import Config
from asv.plugin_manager import plugin_manager

from bench_core.report import site

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"
CONDA = "asv.conda.conf.json"
ANACONDA = "asv.anaconda.conf.json"
SKLEARN = "asv.sklearn.conf.json"
DEVICES = "asv.devices.conf.json"
# What each declared BLAS asks of conda's solver.
BUILDS = {
    "openblas": "*=*openblas",
    "mkl": "*=*mkl",
    "blis": "*=*blis",
    "netlib": "*=*netlib",
    "accelerate": "*=*_newaccelerate",
}
LINUX = {(name, "default") for name in ("openblas", "mkl", "blis", "netlib")} | {
    ("openblas", "best")
}
MACOS = {(name, "default") for name in ("openblas", "netlib", "accelerate")}

Expand = Callable[..., list[environment.Environment]]


@pytest.fixture
def expand(monkeypatch: pytest.MonkeyPatch) -> Expand:
    """Return a function that lists a configuration's environments as asv does on a platform."""
    assert plugin_manager is not None  # importing it registers the environment types
    monkeypatch.chdir(ENVS)

    def environments(
        config: str, platform: str = "linux", chosen: tuple[str, ...] = ()
    ) -> list[environment.Environment]:
        monkeypatch.setattr(environment, "sys", SimpleNamespace(platform=platform))
        return list(environment.get_environments(Config.load(config), list(chosen)))

    return environments


def lines(environments: list[environment.Environment]) -> list[tuple[str, str]]:
    return [
        (each.env_vars["RIDGEBENCH_BLAS"], each.env_vars["RIDGEBENCH_KERNELS"])
        for each in environments
    ]


@pytest.mark.parametrize(("platform", "meant"), [("linux", LINUX), ("darwin", MACOS)])
@pytest.mark.parametrize("chosen", [(), ("rattler:3.13",), ("conda",), ("conda:3.13",)])
def test_conda_environments(
    expand: Expand, platform: str, meant: set[tuple[str, str]], chosen: tuple[str, ...]
) -> None:
    found = expand(CONDA, platform, chosen)
    assert sorted(lines(found)) == sorted(meant)
    for each in found:
        assert each.requirements["libblas"] == BUILDS[each.env_vars["RIDGEBENCH_BLAS"]]
        assert each.requirements.keys() == {"libblas", "numpy", "scikit-learn", "scipy"}
    kind, _, python = (chosen or ("rattler",))[0].partition(":")
    assert {each.tool_name for each in found} == {kind}
    assert {each.python for each in found} == {python or "3.12"}


@pytest.mark.parametrize(
    ("platform", "meant"),
    [
        ("linux", {("mkl", "default"), ("openblas", "default"), ("openblas", "best")}),
        ("darwin", {("openblas", "default")}),
    ],
)
@pytest.mark.parametrize("chosen", [(), ("rattler:3.13",), ("conda",)])
def test_environments_of_anacondas_channel(
    expand: Expand, platform: str, meant: set[tuple[str, str]], chosen: tuple[str, ...]
) -> None:
    found = expand(ANACONDA, platform, chosen)
    assert sorted(lines(found)) == sorted(meant)
    for each in found:
        assert each.requirements["blas"] == f"*={each.env_vars['RIDGEBENCH_BLAS']}"
        assert each.requirements.keys() == {"blas", "numpy", "scikit-learn", "scipy"}
        assert len(each.name) < 128


def test_the_kernel_lines_share_one_environment_on_disk(expand: Expand) -> None:
    found = expand(CONDA)
    folders: dict[str, set[str]] = {}
    for each in found:
        folders.setdefault(each.dir_name, set()).add(each.env_vars["RIDGEBENCH_BLAS"])
    assert sorted(map(sorted, folders.values())) == [["blis"], ["mkl"], ["netlib"], ["openblas"]]


def test_kernels_are_no_build_variable(expand: Expand) -> None:
    assert {tuple(each.build_env_vars) for each in expand(CONDA)} == {("RIDGEBENCH_BLAS",)}


def test_asv_asks_the_solver_for_the_build(expand: Expand) -> None:
    specs = {
        each.env_vars["RIDGEBENCH_BLAS"]: each._get_requirements()[0] for each in expand(CONDA)
    }
    for name, asked in specs.items():
        assert sorted(asked) == [f"libblas={BUILDS[name]}", "numpy", "scikit-learn", "scipy"]


def test_environment_names_stay_readable(expand: Expand) -> None:
    """From 128 characters on, asv names a result file by a hash instead."""
    for platform in ("linux", "darwin"):
        names = [each.name for each in expand(CONDA, platform)]
        assert len(set(names)) == len(names)
        assert max(map(len, names)) < 128


def test_scikit_learn_environments(expand: Expand) -> None:
    found = expand(SKLEARN)
    assert [each.requirements for each in found] == [
        {"pip+scikit-learn": version} for version in ("1.7.2", "1.8.0", "1.9.1")
    ]
    assert lines(found) == [("openblas", "default")] * 3
    assert len({each.dir_name for each in found}) == 3
    for each in found:
        asked = util.ParsedPipDeclaration(f"scikit-learn {each.requirements['pip+scikit-learn']}")
        assert asked.specification == f"=={each.requirements['pip+scikit-learn']}"


def test_fits_on_devices_have_torch(expand: Expand) -> None:
    (found,) = expand(DEVICES)
    assert lines([found]) == [("openblas", "default")]
    assert any("torch" in one for one in Config.load(DEVICES).install_command)
    assert (ROOT / site.DEVICES).samefile(ENVS / DEVICES)


@pytest.mark.parametrize("config", [CONDA, ANACONDA, SKLEARN])
def test_configurations_agree_with_the_main_one(
    config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same project, commands and thresholds; the same folders, seen from envs/."""
    main, other = Config.load(ROOT / "asv.conf.json"), Config.load(ENVS / config)
    for key in (
        "project",
        "project_url",
        "branches",
        "dvcs",
        "build_command",
        "install_command",
        "uninstall_command",
        "build_cache_size",
        "conda_environment_file",
        "regressions_first_commits",
        "regressions_thresholds",
    ):
        assert getattr(other, key) == getattr(main, key), f"{config} and asv.conf.json: {key}"
    for key in ("repo", "benchmark_dir", "env_dir", "results_dir", "html_dir"):
        seen = os.path.normpath(ENVS / getattr(other, key))
        assert seen == os.path.normpath(ROOT / getattr(main, key)), f"{config}: {key}"
