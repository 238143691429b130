"""Fixtures: a tiny problem on disk, and third-party strategies that go wrong in known ways."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench_core.data import Problem

#: One module with an entry point for each of its strategies, as a third party would install it.
ODDITIES = '''
import os
import signal
import subprocess

import numpy as np
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

from bench_core.runner import agreement
from bench_core.strategies import get


class Proper(get("ridgecv")):
    def fit_checked(self, X, Y, alphas):
        if X.shape[0] > 64:  # not the warm-up
            self.go_wrong()
        super().fit_checked(X, Y, alphas)

    def go_wrong(self):
        pass


class Shifted(Proper):
    """Predicts a hundredth of a unit too much."""

    def predict(self, X):
        return super().predict(X) + 0.01


class Stubborn(Proper):
    """Claims RidgeCV's penalty and takes the largest."""

    def fit_checked(self, X, Y, alphas):
        super().fit_checked(X, Y, alphas[-1:])


class Short(Proper):
    """Loses the last target."""

    def predict(self, X):
        return super().predict(X)[:, :-1]


class Failing(Proper):
    def go_wrong(self):
        raise ValueError(f"no luck in {os.getcwd()}")


class Crashing(Proper):
    def go_wrong(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Unchecked(Proper):
    """Fits, and makes the check of what it fitted crash, or fail."""

    def __init__(self, alphas=(1.0,), *, fit_intercept=True, cluster=None, crash=True):
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.crash = crash

    def go_wrong(self):
        def draw(*arguments):
            if self.crash:
                os.kill(os.getpid(), signal.SIGSEGV)
            raise MemoryError("none left")

        agreement.sample_targets = draw


class Hanging(Proper):
    """Never ends, nor does its child; ``note`` is a `tests.lifeline.Lifeline`."""

    def __init__(self, alphas=(1.0,), *, fit_intercept=True, cluster=None, note=""):
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.note = note

    def go_wrong(self):
        with open(self.note, "w") as note:
            child = subprocess.Popen(["sleep", "600"], stdout=note)
            print(os.getpid(), child.pid, file=note, flush=True)
            child.wait()


def hold(note):
    with open(note, "w") as file:
        print(os.getpid(), file=file, flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.sigwait({signal.SIGUSR1})  # which nobody sends


class Held(get("bmor")):
    """Never ends on its node; ``note`` is a `tests.lifeline.Lifeline`."""

    def __init__(self, alphas=(1.0,), *, fit_intercept=True, cluster=None, note=""):
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.note = note

    def fit_checked(self, X, Y, alphas):
        if X.shape[0] > 64:  # not the warm-up
            self.running_cluster().map(hold, [(self.note,)])
        super().fit_checked(X, Y, alphas)


class Greedy(Proper):
    """Takes more threads than it was given, and keeps them."""

    def go_wrong(self):
        threadpool_limits(3, user_api="blas")


class Secretive(Proper):
    """Computes in torch and does not say so."""

    def fit_checked(self, X, Y, alphas):
        import torch

        torch.from_numpy(np.array(X)).T @ torch.from_numpy(np.array(Y))
        super().fit_checked(X, Y, alphas)


class Boastful(Proper):
    """Says that it computes in torch and does not."""

    torch_device = "cpu"


class Shy(Proper):
    @classmethod
    def skip(cls, t, p, s, nodes, threads):
        return f"does not like {s} targets"


class Huge(Proper):
    @classmethod
    def bytes_needed(cls, t, p, s, dtype, nodes):
        return 2**60
'''
#: A worker that never ends, and whose child does not either; see `tests.lifeline`.
HANGING_WORKER = """
import json
import os
import subprocess
import sys

print("it said this", file=sys.stderr, flush=True)
with open(sys.argv[1]) as job, open(json.load(job)["note"], "w") as note:
    child = subprocess.Popen(["sleep", "600"], stdout=note)
    print(os.getpid(), child.pid, file=note, flush=True)
    child.wait()
"""
NAMES = [
    line.split()[1].partition("(")[0] for line in ODDITIES.splitlines() if line.startswith("class ")
]


@pytest.fixture(scope="session")
def oddities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the strategies above, for this process and for those that it starts."""
    site = tmp_path_factory.mktemp("site")
    (site / "oddities.py").write_text(ODDITIES, encoding="utf-8")
    (site / "hanging_worker.py").write_text(HANGING_WORKER, encoding="utf-8")
    info = site / "oddities-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: oddities\nVersion: 1.0\n")
    points = "\n".join(f"{name.lower()} = oddities:{name}" for name in NAMES)
    (info / "entry_points.txt").write_text(f"[ridgebench.strategies]\n{points}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        inherited = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), inherited])))
        importlib.invalidate_caches()
        yield
    sys.modules.pop("oddities", None)


@pytest.fixture(scope="session")
def problem_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a problem of 200 samples, 6 features and 9 targets, the last of them constant."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6))
    Y = X @ rng.standard_normal((6, 9)) + rng.standard_normal((200, 9))
    Y[:, -1] = 4.0
    folder = tmp_path_factory.mktemp("problems") / "tiny"
    Problem.from_arrays(X, Y, np.repeat(range(4), 50), name="tiny").save(folder)
    return folder


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Share one scratch folder between all tests of a session."""
    return tmp_path_factory.mktemp("scratch")
