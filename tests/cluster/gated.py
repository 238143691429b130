"""A strategy that waits at a gate on its node: a test can end the node in the middle of a fit."""

from __future__ import annotations

import os
import signal
from typing import Any

from bench_core.data import THESIS_ALPHAS
from bench_core.strategies.bmor import BatchMultiOutput


class GatedBmor(BatchMultiOutput):
    """Fit as bmor; a node waits for ever at ``gate`` while that is there: a `tests.lifeline`."""

    def __init__(
        self, alphas: Any = THESIS_ALPHAS, *, fit_intercept: bool = True, cluster: Any = None,
        gate: str = "",
    ) -> None:  # fmt: skip
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.gate = gate

    def fit_checked(self, X: Any, Y: Any, alphas: Any) -> None:
        if X.shape[0] > 64:  # not the warm-up
            self.running_cluster().map(wait_at, [(self.gate,)])
        super().fit_checked(X, Y, alphas)


def wait_at(gate: str) -> None:
    """Say in the gate which process waits there, and wait; go on where there is no gate."""
    if not os.path.exists(gate):
        return
    with open(gate, "w") as file:
        print(os.getpid(), file=file, flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.sigwait({signal.SIGUSR1})  # which nobody sends
