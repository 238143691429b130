"""Motion energy: a pyramid of spatio-temporal Gabor filters on the film's luminance, in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown
from encoders.alignment import THESIS_TR
from encoders.array_encoder import ArrayEncoder
from encoders.motion.luminance import lightness
from encoders.motion.pyramid import GaborPyramid, MotionFilter, plain
from encoders.protocol import Frames, InputSpec

Compression = Literal["log", "sqrt", "none"]

FLOOR = 0.01
"""Amplitude of a grating, in L* / 100, at which the logarithm bends."""


class MotionEnergy(ArrayEncoder):
    """Energy of spatio-temporal Gabor filters, averaged over each TR (Nishimoto et al., 2011).

    Pictures become CIE L* on a grid of ``size`` pixels (`encoders.motion.luminance`). A TR has
    n = round(``tr`` · ``frame_rate``) of them, at least 1, from its onset on, and half a filter's
    window more on either side. Around each of the n the energy E of every filter
    (`encoders.motion.pyramid`) is compressed, and the n values are averaged. Frequencies are in Hz
    of the film's clock, whatever its own rate. TRs whose windows reach beyond the film, the first
    and often the last, have no row.

    Layer ``energy`` has all q filters, in the order of `filters`; ``sf-F`` and ``tf-G`` have those
    of one spatial or temporal frequency. q = Σ_f n_f Σ_g d(f, g) with n_f centres of f; d = 1 for
    f = 0, else the number of orientations for g = 0 and twice that for g > 0. With the defaults
    n_f = 1, 1, 1, 9, 49, 225 and q = 3 + 285 · 20 = 5,703.

    Parameters
    ----------
    weights : None; there are none.
    tr : seconds over which energies are averaged.
    size : height and width in pixels, or one number for both. The picture is cropped to this shape.
    frame_rate : pictures per second that are filtered.
    spatial_frequencies, temporal_frequencies, orientations, grid, window : as in
        `encoders.motion.pyramid.GaborPyramid`.
    compression : ``"log"``, ln(1 + √E / 0.01); ``"sqrt"``, √E, the amplitude of a grating; or
        ``"none"``, E.

    Raises `InputError` for values that fit none of this, weights, and another device than the CPU.

    Examples
    --------
    >>> encoder = MotionEnergy(tr=2.0, size=[36, 64], spatial_frequencies=[0, 4, 8])
    >>> encoder.input_spec.frames, encoder.input_spec.lead, len(encoder.filters)
    (40, 5, 423)
    >>> encoder.layers()
    ['energy', 'sf-0', 'sf-4', 'sf-8', 'tf-0', 'tf-2', 'tf-4']
    """

    name = "motion-energy"
    summary = "spatio-temporal Gabor filters on luminance (Nishimoto et al., 2011); no weights"
    default_layer = "energy"

    def __init__(
        self,
        weights: None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        tr: float = THESIS_TR,
        size: int | Sequence[int] = 96,
        frame_rate: float = 15.0,
        spatial_frequencies: Sequence[float] = (0, 2, 4, 8, 16, 32),
        temporal_frequencies: Sequence[float] = (0, 2, 4),
        orientations: int = 4,
        grid: Sequence[int] | None = None,
        window: float = 2 / 3,
        compression: Compression = "log",
    ) -> None:
        if weights is not None:
            raise InputError(f"weights {str(weights)!r}: motion-energy has none; leave them out")
        if str(device) != "cpu":
            raise InputError(f"device {str(device)!r}: motion-energy computes in numpy, on the cpu")
        if compression not in get_args(Compression):
            raise unknown("compression", compression, get_args(Compression))
        self.tr = _above_0("TR", tr)
        self.compression: Compression = compression
        pixels = _pixels(size)
        rate = _above_0("frame_rate", frame_rate)
        self.pyramid = GaborPyramid(
            pixels,
            rate,
            spatial_frequencies=_numbers("spatial_frequencies", spatial_frequencies),
            temporal_frequencies=_numbers("temporal_frequencies", temporal_frequencies),
            orientations=_whole("orientations", orientations),
            grid=None if grid is None else [_whole("grid", n) for n in _numbers("grid", grid)],
            window=_above_0("window", window),
        )
        frames = max(1, round(self.tr * rate))
        self._layer_columns = _layer_columns(self.pyramid.filters)
        super().__init__(
            list(self._layer_columns),
            input_spec=InputSpec(
                "clips",
                pixels,
                frames=frames + self.pyramid.taps - 1,
                frame_rate=rate,
                lead=self.pyramid.taps // 2,
            ),
            preprocessing=(
                f"L* of {pixels[0]} x {pixels[1]} pixels, cropped; {frames} energies at "
                f"{plain(rate)}/s, {self.pyramid}, {compression}, averaged"
            ),
        )

    @property
    def filters(self) -> list[MotionFilter]:
        """The filter of every feature of ``energy``, in order."""
        return self.pyramid.filters

    def filters_of(self, layer: str) -> list[MotionFilter]:
        """Return the filter of every feature of ``layer``, in order."""
        self.channel_axis(layer)
        return [self.filters[column] for column in self._layer_columns[layer]]

    def preprocess(self, frames: Frames) -> NDArray[np.float32]:
        """Return luminance (n, frames, height, width), L* / 100."""
        self.input_spec.check(frames)
        size = self.input_spec.size
        found = np.empty((*frames.pixels.shape[:2], *size), np.float32)
        for sample, clip in zip(found, frames.pixels, strict=True):
            for picture, pixels in zip(sample, clip, strict=True):
                picture[:] = lightness(pixels, size)
        return found

    def compute(
        self, batch: NDArray[np.float32], layers: Sequence[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Return the averages (n, features) of ``layers``; one sample is filtered at a time."""
        means = np.empty((len(batch), len(self.filters)), np.float32)
        for mean, clip in zip(means, batch, strict=True):
            mean[:] = self._compressed(self.pyramid.energies(clip)).mean(axis=0)
        return {layer: means[:, self._layer_columns[layer]] for layer in layers}

    def _compressed(self, energies: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.compression == "none":
            return energies
        amplitudes = np.sqrt(energies)
        if self.compression == "log":
            return np.log1p(amplitudes / np.float32(FLOOR))
        return amplitudes


def _layer_columns(filters: Sequence[MotionFilter]) -> dict[str, NDArray[np.intp]]:
    """Return the columns of every layer, by its name."""
    found = {"energy": np.arange(len(filters))}
    for kind, name in (("spatial_frequency", "sf"), ("temporal_frequency", "tf")):
        values = np.array([getattr(one, kind) for one in filters])
        for value in dict.fromkeys(values.tolist()):
            found[f"{name}-{plain(value)}"] = np.flatnonzero(values == value)
    return found


def _pixels(size: int | Sequence[int]) -> tuple[int, int]:
    both = [size, size] if isinstance(size, int) else _numbers("size", size)
    if len(both) != 2:
        raise InputError(f"size {size}: give height and width in pixels, or one number for both")
    return _whole("size", both[0]), _whole("size", both[1])


def _numbers(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list | tuple) or not all(map(_is_number, values)):
        raise InputError(f"{name} {values!r}: give a list of numbers, such as [2, 4]")
    return list(values)


def _whole(name: str, value: Any) -> int:
    if not _is_number(value) or not float(value).is_integer() or value < 1:
        raise InputError(f"{name} {value!r}: give whole numbers of 1 or more")
    return int(value)


def _above_0(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 < value < float("inf"):
        raise InputError(f"{name} {value!r}: give a number above 0")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


ENCODER = MotionEnergy
