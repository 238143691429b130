"""Files of features, clips and training have the permissions that the user's umask grants."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, sys
os.umask(int(sys.argv[2], 8))
from pathlib import Path
import numpy as np
import torch
from encoders.encode import encode
from encoders.registry import make
from encoders.reducers import parse
from encoders.store import FeatureStore
from encoders.synthetic import numbered, write_video
from encoders.videogpt import preset
from encoders.videogpt.clips.export import export_run
from encoders.videogpt.clips.store import ClipStore, Stretch, write_run
from encoders.videogpt.media import write_comparison
from encoders.videogpt.training.runs import Data, train_gpt, train_vqvae
from encoders.videogpt.training.settings import TrainSettings

torch.set_num_threads(1)
folder = Path(sys.argv[1])
write_video(folder / "run-1.mkv", (numbered(i) for i in range(40)), np.arange(40) / 10)
small = dict(widths=(2, 2, 2, 2, 2), hidden=4, classes=3, size=32)
encode(
    {"run-1": folder / "run-1.mkv"}, make("vgg16", **small), ["fc2"],
    FeatureStore(folder / "features"), tr=0.5, reducers=parse("pca=2"), training=["run-1"],
)
frames = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
write_run(folder / "clips", "run-1", [Stretch(frames, np.arange(40) / 10)], subject="s", source="")
store = ClipStore(folder / "clips")
export_run(store, "run-1", folder / "exported" / "run-1.mkv")
write_comparison(folder / "pictures", "both", [frames[:4], frames[4:8]], 10)
config, settings = preset("tiny", layers=1), TrainSettings(steps=1, batch_size=1)
vqvae = train_vqvae(Data(store), config, settings, folder=folder / "vqvae").model
train_gpt(
    Data(store), vqvae, config, settings, folder=folder / "gpt", cache=folder / "clips" / "codes"
)
"""


@pytest.mark.parametrize(("umask", "mode"), [("077", 0o600), ("022", 0o644)])
def test_files_and_folders_follow_the_umask(umask: str, mode: int, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    tmp_path.chmod(0o755)
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), umask], check=True, cwd=root, timeout=300
    )
    found = {str(p.relative_to(tmp_path)): p for p in tmp_path.rglob("*")}
    files = {name: path.stat().st_mode & 0o777 for name, path in found.items() if path.is_file()}
    assert set(files.values()) == {mode}, files
    folders = {name: p.stat().st_mode & 0o777 for name, p in found.items() if p.is_dir()}
    assert set(folders.values()) == {mode | (mode & 0o444) >> 2}, folders
    suffixes = {path.suffix for path in found.values()}
    assert suffixes >= {".h5", ".fitted", ".pt", ".csv", ".mkv", ".mp4", ".png"}
    assert not [name for name in found if "partial" in name]
