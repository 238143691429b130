"""A film that cannot be encoded does not end the others, and leaves nothing behind."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: encoders)")

from bench_core.errors import InputError
from encoders.encode import encode
from encoders.reducers import parse
from encoders.registry import make
from encoders.store import FeatureStore
from encoders.synthetic import numbered, write_video


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return two films, and between them one that is cut off and one that is none."""
    folder = tmp_path_factory.mktemp("films")
    names = ("a", "cut", "none", "z")
    paths = {name: folder / f"{name}.mkv" for name in names}
    for name in ("a", "z"):
        write_video(paths[name], map(numbered, range(30)), [k / 10 for k in range(30)])
    paths["cut"].write_bytes(paths["a"].read_bytes()[:400])
    paths["none"].write_text("no film")
    return paths


def encoder() -> Any:
    return make("vgg16", widths=(2, 2, 2, 2, 2), hidden=16, classes=3, size=32)


def test_the_others_are_stored_and_the_refused_are_named(
    films: dict[str, Path], tmp_path: Path
) -> None:
    refused: dict[str, InputError] = {}
    found = encode(
        films, encoder(), ["fc2"], FeatureStore(tmp_path), tr=0.5, on_refused=refused.__setitem__
    )
    assert [each.features.run for each in found] == ["a", "z"]
    assert set(refused) == {"cut", "none"}
    assert all(isinstance(error, InputError) for error in refused.values())
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".h5", ".h5"]


def test_without_a_listener_the_first_refusal_is_raised(
    films: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"cut\.mkv"):
        encode(films, encoder(), ["fc2"], FeatureStore(tmp_path), tr=0.5)


def test_a_refused_film_leaves_no_partial_file(
    films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(*arguments: Any, **options: Any) -> Any:
        yield from ()
        raise InputError("a.mkv: a frame is damaged")

    monkeypatch.setattr("encoders.encode.batches", spoilt)
    with pytest.raises(InputError, match="damaged"):
        encode({"a": films["a"]}, encoder(), ["fc2"], FeatureStore(tmp_path), tr=0.5)
    assert list(tmp_path.iterdir()) == []


def test_films_beside_the_training_runs_may_be_refused(
    films: dict[str, Path], tmp_path: Path
) -> None:
    refused: dict[str, InputError] = {}
    options: dict[str, Any] = {"tr": 0.5, "reducers": parse("pool,pca=1"), "training": ["a"]}
    found = encode(
        films,
        encoder(),
        ["block1_pool"],
        FeatureStore(tmp_path),
        on_refused=refused.__setitem__,
        **options,
    )
    assert [each.features.run for each in found] == ["a", "z"]
    assert set(refused) == {"cut", "none"}
    options["training"] = ["cut"]
    with pytest.raises(InputError, match=r"cut\.mkv"):
        encode(
            films,
            encoder(),
            ["block1_pool"],
            FeatureStore(tmp_path),
            on_refused=lambda *_: None,
            **options,
        )


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_stored_features_follow_the_umask(
    films: dict[str, Path], tmp_path: Path, mask: int
) -> None:
    before = os.umask(mask)
    try:
        options: dict[str, Any] = {"tr": 0.5, "reducers": parse("pool,pca=1"), "training": ["a"]}
        store = FeatureStore(tmp_path / "store")
        encode({"a": films["a"]}, encoder(), ["block1_pool"], store, **options)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").iterdir()}
    assert modes == {0o666 & ~mask}
