"""Environments and models of a sweep: what is there is taken, what cannot be had is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from bench_core.cli.parameters import Counts, Duration, Words
from bench_core.errors import RidgebenchError
from bench_core.own_problem.environments import (
    BlasEnvironment,
    EnvironmentNotBuiltError,
    build_environment,
    prepare,
    show_folders,
)
from bench_core.own_problem.model import find_model
from bench_core.records import codec
from bench_core.scaling.calibration import read_calibration


def _refuse(name: str, folder: Path) -> BlasEnvironment:
    raise EnvironmentNotBuiltError(f"{name}: pip install numpy: no registry")


def _built(name: str, folder: Path) -> BlasEnvironment:
    return BlasEnvironment(name, str(folder / name), "built")


def test_this_environment_serves_for_its_own_blas(tmp_path: Path) -> None:
    said: list[str] = []
    found, lines = prepare(
        ("openblas", "mkl"), tmp_path, current="openblas", say=said.append, build=_built
    )
    assert [(one.blas, one.python) for one in found] == [
        ("openblas", sys.executable),
        ("mkl", str(tmp_path / "mkl")),
    ]
    assert lines == []
    assert len({one.name for one in found}) == 2


def test_what_cannot_be_built_is_said_and_the_rest_measured(tmp_path: Path) -> None:
    found, lines = prepare(
        ("openblas", "mkl"), tmp_path, current="openblas", say=print, build=_refuse
    )
    assert [one.blas for one in found] == ["openblas"]
    (line,) = lines
    assert "mkl" in line
    assert "no registry" in line


def test_without_any_this_environment_is_measured_as_it_is(tmp_path: Path) -> None:
    found, lines = prepare(("mkl",), tmp_path, current="openblas", say=print, build=_refuse)
    assert [(one.blas, one.python) for one in found] == [("openblas", sys.executable)]
    assert len(lines) == 2


def test_without_a_registry_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(EnvironmentNotBuiltError) as caught:
        build_environment("openblas", tmp_path / "environments")
    assert "numpy" in str(caught.value)
    assert list((tmp_path / "environments").iterdir()) == []


def test_an_environment_sees_the_packages_behind_its_own(tmp_path: Path) -> None:
    place, behind = tmp_path / "env", tmp_path / "behind"
    behind.mkdir()
    (behind / "only_there.py").write_text("")
    (behind / "both.py").write_text("where = 'behind'")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    show_folders(place, [str(behind)])
    (own,) = place.glob("lib/python*/site-packages")
    (own / "both.py").write_text("where = 'own'")
    code = "import only_there, both; print(both.where)"
    done = subprocess.run(
        [place / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "own"


OPENBLAS = BlasEnvironment("openblas", "python", "a test's")
CORES = read_calibration("xeon-6130-openblas").machine.cores


def _made(environment: BlasEnvironment, path: Path) -> None:
    codec.write(read_calibration("xeon-6130-openblas"), path)


def test_a_calibration_of_this_machine_and_blas_is_taken(tmp_path: Path) -> None:
    folders = {"known": tmp_path / "known", "quick": tmp_path / "quick"}
    codec.write(read_calibration("xeon-6130-mkl"), folders["known"] / "mkl.json")
    codec.write(read_calibration("xeon-6130-openblas"), folders["known"] / "openblas.json")
    found = find_model(OPENBLAS, cores=CORES, limit_s=0, **folders)
    assert found.trusted
    assert found.calibration.blas.name == "openblas"
    # That of another machine does not count.
    other = find_model(OPENBLAS, cores=CORES + 1, limit_s=0, **folders)
    assert not other.trusted


def test_without_one_a_quick_one_is_made_once(tmp_path: Path) -> None:
    asked = []

    def make(environment: BlasEnvironment, path: Path) -> None:
        asked.append(environment.label)
        _made(environment, path)

    for _ in range(2):
        found = find_model(
            OPENBLAS,
            known=tmp_path / "known",
            quick=tmp_path / "quick",
            cores=CORES,
            limit_s=60,
            make=make,
        )
        assert found.trusted
        assert "quick" in found.note
    assert asked == ["openblas"]


def test_without_any_nothing_is_ruled_out_and_that_is_said(tmp_path: Path) -> None:
    def make(environment: BlasEnvironment, path: Path) -> None:
        raise RidgebenchError("no luck")

    found = find_model(
        OPENBLAS,
        known=tmp_path / "known",
        quick=tmp_path / "quick",
        cores=CORES,
        limit_s=60,
        make=make,
    )
    assert not found.trusted
    assert "no luck" in found.note


def test_values_of_options() -> None:
    assert Counts().convert("1,2,2,4", None, None) == (1, 2, 4)
    assert Words().convert("openblas, mkl", None, None) == ("openblas", "mkl")
    assert [Duration().convert(one, None, None) for one in ("90", "90s", "1.5min", "2h")] == [
        90.0,
        90.0,
        90.0,
        7200.0,
    ]


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Counts(), "1,x"), (Counts(), "0"), (Words(), ","), (Duration(), "soon"), (Duration(), "0")],
)
def test_wrong_values_are_refused(kind: click.ParamType, text: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)
