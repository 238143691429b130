"""What every test may rely on."""

from __future__ import annotations

import os
import signal

import pytest

from tests.installed import Distributions, Installed, build, install

# Tests run beside each other and beside other work, so their times are accepted as they are. The
# tests of disturbed times take this back.
os.environ["RIDGEBENCH_ACCEPT_LOAD"] = "1"

# A shell that starts a test run in the background may have it ignore SIGINT, and so would every
# process that a test starts: the tests of interruptions would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same for `nohup`, which has SIGHUP ignored.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(params=["cpu", "torch", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Return the name of each device of `tests.devices` that is here; others are skipped."""
    from tests.devices import usable_device

    return usable_device(request.param)


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Return the source distribution and the wheel of this checkout."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return an environment in which the wheel is installed, and no clone is seen."""
    return install(distributions.wheel, tmp_path_factory.mktemp("installed"))
