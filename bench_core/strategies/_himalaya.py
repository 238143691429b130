"""What strategies that fit with the himalaya package share: its presence, backends and folds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from bench_core.errors import InputError, install_command, unknown
from bench_core.ridge.arrays.backend import find_device
from bench_core.ridge.formulas.scores import SCORINGS
from bench_core.strategies._base import Strategy
from bench_core.strategies._ridgecv import ridgecv_options

BACKENDS = ("numpy", "torch", "torch_cuda")
EXTRAS = {"himalaya": "peers", "torch": "torch"}
SCORE_FUNCTIONS = {
    "neg_mean_squared_error": "l2_neg_loss",
    "r2": "r2_score",
    "pearson": "correlation_score",
}
"""himalaya's functions by the common names of scores."""


class HimalayaStrategy(Strategy):
    """A fit by himalaya; constructors set ``cv``, ``scoring``, ``backend`` and ``solver``."""

    cv: Any
    scoring: str
    backend: str
    solver: str

    @classmethod
    def skip(cls, t: int, p: int, s: int, nodes: int, threads: int) -> str | None:
        """Return why it cannot run: not installed, or more than one node."""
        if find_spec("himalaya") is None:
            return f"himalaya is not installed: {install_command(EXTRAS['himalaya'])}"
        return super().skip(t, p, s, nodes, threads)

    @property
    def torch_device(self) -> str | None:
        """Where torch computes; see `Strategy.torch_device`."""
        return {"torch": "cpu", "torch_cuda": "cuda:0"}.get(self.backend)

    def check_options(self, t: int) -> None:
        """Check the options; see `Strategy.check_options`."""
        self.folds(t)
        if self.backend == "torch_cuda":
            find_device("cuda")  # says what is missing

    def check_installed(self) -> None:
        """Raise `InputError` where a package that the fit needs is absent."""
        for package in ("himalaya", *([] if self.backend == "numpy" else ["torch"])):
            if find_spec(package) is None:
                instead = ", or use backend='numpy'" if package == "torch" else ""
                command = install_command(EXTRAS[package])
                raise InputError(f"{package} is not installed: {command}{instead}")

    def folds(self, t: int) -> Any:
        """Return the folds as himalaya takes them; check the options that all its fits have."""
        for what, value, known in (
            ("backend", self.backend, BACKENDS),
            ("solver", self.solver, self.solvers),
            ("scoring", self.scoring, SCORINGS),
        ):
            if value not in known:
                raise unknown(what, str(value), known)
        if isinstance(self.cv, int) and not 2 <= self.cv <= t:
            raise InputError(f"cv = {self.cv} folds of {t} samples: give 2 to {t}")
        folds = ridgecv_options(None, self.cv, t).get("cv")
        if folds is None:
            raise InputError(
                f"cv = {self.cv!r}: himalaya has no leave-one-out; give a number of folds, or the "
                "run of every sample"
            )
        return folds


@contextlib.contextmanager
def use_backend(name: str) -> Iterator[Any]:
    """Use this backend of himalaya, which is a global choice, and put the former back."""
    from himalaya.backend import get_backend, set_backend

    before = get_backend().name
    try:
        yield set_backend(name)
    finally:
        set_backend(before)
