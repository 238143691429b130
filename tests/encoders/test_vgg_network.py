"""VGG16's sizes, names and arithmetic, against the thesis's table 3.4 and written-out formulas."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench_core.errors import InputError
from encoders.protocol import Frames
from encoders.registry import make
from encoders.vgg.network import KERAS_LAYERS, VGG16, flops, initialise

# Thesis table 3.4: convolutions by block and number, then the fully connected layers.
TABLE_3_4 = {
    "features.0": 1_792,
    "features.2": 36_928,
    "features.5": 73_856,
    "features.7": 147_584,
    "features.10": 295_168,
    "features.12": 590_080,
    "features.14": 590_080,
    "features.17": 1_180_160,
    "features.19": 2_359_808,
    "features.21": 2_359_808,
    "features.24": 2_359_808,
    "features.26": 2_359_808,
    "features.28": 2_359_808,
    "classifier.0": 102_764_544,
    "classifier.3": 16_781_312,
    "classifier.6": 4_097_000,
}
SMALL = {"widths": (4, 6, 8, 8, 10), "hidden": 24, "classes": 7, "size": 64}


@pytest.fixture(scope="module")
def published() -> VGG16:
    with torch.device("meta"):
        return VGG16()


def test_parameters_are_those_of_the_published_network(published: VGG16) -> None:
    state = published.state_dict()
    counts: dict[str, int] = {}
    for name, tensor in state.items():
        module = name.rpartition(".")[0]
        counts[module] = counts.get(module, 0) + tensor.numel()
    assert counts == TABLE_3_4
    assert sum(counts.values()) == 138_357_544
    # torchvision's names, in torchvision's order.
    assert list(state) == [
        f"{module}.{kind}" for module in TABLE_3_4 for kind in ("weight", "bias")
    ]
    assert state["features.28.weight"].shape == (512, 512, 3, 3)
    assert state["classifier.0.weight"].shape == (4096, 25_088)


def test_one_frame_is_30_9_gflop(published: VGG16) -> None:
    # Counted from the outputs of every convolution and matrix, not from the formula under test.
    total = 0

    def count(module, _inputs, output) -> None:
        nonlocal total
        total += 2 * output.numel() * module.weight[0].numel()

    for module in published.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    published(torch.empty(1, 3, 224, 224, device="meta"))
    assert flops(published, 224, 224) == total
    assert round(total / 1e9, 1) == 30.9


def test_layers_of_the_published_network_have_keras_sizes(published: VGG16) -> None:
    shapes = {}
    for name, module in KERAS_LAYERS.items():
        published.get_submodule(module).register_forward_hook(
            lambda _m, _i, output, name=name: shapes.update({name: tuple(output.shape[1:])})
        )
    published(torch.empty(1, 3, 224, 224, device="meta"))
    assert shapes["block1_conv1"] == (64, 224, 224)
    assert shapes["block3_conv3"] == (256, 56, 56)
    assert shapes["block3_pool"] == (256, 28, 28)
    assert shapes["block5_pool"] == (512, 7, 7)
    assert shapes["fc1"] == shapes["fc2"] == shapes["fc2_before_relu"] == (4096,)
    assert len(KERAS_LAYERS) == 13 + 5 + 4


@pytest.mark.parametrize("name", ["vgg16", "vgg16-keras"])
def test_every_layer_is_what_the_formulas_give(name: str) -> None:
    encoder = make(name, **SMALL)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 70, 90, 3), dtype=np.uint8)
    x = batch = encoder.preprocess(Frames(pixels, np.zeros((2, 1))))
    assert batch.shape == (2, 3, 64, 64)
    state = encoder.network.state_dict()
    expected = {}
    modules = iter(TABLE_3_4)
    for block, convolutions in enumerate((2, 2, 3, 3, 3), start=1):
        for number in range(1, convolutions + 1):
            module = next(modules)
            weight, bias = state[f"{module}.weight"], state[f"{module}.bias"]
            x = functional.conv2d(x, weight, bias, padding=1).relu()
            expected[f"block{block}_conv{number}"] = x
        x = expected[f"block{block}_pool"] = functional.max_pool2d(x, 2)
    x = x.contiguous().reshape(2, -1)
    for layer in ("fc1", "fc2"):
        module = next(modules)
        x = x @ state[f"{module}.weight"].T + state[f"{module}.bias"]
        expected[f"{layer}_before_relu"], x = x, x.relu()
        expected[layer] = x
    assert expected.keys() == KERAS_LAYERS.keys()
    found = encoder.extract(batch, list(expected))
    for layer, values in expected.items():
        torch.testing.assert_close(found[layer].contiguous(), values.contiguous(), msg=layer)
    assert (found["fc2_before_relu"] < 0).any()
    assert (found["fc2"] >= 0).all()


def test_random_weights_are_seeded_and_say_so() -> None:
    one, same, other = (make("vgg16", seed=seed, **SMALL) for seed in (1, 1, 2))
    assert one.weights == same.weights != other.weights
    assert not one.weights.trained
    assert "untrained" in str(one.weights)
    assert one.channel_axis("block5_pool") == 1


def test_random_weights_keep_the_variance_of_features() -> None:
    network = VGG16((32,) * 5, hidden=256, classes=10, final=2)
    initialise(network, 0)
    with torch.inference_mode():
        scores = network.eval()(torch.randn(8, 3, 64, 64))
    assert 0.1 < scores.std() < 10


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(InputError, match="multiple of 32"):
        make("vgg16", size=100)
