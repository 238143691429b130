"""Layers by dotted name, several in one pass."""

import pytest
import torch
from tiny_encoder import Net, Tiny
from torch.nn import functional

from bench_core.errors import InputError, UnknownNameError
from encoders import hooks


def test_layers_are_what_the_network_computes() -> None:
    encoder = Tiny()
    batch = torch.rand(3, 3, 8, 16)
    found = encoder.extract(batch, ["head", "conv", "activation", "act"])
    net = encoder.network
    conv = functional.conv2d(batch, net.conv.weight, net.conv.bias, padding=1)
    assert list(found) == ["head", "conv", "activation", "act"]
    # Before the activation, though the activation works in place.
    torch.testing.assert_close(found["conv"], conv)
    assert (found["conv"] < 0).any()
    torch.testing.assert_close(found["act"], conv.relu())
    torch.testing.assert_close(found["activation"], found["act"])
    torch.testing.assert_close(found["head"], net.head(conv.relu().mean((2, 3))))
    torch.testing.assert_close(found["head"], encoder.forward(batch))
    assert encoder.passes == 2


def test_the_pass_ends_with_the_last_layer_asked_for() -> None:
    reached = []
    network = Net()
    network.head.register_forward_hook(lambda *_: reached.append(True))
    hooks.extract(network, torch.rand(1, 3, 8, 8), ["conv"])
    assert not reached
    hooks.extract(network, torch.rand(1, 3, 8, 8), ["conv", "head"])
    assert reached


def test_hooks_are_removed_even_after_an_error() -> None:
    network = Net()
    with pytest.raises(RuntimeError):
        hooks.extract(network, torch.rand(1, 5, 8, 8), ["conv"])
    hooks.extract(network, torch.rand(1, 3, 8, 8), ["conv"])
    assert not any(module._forward_hooks for module in network.modules())


def test_an_unknown_layer_names_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'convv'.*'conv'"):
        Tiny().extract(torch.rand(1, 3, 8, 16), ["convv"])
    with pytest.raises(UnknownNameError, match="'activation'"):
        Tiny().channel_axis("activatoin")


def test_layers_that_give_nothing_are_errors() -> None:
    with pytest.raises(InputError, match="'unused'"):
        Tiny().extract(torch.rand(1, 3, 8, 16), ["unused"])
    with pytest.raises(InputError, match="no layer"):
        Tiny().extract(torch.rand(1, 3, 8, 16), [])


def test_an_output_that_is_no_tensor_is_an_error() -> None:
    network = torch.nn.Sequential(torch.nn.LSTM(2, 2))
    with pytest.raises(InputError, match="'0' returns tuple"):
        hooks.extract(network, torch.rand(1, 2), ["0"])
