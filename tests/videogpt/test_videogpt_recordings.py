"""A real recording of the homebrew game that stable-retro brings along."""

import numpy as np
import pytest
from click.testing import CliRunner

from bench_core.cli.commands.videogpt import command
from bench_core.errors import InputError
from encoders.videogpt.clips.prepare import Recording, prepare_recordings, recordings_of
from encoders.videogpt.clips.recordings import length, machine_rate, replay
from encoders.videogpt.clips.resize import resize
from encoders.videogpt.clips.store import ClipStore

retro = pytest.importorskip("stable_retro", reason="stable-retro (extra 'games') is not installed")

FRAMES = 90


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return a recording of random button presses, and the pictures of the game as played."""
    folder = tmp_path_factory.mktemp("game")
    game = retro.make("Airstriker-Genesis-v0", record=str(folder), render_mode="rgb_array")
    generator = np.random.default_rng(0)
    pictures = []
    try:
        game.reset(seed=0)
        for _ in range(FRAMES):
            buttons = generator.integers(0, 2, game.action_space.shape[0]).astype(np.int8)
            pictures.append(game.step(buttons)[0].copy())
        game.stop_record()
    finally:
        game.close()
    (path,) = folder.glob("*.bk2")
    return path, np.stack(pictures)


def test_replay_is_bit_identical(recorded):
    path, pictures = recorded
    assert len(np.unique(pictures.reshape(FRAMES, -1), axis=0)) > FRAMES // 2  # it moves
    np.testing.assert_array_equal(np.stack(list(replay(path))), pictures)
    np.testing.assert_array_equal(np.stack(list(replay(path))), pictures)
    assert length(path) == FRAMES
    assert machine_rate(path) == pytest.approx(59.92, abs=0.01)


def test_recordings_of_a_run_on_the_scanner_s_clock(recorded, tmp_path):
    path, pictures = recorded
    events = tmp_path / "events.tsv"
    events.write_text(
        f"onset\tduration\tstim_file\n3.0\t1.6\t{path.name}\n10.0\t1.5\t{path.name}\n"
    )
    parts = recordings_of(events, path.parent)
    prepare_recordings(tmp_path / "clips", "run-1", parts, subject="sub-01", side=64)
    store = ClipStore(tmp_path / "clips")
    assert store.side == 64
    np.testing.assert_array_equal(store.segments()[:, 1:], [[0, FRAMES], [FRAMES, 2 * FRAMES]])
    np.testing.assert_array_equal(store.read(0, 0, FRAMES), resize(pictures, 64))
    times = store.times(0)
    np.testing.assert_allclose(times[:FRAMES], 3.0 + 1.6 * np.arange(FRAMES) / FRAMES)
    np.testing.assert_allclose(times[FRAMES:], 10.0 + 1.5 * np.arange(FRAMES) / FRAMES)


def test_recording_at_a_lower_rate_and_on_its_own_clock(recorded, tmp_path):
    path, pictures = recorded
    prepare_recordings(
        tmp_path, "run-1", [Recording(path)], subject="sub-01", side=64, frame_rate=10.0
    )
    store = ClipStore(tmp_path)
    rate = machine_rate(path)
    ticks = np.arange(int(FRAMES / rate * 10) + 1) / 10
    chosen = (ticks * rate + 1e-4).astype(int)
    np.testing.assert_array_equal(
        store.read(0, 0, store.frames), resize(pictures[chosen[chosen < FRAMES]], 64)
    )


def test_what_is_no_recording(recorded, tmp_path):
    path, _ = recorded
    with pytest.raises(InputError, match=r"none.bk2"):
        list(replay(tmp_path / "none.bk2"))
    (tmp_path / "bad.bk2").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"bad\.bk2"):
        list(replay(tmp_path / "bad.bk2"))
    (tmp_path / "cut.bk2").write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"cut\.bk2"):
        list(replay(tmp_path / "cut.bk2"))
    events = tmp_path / "events.tsv"
    events.write_text("onset\tduration\tstim_file\n3.0\t1.6\tnone.bk2\n")
    with pytest.raises(InputError, match=r"none.bk2"):
        recordings_of(events, tmp_path)


def test_what_is_irregular_is_said_or_refused(recorded, tmp_path):
    path, _ = recorded
    rate = machine_rate(path)
    right = FRAMES / rate
    rows = [
        ("0", "2", "n/a"),
        ("3", f"{right}", path.name),
        ("4", f"{2 * right}", path.name),  # begins before the other ends, and lasts twice as long
        ("20", "1", "Missing file"),
        ("30", f"{right * 1.01}", path.name),
    ]
    events = tmp_path / "run-1_events.tsv"
    events.write_text("onset\tduration\tstim_file\n" + "\n".join("\t".join(row) for row in rows))
    arguments = ["prepare", str(events), "--side", "16", "--root", str(path.parent), "--out"]
    refused = CliRunner().invoke(command, [*arguments, str(tmp_path / "none"), "--strict"])
    assert isinstance(refused.exception, InputError)
    assert not (tmp_path / "none").exists()
    found = CliRunner().invoke(command, [*arguments, str(tmp_path / "clips")])
    assert found.exit_code == 0, found.output
    (run,) = ClipStore(tmp_path / "clips").runs
    assert run.frames == 3 * FRAMES
    assert len(run.notes) == 3
    assert all(f"run-1: {note}" in found.stderr for note in run.notes)
    skipped, overlap, slow = run.notes
    assert "0, 20 s" in skipped
    assert f"until {3 + right:g} s" in overlap
    assert "4 s" in overlap
    assert f"{FRAMES} frames" in slow
    assert f"{rate / 2:.1f} per second" in slow
    assert f"{rate:.1f}" in slow


def test_a_regular_run_has_no_notes(recorded, tmp_path):
    path, _ = recorded
    duration = FRAMES / machine_rate(path)
    parts = [Recording(path, 1.0, duration), Recording(path, 1.0 + duration, duration * 0.99)]
    prepare_recordings(tmp_path, "run-1", parts, subject="sub-01", side=16, strict=True)
    assert ClipStore(tmp_path).runs[0].notes == []
