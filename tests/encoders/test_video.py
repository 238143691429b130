"""The right frame for every TR, by time stamp: frames show their own number."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_encoder import irregular, video

from bench_core.errors import InputError
from encoders.protocol import Frames, InputSpec
from encoders.synthetic import numbered, read_number, write_video
from encoders.video import batches, duration, frames, samples

IMAGES = InputSpec("images", (8, 16))


def shown(path: Path, spec: InputSpec = IMAGES, **options) -> dict[int, list[int]]:
    """Return the numbers of the frames of every TR."""
    return {
        each.tr: [read_number(frame) for frame in each.pixels]
        for each in samples(path, spec, **options)
    }


def on_screen(times: np.ndarray, at: float) -> int:
    """Return the number of the frame on the screen: the last that began by then."""
    return int(np.searchsorted(times - times[0], at + 1e-6, side="right")) - 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_frames_come_in_order_of_presentation(suffix: str, tmp_path: Path) -> None:
    times = irregular(90) + 2.0
    path = video(tmp_path / f"x{suffix}", times)
    for clock, first in (("file", 0.0), ("picture", times[0])):
        found = list(frames(path, clock))
        starts, ends = np.array([each[:2] for each in found]).T
        numbers = [read_number(each.pixels()) for each in found]
        assert numbers == list(range(90))
        np.testing.assert_allclose(starts, times - first, atol=1.1e-3)
        np.testing.assert_array_equal(starts[1:], ends[:-1])
        assert ends[-1] > starts[-1]
        assert duration(path, clock) == pytest.approx(ends[-1], abs=0.2)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    tr=st.floats(0.05, 2.0),
    phase=st.sampled_from([0.0, 0.01, 0.04]),
    start=st.integers(0, 3),
)
def test_every_tr_has_the_frame_on_the_screen(
    seed: int, tr: float, phase: float, start: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    times = irregular(60, seed)
    path = video(tmp_path_factory.mktemp("video") / "x.mp4", times)
    end = list(frames(path))[-1][1]
    expected = {
        tr_: [on_screen(times, tr_ * tr + phase)]
        for tr_ in range(start, int(np.ceil(end / tr)) + 1)
        if tr_ * tr + phase + 1e-6 < end
    }
    assert shown(path, tr=tr, phase=phase, start=start) == expected


@pytest.mark.parametrize("rate", [24, 25, 30, 60])
def test_a_tr_on_the_border_of_two_frames_takes_the_later(rate: int, tmp_path: Path) -> None:
    path = video(tmp_path / "x.mp4", np.arange(4 * rate) / rate)
    # 0.1 is no binary fraction: 3 · 0.1 lies just above 0.3, 0.7 / 0.1 below 7.
    found = shown(path, tr=0.5)
    assert found == {k: [k * rate // 2] for k in range(8)}


def test_a_claimed_frame_rate_is_not_believed(tmp_path: Path) -> None:
    # Two frames a second, in a file whose stream says thirty.
    path = video(tmp_path / "x.mp4", np.arange(20) / 2)
    found = shown(path, tr=1.49)
    assert len(found) >= 6
    assert found == {k: [int(k * 1.49 * 2)] for k in range(len(found))}


@pytest.mark.parametrize("lead", [0, 3])
def test_clips_overlap_and_keep_their_times(lead: int, tmp_path: Path) -> None:
    spec = InputSpec("clips", (8, 16), frames=8, frame_rate=10.0, lead=lead)
    times = irregular(120)
    path = video(tmp_path / "x.mp4", times)
    end = list(frames(path))[-1][1]
    found = list(samples(path, spec, tr=0.5))
    wanted = [
        k
        for k in range(100)
        if k * 0.5 - lead / 10 > -1e-6 and k * 0.5 + (7 - lead) / 10 + 1e-6 < end
    ]
    assert [each.tr for each in found] == wanted
    assert wanted[0] == (0 if lead == 0 else 1)
    for each in found:
        at = each.tr * 0.5 + (np.arange(8) - lead) / 10
        numbers = [on_screen(times, moment) for moment in at]
        assert [read_number(frame) for frame in each.pixels] == numbers
        np.testing.assert_allclose(each.times, times[numbers], atol=1e-4)


def test_batches_are_the_samples_in_order(tmp_path: Path) -> None:
    path = video(tmp_path / "x.mp4", np.arange(70) / 30)
    single = list(samples(path, IMAGES, tr=0.2))
    together = list(batches(path, IMAGES, 5, tr=0.2))
    assert [len(trs) for trs, _ in together] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate([trs for trs, _ in together]), range(12))
    pixels = np.concatenate([each.pixels for _, each in together])
    np.testing.assert_array_equal(pixels, [each.pixels for each in single])


def test_a_batch_of_large_pictures_has_fewer_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video(tmp_path / "x.mp4", np.arange(30) / 30)
    whole = list(batches(path, IMAGES, 5, tr=0.1))
    monkeypatch.setattr("encoders.video.BATCH_BYTES", 2 * whole[0][1].pixels[0].nbytes)
    small = list(batches(path, IMAGES, 5, tr=0.1))
    assert [len(trs) for trs, _ in small] == [2] * 5
    for part in (0, 1):
        values = [
            np.concatenate([each[0] if part == 0 else each[1].pixels for each in found])
            for found in (whole, small)
        ]
        np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_cut_short_is_an_error_and_not_a_short_run(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    noise = np.random.default_rng(0).integers(0, 40, (150, 48, 128, 3)).astype(np.uint8)
    # With the index in front, a player would show what is there and stop.
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as c:
        stream = c.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 48, "yuv420p"
        for k in range(150):
            c.mux(stream.encode(av.VideoFrame.from_ndarray(noise[k], format="rgb24")))
        c.mux(stream.encode())
    assert len(list(frames(path))) == 150
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"x\..* 5.00 s"):
        list(frames(path))


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(InputError, match=r"x.mp4"):
        list(frames(tmp_path / "x.mp4"))
    with pytest.raises(InputError, match=r"absent.mp4"):
        duration(tmp_path / "absent.mp4")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(InputError, match=r"sound.wav"):
        list(frames(tmp_path / "sound.wav"))


def test_numbered_frames_survive_compression_and_resizing() -> None:
    for number in (0, 1, 12_345, 65_535):
        frame = numbered(number, 60, 200)
        assert read_number(frame) == number
        assert read_number(frame[::4, ::3]) == number
    with pytest.raises(InputError, match="65536"):
        numbered(65_536)
    with pytest.raises(InputError, match=r"0\.0, 0\.0"):
        write_video("never.mp4", [], [0.0, 0.0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "images", "frames": 2},
        {"kind": "clips", "frames": 4},
        {"kind": "clips", "frames": 4, "frame_rate": -1.0},
        {"kind": "clips", "frames": 4, "frame_rate": 10.0, "lead": 4},
        {"kind": "clips", "frames": 0, "frame_rate": 10.0},
    ],
)
def test_an_input_that_cannot_be_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        InputSpec(size=(8, 8), **wrong)


def test_pixels_and_times_must_fit_together() -> None:
    pixels = np.zeros((2, 1, 4, 4, 3), np.uint8)
    with pytest.raises(InputError, match=r"\(2,\).* \(2, 1\)"):
        Frames(pixels, np.zeros(2))
    with pytest.raises(InputError, match="float64"):
        Frames(pixels.astype(float), np.zeros((2, 1)))
