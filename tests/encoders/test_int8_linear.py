"""int8 linear layers: exact integers, the stated bound, bytes; against float layers and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch (extra 'encoders') is not installed")

from torch import nn  # noqa: E402

from bench_core.errors import InputError  # noqa: E402
from encoders.int8_linear import (  # noqa: E402
    LARGEST_INPUT,
    Int8Linear,
    integer_product,
    quantise_linears,
    quantise_rows,
    weight_bytes,
)

SIZES = st.integers(1, 40)
SCALES = st.sampled_from([1e-30, 1e-6, 1.0, 1e6])


def arrays(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) for shape in shapes]


@settings(max_examples=60, deadline=None)
@given(
    rows=SIZES, inputs=SIZES, outputs=SIZES, seed=st.integers(0, 2**31), of_x=SCALES, of_w=SCALES,
    bias=st.booleans(), outlier=st.booleans(),
)  # fmt: skip
def test_the_output_is_within_the_bound(rows, inputs, outputs, seed, of_x, of_w, bias, outlier):
    x, w, b = arrays(seed, (rows, inputs), (outputs, inputs), (outputs,))
    x, w = x * of_x, w * of_w
    x[0] = 0
    w[-1] = 0
    if outlier:
        x[-1, 0] *= 1000
    linear = nn.Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        linear.weight.copy_(w)
        if bias:
            linear.bias.copy_(b)
    layer = Int8Linear(linear)
    exact = x.double() @ w.double().T + (b.double() if bias else 0)
    error = (layer(x).double() - exact).abs()
    bound = layer.error_bound(x, w)
    assert bool((error <= bound).all())
    # A row of zeros gives the bias alone.
    np.testing.assert_array_equal(layer(x)[0].numpy(), (b if bias else torch.zeros(outputs)))


def test_the_bound_is_within_a_few_percent_of_the_output_on_ordinary_layers():
    x, w = arrays(1, (64, 256), (128, 256))
    linear = nn.Linear(256, 128, bias=False)
    linear.weight.data.copy_(w)
    layer = Int8Linear(linear)
    exact = x @ w.T
    error = float((layer(x) - exact).abs().mean() / exact.abs().mean())
    assert 1e-4 < error < 0.02  # it is rounded, and not by much
    assert float(layer.error_bound(x, w).mean() / exact.abs().mean()) < 0.5


@settings(max_examples=40, deadline=None)
@given(rows=SIZES, inner=st.integers(1, 200), columns=SIZES, seed=st.integers(0, 2**31))
def test_products_of_integers_are_exact(rows, inner, columns, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-127, 128, (n, inner)).astype(np.int8) for n in (rows, columns))
    found = integer_product(torch.from_numpy(a), torch.from_numpy(b))
    assert found.dtype == torch.int32
    np.testing.assert_array_equal(found.numpy(), a.astype(np.int64) @ b.astype(np.int64).T)


def test_the_largest_sum_fits_in_int32():
    a = torch.full((1, LARGEST_INPUT), 127, dtype=torch.int8)
    assert int(integer_product(a, a)[0, 0]) == LARGEST_INPUT * 127**2
    with torch.device("meta"):
        wide = nn.Linear(LARGEST_INPUT + 1, 1)
    with pytest.raises(InputError, match=str(LARGEST_INPUT + 1)):
        Int8Linear(wide)


@settings(max_examples=40, deadline=None)
@given(rows=SIZES, columns=SIZES, seed=st.integers(0, 2**31), scale=SCALES)
def test_rows_are_rounded_by_half_a_step_at_most(rows, columns, seed, scale):
    (x,) = arrays(seed, (rows, columns))
    integers, steps = quantise_rows(x * scale)
    assert integers.dtype == torch.int8
    assert int(integers.abs().max()) == 127
    back = integers.double() * steps.double()[:, None]
    assert bool(((x * scale).double() - back).abs().le(steps.double()[:, None] * 0.50002).all())


def test_weights_take_a_quarter_of_the_bytes_and_names_stay():
    network = nn.Sequential(nn.Linear(256, 256, bias=False), nn.ReLU(), nn.Linear(256, 64))
    names = [name for name, _ in network.named_modules()]
    before = weight_bytes(network)
    assert quantise_linears(network) == 2
    assert [name for name, _ in network.named_modules()] == names
    scales_and_bias = 4 * (256 + 64) + 4 * 64
    assert weight_bytes(network) == 256 * 256 + 64 * 256 + scales_and_bias
    assert 3.8 < before / weight_bytes(network) < 4
    assert not any(p.requires_grad for p in network.parameters())
    nested = nn.ModuleDict({"kept": nn.Linear(2, 2), "other": nn.Sequential(nn.Linear(2, 2))})
    assert quantise_linears(nested, but=["kept"]) == 1
    assert type(nested["kept"]) is nn.Linear


def test_what_is_not_finite_stays_so_and_weights_that_are_not_are_refused():
    linear = nn.Linear(4, 3)
    layer = Int8Linear(linear)
    x = torch.ones(2, 4)
    x[1, 2] = float("nan")
    found = layer(x)
    assert bool(torch.isfinite(found[0]).all())
    assert bool(torch.isnan(found[1]).all())
    linear.weight.data[0, 0] = float("inf")
    with pytest.raises(InputError, match="int8"):
        Int8Linear(linear)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_shapes_and_precision_are_those_of_the_input(dtype):
    layer = Int8Linear(nn.Linear(6, 5))
    x = torch.randn(2, 3, 4, 6).to(dtype)
    found = layer(x)
    assert (found.shape, found.dtype) == ((2, 3, 4, 5), dtype)
    torch.testing.assert_close(found[1, 2, 3], layer(x[1, 2, 3]))


def test_a_gpu_has_the_integers_of_the_processor():
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device here")
    a, b = (torch.randint(-127, 128, shape, dtype=torch.int8) for shape in ((5, 13), (7, 13)))
    found = integer_product(a.cuda(), b.cuda()).cpu()
    assert torch.equal(found, integer_product(a, b))
