"""What `encode` and an encoder's constructor both take reaches the encoder."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_encoder import Tiny, video

from bench_core.cli.commands.encode import command
from bench_core.errors import InputError, UnknownNameError
from encoders import registry
from encoders.encode import encode
from encoders.store import FeatureStore

SELDOM = ("weights", "seed", "device")  # given to every encoder


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video(tmp_path_factory.mktemp("movie") / "movie.mp4", np.arange(500) / 50)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from encoders.videogpt import preset
    from encoders.videogpt.gpt import VideoGPT

    model = VideoGPT(preset("tiny"))
    content = {"format": "ridgebench-videogpt/1", "config": model.config.to_dict()}
    path = tmp_path_factory.mktemp("weights") / "gpt.pt"
    torch.save({**content, "state_dict": model.state_dict()}, path)
    return path


@pytest.mark.parametrize("tr", [0.8, 1.49, 2.0])
def test_a_clip_of_videogpt_lasts_one_tr(
    tr: float, movie: Path, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = [str(movie), "--encoder", "videogpt", "--weights", str(checkpoint)]
    found = CliRunner().invoke(
        command,
        [*arguments, "--layer", "features", "--reduce", "pool", "--tr", str(tr), "--out", tmp_path],
    )
    assert found.exit_code == 0, found.output
    stored = FeatureStore(tmp_path).one("movie", "features")
    at = stored.trs[:, None] * tr + (np.arange(16) - 8) * tr / 8
    np.testing.assert_allclose(stored.times, np.floor(at * 50 + 1e-4) / 50, atol=1e-4)
    assert stored.identity["tr"] == tr


def test_the_list_is_of_the_encoder_as_it_would_be_made(checkpoint: Path) -> None:
    arguments = ["--list", "--encoder", "videogpt", "--weights", str(checkpoint), "--tr", "2.0"]
    found = CliRunner().invoke(command, arguments)
    assert found.exit_code == 0, found.output
    assert "16 frames at 4/s" in found.output
    assert "attn_nets.1." in found.output
    assert "attn_nets.2." not in found.output


def test_every_option_that_a_constructor_names_is_passed_on(
    movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}

    class Greedy(Tiny):
        def __init__(
            self, weights=None, *, seed=0, device="cpu", tr=1.0, phase=0.0, dtype="", batch=0
        ):
            made.update(tr=tr, phase=phase, dtype=dtype, batch=batch)
            super().__init__(weights, seed=seed, device=device)

    class Always:
        def get(self, name: str) -> type[Tiny]:
            return Greedy

    monkeypatch.setattr(registry, "ENCODERS", Always())
    given = {"tr": 0.5, "phase": 0.1, "dtype": "float16", "batch": 3}
    options = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    found = CliRunner().invoke(
        command, [str(movie), "--layer", "head", "--out", str(tmp_path), *options]
    )
    assert found.exit_code == 0, found.output
    assert made == given
    # Every option of the command that can decide an encoder is offered.
    taken = {option.name for option in command.params} & set(inspect.signature(Greedy).parameters)
    assert taken - set(SELDOM) == set(given)


def test_an_encoder_made_for_another_tr_is_refused(movie: Path, tmp_path: Path) -> None:
    encoder = registry.make("videogpt", preset="tiny", tr=1.49)
    with pytest.raises(InputError, match=r"1\.49 s .* 2 s"):
        encode({"movie": movie}, encoder, ["features"], FeatureStore(tmp_path), tr=2.0)


SMALL = ["--option", "widths=[2, 2, 2, 2, 2]", "--option", "hidden=4", "--option", "classes=3"]


def test_options_and_the_default_layer_reach_the_encoder(movie: Path, tmp_path: Path) -> None:
    words = [str(movie), "--encoder", "vgg16-keras", "--tr", "2", "--out", str(tmp_path), *SMALL]
    words += ["--option", "size=64", "--option", "interpolation=bilinear"]
    found = CliRunner().invoke(command, words)
    assert found.exit_code == 0, found.output
    stored = FeatureStore(tmp_path).one("movie", "fc2")
    assert stored.shape[1] == 4
    assert "64 x 64 bilinear" in stored.identity["preprocessing"]


def test_an_unknown_option_and_one_with_a_flag_are_refused(movie: Path, tmp_path: Path) -> None:
    words = [str(movie), "--encoder", "vgg16-keras", "--out", str(tmp_path), *SMALL]
    found = CliRunner().invoke(command, [*words, "--option", "interpolate=nearest"])
    assert isinstance(found.exception, UnknownNameError)
    assert "interpolation" in str(found.exception)
    found = CliRunner().invoke(command, [*words, "--option", "tr=2"])
    assert found.exit_code == 2
    assert "--tr" in found.output


@pytest.mark.parametrize(
    ("encoder", "layer"),
    [
        (lambda: registry.make("videogpt", preset="tiny"), "features"),
        (lambda: Tiny(), "activation"),
    ],
)
def test_without_a_layer_it_is_the_encoder_s_own(encoder, layer: str) -> None:
    assert registry.default_layer(encoder()) == layer
