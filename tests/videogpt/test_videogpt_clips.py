"""Frames into the store and out of it: times, rates, gaps, subsets."""

import re
from fractions import Fraction
from itertools import pairwise

import av
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videogpt_small import make_store, moving_square

from bench_core.errors import InputError, ResourceError, UnknownNameError
from encoders.videogpt.clips.events import frame_times, read_events
from encoders.videogpt.clips.prepare import prepare_video
from encoders.videogpt.clips.resize import resize
from encoders.videogpt.clips.sampling import at_rate, read_video
from encoders.videogpt.clips.store import ClipStore, Stretch, write_run
from encoders.videogpt.clips.subsets import all_frames, draw_subset


def write_numbered(path, times):
    """Write a lossless video whose frame i is grey 10 · i, at the given times in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 24
        stream.pix_fmt = "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(
                np.full((24, 24, 3), 10 * i, np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_video_frames_with_their_own_times(tmp_path):
    times = [0, 40, 80, 200, 210, 300, 400]
    write_numbered(tmp_path / "a.mkv", times)
    found = read_video(tmp_path / "a.mkv", 16)
    np.testing.assert_allclose(found.times, np.array(times) / 1000, atol=1e-6)
    np.testing.assert_array_equal(found.frames[:, 8, 8, 0], np.arange(7) * 10)
    # At 10 frames/s: on the screen at 0, 100, 200, 300, 400 ms are frames 0, 2, 3, 5, 6.
    slow = read_video(tmp_path / "a.mkv", 16, 10.0)
    np.testing.assert_array_equal(slow.frames[:, 8, 8, 0], [0, 20, 30, 50, 60])


@given(
    gaps=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    rate=st.sampled_from([1.0, 7.0, 30.0, 1000.0]),
)
def test_frames_at_a_rate_by_the_definition(gaps, rate):
    edges = np.cumsum([5, *gaps]) / 100
    shown = [(a, b, i) for i, (a, b) in enumerate(pairwise(edges))]
    found = [picture for _, picture in at_rate(iter(shown), rate)]
    ticks = edges[0] + np.arange(int((edges[-1] - edges[0]) * rate) + 2) / rate
    ticks = ticks[ticks < edges[-1] - 1e-6]
    wanted = np.unique(np.searchsorted(edges, ticks + 1e-6, side="right") - 1)
    np.testing.assert_array_equal(found, wanted)


def test_resizing_keeps_flat_colours_and_averages():
    frames = np.zeros((2, 32, 48, 3), np.uint8)
    frames[1] = 200
    frames[0, :, :24] = 100
    small = resize(frames, 16)
    assert small.shape == (2, 16, 16, 3)
    assert np.all(small[1] == 200)
    assert np.all(small[0, :, :6] == 100)
    assert np.all(small[0, :, 10:] == 0)
    assert resize(small, 16) is small or np.array_equal(resize(small, 16), small)
    # A one-pixel checkerboard must become grey, not an alias.
    board = np.indices((64, 64)).sum(0) % 2 * 255
    grey = resize(np.repeat(board[None, :, :, None], 3, -1).astype(np.uint8), 16)
    assert np.all(np.abs(grey[0, 2:-2, 2:-2].astype(int) - 127) < 5)


def test_store_gives_back_what_was_written(tmp_path):
    stretches = [
        Stretch(moving_square(20, seed), np.arange(20) + 100.0 * seed) for seed in range(3)
    ]
    write_run(tmp_path, "run-1", stretches, subject="sub-01", source="a.bk2")
    store = ClipStore(tmp_path)
    assert (store.frames, store.side, len(store.runs)) == (60, 16, 1)
    np.testing.assert_array_equal(store.segments(), [[0, 0, 20], [0, 20, 40], [0, 40, 60]])
    np.testing.assert_array_equal(store.read(0, 25, 10), stretches[1].frames[5:15])
    np.testing.assert_array_equal(store.times(0)[20:40], stretches[1].times)
    windows = all_frames(store).windows(8, 8)
    np.testing.assert_array_equal(windows[:, 1], [0, 8, 20, 28, 40, 48])  # none over a gap
    np.testing.assert_array_equal(store.windows(windows, 8)[3], stretches[1].frames[8:16])
    with h5py.File(tmp_path / "run-1.h5") as file:
        assert file["frames"].dtype == np.uint8
        assert file["frames"].chunks == (16, 16, 16, 3)
    store.close()


def test_a_run_is_written_whole_or_not_at_all(tmp_path):
    def broken():
        yield Stretch(moving_square(20, 0), np.arange(20.0))
        raise InputError("the second recording is broken")

    with pytest.raises(InputError, match="second recording"):
        write_run(tmp_path, "run-1", broken(), subject="sub-01", source="a")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="run-1"):
        write_run(tmp_path, "run-1", [], subject="sub-01", source="a")
    backwards = Stretch(moving_square(3, 0), np.array([0.0, 2.0, 1.0]))
    with pytest.raises(InputError, match="3 times"):
        write_run(tmp_path, "run-1", [backwards], subject="sub-01", source="a")


def test_stores_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        ClipStore(tmp_path)
    make_store(tmp_path, runs=2)
    with pytest.raises(UnknownNameError, match="run-1"):
        ClipStore(tmp_path, ["run-2"])
    assert [run.name for run in ClipStore(tmp_path, ["run-1"]).runs] == ["run-1"]
    big = Stretch(moving_square(4, 0, side=32), np.arange(4.0))
    write_run(tmp_path, "big", [big], subject="sub-01", source="a")
    with pytest.raises(InputError, match=r"\[16, 32\]"):
        ClipStore(tmp_path)
    (tmp_path / "broken.h5").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match=r"broken.h5"):
        ClipStore(tmp_path)


def test_video_prepared_at_a_size(tmp_path):
    write_numbered(tmp_path / "a.mkv", range(0, 400, 40))
    path = prepare_video(tmp_path / "c", "r", tmp_path / "a.mkv", subject="s", side=16)
    assert path == tmp_path / "c" / "r.h5"
    assert ClipStore(tmp_path / "c").frames == 10
    (tmp_path / "b.mkv").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"b\.mkv"):
        prepare_video(tmp_path / "c", "b", tmp_path / "b.mkv", subject="s", side=16)
    assert not (tmp_path / "c" / "b.h5").exists()


def test_events_stretch_time(tmp_path):
    events = tmp_path / "events.tsv"
    events.write_text(
        "trial_type\tonset\tduration\tstim_file\n"
        "game\t60.5\t20.25\tsub-01/b.bk2\n"
        "fixation\t0\t5\tn/a\n"
        "game\t5.0\t50.0\tsub-01/a.bk2\n"
    )
    found = read_events(events)
    assert [event.stim_file for event in found] == ["sub-01/a.bk2", "sub-01/b.bk2"]
    times = frame_times(1200, found[1].onset, found[1].duration)
    assert times[0] == 60.5
    np.testing.assert_allclose(np.diff(times), 20.25 / 1200)
    assert times[-1] < 60.5 + 20.25
    events.write_text("onset\tduration\n0\t1\n")
    with pytest.raises(InputError, match="stim_file"):
        read_events(events)
    for onset, duration in (("zero", "1"), ("0", "0"), ("nan", "3")):
        events.write_text(f"onset\tduration\tstim_file\n{onset}\t{duration}\ta.bk2\n")
        with pytest.raises(InputError, match=r"events\.tsv"):
            read_events(events)
    with pytest.raises(InputError, match=r"none.tsv"):
        read_events(tmp_path / "none.tsv")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Return a store of three subjects with 3, 2 and 1 runs of different lengths."""
    folder = tmp_path_factory.mktemp("uneven")
    lengths = [("a", 160), ("a", 80), ("a", 41), ("b", 200), ("b", 17), ("c", 320)]
    for i, (subject, frames) in enumerate(lengths):
        blank = Stretch(np.zeros((frames, 2, 2, 3), np.uint8), np.arange(float(frames)))
        write_run(folder, f"run-{i}", [blank], subject=subject, source="made")
    return ClipStore(folder)


@settings(deadline=None)
@given(frames=st.integers(8, 800), seed=st.integers(0, 20))
def test_subsets_take_their_share_of_every_run(uneven, frames, seed):
    found = draw_subset(uneven, frames, block=8, seed=seed)
    assert found.frames == frames // 8 * 8
    whole = {0: 20, 1: 10, 2: 5, 3: 25, 4: 2, 5: 40}
    counts = {run: int((found.segments[:, 0] == run).sum()) for run in whole}
    for run, blocks in whole.items():
        assert abs(counts[run] - blocks * (frames // 8) / 102) < 3
    assert len(np.unique(found.segments[:, :2], axis=0)) == len(found.segments)
    assert sum(found.subjects.values()) == found.frames
    smaller = draw_subset(uneven, max(frames // 3, 8), block=8, seed=seed)
    inside = {tuple(row) for row in found.segments}
    assert all(tuple(row) in inside for row in smaller.segments)


def test_subset_sizes_are_recorded(uneven):
    found = draw_subset(uneven, 400, block=16, seed=3)
    sizes = found.sizes(clip_frames=8)
    assert sizes["wanted_frames"] == sizes["frames"] == 400
    assert (sizes["clips"], sizes["samples"]) == (50, 25)
    assert sizes["seed"] == 3
    assert sum(sizes["frames_per_subject"].values()) == 400
    assert set(sizes["frames_per_subject"]) == {"a", "b", "c"}
    again, other = (
        draw_subset(uneven, 400, block=16, seed=3),
        draw_subset(uneven, 400, block=16, seed=4),
    )
    np.testing.assert_array_equal(again.segments, found.segments)
    assert not np.array_equal(other.segments, found.segments)
    overlapping = found.windows(8, 2)
    assert len(overlapping) == 25 * 5


def test_subsets_that_are_not_there(uneven):
    with pytest.raises(ResourceError, match=r"825.*816.*8"):
        draw_subset(uneven, 817 + 8, block=8, seed=0)
    with pytest.raises(InputError, match=r"7 frames.* 8"):
        draw_subset(uneven, 7, block=8, seed=0)
    with pytest.raises(ResourceError, match="400 frames"):
        all_frames(uneven).windows(400, 400)
