"""SIGTERM and SIGHUP interrupt once, and leave what was to be ignored ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from bench_core.interruption import TerminatedError, ended_by_signals


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_the_first_signal_interrupts_and_others_do_not_disturb_the_end(name: str) -> None:
    number = getattr(signal, name)
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    cleaned = []
    try:
        with pytest.raises(KeyboardInterrupt) as caught, ended_by_signals() as came:  # noqa: PT012
            try:
                os.kill(os.getpid(), number)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGHUP)
                cleaned.append(True)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert isinstance(caught.value, TerminatedError)
    assert caught.value.number == number
    assert came == [number]
    assert cleaned == [True]


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ended_by_signals() as came:
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert came == []


def test_nohup_is_respected() -> None:
    script = (
        "import os, signal\n"
        "from bench_core.interruption import ended_by_signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with ended_by_signals():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('alive')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "alive\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_reports_the_signal_in_its_status(number: signal.Signals) -> None:
    script = (
        "import os, sys, click\n"
        "from bench_core.cli import cli, main\n"
        "@click.command()\n"
        "def command():\n"
        "    try:\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "    finally:\n"
        "        print('cleaned')\n"
        "cli.get_command = lambda ctx, name: command\n"
        "sys.argv = ['ridgebench', 'command']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 128 + number
    assert done.stdout == "cleaned\n"
    assert number.name in done.stderr
    assert "Traceback" not in done.stderr
