"""What a killed, moved, copied or mistaken training run meets."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from videogpt_small import make_store, moving_square, small

from bench_core.cli.commands.videogpt import command
from bench_core.errors import InputError, RidgebenchError
from encoders.devices import checked_device
from encoders.torch_files import load_plain
from encoders.videogpt import checkpoint
from encoders.videogpt.clips.store import ClipStore, Stretch, write_run
from encoders.videogpt.training.launch import process_group
from encoders.videogpt.training.runs import Data, train_vqvae
from encoders.videogpt.training.settings import TrainSettings
from encoders.weights import read_tensors

SETTINGS = TrainSettings(steps=2, batch_size=2)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    make_store(folder, runs=2)
    return folder


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"learning_rate": "nan"},
        {"learning_rate": True},
        {"betas": 0.9},
        {"betas": (0.9, 1.0)},
        {"betas": (0.9, float("nan"))},
        {"batch_size": 2.5},
        {"batch_size": "many"},
        {"clip_gradient": "none"},
        {"clip_gradient": float("nan")},
        {"schedule": 3},
        {"compile": "yes"},
        {"seed": None},
    ],
)
def test_settings_that_cannot_be_are_named(wrong):
    (name,) = wrong
    with pytest.raises(RidgebenchError, match=name):
        TrainSettings(**{"steps": 2, **wrong})


def test_settings_that_can_be():
    found = TrainSettings(steps=2, learning_rate=1, betas=[0, 0.5], clip_gradient=None)
    assert found.betas == (0.0, 0.5)


@pytest.mark.parametrize("wrong", [{"hidden_dim": "wide"}, {"dropout": "nan"}, {"downsample": 4}])
def test_sizes_that_cannot_be_are_named(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=name):
        small(**wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "vqvae", "clips", "--out", "x", "--frames", "0"],
        ["train", "vqvae", "clips", "--out", "x", "--stride", "0"],
        ["train", "vqvae", "clips", "--out", "x", "--steps", "0"],
        ["generate", "gpt.pt", "clips", "--out", "x", "--count", "0"],
        ["generate", "gpt.pt", "clips", "--out", "x", "--top-k", "0"],
        ["reconstruct", "gpt.pt", "clips", "--out", "x", "--start", "-1"],
        ["prepare", "x.mp4", "--out", "x", "--frame-rate", "0"],
        ["prepare", "x.mp4", "--out", "x", "--side", "0"],
    ],
)
def test_a_zero_is_no_default(arguments):
    found = CliRunner().invoke(command, arguments)
    assert found.exit_code == 2
    assert arguments[-2] in found.output


def test_a_stride_of_zero_is_no_default(clips):
    with pytest.raises(InputError, match="every 0 frames"):
        train_vqvae(Data(ClipStore(clips), stride=0), small(), SETTINGS)


@pytest.mark.parametrize("device", ["cuda:99", "nosuch", "cpu:x"])
def test_a_device_that_is_not_there_is_named(device, tmp_path):
    with pytest.raises(InputError, match=rf"'{device}'.*cpu"):
        checked_device(device)
    with pytest.raises(InputError, match=device), process_group(device):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("arguments", [["train", "vqvae"], ["encode"]])
def test_cuda_without_a_card_is_the_user_s_error(arguments, clips, tmp_path):
    from bench_core.cli.commands.encode import command as encode

    if arguments == ["encode"]:
        options = ["x.mp4", "--out", str(tmp_path), "--encoder", "videogpt", "--device", "cuda"]
        found = CliRunner().invoke(encode, options)
    else:
        options = [str(clips), "--out", str(tmp_path / "run"), "--preset", "tiny"]
        found = CliRunner().invoke(command, [*arguments, *options, "--device", "cuda"])
    assert isinstance(found.exception, InputError)
    assert "'cuda'" in str(found.exception)


def test_other_clips_of_the_same_names_and_sizes_are_not_continued(clips, tmp_path):
    train_vqvae(Data(ClipStore(clips)), small(), SETTINGS, folder=tmp_path / "run")
    others = tmp_path / "others"
    for run in ClipStore(clips).runs:
        store = ClipStore(clips, [run.name])
        frames, times = store.read(0, 0, run.frames).copy(), store.times(0)
        frames[5, 3, 3] ^= 1
        write_run(others, run.name, [Stretch(frames, times)], subject=run.subject, source="made")
    assert ClipStore(others).digest() != ClipStore(clips).digest()
    with pytest.raises(InputError, match="data is"):
        train_vqvae(Data(ClipStore(others)), small(), SETTINGS, folder=tmp_path / "run")


def test_copied_clips_are_the_same_clips(clips, tmp_path):
    settings = TrainSettings(steps=3, batch_size=2)
    train_vqvae(Data(ClipStore(clips)), small(), SETTINGS, folder=tmp_path / "run")
    shutil.copytree(clips, tmp_path / "copy")
    for path in (tmp_path / "copy").glob("*.h5"):
        os.utime(path, (1, 1))
    copied = ClipStore(tmp_path / "copy")
    assert copied.digest() == ClipStore(clips).digest()
    trained = train_vqvae(Data(copied), small(), settings, folder=tmp_path / "run")
    assert (trained.first, trained.repeated, len(trained.rows)) == (2, 0, 1)
    copied.close()
    # Files without a digest of their own are read for it.
    for path in (tmp_path / "copy").glob("*.h5"):
        with h5py.File(path, "r+") as file:
            del file.attrs["digest"]
    assert ClipStore(tmp_path / "copy").digest() == copied.digest()


def test_the_digest_covers_frames_times_and_stretches(tmp_path):
    frames, times = moving_square(8, 0), np.arange(8.0)
    whole = [Stretch(frames, times)]
    parts = [Stretch(frames[:4], times[:4]), Stretch(frames[4:], times[4:])]
    later = [Stretch(frames, times + 1)]
    other = [Stretch(frames[::-1], times)]
    digests = set()
    for number, stretches in enumerate([whole, parts, later, other]):
        folder = tmp_path / str(number)
        write_run(folder, "run", stretches, subject="s", source="made")
        digests.add(ClipStore(folder).digest())
    assert len(digests) == 4


def test_a_run_killed_before_its_first_checkpoint_says_so(clips, tmp_path):
    class Killed(Exception):
        pass

    def kill(row):
        if row["step"] == 1:
            raise Killed

    settings = TrainSettings(steps=4, batch_size=2, checkpoint_every=3)
    said = []

    def tell(what, done=0, total=0, /):
        said.append(what)

    data = Data(ClipStore(clips))
    with pytest.raises(Killed):
        train_vqvae(data, small(), settings, folder=tmp_path, on_step=kill, progress=tell)
    assert said == []
    trained = train_vqvae(data, small(), settings, folder=tmp_path, progress=tell)
    assert (trained.first, trained.repeated) == (0, 2)
    assert len(said) == 1
    assert "2 steps" in said[0]
    more = TrainSettings(steps=6, batch_size=2, checkpoint_every=3)
    trained = train_vqvae(data, small(), more, folder=tmp_path, progress=tell)
    assert (trained.first, trained.repeated) == (4, 0)
    assert "step 4" in said[1]


def test_the_command_says_what_is_done_again(clips, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.csv").write_text("step,loss\n0,3.5\n1,3.4\n2,3.3\n")
    sizes = ["n_hiddens=12", "embedding_dim=8", "n_codes=32", "sequence_length=4"]
    sizes += ["resolution=16", "downsample=(2,4,4)"]
    options = [word for size in sizes for word in ("--set", size)]
    found = CliRunner().invoke(
        command,
        ["train", "vqvae", str(clips), "--out", str(run), "--steps", "1", "--device", "cpu",
         "--option", "batch_size=2", *options],
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "3 steps are done again" in found.stderr


def test_one_process_at_a_time_trains_in_a_folder(clips, tmp_path):
    place = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=tmp_path.name):
            train_vqvae(Data(ClipStore(clips)), small(), SETTINGS, folder=tmp_path)
    finally:
        os.close(place)


def test_an_unfinished_checkpoint_of_a_killed_run_is_removed(clips, tmp_path):
    code = (
        "import sys, os, signal, pathlib; from bench_core.files import replace_file\n"
        "def save(part):\n"
        "    part.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "replace_file(pathlib.Path(sys.argv[1]), save)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path / "last.pt"], check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".last.pt.partial-")
    mine = tmp_path / f".last.pt.partial-00000000-{os.getpid()}-00000000.pt"
    mine.write_bytes(b"of another machine")
    train_vqvae(Data(ClipStore(clips)), small(), SETTINGS, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "metrics.csv", mine.name}


def test_damaged_files_of_weights_are_named_without_torch_s_advice(clips, tmp_path):
    from safetensors.torch import save_file

    good = tmp_path / "good.pt"
    trained = train_vqvae(Data(ClipStore(clips)), small(), SETTINGS, folder=tmp_path / "run")
    shutil.copy(tmp_path / "run" / "last.pt", good)
    save_file(trained.model.state_dict(), tmp_path / "good.safetensors")
    bad = 0
    for source in (good, tmp_path / "good.safetensors"):
        content = source.read_bytes()
        path = tmp_path / f"bad{source.suffix}"
        for length in np.linspace(0, len(content), 25, endpoint=False).astype(int):
            path.write_bytes(content[:length])
            for read in (checkpoint.load, read_tensors):
                with pytest.raises(InputError, match=path.name) as error:
                    read(path)
                assert "weights_only" not in str(error.value)
                bad += 1
    assert bad == 100
    last = tmp_path / "run" / "last.pt"
    last.write_bytes(last.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"last\.pt"):
        train_vqvae(Data(ClipStore(clips)), small(), SETTINGS, folder=tmp_path / "run")


def test_code_in_a_file_is_named_and_not_run(tmp_path):
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({"state_dict": Code()}, tmp_path / "code.pt")
    with pytest.raises(InputError, match="mkdir") as error:
        load_plain(tmp_path / "code.pt")
    assert "weights_only" not in str(error.value)
    assert not (tmp_path / "made").exists()


def test_weights_without_sizes_say_so(clips, tmp_path):
    from safetensors.torch import save_file

    trained = train_vqvae(Data(ClipStore(clips)), small(), SETTINGS)
    save_file(trained.model.state_dict(), tmp_path / "bare.safetensors")
    with pytest.raises(InputError, match="sizes"):
        checkpoint.load(tmp_path / "bare.safetensors")
    found = checkpoint.load(tmp_path / "bare.safetensors", config=small())
    for name, value in trained.model.state_dict().items():
        assert torch.equal(found.state_dict()[name], value)
