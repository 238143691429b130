"""Continuations and reconstructions, and the files they are written to."""

import zlib

import av
import numpy as np
import pytest
import torch
from videogpt_small import moving_square, small

from bench_core.errors import InputError
from encoders.videogpt import media
from encoders.videogpt.generate import Sampling, continue_clips, continue_codes, reconstruct
from encoders.videogpt.gpt import VideoGPT


@pytest.fixture(scope="module", params=["sdpa", "reference"])
def model(request):
    torch.manual_seed(0)
    model = VideoGPT(small(attention=request.param, dropout=0.2, attn_dropout=0.3))
    torch.nn.init.normal_(model.fc_out.weight, std=0.3)
    return model.eval()


@pytest.fixture
def before():
    return torch.randint(0, 32, (3, 2, 4, 4), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sampling", [{"greedy": True}, {"seed": 4}, {"top_k": 3, "seed": 4}])
def test_cache_gives_what_the_whole_model_gives(model, before, sampling):
    cached = continue_codes(model, before, Sampling(**sampling))
    whole = continue_codes(model, before, Sampling(**sampling, cache=False))
    assert torch.equal(cached, whole)
    assert len(cached.flatten(1).unique(dim=0)) == 3


def test_cached_logits_equal_the_uncached(model, before):
    codes = torch.randint(0, 32, before.shape, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        wanted = model(before, codes).flatten(1, -2)
        state, flat = model.start(before), codes.flatten(1)
        for i in range(flat.shape[1]):
            found = model.step(flat[:, i - 1] if i else None, state)
            torch.testing.assert_close(found, wanted[:, i], rtol=1e-4, atol=1e-5)


def test_greedy_takes_the_likeliest_and_is_the_limit_of_sampling(model, before):
    greedy = continue_codes(model, before, Sampling(greedy=True))
    with torch.inference_mode():
        assert torch.equal(model(before, greedy).argmax(-1), greedy)
    assert torch.equal(continue_codes(model, before, Sampling(temperature=1e-6)), greedy)
    assert torch.equal(continue_codes(model, before, Sampling(top_k=1, seed=9)), greedy)
    sampled = [continue_codes(model, before, Sampling(seed=seed)) for seed in (0, 0, 1)]
    assert torch.equal(sampled[0], sampled[1])
    assert not torch.equal(sampled[0], sampled[2])


def test_sampling_follows_the_model_s_distribution():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(20_000, 1)
    generator = torch.Generator().manual_seed(0)

    def shares(**options):
        drawn = Sampling(**options).choose(logits, generator)
        return torch.bincount(drawn, minlength=4) / len(drawn)

    tolerance = {"rtol": 0, "atol": 0.015}
    torch.testing.assert_close(shares(), logits[0].exp(), **tolerance)
    torch.testing.assert_close(shares(top_k=2), torch.tensor([0.625, 0.375, 0, 0]), **tolerance)
    squared = logits[0].exp() ** 2
    torch.testing.assert_close(shares(temperature=0.5), squared / squared.sum(), **tolerance)


def test_several_clips_follow_one_another(model):
    frames = torch.from_numpy(moving_square(4, 0))[None]
    calls = []
    found = continue_clips(
        model, frames, clips=2, sampling=Sampling(greedy=True), progress=lambda *c: calls.append(c)
    )
    assert found.shape == (1, 8, 16, 16, 3)
    assert found.dtype == torch.uint8
    assert calls[0] == ("codes", 1, 32)
    assert calls[-1] == ("codes", 32, 32)
    codes = model.vqvae.encode(frames.movedim(-1, 1).float() / 255 - 0.5)
    for clip in range(2):
        codes = continue_codes(model, codes, Sampling(greedy=True))
        video = model.vqvae.decode(codes).detach()
        wanted = ((video + 0.5) * 255).round().to(torch.uint8).movedim(1, -1)
        assert torch.equal(found[:, 4 * clip : 4 * clip + 4], wanted)


def test_what_cannot_be_continued(model):
    with pytest.raises(InputError, match=r"\(8, 16, 16, 3\).* \(4, 16, 16, 3\)"):
        continue_clips(model, torch.zeros(1, 8, 16, 16, 3, dtype=torch.uint8))
    with pytest.raises(InputError, match="0 clips"):
        continue_clips(model, torch.zeros(1, 4, 16, 16, 3, dtype=torch.uint8), clips=0)
    for options in ({"temperature": 0.0}, {"top_k": 0}):
        with pytest.raises(InputError):
            Sampling(**options)
    try:
        model.train()
        with pytest.raises(InputError, match="training mode"):
            continue_codes(model, torch.zeros(1, 2, 4, 4, dtype=torch.int64))
    finally:
        model.eval()


def test_reconstruction_is_decoded_codes(model):
    frames = torch.from_numpy(np.stack([moving_square(4, seed) for seed in range(2)]))
    found = reconstruct(model.vqvae, frames)
    assert found.shape == frames.shape
    video = model.vqvae.decode(model.vqvae.encode(frames.movedim(-1, 1) / 255 - 0.5)).detach()
    assert torch.equal(found, ((video + 0.5) * 255).round().to(torch.uint8).movedim(1, -1))


def read_png(path):
    """Return the pixels of a PNG by its own decoder, and by PyAV."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_png_holds_the_pixels(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (7, 13, 3), dtype=np.uint8)
    media.write_png(tmp_path / "sub" / "a.png", picture)
    np.testing.assert_array_equal(read_png(tmp_path / "sub" / "a.png"), picture)
    assert zlib.crc32((tmp_path / "sub" / "a.png").read_bytes()[12:29]) == int.from_bytes(
        (tmp_path / "sub" / "a.png").read_bytes()[29:33], "big"
    )


def test_video_can_be_watched(tmp_path):
    frames = moving_square(12, 0, side=15)  # an odd side
    path = tmp_path / "clip.mp4"
    media.write_video(path, frames, 10.74, scale=4)
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate)
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert rate == pytest.approx(10.74, rel=1e-3)
    assert len(shown) == 12
    assert shown[0].shape == (60, 60, 3)
    difference = np.abs(np.stack(shown)[:, 2::4, 2::4].astype(int) - frames).mean()
    assert difference < 12  # H.264 loses a little
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match=r"clip.nothing"):
        media.write_video(tmp_path / "clip.nothing", frames, 10)
    with pytest.raises(InputError, match="frame rate 0"):
        media.write_video(path, frames, 0)


def test_comparisons_are_laid_out():
    a, b = moving_square(3, 0), moving_square(3, 1)
    beside = media.side_by_side([a, b])
    assert beside.shape == (3, 16, 32, 3)
    np.testing.assert_array_equal(beside[2, :, 16:], b[2])
    sheet = media.contact_sheet([a, b])
    assert sheet.shape == (32, 48, 3)
    np.testing.assert_array_equal(sheet[16:, 32:], b[2])
