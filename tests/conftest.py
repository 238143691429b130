"""What every test may rely on."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

import pytest
from hypothesis import settings

from bench_core.machine.topology import FIRST_CORE
from tests import longest_first
from tests.installed import Distributions, Installed, build, install
from tests.once import made_once
from tests.one_thread import blas_on_one_thread

__all__ = ["blas_on_one_thread"]

# Tests run beside each other and beside other work, so their times are accepted as they are. The
# tests of disturbed times take this back.
os.environ["RIDGEBENCH_ACCEPT_LOAD"] = "1"

# No test asserts a time, not even that of one example on a busy machine. CI draws the same examples
# in every run, so that what fails there fails anywhere; elsewhere every run draws others.
settings.register_profile("untimed", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("untimed")

# Without bytecode every process that a test starts would compile these packages again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Every fit keeps to the first cores: those of another process of pytest-xdist to others.
if number := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"):
    os.environ.setdefault(FIRST_CORE, number)

# A shell that starts a test run in the background may have it ignore SIGINT, and so would every
# process that a test starts: the tests of interruptions would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same for `nohup`, which has SIGHUP ignored.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    longest_first.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    longest_first.configure(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    longest_first.order(config, items)


@pytest.fixture(params=["cpu", "torch", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Return the name of each device of `tests.devices` that is here; others are skipped."""
    from tests.devices import usable_device

    return usable_device(request.param)


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Return the source distribution and the wheel of this checkout."""
    return Distributions(made_once(tmp_path_factory, "distributions", build))


@pytest.fixture(scope="session")
def installed(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return an environment in which the wheel is installed, and no clone is seen."""
    make = partial(install, distributions.wheel)
    return Installed(made_once(tmp_path_factory, "installed", make))
