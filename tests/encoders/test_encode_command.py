"""`ridgebench encode`, on an encoder small enough for a test."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tiny_encoder import Tiny, irregular, video

from bench_core.cli.commands.encode import command
from bench_core.errors import InputError, UnknownNameError, install_command
from encoders import registry
from encoders.store import FeatureStore


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video(tmp_path_factory.mktemp("movie") / "movie.mp4", irregular(80))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    class Always:
        def get(self, name: str) -> type[Tiny]:
            if name != "tiny":
                raise UnknownNameError(name)
            return Tiny

    monkeypatch.setattr(registry, "ENCODERS", Always())


def run(*arguments: object) -> Result:
    options = ["--encoder", "tiny", "--tr", "0.5", *map(str, arguments)]
    return CliRunner().invoke(command, options)


def test_features_are_stored_once_and_said_to_be_untrained(movie: Path, tmp_path: Path) -> None:
    first = run(movie, "--layer", "head", "--layer", "conv", "--out", tmp_path)
    assert first.exit_code == 0, first.output
    assert first.stdout.count("untrained") == 4  # file names and remarks
    assert "UNTRAINED" in first.stderr
    assert "movie" in first.stderr  # the progress bar
    stored = FeatureStore(tmp_path).one("movie", "head")
    assert f"{stored.shape[0]} TRs x 2 features, {stored.shape[0]} computed" in first.stdout
    again = run(movie, "--layer", "head", "--layer", "conv", "--out", tmp_path)
    assert again.stdout.count("stored before") == 2


def test_reducers_and_training_runs(movie: Path, tmp_path: Path) -> None:
    other = video(tmp_path / "other.mp4", irregular(60, 1))
    found = run(
        movie, other, "--layer", "conv", "--reduce", "project=6,pca=2", "--train", "movie",
        "--dtype", "float16", "--out", tmp_path / "features",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    reduced = [
        each
        for each in FeatureStore(tmp_path / "features").find()
        if each.identity["reducers"][-1]["name"] == "pca"
    ]
    assert sorted(each.run for each in reduced) == ["movie", "other"]
    assert all(each.shape[1] == 2 and each.read().dtype == np.float16 for each in reduced)


def test_two_videos_of_one_name_are_refused(movie: Path, tmp_path: Path) -> None:
    found = run(movie, tmp_path / "movie.mkv", "--layer", "head", "--out", tmp_path)
    assert isinstance(found.exception, InputError)
    assert "'movie'" in str(found.exception)


def test_videos_and_folder_are_needed(movie: Path) -> None:
    for arguments in ([], [movie], ["--out", "somewhere"]):
        found = run(*arguments)
        assert found.exit_code == 2
        assert "--out" in found.output


def test_what_is_absent_is_named_with_its_extra(
    movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "av" else name)
    found = run(movie, "--layer", "head", "--out", tmp_path)
    assert f"av: {install_command('encoders')}" in str(found.exception)


def test_errors_are_one_line_without_a_traceback(tmp_path: Path) -> None:
    code = "import bench_core.cli as c; c.main()"
    found = subprocess.run(
        [sys.executable, "-c", code, "encode", "absent.mp4", "--out", str(tmp_path),
         "--reduce", "pcaa=3"],
        capture_output=True, text=True, env={**os.environ, "RIDGEBENCH_TRACEBACK": ""},
    )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr.startswith("ridgebench: ")
    assert found.stderr.count("\n") == 1
    assert "'pcaa'" in found.stderr
