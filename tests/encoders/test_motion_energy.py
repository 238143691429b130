"""Motion energy: gratings have closed forms, and filters a definition that is written out here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gratings import grating, write_film
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core.cli.commands.encode import command
from bench_core.errors import InputError, UnknownNameError
from encoders.encode import encode
from encoders.motion.luminance import area_average, crop, lightness
from encoders.motion.pyramid import GaborPyramid
from encoders.plugins.motion_energy import MotionEnergy
from encoders.protocol import InputSpec
from encoders.store import FeatureStore
from encoders.video import samples

RATE = 15.0
SIZE = (40, 50)
# One centre, in the middle: 6.7 standard deviations of f = 8 from the edge.
PYRAMID = GaborPyramid(SIZE, RATE, spatial_frequencies=[0, 4, 8], grid=[1, 1, 1])


def moving(frequency: float, hertz: float, direction: float, phase=0.0, amplitude=0.1):
    """Return as many frames of a grating as a filter has."""
    cycles = hertz * np.arange(PYRAMID.taps) / RATE - phase / (2 * np.pi)
    return grating(SIZE, frequency, direction, cycles, amplitude)


def column(pyramid: GaborPyramid, frequency: float, hertz: float, direction: float) -> int:
    """Return the feature of a filter in a pyramid with one centre for each frequency."""
    (found,) = (
        number
        for number, one in enumerate(pyramid.filters)
        if (one.spatial_frequency, one.temporal_frequency, one.direction)
        == (frequency, hertz, direction)
    )
    return found


@pytest.mark.parametrize("frequency", [4.0, 8.0])
@pytest.mark.parametrize("hertz", [2.0, 4.0])
@pytest.mark.parametrize("direction", [0.0, 45.0, 90.0, 225.0])
def test_a_moving_grating_is_answered_by_its_own_filter_alone(frequency, hertz, direction):
    own = column(PYRAMID, frequency, hertz, direction)
    opposite = column(PYRAMID, frequency, hertz, (direction + 180) % 360)
    every = []
    for phase in 2 * np.pi * np.arange(8) / 8:
        (found,) = PYRAMID.energies(moving(frequency, hertz, direction, phase))
        # The mean luminance, f = g = 0, is none of the contrasts.
        contrasts = np.delete(found, column(PYRAMID, 0, 0, 0))
        assert found[own] == contrasts.max()
        assert found[opposite] < 0.01 * found[own]
        every.append(found[own])
    # Windows end after 1.7 standard deviations in time: what this lets through changes with phase,
    # and adds its square to the mean.
    assert np.sqrt(every) == pytest.approx(0.1, rel=0.05)
    assert np.mean(every) == pytest.approx(0.1**2, rel=3e-3)


def test_a_still_grating_has_its_amplitude_whatever_its_phase():
    for orientation in (0.0, 45.0, 90.0, 135.0):
        own = column(PYRAMID, 8, 0, orientation)
        for phase in (0.0, 0.5, 1.0, 2.5):
            (found,) = PYRAMID.energies(moving(8, 0, orientation, phase, 0.3))
            assert found[own] == pytest.approx(0.3**2, rel=1e-4)
            assert found[[one.temporal_frequency > 0 for one in PYRAMID.filters]].max() < 1e-8


def test_light_that_flickers_everywhere_moves_nothing():
    times = np.arange(PYRAMID.taps) / RATE
    for hertz in (2.0, 4.0):
        light = 0.5 + 0.2 * np.cos(2 * np.pi * hertz * times + 0.3)
        (found,) = PYRAMID.energies(np.broadcast_to(light[:, None, None], (len(times), *SIZE)))
        assert found[[one.spatial_frequency > 0 for one in PYRAMID.filters]].max() < 1e-8
        assert found[column(PYRAMID, 0, hertz, 0)] == pytest.approx(0.2**2, rel=0.1)
    (found,) = PYRAMID.energies(np.full((PYRAMID.taps, *SIZE), 0.7))
    assert found[column(PYRAMID, 0, 0, 0)] == pytest.approx(0.7**2, rel=1e-5)


def kernels(pyramid: GaborPyramid, size, rate, window):
    """Return whole filters (taps, height, width), complex, from the definition."""
    seconds = (np.arange(pyramid.taps) - pyramid.taps // 2) / rate
    y, x = ((np.arange(n) + 0.5) / size[0] for n in size)
    found = []
    for one in pyramid.filters:
        f, g, angle = one.spatial_frequency, one.temporal_frequency, np.radians(one.direction)
        sigma, tau = (min(0.6 / f, 0.3) if f else 0.3), 0.3 * window
        place = np.exp(-((x - one.x) ** 2 + (y[:, None] - one.y) ** 2) / (2 * sigma**2))
        place /= place.sum()
        when = np.exp(-(seconds**2) / (2 * tau**2))
        when /= when.sum()
        along = (x - one.x) * np.cos(angle) - (y[:, None] - one.y) * np.sin(angle)
        parts = []
        for weights, turns in ((place, f * along), (when, -g * seconds)):
            wave = np.exp(2j * np.pi * turns)
            mean = (weights * wave).sum()
            if np.ptp(turns):
                wave = (wave - mean) / (1 - abs(mean) ** 2)
            parts.append(weights * wave)
        gain = 2 if f or g else 1
        found.append(gain * parts[1][:, None, None] * parts[0])
    return np.array(found)


@settings(max_examples=8, deadline=None)
@given(
    height=st.integers(16, 24),
    width=st.integers(12, 40),
    rate=st.sampled_from([10.0, 15.0, 24.0]),
    orientations=st.integers(1, 3),
    grid=st.none() | st.lists(st.integers(1, 3), min_size=3, max_size=3),
    seed=st.integers(0, 9),
)
def test_products_of_factors_are_the_whole_filters(height, width, rate, orientations, grid, seed):
    pyramid = GaborPyramid(
        (height, width),
        rate,
        spatial_frequencies=[0, 1.5, 6],
        temporal_frequencies=[0, 3],
        orientations=orientations,
        grid=grid,
        window=0.5,
    )
    frames = np.random.default_rng(seed).random((pyramid.taps + 1, height, width))
    whole = kernels(pyramid, (height, width), rate, 0.5).conj()
    expected = [
        np.abs(np.tensordot(whole, frames[start : start + pyramid.taps], 3)) ** 2
        for start in range(2)
    ]
    np.testing.assert_allclose(pyramid.energies(frames), expected, rtol=2e-4, atol=1e-8)


def test_there_are_as_many_filters_as_the_formula_says():
    encoder = MotionEnergy()
    assert len(encoder.filters) == 5703
    assert len(set(encoder.filters)) == 5703
    for layer in encoder.layers():
        own = encoder.filters_of(layer)
        kind, _, value = layer.partition("-")
        expected = [
            one
            for one in encoder.filters
            if kind == "energy"
            or float(value) == (one.spatial_frequency if kind == "sf" else one.temporal_frequency)
        ]
        assert own == expected
    assert len(encoder.filters_of("sf-16")) == 49 * (4 + 8 + 8)
    wide = MotionEnergy(size=[40, 80], spatial_frequencies=[0, 8], grid=[1, 3], orientations=3)
    assert len(wide.filters) == 2 * 3 + 3 * 6 * (3 + 6 + 6)
    centres = {(one.x, one.y) for one in wide.filters if one.spatial_frequency == 8}
    assert np.allclose(sorted({x for x, _ in centres}), (np.arange(6) + 0.5) / 3)


# --- luminance -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("colour", "expected"),
    [  # CIE L* of sRGB's primaries and of grey under D65
        ((255, 0, 0), 53.24),
        ((0, 255, 0), 87.73),
        ((0, 0, 255), 32.30),
        ((119, 119, 119), 50.03),
        ((255, 255, 255), 100.0),
        ((5, 5, 5), 1.37),
        ((0, 0, 0), 0.0),
    ],
)
def test_colours_have_their_lightness(colour, expected):
    pixels = np.broadcast_to(np.array(colour, np.uint8), (5, 7, 3))
    assert lightness(pixels, (2, 3)) * 100 == pytest.approx(expected, abs=0.02)


def test_a_fine_pattern_is_as_light_as_its_mean_light():
    checks = np.indices((16, 16)).sum(axis=0) % 2 * 255
    pixels = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    assert lightness(pixels, (4, 4)) == pytest.approx(1.16 * 0.5 ** (1 / 3) - 0.16, abs=1e-5)


@given(length=st.integers(1, 60), to=st.integers(1, 60))
def test_averages_are_integrals_over_the_new_pixels(length, to):
    values = np.random.default_rng(length).random(length)
    whole = np.concatenate([[0], np.cumsum(values)])
    edges = np.linspace(0, length, to + 1)
    expected = np.diff(np.interp(edges, np.arange(length + 1), whole)) / np.diff(edges)
    np.testing.assert_allclose(area_average(length, to) @ values, expected, rtol=1e-4)


@given(shape=st.tuples(*[st.integers(1, 90)] * 2), size=st.tuples(*[st.integers(1, 90)] * 2))
def test_a_picture_is_cropped_around_its_centre_and_not_stretched(shape, size):
    rows, columns = crop(shape, size)
    kept = rows.stop - rows.start, columns.stop - columns.start
    assert kept[0] == shape[0] or kept[1] == shape[1]
    for part, length in zip((rows, columns), shape, strict=True):
        assert 0 <= part.start < part.stop <= length
        assert abs(part.start - (length - part.stop)) <= 1
    # As near to the wanted ratio as whole pixels come.
    assert abs(kept[0] * size[1] - kept[1] * size[0]) <= max(size) / 2 + 1e-9 or 1 in kept


# --- films -----------------------------------------------------------------------------------

SMALL = {
    "tr": 0.8,
    "size": [24, 32],
    "spatial_frequencies": [0, 4],
    "temporal_frequencies": [0, 2, 4],
    "grid": [1, 1],
}


def film(path: Path, rate: float, hertz: float, seconds: float = 3.2) -> Path:
    """Write a film of 48 x 64 pixels of a grating, 4 cycles high, that moves upwards."""
    times = np.arange(round(seconds * rate)) / rate
    return write_film(path, grating((48, 64), 4, 90, hertz * times, 0.4), times.tolist())


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    cases = [(15, 2), (30, 2), (24, 2), (30, 4), (24, 4)]
    return {case: film(folder / f"film-{case[0]}-{case[1]}.mp4", *case) for case in cases}


def energies(path: Path, folder: Path, **options) -> np.ndarray:
    encoder = MotionEnergy(**{**SMALL, "compression": "none", **options})
    store = FeatureStore(folder)
    (found,) = encode({path.stem: path}, encoder, ["energy"], store, tr=encoder.tr, batch=2)
    return found.features.read()


def test_temporal_frequencies_are_in_hertz_whatever_the_rate_of_the_film(films, tmp_path):
    found = {case: energies(path, tmp_path) for case, path in films.items()}
    encoder = MotionEnergy(**SMALL)
    for (_, hertz), rows in found.items():
        assert len(rows) == 2  # of 4 TRs: windows reach beyond the film in the first and the last
        own = column(encoder.pyramid, 4, hertz, 90)
        contrasts = np.delete(rows, column(encoder.pyramid, 0, 0, 0), axis=1)
        assert (rows[:, own] == contrasts.max(axis=1)).all()
    # Every second picture of 30 a second is one of 15.
    np.testing.assert_allclose(found[30, 2], found[15, 2], rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("compression", ["log", "sqrt", "none"])
def test_a_film_by_clips_gives_what_the_whole_film_gives(films, tmp_path, compression):
    path, encoder = films[30, 4], MotionEnergy(**SMALL, compression=compression)
    every = samples(path, InputSpec("images", (24, 32)), tr=1 / 15)
    luminance = np.array([lightness(one.pixels[0], (24, 32)) for one in every])
    whole = encoder.pyramid.energies(luminance)
    if compression != "none":
        whole = np.sqrt(whole)
    if compression == "log":
        whole = np.log(1 + whole.astype(float) / 0.01)
    # Row 0 is of picture 5; 12 pictures are a TR.
    expected = [whole[12 * tr - 5 :][:12].mean(axis=0) for tr in (1, 2)]
    found = energies(path, tmp_path, compression=compression)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_command_takes_the_options_and_stores_the_default_layer(films, tmp_path):
    words = [str(films[15, 2]), "--encoder", "motion-energy", "--tr", "0.8", "--out", str(tmp_path)]
    for name in ("size", "spatial_frequencies", "grid"):
        words += ["--option", f"{name}={SMALL[name]}"]
    found = CliRunner().invoke(command, [*words, "--option", "compression=sqrt"])
    assert found.exit_code == 0, found.output
    (stored,) = FeatureStore(tmp_path).find()
    assert (stored.layer, stored.trained, stored.shape) == ("energy", True, (2, 23))
    assert stored.trs.tolist() == [1, 2]
    expected = energies(films[15, 2], tmp_path / "own", compression="sqrt")
    np.testing.assert_array_equal(stored.read(), expected)


OTHERS = {
    "size": [24, 33],
    "frame_rate": 16.0,
    "spatial_frequencies": [0, 4.0001],
    "temporal_frequencies": [0, 2, 4.5],
    "orientations": 3,
    "grid": [1, 2],
    "window": 0.667,
    "compression": "sqrt",
    "tr": 1.6,
}


@pytest.mark.parametrize("option", OTHERS)
def test_features_of_other_options_are_not_taken_for_these(option):
    one, other = MotionEnergy(**SMALL), MotionEnergy(**{**SMALL, option: OTHERS[option]})
    assert one.preprocessing != other.preprocessing


@pytest.mark.parametrize(
    ("wrong", "error", "named"),
    [
        ({"weights": "some.pth"}, InputError, "some.pth"),
        ({"device": "cuda"}, InputError, "cuda"),
        ({"tr": 0}, InputError, "0"),
        ({"size": [24]}, InputError, "24"),
        ({"size": 0.5}, InputError, "0.5"),
        ({"spatial_frequencies": 4}, InputError, "4"),
        ({"spatial_frequencies": [4, 4]}, InputError, "4, 4"),
        ({"spatial_frequencies": [0, 12]}, InputError, "12"),
        ({"spatial_frequencies": [0, 0.2]}, InputError, "0.2"),
        ({"temporal_frequencies": [7.5]}, InputError, "7.5"),
        ({"temporal_frequencies": [0.5]}, InputError, "0.5"),
        ({"temporal_frequencies": []}, InputError, "temporal"),
        ({"orientations": 0}, InputError, "0"),
        ({"grid": [1]}, InputError, "1"),
        ({"grid": [1, 0]}, InputError, "0"),
        ({"frame_rate": "fast"}, InputError, "fast"),
        ({"window": float("nan")}, InputError, "nan"),
        ({"compression": "cube"}, UnknownNameError, "cube"),
    ],
)
def test_options_that_fit_nothing_are_refused(wrong, error, named):
    with pytest.raises(error, match=named):
        MotionEnergy(**{**SMALL, **wrong})


def test_frames_of_another_shape_are_refused():
    for shape in ((PYRAMID.taps - 1, *SIZE), (PYRAMID.taps, *SIZE[::-1])):
        with pytest.raises(InputError):
            PYRAMID.energies(np.zeros(shape))
