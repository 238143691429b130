"""The training loop: exact resume, what is recorded, stopping, and learning itself."""

import csv
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from videogpt_small import make_store, small

from bench_core.errors import InputError
from encoders.videogpt import checkpoint, codes
from encoders.videogpt.generate import Sampling, continue_codes
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training.batches import Order
from encoders.videogpt.training.loop import NonFiniteLossError, Trainer
from encoders.videogpt.training.phases import GPTPhase, VQVAEPhase
from encoders.videogpt.training.runs import Data, train_gpt, train_vqvae
from encoders.videogpt.training.settings import TrainSettings, thesis_settings
from encoders.videogpt.training.sources import CodeSource, FrameSource
from encoders.videogpt.vqvae import VQVAE


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def vqvae(store):
    settings = TrainSettings(steps=40, batch_size=4, learning_rate=3e-3)
    return train_vqvae(Data(store), small(), settings).model


def gpt_losses(rows):
    return [row["loss"] for row in rows]


def test_vqvae_learns_and_records(store, tmp_path):
    settings = TrainSettings(
        steps=40, batch_size=4, learning_rate=3e-3, checkpoint_every=15, tensorboard=True
    )
    seen = []
    trained = train_vqvae(Data(store), small(), settings, folder=tmp_path, on_step=seen.append)
    losses = gpt_losses(trained.rows)
    assert losses[-1] < 0.5 * losses[0]
    assert seen == trained.rows
    with (tmp_path / "metrics.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in written] == losses
    assert [int(row["step"]) for row in written] == list(range(40))
    assert all(float(row["clips_per_second"]) > 0 for row in written)
    assert all(float(row["memory"]) > 1e6 for row in written)
    assert all(1 <= float(row["perplexity"]) <= 32 for row in written)
    assert list((tmp_path / "events").glob("events.out.tfevents.*"))
    loaded = checkpoint.load_vqvae(tmp_path / "last.pt")
    video = torch.rand(1, 3, 4, 16, 16) - 0.5
    assert torch.equal(loaded.encode(video), trained.model.encode(video))
    assert trained.sizes["frames"] == 96
    assert trained.sizes["clips"] == 24


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_resumed_run_is_bit_identical(store, vqvae, tmp_path, precision):
    """With dropout, a schedule, clipping, loss scaling, and epochs shorter than the run."""
    config = small(dropout=0.2, attn_dropout=0.3)

    def run(folder, steps):
        settings = TrainSettings(
            steps=steps,
            batch_size=6,
            schedule="cosine",
            schedule_steps=20,
            clip_gradient=0.5,
            precision=precision,
            seed=3,
        )
        cache = tmp_path / "codes"
        return train_gpt(Data(store), vqvae, config, settings, folder=folder, cache=cache)

    whole = run(tmp_path / "whole", 9)
    first = run(tmp_path / "parts", 4)
    second = run(tmp_path / "parts", 9)
    assert gpt_losses(first.rows) + gpt_losses(second.rows) == gpt_losses(whole.rows)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    with (tmp_path / "parts" / "metrics.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(9))


def test_resumed_vqvae_is_bit_identical(store, tmp_path):
    def run(folder, steps):
        settings = TrainSettings(steps=steps, batch_size=4, learning_rate=1e-3)
        return train_vqvae(Data(store), small(), settings, folder=folder)

    whole, _, second = run(tmp_path / "a", 6), run(tmp_path / "b", 3), run(tmp_path / "b", 6)
    assert gpt_losses(whole.rows)[3:] == gpt_losses(second.rows)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_an_interrupted_run_drops_the_steps_after_its_checkpoint(store, tmp_path):
    settings = TrainSettings(steps=8, batch_size=2, checkpoint_every=3)

    class Killed(Exception):
        pass

    def kill(row):
        if row["step"] == 4:
            raise Killed

    with pytest.raises(Killed):
        train_vqvae(Data(store), small(), settings, folder=tmp_path, on_step=kill)
    second = train_vqvae(Data(store), small(), settings, folder=tmp_path)
    assert [row["step"] for row in second.rows] == [3, 4, 5, 6, 7]
    with (tmp_path / "metrics.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(8))
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"batch_size": 3}, "batch_size"),
        ({"learning_rate": 1.0}, "learning_rate"),
        ({"precision": "bf16"}, "precision"),
    ],
)
def test_a_run_is_not_continued_as_another(store, tmp_path, change, what):
    base = {"steps": 2, "batch_size": 2}
    train_vqvae(Data(store), small(), TrainSettings(**base), folder=tmp_path)
    with pytest.raises(InputError, match=what):
        train_vqvae(Data(store), small(), TrainSettings(**{**base, **change}), folder=tmp_path)
    with pytest.raises(InputError, match=r"sizes is .*'n_codes': 16"):
        train_vqvae(Data(store), small(n_codes=16), TrainSettings(**base), folder=tmp_path)
    other = Data(store, stride=2)
    with pytest.raises(InputError, match="data is"):
        train_vqvae(other, small(), TrainSettings(**base), folder=tmp_path)


def test_half_precision_follows_single(store, vqvae, tmp_path):
    losses = {}
    for precision in ("fp32", "bf16", "fp16"):
        settings = TrainSettings(steps=12, batch_size=4, learning_rate=1e-3, precision=precision)
        trained = train_gpt(Data(store), vqvae, small(), settings, cache=tmp_path)
        losses[precision] = np.array(gpt_losses(trained.rows))
        scale = trained.rows[-1]["loss_scale"]
        assert (scale > 1) == (precision == "fp16")
        assert all(p.dtype == torch.float32 for p in trained.model.parameters())
    for precision in ("bf16", "fp16"):
        assert not np.array_equal(losses[precision], losses["fp32"])
        np.testing.assert_allclose(losses[precision], losses["fp32"], rtol=0.02)


def test_cached_codes_train_like_frames_encoded_at_every_step(store, vqvae, tmp_path):
    settings = TrainSettings(steps=4, batch_size=3)
    cached = train_gpt(Data(store), vqvae, small(), settings, cache=tmp_path)
    anew = train_gpt(Data(store), vqvae, small(), settings)
    np.testing.assert_allclose(gpt_losses(cached.rows), gpt_losses(anew.rows), rtol=1e-5)


def test_codes_are_computed_once(store, vqvae, tmp_path):
    windows = Data(store).frame_source(8, 4).windows
    calls = []
    first = codes.cached(tmp_path, store, windows, vqvae, progress=lambda *c: calls.append(c))
    # 4 runs of 6 clips; neighbouring samples share a clip, which is encoded once.
    assert calls[-1] == ("codes", 24, 24)
    assert first.codes.shape == (24, 2, 4, 4)
    assert len(first) == 20
    before, after = first.pairs(np.arange(20))
    for i, (run, start) in enumerate(windows):
        for found, offset in ((before[i], 0), (after[i], 4)):
            frames = torch.from_numpy(store.read(run, start + offset, 4))[None]
            video = frames.movedim(-1, 1).float() / 255 - 0.5
            assert np.array_equal(found, vqvae.encode(video)[0].numpy())
    calls.clear()
    second = codes.cached(tmp_path, store, windows, vqvae, progress=lambda *c: calls.append(c))
    assert not calls
    assert np.array_equal(second.codes, first.codes)
    other = VQVAE(small().vqvae).eval()
    assert codes.cached(tmp_path, store, windows, other).key != first.key
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("phase", ["vqvae", "gpt"])
def test_non_finite_loss_stops_and_keeps_the_batch(store, vqvae, tmp_path, phase):
    if phase == "vqvae":
        model = VQVAEPhase(VQVAE(small().vqvae))
        source = FrameSource(store, Data(store).frame_source(4, 4).windows, 4)
    else:
        model = GPTPhase(VideoGPT(small()))
        windows = Data(store).frame_source(8, 4).windows
        source = CodeSource(codes.cached(tmp_path / "codes", store, windows, vqvae))
    trainer = Trainer(model, source, TrainSettings(steps=6, batch_size=2), folder=tmp_path)

    def poison(row):
        if row["step"] == 2:
            next(p for p in model.parameters() if p.requires_grad).data.fill_(float("nan"))

    with pytest.raises(NonFiniteLossError, match="nan at step 3") as stopped:
        trainer.train(poison)
    (kept,) = tmp_path.glob("nonfinite-*.pt")
    assert kept.name in str(stopped.value)
    content = torch.load(kept, weights_only=True)
    assert content["step"] == 3
    assert math.isnan(content["loss"])
    wanted = source.batch(trainer.order.at(3))
    assert content["batch"].keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(content["batch"][name], value)


def test_non_finite_gradient_stops_in_single_precision(store):
    phase = VQVAEPhase(VQVAE(small().vqvae))
    source = Data(store).frame_source(4, 4)
    trainer = Trainer(phase, source, TrainSettings(steps=2, batch_size=2))
    next(phase.parameters()).register_hook(lambda g: g * float("inf"))
    with pytest.raises(NonFiniteLossError, match="gradient"):
        trainer.train()


def test_gradient_is_clipped_and_the_schedule_followed(store):
    phase = VQVAEPhase(VQVAE(small().vqvae))
    settings = TrainSettings(
        steps=5, batch_size=2, schedule="cosine", schedule_steps=4, clip_gradient=1e-3
    )
    trainer = Trainer(phase, Data(store).frame_source(4, 4), settings)
    rows = trainer.train()
    left = [p.grad for p in phase.parameters() if p.grad is not None]
    norm = torch.cat([g.flatten() for g in left]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)
    assert all(row["gradient_norm"] > 1e-3 for row in rows)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
    for row in rows:
        assert row["learning_rate"] == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        scheduler.step()


def test_published_recipes():
    gpt, vqvae = thesis_settings("gpt", 10), thesis_settings("vqvae", 10, schedule="cosine")
    assert (gpt.schedule, gpt.clip_gradient, gpt.precision) == ("cosine", 1.0, "fp16")
    assert gpt.rate(0) == 3e-4
    assert gpt.rate(100_000) == pytest.approx(1.5e-4)
    assert gpt.rate(200_000) == gpt.rate(300_000) == 0
    assert (vqvae.schedule, vqvae.precision, vqvae.clip_gradient) == ("cosine", "fp32", None)


def test_overfits_a_handful_of_clips_and_continues_them(store, vqvae, tmp_path):
    windows = Data(store).frame_source(8, 4).windows[::5]
    found = codes.cached(tmp_path, store, windows, vqvae)
    torch.manual_seed(0)
    model = VideoGPT(small(hidden_dim=48))
    model.vqvae.load_state_dict(vqvae.state_dict())
    settings = TrainSettings(steps=220, batch_size=4, learning_rate=4e-3, clip_gradient=1.0)
    rows = Trainer(GPTPhase(model), CodeSource(found), settings).train()
    assert rows[0]["loss"] == pytest.approx(math.log(32), abs=1e-6)
    assert rows[-1]["loss"] < 0.02
    model.eval()
    before, after = (torch.from_numpy(x.astype(np.int64)) for x in found.pairs(np.arange(4)))
    assert len(after.flatten(1).unique(dim=0)) == 4  # clips that differ, or nothing is shown
    assert torch.equal(continue_codes(model, before, Sampling(greedy=True)), after)


@given(
    samples=st.integers(1, 30),
    batch=st.integers(1, 12),
    processes=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_order_covers_every_epoch_and_splits_over_processes(samples, batch, processes, seed):
    together = Order(samples, batch * processes, seed)
    parts = [Order(samples, batch, seed, processes, i) for i in range(processes)]
    steps = range(-(-3 * samples // (batch * processes)))
    drawn = np.concatenate([together.at(step) for step in steps])
    for step in steps:
        split = np.concatenate([part.at(step) for part in parts])
        assert np.array_equal(split, together.at(step))
    for epoch in range(3):
        one = drawn[epoch * samples : (epoch + 1) * samples]
        assert sorted(one) == list(range(samples))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps": 0}, "steps"),
        ({"precision": "fp8"}, "fp16"),
        ({"schedule": "cosin"}, "cosine"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"clip_gradient": -1.0}, "clip_gradient"),
    ],
)
def test_settings_that_mean_nothing(change, match):
    with pytest.raises((InputError, LookupError), match=match):
        TrainSettings(**{"steps": 1, **change})


def test_frames_of_another_size_are_refused(store, vqvae):
    config = small(resolution=32)
    with pytest.raises(InputError, match=r"16 px.* 32 px"):
        train_vqvae(Data(store), config, TrainSettings(steps=1))
    with pytest.raises(InputError, match=r"n_codes=32.*n_codes=16"):
        train_gpt(Data(store), vqvae, small(n_codes=16), TrainSettings(steps=1))
