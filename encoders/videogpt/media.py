"""Pixels as video and PNG files, alone or side by side for comparison."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.files import replace_file, write_bytes

Pixels = NDArray[np.uint8]


def write_video(path: Path, frames: Pixels, frame_rate: float, *, scale: int = 1) -> None:
    """Write ``frames`` (t, h, w, 3) as H.264; the suffix (.mp4, .mkv) chooses the container.

    ``scale`` repeats every pixel along both sides.

    Raises `InputError` for an unknown container and for a frame rate that is not above 0.
    """
    if not frame_rate > 0:
        raise InputError(f"frame rate {frame_rate} must be above 0 frames/s")
    large = frames.repeat(scale, 1).repeat(scale, 2)
    # H.264 stores colours at half the resolution: odd sides are padded.
    odd = [(0, 0), *((0, side % 2) for side in large.shape[1:3]), (0, 0)]
    large = np.pad(large, odd, "edge")

    def save(part: Path) -> None:
        with av.open(str(part), "w") as container:
            rate = Fraction(frame_rate).limit_denominator(1001)
            stream = container.add_stream("libx264", rate=rate, options={"crf": "12"})
            stream.height, stream.width = large.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for picture in large:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())

    try:
        replace_file(path, save)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path} cannot be written as video ({error}): use the suffix .mp4 or .mkv"
        ) from None


def write_png(path: Path, picture: Pixels) -> None:
    """Write one picture (h, w, 3) as PNG."""
    height, width = picture.shape[:2]
    # Each row starts with the number of its filter; 0 is none.
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = picture.reshape(height, -1)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    write_bytes(path, content)


def side_by_side(videos: Sequence[Pixels]) -> Pixels:
    """Return one video (t, h, Σ w, 3) of several (t, h, w, 3); shorter ones end in black."""
    return np.concatenate(_equally_long(videos), axis=2)


def contact_sheet(videos: Sequence[Pixels]) -> Pixels:
    """Return one picture with one row of frames for each of ``videos`` (t, h, w, 3)."""
    rows = [np.concatenate(list(frames), axis=1) for frames in _equally_long(videos)]
    return np.concatenate(rows, axis=0)


def write_comparison(
    folder: Path, name: str, videos: Sequence[Pixels], frame_rate: float
) -> list[Path]:
    """Write ``name.mp4`` (side by side) and ``name.png`` (one row each); return both files.

    Small frames are enlarged to about 256 pixels in the video.
    """
    scale = max(1, 256 // videos[0].shape[1])
    write_video(folder / f"{name}.mp4", side_by_side(videos), frame_rate, scale=scale)
    write_png(folder / f"{name}.png", contact_sheet(videos))
    return [folder / f"{name}.mp4", folder / f"{name}.png"]


def _equally_long(videos: Sequence[Pixels]) -> list[Pixels]:
    longest = max(map(len, videos))
    return [np.pad(v, ((0, longest - len(v)), (0, 0), (0, 0), (0, 0))) for v in videos]
