"""Files of weights: published ones, our own, and ones that must be refused."""

import argparse
import pickle

import pytest
import torch
from videogpt_small import reference_gpt, small

from bench_core.errors import InputError
from encoders.videogpt import checkpoint
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.vqvae import VQVAE


def namespace(config, **more):
    """Return hyper-parameters as published: a namespace of the command line's arguments."""
    sizes = config.vqvae
    values = {
        "embedding_dim": sizes.embedding_dim,
        "n_codes": sizes.n_codes,
        "n_hiddens": sizes.n_hiddens,
        "n_res_layers": sizes.n_res_layers,
        "downsample": list(sizes.downsample),
        "sequence_length": sizes.sequence_length,
        "resolution": sizes.resolution,
        "data_path": "/somewhere",
        "gpus": 4,
    }
    return argparse.Namespace(**{**values, **more})


def gpt_namespace(config):
    """Return a GPT's: it does not repeat its VQ-VAE's, and its samples are two clips."""
    return argparse.Namespace(
        vqvae="/somewhere/vqvae.ckpt",
        n_cond_frames=0,
        class_cond=False,
        class_cond_dim=None,
        emb_cond=True,
        hidden_dim=config.gpt.hidden_dim,
        heads=config.gpt.heads,
        layers=config.gpt.layers,
        dropout=0.2,
        attn_type="full",
        attn_dropout=0.3,
        sequence_length=2 * config.vqvae.sequence_length,
        resolution=config.vqvae.resolution,
        max_steps=200_000,
    )


def lightning(model, hyper):
    """Return what Lightning writes around a state dict."""
    return {
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "1.5.10",
        "state_dict": model.state_dict(),
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.1)}},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 3e-4}]}],
        "lr_schedulers": [],
        "hparams_name": "args",
        "hyper_parameters": {"args": hyper},
    }


def randomised(config, seed=0):
    torch.manual_seed(seed)
    model = VideoGPT(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    return model


@pytest.mark.parametrize("around", ["args", "flat", "hparams"])
def test_published_gpt_loads_unchanged_and_computes_the_same(tmp_path, around):
    config = small()
    model = randomised(config)
    content = lightning(model, gpt_namespace(config))
    if around == "flat":
        content["hyper_parameters"] = content["hyper_parameters"]["args"]
    elif around == "hparams":
        content["hparams"] = vars(content.pop("hyper_parameters")["args"])
    torch.save(content, tmp_path / "gpt.ckpt")
    loaded = checkpoint.load_gpt(tmp_path / "gpt.ckpt")
    assert loaded.config.vqvae == config.vqvae
    assert loaded.config.gpt.layer_norm == "published"
    assert not loaded.training
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    before, codes = torch.randint(0, 32, (2, 1, 2, 4, 4)).unbind()
    wanted = reference_gpt(model.state_dict(), before, codes, heads=4, layers=2)
    with torch.no_grad():
        torch.testing.assert_close(loaded(before, codes).double(), wanted, rtol=1e-4, atol=1e-4)


def test_published_vqvae_loads_and_goes_on_with_its_codes(tmp_path):
    config = small()
    torch.manual_seed(0)
    model = VQVAE(config.vqvae).train()
    video = torch.rand(2, 3, 4, 16, 16) - 0.5
    model(video)
    torch.save(lightning(model, namespace(config)), tmp_path / "vqvae.ckpt")
    loaded = checkpoint.load_vqvae(tmp_path / "vqvae.ckpt")
    model.eval()
    assert torch.equal(loaded.encode(video), model.encode(video))
    assert torch.equal(loaded.decode(loaded.encode(video)), model.decode(model.encode(video)))
    # In training the codes are averaged on, not drawn anew from the next batch.
    loaded.train()(video)
    torch.testing.assert_close(loaded.codebook.N.sum(), torch.tensor(32.0), atol=2.0, rtol=0)


def test_vqvae_inside_a_gpt_can_be_taken_alone(tmp_path):
    model = randomised(small())
    torch.save(lightning(model, gpt_namespace(small())), tmp_path / "gpt.ckpt")
    alone = checkpoint.load_vqvae(tmp_path / "gpt.ckpt")
    assert torch.equal(alone.codebook.embeddings, model.vqvae.codebook.embeddings)


def test_truncated_heads_of_a_published_model_are_recognised(tmp_path):
    config = small(hidden_dim=27, truncate_heads=True)
    torch.save(lightning(randomised(config), gpt_namespace(config)), tmp_path / "gpt.ckpt")
    assert checkpoint.load_gpt(tmp_path / "gpt.ckpt").config.gpt.truncate_heads


def test_bare_state_dict_needs_sizes(tmp_path):
    config = small()
    model = randomised(config)
    torch.save(model.state_dict(), tmp_path / "bare.pt")
    with pytest.raises(InputError, match=r"bare.pt"):
        checkpoint.load(tmp_path / "bare.pt")
    loaded = checkpoint.load(tmp_path / "bare.pt", config=config)
    assert torch.equal(loaded.fc_out.weight, model.fc_out.weight)


class _Runs:
    def __reduce__(self):
        return (print, ("code in a checkpoint was run",))


def test_code_in_a_file_is_never_run(tmp_path, capsys):
    torch.save({"state_dict": {}, "hyper_parameters": _Runs()}, tmp_path / "bad.ckpt")
    with pytest.raises(InputError, match=r"bad.ckpt"):
        checkpoint.load(tmp_path / "bad.ckpt")
    (tmp_path / "pickle.ckpt").write_bytes(pickle.dumps(_Runs()))
    with pytest.raises(InputError):
        checkpoint.load(tmp_path / "pickle.ckpt")
    assert "was run" not in capsys.readouterr().out


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(InputError, match=r"missing.ckpt"):
        checkpoint.load(tmp_path / "missing.ckpt")
    torch.save(lightning(randomised(small()), gpt_namespace(small())), tmp_path / "gpt.ckpt")
    whole = (tmp_path / "gpt.ckpt").read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 100):
        (tmp_path / "cut.ckpt").write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut\.ckpt"):
            checkpoint.load(tmp_path / "cut.ckpt")
    torch.save({"epoch": 1}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match=r"other.ckpt.* epoch"):
        checkpoint.load(tmp_path / "other.ckpt")
    torch.save({"state_dict": {"x": torch.zeros(1)}, "hyper_parameters": {}}, tmp_path / "x.ckpt")
    with pytest.raises(InputError, match=r"x.ckpt"):
        checkpoint.load(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("norm.g"), "lacks norm.g"),
        (lambda s: s.update({"extra.weight": torch.zeros(1)}), "unknown extra.weight"),
        (lambda s: s.update({"norm.g": torch.zeros(5)}), r"norm.g is \(5,\), not \(24,\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    model = randomised(small())
    state = dict(model.state_dict())
    change(state)
    torch.save({"state_dict": state}, tmp_path / "gpt.pt")
    with pytest.raises(InputError, match=message):
        checkpoint.load(tmp_path / "gpt.pt", config=small())


def test_other_conditioning_is_refused(tmp_path):
    hyper = gpt_namespace(small())
    hyper.n_cond_frames = 4
    torch.save(lightning(randomised(small()), hyper), tmp_path / "gpt.ckpt")
    with pytest.raises(InputError, match="classes or frames"):
        checkpoint.load(tmp_path / "gpt.ckpt")


def test_a_vqvae_is_no_gpt(tmp_path):
    model = VQVAE(small().vqvae)
    torch.save(lightning(model, namespace(small())), tmp_path / "vqvae.ckpt")
    with pytest.raises(InputError, match=r"vqvae.ckpt"):
        checkpoint.load_gpt(tmp_path / "vqvae.ckpt")
