"""The encoder plug-in: layers, alignment to TRs, reduction, the feature store."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from videogpt_small import moving_square, small

from bench_core.errors import InputError, UnknownNameError
from encoders import registry
from encoders.alignment import align
from encoders.encode import encode
from encoders.plugins.videogpt import VideoGPTEncoder
from encoders.protocol import Frames
from encoders.reducers import parse
from encoders.store import FeatureStore
from encoders.videogpt.clips.export import export_run
from encoders.videogpt.clips.resize import resize
from encoders.videogpt.clips.sampling import read_video
from encoders.videogpt.clips.store import ClipStore, Stretch, write_run
from encoders.videogpt.gpt import VideoGPT

TR = 1.6


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return a file of our own format with random weights, and the model."""
    torch.manual_seed(0)
    model = VideoGPT(small())
    torch.nn.init.normal_(model.fc_out.weight)
    # Batches in training mode make codes that tell clips apart, and statistics that fit them.
    clips = np.stack([moving_square(4, seed) for seed in range(6)])
    model.vqvae.train()
    with torch.no_grad():
        for _ in range(40):
            model.vqvae(torch.from_numpy(clips).movedim(-1, 1) / 255 - 0.5)
    model.eval()
    path = tmp_path_factory.mktemp("weights") / "gpt.pt"
    content = {"format": "ridgebench-videogpt/1", "config": model.config.to_dict()}
    torch.save({**content, "state_dict": model.state_dict()}, path)
    return path, model


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Return a video of 12 TRs at 10 frames/s, larger than the model's, and its frames."""
    frames = moving_square(192, 3, side=24)
    path = tmp_path_factory.mktemp("video") / "run-1.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width = stream.height = 24
        stream.pix_fmt = "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 10)
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path, frames


def test_every_tr_s_clip_given_the_tr_before(checkpoint, video, tmp_path):
    path, model = checkpoint
    source, frames = video
    encoder = registry.make("videogpt", path, tr=TR)
    assert encoder.input_spec.frames == 8
    assert encoder.input_spec.lead == 4
    assert encoder.weights.trained
    layer = "attn_stack.attn_nets.1.post_fc_dp"
    (found,) = encode({"run-1": source}, encoder, [layer], FeatureStore(tmp_path), tr=TR)
    stored = found.features
    values = stored.read()
    # TR 0 has no clip before it. A clip of 4 frames lasts 1.6 s: every fourth of 10 frames/s.
    assert values.shape == (11, 2 * 4 * 4 * 24)
    chosen = resize(frames, 16)[::4].reshape(-1, 4, 16, 16, 3)
    kept = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _m, _i, out: kept.append(out))
    clips = torch.from_numpy(chosen).movedim(-1, 1) / 255 - 0.5
    with torch.no_grad():
        codes = model.vqvae.encode(clips)
        model(codes[:11], codes[1:12])
    hook.remove()
    assert len(codes.flatten(1).unique(dim=0)) > 6  # or a wrong clip would not show
    np.testing.assert_allclose(values, kept[0].flatten(1).numpy(), rtol=1e-4, atol=1e-5)
    again = encode({"run-1": source}, encoder, [layer], FeatureStore(tmp_path), tr=TR)
    assert again[0].computed == 0


def test_features_three_trs_before_the_volume():
    features = np.arange(1, 12)[:, None] * 10.0
    found = align(features, np.arange(1, 12), 14, VideoGPTEncoder.alignment)
    # Volume 4 is predicted by TR 1, the first that has a clip before it.
    np.testing.assert_array_equal(found.volumes, np.arange(4, 14))
    np.testing.assert_array_equal(found.X[:, 0], np.arange(1, 11) * 10.0)
    assert found.dropped == 4


@pytest.mark.parametrize(
    ("text", "width"), [("none", 768), ("pool", 24), ("project=20", 20), ("pca=3", 3)]
)
def test_reduction_is_explicit(checkpoint, video, tmp_path, text, width):
    encoder = registry.make("videogpt", checkpoint[0], tr=TR)
    (found,) = encode(
        {"run-1": video[0]},
        encoder,
        ["features"],
        FeatureStore(tmp_path),
        tr=TR,
        reducers=parse(text),
        training=["run-1"],
    )
    assert found.features.read().shape == (11, width)


def test_layers_of_both_models_in_one_pass(checkpoint):
    encoder = registry.make("videogpt", checkpoint[0], attention="reference")
    pixels = np.stack([moving_square(8, seed, side=20) for seed in range(3)])
    batch = encoder.preprocess(Frames(pixels, np.zeros((3, 8))))
    assert batch.shape == (3, 8, 16, 16, 3)
    wanted = {
        "features": (3, 2, 4, 4, 24),
        "attn_stack.attn_nets.0.attn.attn": (3, 4, 2, 4, 4, 6),
        "attn_stack.attn_nets.0.attn.attn.softmax": (3, 4, 32, 32),
        "vqvae.encoder.res_stack": (3, 12, 2, 4, 4),
        "vqvae.encoder.res_stack.0.block.8.attn_t": (3, 2, 4, 4, 12),
        "resnet": (3, 12, 2, 4, 4),
        "fc_out": (3, 2, 4, 4, 32),
    }
    found = encoder.extract(batch, list(wanted))
    assert {name: tuple(x.shape) for name, x in found.items()} == wanted
    for name, channels in (("features", 24), ("vqvae.encoder.res_stack", 12), ("resnet", 12),
                           ("vqvae.encoder.res_stack.0.block.8.attn_t", 12), ("fc_out", 32),
                           ("attn_stack.attn_nets.0.attn.attn", 6)):  # fmt: skip
        assert found[name].shape[encoder.channel_axis(name)] == channels, name
    weights = found["attn_stack.attn_nets.0.attn.attn.softmax"]
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, 32))
    assert float(weights.triu(1).abs().max()) == 0
    # The VQ-VAE's layers are those of the clip itself, not of the one before.
    alone = encoder.network.vqvae.encoder(batch[:, 4:].movedim(-1, 1) / 255 - 0.5)
    torch.testing.assert_close(found["vqvae.encoder.res_stack"], alone)


def test_wrong_names_and_files(checkpoint, tmp_path):
    encoder = registry.make("videogpt", checkpoint[0])
    with pytest.raises(UnknownNameError, match=r"attn_stack\.attn_nets\.1\.post_fc_dp"):
        encoder.channel_axis("attn_stack.attn_nets.2.post_fc_dp")
    with pytest.raises(InputError, match=r"'vqvae.decoder'"):
        encoder.extract(torch.zeros(1, 8, 16, 16, 3, dtype=torch.uint8), ["vqvae.decoder"])
    with pytest.raises(InputError, match="'fetch'"):
        registry.make("videogpt", "fetch")
    with pytest.raises(InputError, match=r"none.pt"):
        registry.make("videogpt", tmp_path / "none.pt")


def test_random_weights_by_seed():
    one, same, other = (registry.make("videogpt", preset="tiny", seed=s) for s in (1, 1, 2))
    assert not one.weights.trained
    assert one.weights.digest == same.weights.digest != other.weights.digest


def test_a_prepared_run_as_video_on_the_scanner_s_clock(tmp_path):
    a, b = moving_square(10, 0), moving_square(6, 1)
    times = [2.0 + 0.1 * np.arange(10), 4.0 + 0.05 * np.arange(6)]
    parts = [Stretch(a, times[0]), Stretch(b, times[1])]
    write_run(tmp_path / "clips", "run-1", parts, subject="s", source="made")
    store = ClipStore(tmp_path / "clips")
    export_run(store, "run-1", tmp_path / "run-1.mkv")
    found = read_video(tmp_path / "run-1.mkv", 16)
    black = np.zeros((1, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(found.frames, np.concatenate([black, a, black, b, black]))
    wanted = np.concatenate([[0.0], times[0], [3.0], times[1], [4.3]])
    np.testing.assert_allclose(found.times, wanted, atol=1e-3)
    # The later of two overlapping stretches is shown from its start on.
    overlapping = [Stretch(a, times[0]), Stretch(b, times[1] - 1.5)]
    write_run(tmp_path / "clips", "run-3", overlapping, subject="s", source="made")
    export_run(ClipStore(tmp_path / "clips"), "run-3", tmp_path / "run-3.mkv")
    found = read_video(tmp_path / "run-3.mkv", 16)
    np.testing.assert_array_equal(found.frames, np.concatenate([black, a[:5], b, black]))
    wanted = np.concatenate([[0.0], times[0][:5], times[1] - 1.5, [2.8]])
    np.testing.assert_allclose(found.times, wanted, atol=1e-3)
    with pytest.raises(UnknownNameError, match="'run-2'"):
        export_run(store, "run-2", tmp_path / "run-2.mkv")


@pytest.mark.parametrize(("layers", "block"), [(1, 0), (2, 1), (4, 3), (8, 4)])
def test_features_are_the_thesis_s_layer(layers, block, tmp_path):
    model = VideoGPT(small(layers=layers))
    content = {"format": "ridgebench-videogpt/1", "config": model.config.to_dict()}
    torch.save({**content, "state_dict": model.state_dict()}, tmp_path / "gpt.pt")
    encoder = registry.make("videogpt", tmp_path / "gpt.pt")
    assert encoder.aliases["features"] == f"attn_stack.attn_nets.{block}.post_fc_dp"


def test_int8_features_are_near_the_float_ones_and_kept_apart(checkpoint, video, tmp_path):
    path, _ = checkpoint
    source, _ = video
    layer = "attn_stack.attn_nets.1.post_fc_dp"
    read, bytes_ = {}, {}
    for quantisation in ("none", "int8"):
        encoder = registry.make("videogpt", path, tr=TR, quantisation=quantisation)
        (found,) = encode({"run-1": source}, encoder, [layer], FeatureStore(tmp_path), tr=TR)
        assert found.computed > 0  # not the other's, out of the store
        read[quantisation] = found.features.read().ravel()
        bytes_[quantisation] = encoder.weight_bytes()
    assert 0.99 < np.corrcoef(read["none"], read["int8"])[0, 1] < 1
    # Linear layers have most of the weights, and theirs take a quarter.
    assert bytes_["none"] / bytes_["int8"] > 1.5
    float_gpt = registry.make("videogpt", path, tr=TR).network
    assert bytes_["none"] == 4 * sum(
        p.numel() for name, p in float_gpt.named_parameters() if not name.startswith("vqvae.")
    )
    vqvae = registry.make("videogpt", path, tr=TR, quantisation="int8").network.vqvae
    assert not any(type(module).__name__ == "Int8Linear" for module in vqvae.modules())
    with pytest.raises(UnknownNameError, match="int8"):
        registry.make("videogpt", path, tr=TR, quantisation="int4")
