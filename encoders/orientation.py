"""Orientation of a film's pictures: the display matrix that cameras and phones write.

A file may state that its pictures are to be turned or mirrored before they are shown. The rules
are those of ffmpeg's automatic rotation (``configure_input_video_filter`` in its
``fftools/ffmpeg_filter.c``), with the same filters' names.
"""

from __future__ import annotations

from math import atan2, degrees, floor, hypot
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

AS_STORED = ""
"""Orientation of a picture that is shown as it is stored."""

_TURNS = {"clock": -1, "cclock": 1}
_RIGHT = 1.0  # degrees: smaller differences from a right angle are not turned


def orientation_of(frame: Any) -> str:
    """Return the filters that put a decoded frame upright, in ffmpeg's notation.

    `AS_STORED` (nothing) for a frame without a display matrix. Other values are ``hflip``,
    ``vflip``, ``hflip,vflip``, ``transpose=`` with ``clock``, ``cclock``, ``clock_flip`` or
    ``cclock_flip``, and ``rotate=`` with an angle.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    return AS_STORED if data is None else filters_of(np.frombuffer(data, "<i4", 9).tolist())


def filters_of(matrix: list[int]) -> str:
    """Return the filters of a display matrix of 9 numbers, row by row.

    >>> filters_of([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])
    'transpose=clock'
    """
    a, b, _, c, d = matrix[:5]
    if not (hypot(a, c) and hypot(b, d)):
        return AS_STORED
    theta = float(round(degrees(atan2(b / hypot(b, d), a / hypot(a, c)))))
    theta -= 360 * floor(theta / 360 + 0.9 / 360)
    if abs(theta - 90) < _RIGHT:
        return f"transpose={'cclock_flip' if c > 0 else 'clock'}"
    if abs(theta - 180) < _RIGHT:
        return ",".join(["hflip"] * (a < 0) + ["vflip"] * (d < 0))
    if abs(theta - 270) < _RIGHT:
        return f"transpose={'clock_flip' if c < 0 else 'cclock'}"
    if abs(theta) < _RIGHT:
        return "vflip" if d < 0 else AS_STORED
    return f"rotate={theta:f}*PI/180"


def upright(frame: Any) -> NDArray[np.uint8]:
    """Return the pixels (height, width, 3) of a decoded frame, red, green, blue, as it is shown.

    Raises `InputError` for a frame that cannot be converted.
    """
    filters = orientation_of(frame)
    try:
        if filters.startswith("rotate="):
            frame, filters = _rotated(frame, filters.removeprefix("rotate=")), AS_STORED
        pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"a picture of {frame.width} x {frame.height} pixels in the format "
            f"{frame.format.name} cannot be converted ({error}): convert the film to .mp4 (H.264)"
        ) from error
    return _moved(pixels, filters)


def _moved(pixels: NDArray[np.uint8], filters: str) -> NDArray[np.uint8]:
    if not filters:
        return pixels
    kind, _, turn = filters.partition("=")
    if kind == "transpose":
        # `numpy.rot90` turns against the clock; "…_flip" then mirrors top and bottom.
        turned = np.rot90(pixels, _TURNS[turn.removesuffix("_flip")])
        moved = turned[::-1] if turn.endswith("_flip") else turned
    else:
        moved = pixels[:: -1 if "vflip" in kind else 1, :: -1 if "hflip" in kind else 1]
    return np.ascontiguousarray(moved)


def _rotated(frame: Any, angle: str) -> Any:
    """Return a frame turned by an angle that is not right, on black, in its own size."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    turned, sink = graph.add("rotate", angle), graph.add("buffersink")
    source.link_to(turned)
    turned.link_to(sink)
    graph.configure()
    graph.push(frame)
    return graph.pull()
