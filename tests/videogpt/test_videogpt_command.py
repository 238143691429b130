"""The command line, from videos to generated files."""

import av
import pytest
from click.testing import CliRunner
from videogpt_small import moving_square

from bench_core.cli.commands.videogpt import command
from bench_core.errors import InputError, UnknownNameError
from encoders.videogpt import media
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.training.settings import TrainSettings

SMALL = [
    f"--set={name}={value}"
    for name, value in {
        "n_hiddens": 12,
        "embedding_dim": 8,
        "n_codes": 32,
        "sequence_length": 4,
        "resolution": 16,
        "downsample": "(2,4,4)",
        "hidden_dim": 24,
        "cond_dim": 12,
    }.items()
]


def call(*arguments):
    found = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return a folder with two videos, their clips, and a short run of both phases."""
    work = tmp_path_factory.mktemp("work")
    for i in range(2):
        media.write_video(work / f"run-{i}.mp4", moving_square(32, i, side=32), 10)
    videos = sorted(work.glob("*.mp4"))
    said = call("prepare", *videos, "--out", work / "clips", "--side", 16)
    assert "64 frames of 16 px in 2 runs" in said
    options = ("--device=cpu", "--option=batch_size=2", "--option=seed=3", *SMALL)
    vqvae = ("train", "vqvae", work / "clips", "--out", work / "vqvae")
    call(*vqvae, "--steps", 3, "--frames", 32, *options)
    gpt = ("train", "gpt", work / "clips", "--out", work / "gpt")
    said = call(*gpt, "--vqvae", work / "vqvae" / "last.pt", "--steps", 3, *options)
    assert "trained on 64 frames (16 clips) of 2 runs" in said
    assert "step 2: loss 3." in said
    return work


def test_prepared_runs_are_left_alone(work):
    before = (work / "clips" / "run-0.h5").stat().st_mtime_ns
    said = call("prepare", work / "run-0.mp4", "--out", work / "clips", "--side", 16)
    assert "run-0: there already" in said
    assert (work / "clips" / "run-0.h5").stat().st_mtime_ns == before


def test_codes_were_cached_beside_the_clips(work):
    assert len(list((work / "clips" / "codes").glob("codes-*.h5"))) == 1
    assert len(ClipStore(work / "clips").runs) == 2  # they are not taken for a run


def test_continuation_is_written(work):
    said = call(
        "generate", work / "gpt" / "last.pt", work / "clips", "--out", work / "made",
        "--count", 2, "--run", "run-1", "--start", 8, "--seed", 1, "--device=cpu",
    )  # fmt: skip
    assert "continuation.mp4" in said
    with av.open(str(work / "made" / "continuation.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 12
    assert frames[0].shape == (256, 512, 3)
    # The given clip is the same on both sides; what follows is not.
    assert abs(frames[2][:, :256].astype(int) - frames[2][:, 256:]).mean() < 3
    assert (work / "made" / "continuation.png").is_file()


def test_reconstruction_is_written(work):
    for checkpoint in ("vqvae", "gpt"):
        out = work / f"back-{checkpoint}"
        call("reconstruct", work / checkpoint / "last.pt", work / "clips", "--out", out,
             "--device=cpu")  # fmt: skip
        assert (out / "reconstruction.mp4").stat().st_size > 500


def test_run_is_exported_for_encoding(work):
    call("export", work / "clips", "run-0", work / "run-0.mkv")
    with av.open(str(work / "run-0.mkv")) as video:
        assert len(list(video.decode(video=0))) == 33  # black once the last frame is gone


def test_training_goes_on_where_it_stopped(work):
    said = call(
        "train", "vqvae", work / "clips", "--out", work / "vqvae", "--steps", 4, "--frames", 32,
        "--device=cpu", "--option=batch_size=2", "--option=seed=3", *SMALL,
    )  # fmt: skip
    assert "step 3:" in said
    rows = (work / "vqvae" / "metrics.csv").read_text().splitlines()
    assert len(rows) == 5


def test_mistakes_are_named(work):
    def wrong(*arguments):
        CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)

    clips, out = work / "clips", work / "none"
    done = CliRunner().invoke(
        command, ["train", "vqvae", str(clips), "--out", str(out), "--set", "heads"]
    )
    assert done.exit_code == 2
    assert "heads" in done.output
    with pytest.raises(UnknownNameError, match="hidden_dim"):
        wrong("train", "vqvae", clips, "--out", out, "--set", "hidden=4")
    with pytest.raises(UnknownNameError, match="batch_size"):
        wrong("train", "vqvae", clips, "--out", out, "--option", "batch=4")
    with pytest.raises(InputError, match=r"16 px.* 32 px"):
        wrong("train", "vqvae", clips, "--out", out, "--device=cpu")
    with pytest.raises(InputError, match=r"4 frames .* frame 40"):
        wrong("reconstruct", work / "vqvae" / "last.pt", clips, "--out", out, "--start", 40)
    found = CliRunner().invoke(command, ["train", "gpt", str(clips), "--out", str(out)])
    assert found.exit_code == 2
    assert "--vqvae" in found.output
    assert not out.exists()


def test_help_names_every_setting():
    text = command.commands["train"].help
    for name in TrainSettings.__dataclass_fields__:
        assert name in text
