"""Files of features, clips and training have the permissions that the user's umask grants."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from encoders.encode import encode
from encoders.reducers import parse
from encoders.registry import make
from encoders.store import FeatureStore
from encoders.synthetic import numbered, write_video
from encoders.videogpt import preset
from encoders.videogpt.clips.export import export_run
from encoders.videogpt.clips.store import ClipStore, Stretch, write_run
from encoders.videogpt.media import write_comparison
from encoders.videogpt.training.runs import Data, train_gpt, train_vqvae
from encoders.videogpt.training.settings import TrainSettings


@contextmanager
def umask_of(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def write_all(folder: Path) -> None:
    write_video(folder / "run-1.mkv", (numbered(i) for i in range(40)), np.arange(40) / 10)
    small = {"widths": (2, 2, 2, 2, 2), "hidden": 4, "classes": 3, "size": 32}
    encode(
        {"run-1": folder / "run-1.mkv"}, make("vgg16", **small), ["fc2"],
        FeatureStore(folder / "features"), tr=0.5, reducers=parse("pca=2"), training=["run-1"],
    )  # fmt: skip
    frames = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    stretch = Stretch(frames, np.arange(40) / 10)
    write_run(folder / "clips", "run-1", [stretch], subject="s", source="")
    store = ClipStore(folder / "clips")
    export_run(store, "run-1", folder / "exported" / "run-1.mkv")
    write_comparison(folder / "pictures", "both", [frames[:4], frames[4:8]], 10)
    config, settings = preset("tiny", layers=1), TrainSettings(steps=1, batch_size=1)
    vqvae = train_vqvae(Data(store), config, settings, folder=folder / "vqvae").model
    train_gpt(
        Data(store), vqvae, config, settings, folder=folder / "gpt",
        cache=folder / "clips" / "codes",
    )  # fmt: skip
    store.close()


@pytest.mark.parametrize(("umask", "mode"), [("077", 0o600), ("022", 0o644)])
def test_files_and_folders_follow_the_umask(umask: str, mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with umask_of(int(umask, 8)):
        write_all(tmp_path)
    found = {str(p.relative_to(tmp_path)): p for p in tmp_path.rglob("*")}
    files = {name: path.stat().st_mode & 0o777 for name, path in found.items() if path.is_file()}
    assert set(files.values()) == {mode}, files
    folders = {name: p.stat().st_mode & 0o777 for name, p in found.items() if p.is_dir()}
    assert set(folders.values()) == {mode | (mode & 0o444) >> 2}, folders
    suffixes = {path.suffix for path in found.values()}
    assert suffixes >= {".h5", ".fitted", ".pt", ".csv", ".mkv", ".mp4", ".png"}
    assert not [name for name in found if "partial" in name]
