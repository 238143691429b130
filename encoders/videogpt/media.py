"""Frames as files to look at: video and PNG, side by side where they are compared."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

Frames = NDArray[np.uint8]


def write_video(path: Path, frames: Frames, frame_rate: float, *, scale: int = 1) -> None:
    """Write ``frames`` (t, h, w, 3) as an H.264 file (its ending names the container: .mp4, .mkv).

    ``scale`` repeats every pixel, for clips too small to see. Raises `InputError` for a container
    that does not exist or a frame rate that is not above 0.
    """
    if not frame_rate > 0:
        raise InputError(f"frame rate {frame_rate} must be above 0 frames/s")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with av.open(str(partial), "w") as container:
            rate = Fraction(frame_rate).limit_denominator(1001)
            stream = container.add_stream("libx264", rate=rate, options={"crf": "12"})
            large = frames.repeat(scale, 1).repeat(scale, 2)
            # H.264 stores colours at half the resolution: odd sides are filled up.
            large = np.pad(
                large, ((0, 0), (0, large.shape[1] % 2), (0, large.shape[2] % 2), (0, 0)), "edge"
            )
            stream.height, stream.width = large.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for picture in large:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        os.replace(partial, path)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path} cannot be written as video: {error}") from None
    finally:
        partial.unlink(missing_ok=True)


def write_png(path: Path, picture: Frames) -> None:
    """Write one picture (h, w, 3)."""
    height, width = picture.shape[:2]
    # Every row begins with the number of its filter; 0 is none.
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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def side_by_side(videos: Sequence[Frames]) -> Frames:
    """Return one video (t, h, Σ w, 3) of several (t, h, w, 3), the shorter ones black at last."""
    return np.concatenate(_equally_long(videos), axis=2)


def contact_sheet(videos: Sequence[Frames]) -> Frames:
    """Return one picture with a row of frames for each of ``videos`` (t, h, w, 3)."""
    rows = [np.concatenate(list(frames), axis=1) for frames in _equally_long(videos)]
    return np.concatenate(rows, axis=0)


def write_comparison(
    folder: Path, name: str, videos: Sequence[Frames], frame_rate: float
) -> list[Path]:
    """Write ``name.mp4`` (side by side) and ``name.png`` (a row each); return both files.

    Small frames are enlarged to some 256 pixels in the video.
    """
    scale = max(1, 256 // videos[0].shape[1])
    write_video(folder / f"{name}.mp4", side_by_side(videos), frame_rate, scale=scale)
    write_png(folder / f"{name}.png", contact_sheet(videos))
    return [folder / f"{name}.mp4", folder / f"{name}.png"]


def _equally_long(videos: Sequence[Frames]) -> list[Frames]:
    longest = max(map(len, videos))
    return [np.pad(v, ((0, longest - len(v)), (0, 0), (0, 0), (0, 0))) for v in videos]
