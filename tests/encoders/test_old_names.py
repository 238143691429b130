"""Names that the documentation had before: they work, with a warning."""

import pytest
import torch
from tiny_encoder import Net, Tiny

from encoders import protocol
from encoders.base import TorchEncoder
from encoders.protocol import InputSpec
from encoders.videogpt.clips import subsets
from encoders.weights import random_info


def test_renamed_functions_and_classes() -> None:
    with pytest.warns(DeprecationWarning, match="InputSpec"):
        assert protocol.Takes is InputSpec
    with pytest.warns(DeprecationWarning, match="draw_subset"):
        assert subsets.draw is subsets.draw_subset


def test_an_encoder_written_for_the_old_argument() -> None:
    class Old(TorchEncoder):
        name = summary = "old"

        def __init__(self) -> None:
            network, spec = Net(), InputSpec("images", (8, 16))
            weights = random_info(network)
            super().__init__(network, takes=spec, preprocessing="none", weights=weights)

        def preprocess(self, frames: protocol.Frames) -> torch.Tensor:
            return torch.zeros(len(frames), 3, 8, 16)

    with pytest.warns(DeprecationWarning, match="input_spec"):
        encoder = Old()
    assert encoder.input_spec == InputSpec("images", (8, 16))
    with pytest.warns(DeprecationWarning, match="input_spec"):
        assert Tiny().takes == InputSpec("images", (8, 16))
