"""Tables and progress: whole in a pipe, folded on a terminal, time left by a clock of the test."""

import io

import pytest
from rich.console import Console

from bench_core.cli.display import console, print_table, progress

NAME = "sub-01_ses-002_task-" + "s01e02a" * 40


def test_a_pipe_gets_each_row_on_one_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("runs", ("name", "rows"), [(NAME, "351"), ("[/]", "2")], words=("name",))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [NAME, "351"] in lines
    assert ["[/]", "2"] in lines


def test_a_terminal_loses_no_letter_of_a_long_name() -> None:
    out = io.StringIO()
    place = Console(file=out, force_terminal=True, width=60, color_system=None)
    print_table("", ("name", "rows"), [(NAME, "351")], words=("name",), on=place)
    body = out.getvalue().split("─")[-1]
    assert "".join(body.split()).replace("351", "") == NAME.replace("351", "")
    assert max(map(len, out.getvalue().splitlines())) <= 60


def test_a_log_gets_the_time_left_of_the_step_it_is_in() -> None:
    """Thirty of forty steps in 60 s: 20 s are left, whatever the step before took."""
    out, now = io.StringIO(), [0.0]
    place = Console(file=out, width=1000)
    with progress(on=place, clock=lambda: now[0]) as bars:
        bars("reading", 0, 2)
        now[0] = 500.0
        bars("fitting", 0, 40)
        now[0] = 501.0
        bars("fitting", 1, 40)  # too soon after the line before
        now[0] = 500.0 + 60.0
        bars("fitting", 30, 40)
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert "30 of 40" in lines[2]
    assert lines[2].endswith("about 20.0 s left")


def test_a_console_wraps_only_on_a_terminal() -> None:
    assert console().width > 10_000


def test_a_bar_ends_at_its_own_total() -> None:
    out = io.StringIO()
    place = Console(file=out, force_terminal=True, width=100, color_system=None)
    with progress(on=place) as bars:
        bars("export", 0, 96)
        bars("export", 96, 96)
        bars("features", 1, 0)  # how many is not known
        shown = out.getvalue()
        bars("features", 97, 0)
        bars("fit", 2, 3)
    assert "97/96" not in out.getvalue()
    assert "/96" not in out.getvalue().removeprefix(shown)
    assert "2/3" in out.getvalue()
