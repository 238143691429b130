r"""Dynamic int8 quantisation of linear layers: int8 weights, activations rounded as they come.

A layer y = W x + b with W (o × i) keeps, per output channel j, the integers and the scale

    s_j = max_k |W_jk| / 127,    Q_jk = round(W_jk / s_j),    −127 ≤ Q_jk ≤ 127

(symmetric: zero is exact, and no offset has to be taken off). At every call each row x of the input
gets a scale of its own (dynamic: nothing is calibrated beforehand),

    a = max_k |x_k| / 127,    q_k = round(x_k / a)

and the output is ŷ_j = a s_j Σ_k q_k Q_jk + b_j. The sum is an exact int32 product of int8
matrices (`torch._int_mm`); its scaling is in single precision. Rounding moves an input by at most
a / 2 and a weight by at most s_j / 2, so that

    |ŷ_j − y_j| ≤ a / 2 · ‖W_j‖₁ + s_j / 2 · ‖x‖₁ + i · a · s_j / 4

beside rounding in single precision (`Int8Linear.error_bound`). Weights take a quarter of the bytes.

torch.ao.quantization.quantize_dynamic, which is deprecated (torch 2.13), does much the same on CPUs
only, with one scale for all rows of an input.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from bench_core.errors import InputError

LEVELS = 127
"""Largest magnitude of a quantised number."""

LARGEST_INPUT = (2**31 - 1) // LEVELS**2
"""Largest width of an input whose products cannot leave int32: 133,144."""

_ROWS, _COLUMNS = 32, 8  # torch._int_mm on a GPU: more than 16 rows, multiples of 8 columns


class Int8Linear(nn.Module):
    """A linear layer with int8 weights and dynamically quantised activations.

    Parameters
    ----------
    linear : the layer in floating point, whose weights are read.

    Raises `InputError` for an input too wide for int32 sums, and for weights that are not finite.

    Examples
    --------
    >>> linear = nn.Linear(3, 2, bias=False)
    >>> _ = linear.weight.data.copy_(torch.tensor([[1.0, -1.0, 0.5], [0.0, 0.0, 0.0]]))
    >>> layer = Int8Linear(linear)
    >>> layer.weight.tolist()
    [[127, -127, 64], [0, 0, 0]]
    >>> [round(value, 2) for value in layer(torch.tensor([1.0, 0.0, -1.0])).tolist()]
    [0.5, 0.0]
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        if self.in_features > LARGEST_INPUT:
            raise InputError(
                f"a linear layer of {self.in_features} inputs cannot be summed in int32: at most "
                f"{LARGEST_INPUT} can"
            )
        weight = linear.weight.detach().float()
        if not bool(torch.isfinite(weight).all()):
            raise InputError("weights that are NaN or infinite have no int8 scale: check them")
        integers, scale = quantise_rows(weight)
        # Parameters, so that a count of parameters and their bytes has them; they learn nothing.
        self.weight = nn.Parameter(integers, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = None
        if linear.bias is not None:
            self.bias = nn.Parameter(linear.bias.detach().float().clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (…, out_features) for ``x`` (…, in_features), in the precision of ``x``."""
        rows = x.flatten(0, -2) if x.ndim > 1 else x.unsqueeze(0)
        integers, a = quantise_rows(rows.float())
        sums = integer_product(integers, self.weight).float()
        output = sums * self.scale * a.unsqueeze(-1)
        if self.bias is not None:
            output = output + self.bias
        return output.view(*x.shape[:-1], self.out_features).type_as(x)

    def error_bound(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the largest error (…, out_features) for ``x`` against the float layer.

        Parameters
        ----------
        x : (…, in_features). weight : (out_features, in_features), as it was before rounding.

        It is the bound of this module's text, in double precision, and the rounding of single
        precision: 2⁻¹² of it for scales and quotients, 2⁻²⁰ of the terms for the output.
        """
        wide, w = x.double(), weight.double()
        a = (_scales(x.float()) / 2).double().unsqueeze(-1)
        s = self.scale.double() / 2
        inputs, weights = wide.abs().sum(-1, keepdim=True), w.abs().sum(-1)
        rounding = a * weights + s * inputs + self.in_features * a * s
        terms = wide.abs() @ w.abs().T
        if self.bias is not None:
            terms = terms + self.bias.double().abs()
        tiny = torch.finfo(torch.float32).tiny
        return rounding * (1 + 2.0**-12) + terms * 2.0**-20 + tiny


def quantise_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 integers (n, k) and scales (n,) of the rows of ``x`` (n, k) in single precision.

    The scale of a row of zeros is the smallest normal number.
    """
    scale = _scales(x)
    integers = (x / scale.unsqueeze(-1)).round().clamp(-LEVELS, LEVELS)
    return integers.to(torch.int8), scale


def _scales(x: Tensor) -> Tensor:
    """Return max |row| / 127, at least the smallest normal number, for every row."""
    return (x.abs().amax(-1) / LEVELS).clamp_min(torch.finfo(torch.float32).tiny)


def integer_product(a: Tensor, b: Tensor) -> Tensor:
    """Return the exact int32 product (m, n) of int8 ``a`` (m, k) and the rows of ``b`` (n, k)."""
    if a.device.type == "cpu":
        return torch._int_mm(a, b.T)
    if a.device.type == "cuda":
        rows, columns = a.shape[0], b.shape[0]
        inner = _up(a.shape[1], _COLUMNS)
        found = torch._int_mm(
            _padded(a, max(_ROWS, rows), inner), _padded(b, _up(columns, _COLUMNS), inner).T
        )
        return found[:rows, :columns]
    # Sums stay below 2³¹, which double precision holds exactly.
    return (a.double() @ b.double().T).to(torch.int32)


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _padded(x: Tensor, rows: int, columns: int) -> Tensor:
    """Return ``x`` with rows and columns of zeros after its own, which add nothing to products."""
    return nn.functional.pad(x, (0, columns - x.shape[1], 0, rows - x.shape[0])).contiguous()


def quantise_linears(network: nn.Module, *, but: Collection[str] = ()) -> int:
    """Replace every `torch.nn.Linear` inside ``network`` by its `Int8Linear`, and count them.

    Names of layers stay; ``network`` is changed in place, and is for inference from then on. Its
    own submodules named in ``but`` are left as they are.

    >>> network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> quantise_linears(network), type(network[2]).__name__
    (2, 'Int8Linear')
    """
    count = 0
    for name, child in list(network.named_children()):
        if name in but:
            continue
        if type(child) is nn.Linear:
            setattr(network, name, Int8Linear(child))
            count += 1
        else:
            count += quantise_linears(child)
    return count


def weight_bytes(network: nn.Module) -> int:
    """Return the bytes of all parameters of ``network``, int8 ones and their scales too.

    >>> weight_bytes(nn.Linear(3, 2))
    32
    """
    return sum(p.numel() * p.element_size() for p in network.parameters())
