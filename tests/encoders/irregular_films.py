"""Films as cameras, cutters and broken copies leave them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from encoders.synthetic import numbered

ONE = 1 << 16

#: name → (a, b, c, d) of the display matrix: x' = a x + c y, y' = b x + d y, y downwards.
MATRICES = {
    "as stored": (1, 0, 0, 1),
    "a quarter to the right": (0, 1, -1, 0),
    "upside down": (-1, 0, 0, -1),
    "a quarter to the left": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "top and bottom mirrored": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed the other way": (0, -1, -1, 0),
}


def displayed(pixels: np.ndarray, matrix: tuple[float, ...]) -> np.ndarray:
    """Return a picture (h, w, 3) after the display matrix, pixel by pixel."""
    a, b, c, d = (round(each) for each in matrix)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width]
    right, down = a * x + c * y, b * x + d * y
    right, down = right - right.min(), down - down.min()
    shown = np.empty((down.max() + 1, right.max() + 1, 3), pixels.dtype)
    shown[down, right] = pixels
    return shown


def turn(path: Path, matrix: tuple[float, ...]) -> Path:
    """Write a display matrix into the header of an .mp4 file (ISO 14496-12, "tkhd")."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4
    place += 4 + (32 if content[place] else 20) + 16
    a, b, c, d = (round(each * ONE) for each in matrix)
    assert struct.unpack_from(">9i", content, place) == (ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def with_sound(
    path: Path, times: Sequence[float], seconds: float, pictures=None, *, begin: int = 0
) -> Path:
    """Write a film with sound from 0 s on, and frame k with the number k at ``times[k]``.

    All time stamps are ``begin`` seconds later.
    """
    if pictures is None:
        pictures = (numbered(k) for k in range(len(times)))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 128, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, 90_000)
        sound = container.add_stream("mp2", rate=48_000, layout="mono")
        for k in range(round(seconds * 10)):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), "s16", "mono")
            silence.sample_rate, silence.pts = 48_000, 4800 * k + 48_000 * begin
            silence.time_base = Fraction(1, 48_000)
            container.mux(sound.encode(silence))
        container.mux(sound.encode())
        for time, pixels in zip(times, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round((begin + time) * 90_000), Fraction(1, 90_000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def with_stamps(path: Path, stamps: Sequence[int]) -> Path:
    """Write a lossless .mkv whose frame k shows the number k, with any time stamps in ms."""
    codec = av.CodecContext.create("ffv1", "w")
    codec.width, codec.height, codec.pix_fmt = 128, 48, "bgr0"
    codec.time_base = Fraction(1, 1000)
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 48, "bgr0"
        stream.time_base = Fraction(1, 1000)
        for k, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(numbered(k), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 1000)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = stamp
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
    return path
