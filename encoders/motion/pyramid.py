"""A pyramid of spatio-temporal Gabor filters, applied to luminance as products of matrices.

The filter of spatial frequency f (cycles per picture height), temporal frequency g (Hz) and
direction θ at the point c is, for pixels at x = (x, y) and seconds s from the filtered frame, a
quadrature pair (Adelson and Bergen, 1985)

    w(x − c; σ) w(s; τ) exp(i (2π f u·(x − c) − 2π g s)),    u = (cos θ, −sin θ),

w a Gaussian window of sum 1. Its real and imaginary parts are the pair, and the energy of a frame
is the sum of both squared responses. y points down, so that 0° moves to the right and 90° up.

- σ = min(0.6 / f, 0.3) picture heights. τ is 0.3 of the frames' seconds.
- Centres lie on a grid, 3.5 σ or more apart.
- g > 0 has all directions. g = 0 has one filter for each orientation, as a still grating has no
  direction, and f = 0 one for each g.

Frequencies, directions and luminance are those of Nishimoto et al. (2011). Windows, spacing and the
2/3 s of a filter are the defaults that pymoten documents for this pyramid.

Two things are added. The answer of f > 0 to a uniform picture and that of g > 0 to a still one are
taken out, which windows that end at the edges of picture and time would let through. And filters
are scaled so that a grating of the filter's own f, g and θ, of amplitude a, has the energy a².

Window and wave are products of a factor for columns, one for rows and one for time. So three
products of small matrices replace one with a matrix of pixels × filters.

References
----------
Adelson, E. H. and Bergen, J. R. (1985). Spatiotemporal energy models for the perception of motion.
Journal of the Optical Society of America A 2, 284–299.

Nishimoto, S., Vu, A. T., Naselaris, T., Benjamini, Y., Yu, B. and Gallant, J. L. (2011).
Reconstructing visual experiences from brain activity evoked by natural movies. Current Biology 21,
1641–1646.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

CYCLES = 0.6
"""Standard deviation of a spatial window, in cycles."""
LARGEST = 0.3
"""The largest one, in picture heights, and that in time, as a part of the frames' seconds."""
SPACING = 3.5
"""Least distance of two centres, in standard deviations."""
_LEAST_WAVE = 0.5  # part of a wave's energy that is left without its mean: else it is no wave


@dataclass(frozen=True)
class MotionFilter:
    """One quadrature pair.

    Parameters
    ----------
    spatial_frequency : cycles per picture height. temporal_frequency : Hz.
    direction : degrees, 0 to the right, 90 up; the orientation's where ``temporal_frequency`` is 0.
    x, y : the centre in picture heights, from the left and from the top.
    """

    spatial_frequency: float
    temporal_frequency: float
    direction: float
    x: float
    y: float


class GaborPyramid:
    """Motion-energy filters of one picture size and frame rate.

    Parameters
    ----------
    size : height and width of pictures in pixels.
    frame_rate : frames per second.
    spatial_frequencies : cycles per picture height, each below half the pixels.
    temporal_frequencies : Hz, each below half the frame rate.
    orientations : K orientations over 180°, hence 2 K directions of motion.
    grid : centres along the height for each spatial frequency; None for as many as lie 3.5 σ apart.
        There are as many for the same length along the width.
    window : seconds of frames around the filtered one, rounded to an odd number of frames.

    Attributes
    ----------
    filters : of each feature, in order: spatial frequency, temporal frequency, direction, row,
        column. With n_f centres they are Σ_f n_f Σ_g d(f, g), d = 1 for f = 0, else K for g = 0 and
        2 K for g > 0.
    taps : frames of a filter.

    Raises `InputError` for frequencies that the pixels, the frames or the window cannot show.

    Examples
    --------
    >>> pyramid = GaborPyramid((32, 32), 15.0, spatial_frequencies=[4], temporal_frequencies=[2])
    >>> pyramid.taps, [one.direction for one in pyramid.filters]
    (11, [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0])

    A grating of amplitude 0.2 that moves to the right, filtered in the middle:

    >>> x, s = (np.arange(32) + 0.5) / 32, np.arange(11)[:, None, None] / 15
    >>> moving = 0.5 + 0.2 * np.cos(2 * np.pi * (4 * x - 2 * s)) * np.ones((11, 32, 32))
    >>> [f"{amplitude:.2f}" for amplitude in np.sqrt(pyramid.energies(moving)[0, [0, 4]])]
    ['0.20', '0.00']
    """

    def __init__(
        self,
        size: tuple[int, int],
        frame_rate: float,
        *,
        spatial_frequencies: Sequence[float] = (0, 2, 4, 8, 16, 32),
        temporal_frequencies: Sequence[float] = (0, 2, 4),
        orientations: int = 4,
        grid: Sequence[int] | None = None,
        window: float = 2 / 3,
    ) -> None:
        _check(spatial_frequencies, size[0] / 2, "spatial frequency", "cycles per picture height")
        _check(temporal_frequencies, frame_rate / 2, "temporal frequency", "Hz")
        if grid is not None and len(grid) != len(spatial_frequencies):
            raise InputError(
                f"grid {list(grid)}: give one number of centres for each of the "
                f"{len(spatial_frequencies)} spatial frequencies"
            )
        half = round(window * frame_rate / 2)
        self.size, self.taps = size, 2 * half + 1
        counts: Sequence[int | None] = grid or [None] * len(spatial_frequencies)
        self.scales = [
            _Scale.of(frequency, size, orientations, count)
            for frequency, count in zip(spatial_frequencies, counts, strict=True)
        ]
        self.waves = [
            _temporal(frequency, np.arange(-half, half + 1) / frame_rate, LARGEST * window)
            for frequency in temporal_frequencies
        ]
        self.temporal_frequencies = [float(each) for each in temporal_frequencies]
        self.filters = [
            MotionFilter(scale.frequency, g, float(direction), float(x), float(y))
            for scale in self.scales
            for g in self.temporal_frequencies
            for direction in _directions(scale, g)
            for y in scale.y
            for x in scale.x
        ]
        self._text = (
            f"Gabor filters of {_list(spatial_frequencies)} cycles per height, "
            f"{_list(temporal_frequencies)} Hz and {orientations} orientations at "
            f"{_list([len(scale.x) * len(scale.y) for scale in self.scales])} places, windows of "
            f"{CYCLES} cycles, at most {LARGEST}, and {window!r} s in {self.taps} frames"
        )

    def __str__(self) -> str:
        """Return all that decides the filters, but for size and frame rate."""
        return self._text

    def energies(self, frames: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return the energy (n − taps + 1, filters) around every frame that has a whole window.

        Parameters
        ----------
        frames : luminance (n, height, width), computed in float32; row i is of frame i + half the
            window.

        Raises `InputError` for another shape and for fewer frames than a filter has.
        """
        n = len(frames)
        if frames.shape[1:] != self.size or n < self.taps:
            raise InputError(
                f"frames of shape {frames.shape}: this pyramid needs {self.taps} or more of "
                f"{self.size}"
            )
        pictures = np.ascontiguousarray(frames, dtype=np.float32)
        sliding = [_sliding(wave, n) for wave in self.waves]
        found = []
        for scale in self.scales:
            waves = scale.responses(pictures)  # (orientations, n, centres)
            for g, window in zip(self.temporal_frequencies, sliding, strict=True):
                # One direction, then the opposite one, of the same responses in space.
                both = (window, window.conj()) if g and scale.frequency else (window,)
                gain = np.float32(4 if g or scale.frequency else 1)
                found += [gain * _squared(one @ wave) for one in both for wave in waves]
        return np.concatenate(found, axis=1)


@dataclass(frozen=True, eq=False)
class _Scale:
    """Filters of one spatial frequency: windows and waves as factors of columns and rows.

    Parameters
    ----------
    columns, rows : for each orientation the factors (width, centres) and (height, centres); before
        them those of the window alone.
    means : for each orientation, the wave's mean (rows, columns) within each centre's window.
    """

    frequency: float
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    columns: list[NDArray[np.complex64]]
    rows: list[NDArray[np.complex64]]
    means: list[NDArray[np.complex64]]

    @classmethod
    def of(
        cls, frequency: float, size: tuple[int, int], orientations: int, count: int | None
    ) -> _Scale:
        height, width = size
        sigma = min(CYCLES / frequency, LARGEST) if frequency else LARGEST
        y = _centres(1.0, sigma, count)
        aspect = width / height
        x = _centres(aspect, sigma, None if count is None else max(1, round(count * aspect)))
        from_x = (np.arange(width)[:, None] + 0.5) / height - x
        from_y = (np.arange(height)[:, None] + 0.5) / height - y
        window_x, window_y = _window(from_x, sigma), _window(from_y, sigma)
        columns, rows, means = [window_x], [window_y], []
        for angle in np.pi * np.arange(orientations if frequency else 0) / orientations:
            # Responses are products with the conjugate wave.
            columns.append(window_x * np.exp(-2j * np.pi * frequency * np.cos(angle) * from_x))
            rows.append(window_y * np.exp(2j * np.pi * frequency * np.sin(angle) * from_y))
            mean = np.outer(rows[-1].sum(axis=0), columns[-1].sum(axis=0))
            if (1 - np.abs(mean) ** 2).min() < _LEAST_WAVE:
                raise InputError(
                    f"spatial frequency {frequency:g}: a picture shows too little of a cycle; give "
                    "0, or 1 cycle per picture height or more"
                )
            means.append(mean)
        single = [[each.astype(np.complex64) for each in group] for group in (columns, rows, means)]
        return cls(float(frequency), x, y, *single)

    def responses(self, pictures: NDArray[np.float32]) -> list[NDArray[np.complex64]]:
        """Return responses (n, centres) to pictures (n, height, width) at each orientation.

        At frequency 0 there is one, the windows' means.
        """
        n = len(pictures)
        blurred, *waves = (
            self._product(pictures, column, row)
            for column, row in zip(self.columns, self.rows, strict=True)
        )
        if not waves:
            return [blurred.reshape(n, -1)]
        # Without the answer to the local mean, and of gain 1 / 2 for the filter's own grating.
        return [
            ((wave - mean * blurred) / (1 - np.abs(mean) ** 2)).reshape(n, -1)
            for wave, mean in zip(waves, self.means, strict=True)
        ]

    @staticmethod
    def _product(
        pictures: NDArray[np.float32], column: NDArray[np.complex64], row: NDArray[np.complex64]
    ) -> NDArray[np.complex64]:
        n, height, width = pictures.shape
        # Real pictures times interleaved real and imaginary parts: half the flops of a complex one.
        parts = pictures.reshape(n * height, width) @ column.view(np.float32)
        return row.T @ parts.view(np.complex64).reshape(n, height, -1)


def _directions(scale: _Scale, temporal_frequency: float) -> NDArray[np.float64]:
    """Return the directions in degrees of a spatial and a temporal frequency, in order."""
    orientations = len(scale.means)
    if not orientations:
        return np.zeros(1)
    half = 180 * np.arange(orientations) / orientations
    return np.concatenate([half, half + 180]) if temporal_frequency else half


def _temporal(frequency: float, seconds: NDArray[np.float64], tau: float) -> NDArray[np.complex64]:
    """Return the window and wave (taps,) of a temporal frequency, without its mean.

    Its product with responses to a grating that moves with the spatial wave is of gain 1 / 2.
    """
    window = _window(seconds[:, None], tau)[:, 0]
    if not frequency:
        return window.astype(np.complex64)
    wave = np.exp(2j * np.pi * frequency * seconds)
    mean = window @ wave
    left = 1 - abs(mean) ** 2
    if left < _LEAST_WAVE:
        raise InputError(
            f"temporal frequency {frequency:g} Hz: a window of {np.ptp(seconds):.3g} s shows too "
            "little of a cycle; give a longer window"
        )
    return (window * (wave - mean) / left).astype(np.complex64)


def _sliding(wave: NDArray[np.complex64], n: int) -> NDArray[np.complex64]:
    """Return the matrix (n − taps + 1, n) whose product with responses filters them in time."""
    found = np.zeros((n - len(wave) + 1, n), np.complex64)
    for row, values in enumerate(found):
        values[row : row + len(wave)] = wave
    return found


def _window(distance: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return Gaussians of ``distance`` (points, centres), each of sum 1 over the points."""
    values = np.exp(-0.5 * (distance / sigma) ** 2)
    return values / values.sum(axis=0)


def _centres(length: float, sigma: float, count: int | None) -> NDArray[np.float64]:
    """Return centres in the middle of equal parts of ``length``."""
    if count is None:
        count = max(1, int(length / (SPACING * sigma) + 1e-9))
    if count < 1:
        raise InputError(f"grid with {count} centres: give 1 or more")
    return length * (np.arange(count) + 0.5) / count


def plain(value: float) -> str:
    """Return a number with all of its digits and no more.

    >>> plain(4.0), plain(0.1)
    ('4', '0.1')
    """
    return np.format_float_positional(value, trim="-")


def _list(values: Sequence[float]) -> str:
    return ", ".join(map(plain, values))


def _squared(response: NDArray[np.complex64]) -> NDArray[np.float32]:
    return response.real**2 + response.imag**2


def _check(frequencies: Sequence[float], most: float, what: str, unit: str) -> None:
    if not frequencies or len(set(frequencies)) != len(frequencies):
        raise InputError(f"{what} {list(frequencies)}: give one or more, each once")
    for each in frequencies:
        if not 0 <= each < most:
            raise InputError(f"{what} {each}: give 0 or more, below {most:g} {unit}")
