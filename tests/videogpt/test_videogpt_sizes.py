"""Exact parameter counts, shapes and names of thesis chapter 4, and sizes that are refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core.errors import InputError, UnknownNameError
from encoders.videogpt import GPTConfig, VideoGPTConfig, VQVAEConfig, preset
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.vqvae import VQVAE


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_paper(config):
    """Return the model without its numbers: shapes only, nothing allocated."""
    with torch.device("meta"):
        return VideoGPT(config)


@pytest.fixture(scope="module")
def thesis():
    return on_paper(preset("thesis")).eval()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("vqvae.encoder", 18_660_240),
        ("vqvae.encoder.convs", 11_106_240),
        ("vqvae.encoder.conv_last", 1_555_440),
        ("vqvae.encoder.res_stack", 5_998_560),
        ("vqvae.decoder", 17_104_563),
        ("vqvae.decoder.convts", 11_106_003),
        ("vqvae.decoder.res_stack", 5_998_560),
        ("vqvae.pre_vq_conv", 30_848),
        ("vqvae.post_vq_conv", 30_960),
        ("vqvae.codebook", 0),
        ("vqvae", 35_826_611),
        ("resnet", 2_416_800),
        ("cond_pos_embd", 1_600),
        ("fc_in", 73_728),
        ("attn_stack", 37_241_664),
        ("attn_stack.right_shift", 576),
        ("attn_stack.pos_embd", 3_840),
        ("attn_stack.attn_nets.7", 4_654_656),
        ("attn_stack.attn_nets.7.attn", 1_327_680),
        ("attn_stack.attn_nets.7.enc_attn", 666_432),
        ("attn_stack.attn_nets.7.fc_block", 2_657_088),
        ("attn_stack.attn_nets.7.pre_attn_norm", 1_152),
        ("attn_stack.attn_nets.7.pre_enc_norm", 1_152),
        ("attn_stack.attn_nets.7.pre_fc_norm", 1_152),
        ("norm", 1_152),
        ("fc_out", 589_824),
        ("", 76_151_379),
    ],
)
def test_parameter_counts_of_the_thesis(thesis, name, parameters):
    assert count(thesis.get_submodule(name)) == parameters


def test_trained_parameters_leave_out_the_frozen_vqvae(thesis):
    assert sum(p.numel() for p in thesis.parameters() if p.requires_grad) == 40_324_768


def test_encoder_of_table_4_3c():
    with torch.device("meta"):
        assert count(VQVAE(preset("thesis-4.3c").vqvae).encoder) == 11_286_960


@pytest.mark.parametrize(
    ("layers", "parameters"),
    [(1, 4_659_072), (2, 9_313_728), (4, 18_623_040), (8, 37_241_664), (16, 74_478_912)],
)
def test_stack_by_layers(layers, parameters):
    config = preset("thesis", layers=layers)
    assert config.gpt.stack_parameters(config.vqvae.latent_shape) == parameters
    assert count(on_paper(config).attn_stack) == parameters


@pytest.mark.parametrize(("hidden", "parameters"), [(1023, 113_213_851), (1026, 113_907_594)])
def test_neighbours_of_hidden_1024_in_the_published_mode(hidden, parameters):
    config = preset("thesis", hidden_dim=hidden, truncate_heads=True)
    assert count(on_paper(config).attn_stack) == parameters


@settings(deadline=None, max_examples=15)
@given(
    heads=st.sampled_from([1, 2, 4, 8]),
    hidden=st.integers(1, 40).map(lambda n: 3 * n),
    layers=st.integers(1, 3),
)
def test_closed_form_counts_what_is_built(heads, hidden, layers):
    if hidden < heads:
        hidden += 24
    sizes = {"heads": heads, "hidden_dim": hidden, "layers": layers, "truncate_heads": True}
    config = preset("tiny", **sizes)
    stack = on_paper(config).attn_stack
    assert count(stack) == config.gpt.stack_parameters(config.vqvae.latent_shape)


WIDE, NARROW = (1, 4, 8, 8, 576), (1, 4, 8, 8, 240)
BLOCK = {
    "pre_attn_norm": WIDE,
    "post_attn_dp": WIDE,
    "attn": WIDE,
    "attn.w_qs": WIDE,
    "attn.w_ks": WIDE,
    "attn.w_vs": WIDE,
    "attn.fc": WIDE,
    "attn.attn": (1, 4, 4, 8, 8, 144),
    "pre_enc_norm": WIDE,
    "post_enc_dp": WIDE,
    "enc_attn": WIDE,
    "enc_attn.w_qs": WIDE,
    "enc_attn.w_ks": WIDE,
    "enc_attn.w_vs": NARROW,
    "enc_attn.fc": WIDE,
    "enc_attn.attn": (1, 4, 4, 8, 8, 60),
    "pre_fc_norm": WIDE,
    "post_fc_dp": WIDE,
    "fc_block.0": (1, 4, 8, 8, 2304),
    "fc_block.1": (1, 4, 8, 8, 2304),
    "fc_block.2": WIDE,
}


@pytest.mark.parametrize("attention", ["sdpa", "reference"])
def test_activation_shapes_of_the_thesis(attention):
    model = on_paper(preset("thesis", attention=attention)).eval()
    shapes = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _m, _i, out, name=name: shapes.__setitem__(
                name, tuple(out.shape) if isinstance(out, torch.Tensor) else None
            )
        )
    with torch.no_grad(), torch.device("meta"):
        before, codes = model.encode(torch.empty(1, 3, 32, 128, 128))
        logits = model(before, codes)
        assert model.vqvae.decode(codes).shape == (1, 3, 16, 128, 128)
    assert codes.shape == before.shape == (1, 4, 8, 8)
    assert logits.shape == (1, 4, 8, 8, 1024)
    for i in range(8):
        for name, shape in BLOCK.items():
            assert shapes[f"attn_stack.attn_nets.{i}.{name}"] == shape, name
    # Values of the thesis's features for each clip.
    assert torch.Size(shapes["attn_stack.attn_nets.4.post_fc_dp"]).numel() == 147_456
    assert shapes["fc_in"] == shapes["attn_stack"] == shapes["norm"] == WIDE
    assert ("attn_stack.attn_nets.0.attn.attn.softmax" in shapes) == (attention == "reference")


def expected_state():
    """Return names and shapes of the thesis's state dict, from the table of the reference."""
    wide = {}
    for side in ("encoder", "decoder"):
        for i in range(4):
            block = f"vqvae.{side}.res_stack.{i}.block"
            for n, c in ((0, 240), (3, 120), (6, 240)):
                for part in ("weight", "bias", "running_mean", "running_var"):
                    wide[f"{block}.{n}.{part}"] = (c,)
                wide[f"{block}.{n}.num_batches_tracked"] = ()
            wide[f"{block}.2.conv.weight"] = (120, 240, 3, 3, 3)
            wide[f"{block}.5.conv.weight"] = (240, 120, 1, 1, 1)
            for axis in "wht":
                for part in ("w_qs", "w_ks", "w_vs", "fc"):
                    wide[f"{block}.8.attn_{axis}.{part}.weight"] = (240, 240)
                wide[f"{block}.8.attn_{axis}.fc.bias"] = (240,)
        for part in ("weight", "bias", "running_mean", "running_var"):
            wide[f"vqvae.{side}.res_stack.4.{part}"] = (240,)
        wide[f"vqvae.{side}.res_stack.4.num_batches_tracked"] = ()
    for i in range(4):
        wide[f"vqvae.encoder.convs.{i}.conv.weight"] = (240, 240 if i else 3, 4, 4, 4)
        wide[f"vqvae.encoder.convs.{i}.conv.bias"] = (240,)
        out = 3 if i == 3 else 240
        wide[f"vqvae.decoder.convts.{i}.convt.weight"] = (240, out, 4, 4, 4)
        wide[f"vqvae.decoder.convts.{i}.convt.bias"] = (out,)
    wide["vqvae.encoder.conv_last.conv.weight"] = (240, 240, 3, 3, 3)
    wide["vqvae.encoder.conv_last.conv.bias"] = (240,)
    wide["vqvae.pre_vq_conv.conv.weight"] = (128, 240, 1, 1, 1)
    wide["vqvae.pre_vq_conv.conv.bias"] = (128,)
    wide["vqvae.post_vq_conv.conv.weight"] = (240, 128, 1, 1, 1)
    wide["vqvae.post_vq_conv.conv.bias"] = (240,)
    wide["vqvae.codebook.embeddings"] = wide["vqvae.codebook.z_avg"] = (1024, 128)
    wide["vqvae.codebook.N"] = (1024,)
    wide["resnet.proj_conv.weight"] = (240, 128, 1, 1, 1)
    wide["resnet.conv1.weight"] = (240, 128, 3, 3, 3)
    wide["resnet.conv2.weight"] = (240, 240, 3, 3, 3)
    for name in ("proj_bnr", "bnr1", "bnr2"):
        wide[f"resnet.{name}.norm.norm.weight"] = (240,)
        wide[f"resnet.{name}.norm.norm.bias"] = (240,)
    for i, side in enumerate((4, 8, 8)):
        wide[f"cond_pos_embd.emb.d_{i}"] = (side, 80)
        wide[f"attn_stack.pos_embd.emb.d_{i}"] = (side, 192)
    wide["fc_in.weight"], wide["fc_out.weight"] = (576, 128), (1024, 576)
    wide["attn_stack.right_shift.sos"] = wide["norm.g"] = wide["norm.b"] = (576,)
    for i in range(8):
        block = f"attn_stack.attn_nets.{i}"
        for norm in ("pre_attn_norm", "pre_enc_norm", "pre_fc_norm"):
            wide[f"{block}.{norm}.g"] = wide[f"{block}.{norm}.b"] = (576,)
        for part in ("w_qs", "w_ks", "w_vs", "fc"):
            wide[f"{block}.attn.{part}.weight"] = (576, 576)
        wide[f"{block}.attn.attn.mask"] = (256, 256)
        wide[f"{block}.enc_attn.w_qs.weight"] = (576, 576)
        wide[f"{block}.enc_attn.w_ks.weight"] = (576, 240)
        wide[f"{block}.enc_attn.w_vs.weight"] = (240, 240)
        wide[f"{block}.enc_attn.fc.weight"] = (576, 240)
        wide[f"{block}.attn.fc.bias"] = wide[f"{block}.enc_attn.fc.bias"] = (576,)
        wide[f"{block}.fc_block.0.weight"] = (2304, 576)
        wide[f"{block}.fc_block.0.bias"] = (2304,)
        wide[f"{block}.fc_block.2.weight"] = (576, 2304)
        wide[f"{block}.fc_block.2.bias"] = (576,)
    return wide


def test_state_dict_has_the_published_names_and_shapes(thesis):
    found = {name: tuple(value.shape) for name, value in thesis.state_dict().items()}
    assert found == expected_state()


@pytest.mark.parametrize(
    ("sizes", "reason", "remedies"),
    [
        ({"hidden_dim": 1024, "heads": 1}, "divisible by 3", ["1023", "1026"]),
        ({"hidden_dim": 1024}, "divisible by 3", ["1020", "1032", "truncate_heads=True", "1023"]),
        ({"hidden_dim": 1024, "truncate_heads": True}, "divisible by 3", ["1023", "1026"]),
        ({"hidden_dim": 6}, "by its 4 heads", ["12"]),
        ({"heads": 7}, "by its 7 heads", ["567", "588"]),
        ({"downsample": (4, 12, 12)}, "12 is not a power of two", ["16", "8"]),
        ({"downsample": (1, 1, 1)}, "without a convolution", ["2"]),
        ({"resolution": 100}, "not divisible by its downsampling factor 16", ["96", "112"]),
        ({"sequence_length": 6}, "not divisible by its downsampling factor 4", ["4", "8"]),
        ({"n_hiddens": 239}, "odd", ["238", "240"]),
        ({"layers": 0}, "below 1", ["1"]),
        ({"dropout": 1.0}, "below 1", []),
    ],
)
def test_sizes_that_cannot_be_built_are_refused_with_a_remedy(sizes, reason, remedies):
    with pytest.raises(InputError) as refused:
        preset("thesis", **sizes)
    for text in (reason, *remedies):
        assert text in str(refused.value)


@settings(deadline=None)
@given(hidden=st.integers(1, 3000), heads=st.sampled_from([1, 2, 3, 4, 5, 8]), cut=st.booleans())
def test_an_offered_width_can_be_built(hidden, heads, cut):
    sizes = {"cond_dim": 120, "heads": heads, "truncate_heads": cut}
    try:
        GPTConfig(hidden_dim=hidden, **sizes)
    except InputError as refused:
        offered = str(refused).partition(": use ")[2].partition(";")[0].split(" or ")
        for width in map(int, offered):
            GPTConfig(hidden_dim=width, **sizes)
        nearest = abs(int(offered[0]) - hidden)
        for closer in range(hidden - nearest + 1, hidden + nearest):
            with pytest.raises(InputError):
                GPTConfig(hidden_dim=closer, **sizes)


def test_names_that_nothing_answers_to():
    with pytest.raises(UnknownNameError, match="thesis"):
        preset("thesys")
    with pytest.raises(UnknownNameError, match="hidden_dim"):
        preset("thesis", hidden=3)
    with pytest.raises(UnknownNameError, match="sdpa"):
        preset("thesis", attention="sdpaa")


def test_configuration_survives_plain_values():
    config = preset("tiny", heads=2)
    assert VideoGPTConfig.from_dict(config.to_dict()) == config
    assert VQVAEConfig(downsample=[4, 16, 16]) == VQVAEConfig()
