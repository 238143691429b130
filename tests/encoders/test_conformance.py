"""`check_encoder`: the own encoders pass, and each planted fault fails the check named for it."""

import importlib.util
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench_core.errors import ConformanceError, InputError
from encoders import check_encoder
from encoders.base import TorchEncoder
from encoders.conformance import CHECKS
from encoders.protocol import InputSpec, WeightsInfo
from encoders.registry import ENCODERS
from encoders.weights import random_info

SMALL = {"widths": (2, 3, 4, 5, 6), "hidden": 8, "classes": 3, "size": 32}


class Good(TorchEncoder):
    """A small encoder that meets the protocol; each fault below is one change to it."""

    name = "good"
    summary = "a convolution and a matrix"
    spec = InputSpec("images", (8, 8))

    def __init__(self, weights=None, *, seed=0, device="cpu"):
        torch.manual_seed(seed)
        network = self.network_of()
        super().__init__(
            network,
            input_spec=self.spec,
            preprocessing="8 x 8 nearest pixels, 0-1",
            weights=self.weights_of(network),
            device=device,
        )

    def network_of(self):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)
        )

    def weights_of(self, network):
        return random_info(network)

    def preprocess(self, frames):
        self.input_spec.check(frames)
        height, width = frames.pixels.shape[2:4]
        small = frames.pixels[:, 0, :: height // 8, :: width // 8][:, :8, :8]
        return torch.from_numpy(small.astype(np.float32)).permute(0, 3, 1, 2) / 255


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vgg16", SMALL),
        ("vgg16-keras", SMALL),
        ("vgg16-keras", {**SMALL, "interpolation": "bilinear"}),
        ("videogpt", {"preset": "tiny"}),
        ("videogpt", {"preset": "tiny", "attention": "reference"}),
        ("motion-energy", {"tr": 0.5, "size": 32, "spatial_frequencies": (0, 4, 8)}),
    ],
)
def test_the_project_s_encoders_conform(name: str, options: dict) -> None:
    check_encoder(partial(ENCODERS.get(name), **options))
    check_encoder(ENCODERS.get(name)(**options))


def test_the_example_s_encoder_conforms(tmp_path: Path) -> None:
    path = tmp_path / "bars.py"
    path.write_text(files("bench_core.brain").joinpath("bars_encoder.py.txt").read_text())
    spec = importlib.util.spec_from_file_location("bars", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    check_encoder(module.Bars)


def test_every_layer_of_an_encoder_can_be_checked() -> None:
    check_encoder(Good, layers=["0", "1", "2", "3", "4"])
    encoder = ENCODERS.get("videogpt")(preset="tiny", attention="reference")
    check_encoder(encoder, layers=["features", "attn_stack.attn_nets.0.attn.attn.softmax"])


class NoSummary(Good):
    summary = ""


class OldAttribute(Good):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.input_spec = (8, 8)


class BadDigest(Good):
    def weights_of(self, network):
        return WeightsInfo("random", "seed 0", trained=False)


class LayersTwice(Good):
    def layers(self):
        return [*super().layers(), "0"]


class ChangesFrames(Good):
    def preprocess(self, frames):
        batch = super().preprocess(frames)
        frames.pixels[:] = 0
        return batch


class StandardisesOverBatch(Good):
    def preprocess(self, frames):
        batch = super().preprocess(frames)
        return batch - batch.mean()


class KeepsFrameSize(Good):
    def network_of(self):
        return nn.Sequential(nn.Conv2d(3, 4, 3))

    def preprocess(self, frames):
        self.input_spec.check(frames)
        return torch.from_numpy(frames.pixels[:, 0]).permute(0, 3, 1, 2).float()


class IgnoresFrameCount(Good):
    def preprocess(self, frames):
        return torch.from_numpy(frames.pixels[:, 0, :8, :8].astype(np.float32)).permute(0, 3, 1, 2)


class AnyChannelAxis(Good):
    def channel_axis(self, layer):
        return 1


class KeyErrorForLayer(Good):
    def extract(self, batch, layers):
        if any(layer not in self.layers() for layer in layers):
            raise KeyError(layers)
        return super().extract(batch, layers)


class SumsSamples(Good):
    def extract(self, batch, layers):
        return {k: v.sum(0, keepdim=True) for k, v in super().extract(batch, layers).items()}


class Integers(Good):
    def extract(self, batch, layers):
        return {k: (100 * v).long() for k, v in super().extract(batch, layers).items()}


class NotFinite(Good):
    def network_of(self):
        network = super().network_of()
        nn.init.constant_(network[4].bias, float("nan"))
        return network


class ChannelAxisZero(Good):
    def channel_axis(self, layer):
        return super().channel_axis(layer) - 1


class TrainingMode(Good):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.network.train()


class Dropout(Good):
    def network_of(self):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5))

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.network.train()


class InPlace(Good):
    """Does not clone: the ReLU changes the convolution's output when it runs in the same pass."""

    def network_of(self):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))

    def extract(self, batch, layers):
        super().extract(batch, layers)  # for its errors
        found = {"0": self.network[0](batch)}
        if "1" in layers:
            found["1"] = self.network[1](found["0"])
        return {layer: found[layer] for layer in layers}


class NoForward(Good):
    def forward(self, batch):
        raise NotImplementedError


class SeedIgnoredInDigest(Good):
    def weights_of(self, network):
        return WeightsInfo("random", "0" * 64, trained=False)


class Unseeded(Good):
    def __init__(self, weights=None, *, seed=0, device="cpu"):
        super().__init__(seed=int(torch.empty(1).random_()))


class NeedsWeights(Good):
    def __init__(self, weights, *, seed=0, device="cpu"):
        raise InputError("no weights")


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (NeedsWeights, "factory"),
        (NoSummary, "attributes"),
        (OldAttribute, "input_spec"),
        (BadDigest, "weights"),
        (LayersTwice, "layers"),
        (ChangesFrames, "preprocess"),
        (StandardisesOverBatch, "preprocess"),
        (KeepsFrameSize, "frame_size"),
        (IgnoresFrameCount, "input_errors"),
        (AnyChannelAxis, "layer_errors"),
        (KeyErrorForLayer, "layer_errors"),
        (SumsSamples, "outputs"),
        (Integers, "dtype"),
        (NotFinite, "finite"),
        (ChannelAxisZero, "channel_axis"),
        (Dropout, "determinism"),
        (TrainingMode, "batches"),
        (InPlace, "one_pass"),
        (NoForward, "forward"),
        (SeedIgnoredInDigest, "seed"),
        (Unseeded, "seed"),
    ],
)
def test_a_fault_fails_the_check_named_for_it(fault: type[Good], check: str) -> None:
    with pytest.raises(ConformanceError, match=f"^{check}: "):
        check_encoder(fault)


def test_every_check_has_a_fault_that_fails_it() -> None:
    marks = test_a_fault_fails_the_check_named_for_it.pytestmark[0]
    assert {*CHECKS, "factory", "seed"} == {check for _, check in marks.args[1]}


def test_named_layers_must_have_an_output() -> None:
    with pytest.raises(ConformanceError, match=r"^outputs: .*'unknown'"):
        check_encoder(Good, layers=["unknown"])
    assert issubclass(ConformanceError, AssertionError)
