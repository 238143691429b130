"""Files that Keras itself writes, and the features that Keras itself computes."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from bench_core.errors import InputError
from encoders.protocol import Frames
from encoders.registry import make

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="Keras makes the files that these tests read")

pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning:keras")
BLOCKS = (2, 2, 3, 3, 3)
SIZES = {"widths": (3, 4, 5, 6, 7), "hidden": 12, "classes": 5, "size": 64}
FILES = ["x.weights.h5", "model.h5", "layers.h5"]


def keras_vgg(named: bool = True):
    """Return VGG16 of `SIZES`, layer by layer as in keras.applications, at random."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = images = keras.Input((SIZES["size"], SIZES["size"], 3))

    def name(text: str) -> dict[str, str]:
        return {"name": text} if named else {}

    for block, (count, width) in enumerate(zip(BLOCKS, SIZES["widths"], strict=True), start=1):
        for number in range(1, count + 1):
            x = layers.Conv2D(
                width,
                3,
                activation="relu",
                padding="same",
                kernel_initializer="he_normal",
                bias_initializer="random_normal",
                **name(f"block{block}_conv{number}"),
            )(x)
        x = layers.MaxPooling2D(2, strides=2, **name(f"block{block}_pool"))(x)
    x = layers.Flatten(**name("flatten"))(x)
    fc1 = layers.Dense(SIZES["hidden"], "relu", bias_initializer="random_normal", **name("fc1"))(x)
    fc2 = layers.Dense(SIZES["hidden"], "relu", bias_initializer="random_normal", **name("fc2"))
    fc2_output = fc2(fc1)
    scores = layers.Dense(SIZES["classes"], "softmax", **name("predictions"))(fc2_output)
    return keras.Model(images, scores), keras.Model(images, [fc1, fc2_output])


def save(model, path: Path) -> Path:
    if path.name == "layers.h5":
        legacy(model, path)
    else:
        (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)
    return path


def legacy(model, path: Path) -> None:
    """Write the weights alone, as Keras 1 and 2 did and keras.applications publishes them."""
    legacy_format = pytest.importorskip("keras.src.legacy.saving.legacy_h5_format")
    with h5py.File(path, "w") as file:
        legacy_format.save_weights_to_hdf5_group(file, model)


def pixels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, 50, 70, 3), dtype=np.uint8)


def as_keras_prepares(frames: np.ndarray, size: int) -> np.ndarray:
    """Return frames through Keras's own loader and preprocess_input."""
    image = pytest.importorskip("PIL.Image", reason="Keras loads images with Pillow")
    resample = image.Resampling.NEAREST
    resized = [image.fromarray(each).resize((size, size), resample) for each in frames]
    stacked = np.stack([keras.utils.img_to_array(each) for each in resized])
    return keras.applications.vgg16.preprocess_input(stacked)


@pytest.mark.parametrize("name", FILES)
def test_features_are_those_that_keras_computes(name: str, tmp_path: Path) -> None:
    model, features = keras_vgg()
    encoder = make("vgg16-keras", save(model, tmp_path / name), **SIZES)
    frames = pixels()
    fc1, fc2 = (output.detach().cpu().numpy() for output in features(as_keras_prepares(frames, 64)))
    batch = encoder.preprocess(Frames(frames[:, None], np.zeros((2, 1))))
    found = encoder.extract(batch, ["fc1", "fc2", "fc2_before_relu"])
    assert (fc2 > 0).any()
    for expected, layer in ((fc1, "fc1"), (fc2, "fc2")):
        error = np.linalg.norm(found[layer].numpy() - expected) / np.linalg.norm(expected)
        assert error < 1e-4
    torch.testing.assert_close(found["fc2_before_relu"].relu(), found["fc2"])
    assert encoder.weights.trained


def test_layers_that_were_never_named_are_read_in_order(tmp_path: Path) -> None:
    keras.backend.clear_session()
    named, plain = keras_vgg()[0], keras_vgg(named=False)[0]
    plain.set_weights(named.get_weights())
    states = []
    for model, file in ((named, "a.weights.h5"), (plain, "b.weights.h5")):
        encoder = make("vgg16-keras", save(model, tmp_path / file), **SIZES)
        states.append(encoder.network.state_dict())
    with h5py.File(tmp_path / "b.weights.h5") as file:
        assert "conv2d_12" in file["layers"]
    for key, tensor in states[0].items():
        assert torch.equal(states[1][key], tensor), key


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.98])
def test_a_file_cut_short_is_named(name: str, kept: float, tmp_path: Path) -> None:
    path = save(keras_vgg()[0], tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=name):
        make("vgg16-keras", path, **SIZES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 13}, r"fc1 kernel.* \(28, 12\).* \(28, 13\)"),
        ({"widths": (3, 4, 5, 6, 8)}, r"block5_conv1 kernel.* \(3, 3, 6, 7\)"),
        ({"size": 32}, r"fc1 kernel.* \(28, 12\).* \(7, 12\)"),
    ],
)
def test_another_shape_names_layer_and_shapes(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = save(keras_vgg()[0], tmp_path / "x.weights.h5")
    with pytest.raises(InputError, match=message):
        make("vgg16-keras", path, **{**SIZES, **change})


def test_a_file_without_the_last_layers_says_what_it_lacks(tmp_path: Path) -> None:
    path = save(keras_vgg()[0], tmp_path / "layers.h5")
    with h5py.File(path, "a") as file:
        del file["fc2"]
    with pytest.raises(InputError, match=r"layers.h5.*'fc2'"):
        make("vgg16-keras", path, **SIZES)
    with h5py.File(save(keras_vgg()[0], path), "a") as file:
        file["block1_conv1/second"] = np.zeros((3, 3, 3, 3))
    with pytest.raises(InputError, match=r"'block1_conv1' has .*\(3, 3, 3, 3\)"):
        make("vgg16-keras", path, **SIZES)


@pytest.mark.slow
def test_the_published_size(tmp_path: Path) -> None:
    """The 553 MB file of keras.applications.VGG16, at random, and its fc2."""
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None)
    path = tmp_path / "vgg16.weights.h5"
    model.save_weights(path)
    frames = pixels()[:1]
    truth = keras.Model(model.input, model.get_layer("fc2").output)
    with torch.inference_mode():
        expected = truth(as_keras_prepares(frames, 224)).cpu().numpy()
    del model, truth
    encoder = make("vgg16-keras", path)
    path.unlink()
    batch = encoder.preprocess(Frames(frames[:, None], np.zeros((1, 1))))
    found = encoder.extract(batch, ["fc2"])["fc2"].numpy()
    assert sum(p.numel() for p in encoder.network.parameters()) == 138_357_544
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)
