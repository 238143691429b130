"""Preprocessing against Pillow, which torchvision's and Keras's loaders call."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core.errors import UnknownNameError
from encoders.protocol import Frames
from encoders.registry import make
from encoders.vgg import preprocessing

Image = pytest.importorskip("PIL.Image", reason="Pillow is the independent truth here")

SIZES = [(480, 640), (720, 1280), (101, 333), (1000, 300), (256, 256), (96, 128)]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a picture with both smooth parts and noise, so that every filter tap matters."""
    rng = np.random.default_rng(seed)
    y, x, colour = np.ogrid[:height, :width, :3]
    smooth = 127 + 80 * np.sin(x / 17) * np.cos(y / 11 + colour)
    return np.clip(smooth + rng.normal(0, 40, smooth.shape), 0, 255).astype(np.uint8)


def resized(pixels: np.ndarray, size: tuple[int, int], how: str) -> np.ndarray:
    images = preprocessing.as_images(pixels[None])
    return preprocessing.resize(images, size, how)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("shape", SIZES)
def test_bilinear_is_pillows_to_one_level(shape: tuple[int, int]) -> None:
    pixels = picture(*shape)
    size = preprocessing.shorter_side(*shape, 256)
    expected = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR)
    difference = resized(pixels, size, "bilinear").astype(int) - np.asarray(expected)
    # Torch rounds filter weights to 16 bits and Pillow to 22: now and then the next level.
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.002


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_bilinear_is_pillows_to_one_level_a_pass_at_any_size(
    height: int, width: int, to_height: int, to_width: int
) -> None:
    pixels = picture(height, width)
    size = (to_width, to_height)
    expected = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    difference = resized(pixels, size[::-1], "bilinear").astype(int) - expected
    # Rows, then columns, each rounded to bytes: a level that the first pass is off by stays at most
    # one in the second, whose weights add up to 1, and its own rounding may add another.
    assert np.abs(difference).max() <= 2
    assert np.mean(np.abs(difference) > 1) < 0.001


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_nearest_is_pillows(height: int, width: int, to_height: int, to_width: int) -> None:
    pixels = np.arange(height * width * 3).reshape(height, width, 3).astype(np.uint8)
    pixels[..., 1] = np.arange(width)
    pixels[..., 2] = np.arange(height)[:, None]
    expected = Image.fromarray(pixels).resize((to_width, to_height), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(
        resized(pixels, (to_height, to_width), "nearest"), np.asarray(expected)
    )


@pytest.mark.parametrize("shape", SIZES)
def test_vgg16_follows_torchvisions_preset(shape: tuple[int, int]) -> None:
    pixels = picture(*shape)
    height, width = shape
    # Resize(256), CenterCrop(224), ToTensor, Normalize, written out with Pillow and numpy.
    short = min(height, width)
    size = (int(256 * width / short), int(256 * height / short))
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - 224) / 2.0), round((size[1] - 224) / 2.0)
    cropped = np.asarray(image.crop((left, top, left + 224, top + 224))) / 255.0
    expected = (cropped - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    found = preprocessing.torchvision_style(pixels[None])[0].permute(1, 2, 0).numpy()
    assert found.shape == (224, 224, 3)
    # One level of 255 is at most 0.0176 after normalisation.
    np.testing.assert_allclose(found, expected, atol=0.018)
    assert abs((found - expected).mean()) < 2e-4


@pytest.mark.parametrize(("how", "tolerance"), [("nearest", 1e-4), ("bilinear", 1.001)])
def test_vgg16_keras_follows_keras(how: str, tolerance: float) -> None:
    pixels = picture(480, 640)
    resample = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}[how]
    image = np.asarray(Image.fromarray(pixels).resize((224, 224), resample), dtype=float)
    expected = image[..., ::-1] - [103.939, 116.779, 123.68]
    found = preprocessing.keras_style(pixels[None], interpolation=how)[0].permute(1, 2, 0)
    np.testing.assert_allclose(found.numpy(), expected, atol=tolerance)


def test_frames_of_a_batch_do_not_mix_and_stay_as_they_were() -> None:
    pixels = np.stack([picture(60, 80, seed) for seed in range(3)])
    before = pixels.copy()
    encoder = make("vgg16", widths=(2,) * 5, hidden=2, classes=2)
    together = encoder.preprocess(Frames(pixels[:, None], np.zeros((3, 1))))
    for k in range(3):
        alone = encoder.preprocess(Frames(pixels[k : k + 1, None], np.zeros((1, 1))))
        torch.testing.assert_close(together[k : k + 1], alone)
    np.testing.assert_array_equal(pixels, before)


def test_what_changes_pixels_changes_the_text_that_features_are_keyed_by() -> None:
    small = {"widths": (2,) * 5, "hidden": 2, "classes": 2}
    texts = {
        make("vgg16", **small).preprocessing,
        make("vgg16", size=64, **small).preprocessing,
        make("vgg16-keras", **small).preprocessing,
        make("vgg16-keras", size=64, **small).preprocessing,
        make("vgg16-keras", interpolation="bilinear", **small).preprocessing,
    }
    assert len(texts) == 5
    with pytest.raises(UnknownNameError, match="'nearest'"):
        make("vgg16-keras", interpolation="nearst", **small)
