"""Encoders by name: the built-in ones, and one in somebody else's package."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench_core.cli.commands.encode import command
from bench_core.errors import RidgebenchError, UnknownNameError, install_command
from encoders.registry import make, names, summaries

PACKAGE = '''
"""Somebody else's encoder, in a package of their own."""
import torch
from encoders.base import TorchEncoder
from encoders.protocol import InputSpec
from encoders.weights import random_info


class Means(TorchEncoder):
    name = "means"
    summary = "the mean of every colour"

    def __init__(self, weights=None, *, seed=0, device="cpu"):
        network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        super().__init__(
            network,
            input_spec=InputSpec("images", (8, 8)),
            preprocessing="0-1",
            weights=random_info(network),
            device=device,
        )

    def preprocess(self, frames):
        return torch.from_numpy(frames.pixels[:, 0]).permute(0, 3, 1, 2).float() / 255
'''


def test_without_torch_an_encoder_that_needs_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("vgg16", "vgg16_keras", "videogpt"):
        monkeypatch.delitem(sys.modules, f"encoders.plugins.{name}", raising=False)
    with pytest.raises(RidgebenchError) as error:
        make("vgg16")
    for word in ("vgg16", "torch", install_command("encoders")):
        assert word in str(error.value)
    assert make("motion-energy").name == "motion-energy"
    found = summaries()
    assert "torch" in found["videogpt"]
    assert found["motion-energy"] == type(make("motion-energy")).summary


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install, by its metadata, a package that declares the encoder ``means``."""
    folder = tmp_path / "site"
    information = folder / "means_encoder-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "means_encoder.py").write_text(PACKAGE)
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: means-encoder\nVersion: 1\n"
    )
    (information / "entry_points.txt").write_text(
        "[ridgebench.encoders]\nmeans = means_encoder:Means\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_built_in_encoders_are_listed() -> None:
    assert {"vgg16", "vgg16-keras"} <= set(names())
    with pytest.raises(UnknownNameError, match="'vgg16', 'vgg16-keras'"):
        make("vgg61")


def test_listing_imports_no_encoder() -> None:
    code = "import sys, encoders.registry as r; r.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_encoder_of_another_package_works_by_name(third_party: Path, tmp_path: Path) -> None:
    import numpy as np
    from tiny_encoder import video

    from encoders.encode import encode
    from encoders.store import FeatureStore

    assert "means" in names()
    path = video(tmp_path / "x.mp4", np.arange(30) / 10)
    (found,) = encode({"x": path}, make("means"), ["1"], FeatureStore(tmp_path / "f"), tr=0.5)
    assert found.features.encoder == "means"
    assert found.features.shape == (6, 3)


@pytest.mark.parametrize("listed", ["encoders", "layers"])
def test_the_command_lists_another_package_s_encoder(third_party: Path, listed: str) -> None:
    options = ["--list"] if listed == "encoders" else ["--list", "--encoder", "means"]
    found = CliRunner().invoke(command, options, catch_exceptions=False).stdout
    assert "the mean of every colour" in found
    assert ("vgg16-keras" in found) == (listed == "encoders")
    assert ("images of 8 x 8 pixels" in found) == (listed == "layers")
