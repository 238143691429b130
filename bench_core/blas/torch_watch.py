"""Products and factorisations that run in torch, witnessed while they run.

What a strategy says of itself is a claim. `watch_products` sees every call that torch dispatches in
the thread that opened it, with its device. It slows small calls down, so it is meant for an untimed
fit. Nothing imports torch here that has not been asked to.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

OPERATIONS = frozenset(
    {
        *("mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot"),
        *("_linalg_eigh", "_linalg_svd", "linalg_qr", "linalg_cholesky_ex", "linalg_inv_ex"),
        *("_linalg_solve_ex", "linalg_solve_triangular", "linalg_lstsq", "cholesky_solve"),
        *("_linalg_eigvals", "linalg_eig", "linalg_ldl_factor_ex", "linalg_lu_factor_ex"),
    }
)
"""Calls that torch hands to BLAS, LAPACK, cuBLAS or cuSOLVER, in the names of its dispatcher."""


@dataclass
class TorchProducts:
    """Calls that were seen: their number by device ("cpu", "cuda:0") and name, and precisions.

    ``precisions`` are those of float32 products when they ran: "highest", "high" (TF32), "medium".

    Examples
    --------
    >>> seen = TorchProducts()
    >>> seen.add("cpu", "mm", "highest")
    >>> seen.devices, seen.on("cpu")
    (['cpu'], {'mm': 1})
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    precisions: set[str] = field(default_factory=set)

    def add(self, device: str, name: str, precision: str) -> None:
        """Count one call."""
        self.counts[device, name] += 1
        self.precisions.add(precision)

    @property
    def devices(self) -> list[str]:
        """Devices with calls, GPUs first."""
        return sorted({device for device, _ in self.counts}, key=lambda one: (one == "cpu", one))

    def on(self, device: str) -> dict[str, int]:
        """Return the number of each call on one device."""
        return {name: n for (where, name), n in sorted(self.counts.items()) if where == device}


def is_loaded() -> bool:
    """Return True where this process has imported torch."""
    return "torch" in sys.modules


@contextmanager
def watch_products() -> Iterator[TorchProducts]:
    """Yield what is counted of this thread's calls of torch until the block ends."""
    import torch

    # torch documents it under this name alone.
    from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC2701

    seen = TorchProducts()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name = func.overloadpacket.__name__
            if name in OPERATIONS:
                device = next((one.device for one in args if isinstance(one, torch.Tensor)), None)
                if device is not None:
                    seen.add(str(device), name, torch.get_float32_matmul_precision())
            return func(*args, **(kwargs or {}))

    with Watch():
        yield seen
