"""Plug-ins of other packages are found when they are installed, and gone when they are not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bench_core import plugins
from bench_core.errors import UnknownNameError
from bench_core.plugins import Registry

REGISTRY = Registry("BLAS", "bench_core.blas.libraries", "LIBRARY", group="ridgebench.tests")


def install(site: Path, name: str, target: str) -> Path:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ridgebench.tests]\n{name} = {target}\n")
    # Folders of one test may be made and changed within one tick of the file system's clock.
    os.utime(site, ns=(0, len(list(site.iterdir()))))
    return info


def test_what_is_installed_later_is_found_and_what_is_removed_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownNameError):
        REGISTRY.get("first")
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "first", "math:pi")
    assert REGISTRY.get("first") == pytest.approx(3.14159, abs=1e-5)
    second = install(tmp_path, "second", "math:e")
    assert {"first", "second", "openblas"} <= set(REGISTRY.names())
    shutil.rmtree(second)
    os.utime(tmp_path, ns=(0, 0))
    with pytest.raises(UnknownNameError):
        REGISTRY.get("second")


def test_a_folder_by_a_relative_path_is_that_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, target in ((here, "math:pi"), (there, "math:e")):
        folder.mkdir()
        install(folder, "mine", target)
        os.utime(folder, ns=(0, 0))
    monkeypatch.syspath_prepend("")
    found = []
    for folder in (here, there):
        monkeypatch.chdir(folder)
        found.append(REGISTRY.get("mine"))
    assert found == [pytest.approx(3.14159, abs=1e-5), pytest.approx(2.71828, abs=1e-5)]


def test_packages_are_read_once_while_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = plugins.entry_points

    def entry_points(*, group: str) -> object:
        read.append(group)
        return real(group=group)

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "entry_points", entry_points)
    install(tmp_path, "once", "math:tau")
    for _ in range(3):
        REGISTRY.get("once")
    assert read == ["ridgebench.tests"]
