"""Times that docs/faults.md and docs/clusters.md state, held against what they follow from."""

from __future__ import annotations

import math
import re
from pathlib import Path

import dask.config
import distributed
import pytest
from dask.utils import parse_timedelta

from bench_core.cluster import adopted, dispatch, health, presence, silence, waiting
from bench_core.cluster.kinds import slurm, ssh
from bench_core.runner import launcher

DOCS = Path(__file__).parents[2] / "docs"

#: Seconds from a loss to the end of the look that finds it: here, and where a scheduler is asked.
LOOK = waiting.INTERVAL_S
LOOK_ELSEWHERE = waiting.INTERVAL_S + presence.CHECK_EVERY_S


def cells(heading: str, row: str) -> list[str]:
    """Return the cells of the row that begins so, in a section of docs/faults.md."""
    text = (DOCS / "faults.md").read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (line,) = re.findall(
        rf"^\| {re.escape(row)}.*$", section.partition("\nWhat the")[0], re.MULTILINE
    )
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def within(text: str) -> int:
    (found,) = re.findall(r"within (\d+) s", text)
    return int(found)


def after(text: str) -> int:
    (found,) = re.findall(r"after (\d+) s", text)
    return int(found)


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ("a node is killed", LOOK + dispatch._REAPED_S),
        ("a node stands still", 2 * LOOK),
    ],
)
def test_losses_here(row: str, limit: float) -> None:
    assert within(cells("On this machine", row)[1]) == math.ceil(limit)


def test_what_stands_still_here() -> None:
    assert after(cells("On this machine", "a node stands still")[2]) == health.STOPPED_S
    leading = cells("On this machine", "the leading process stands still")[1]
    assert after(leading) == 2 * launcher.LOOK_S


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ("a node is killed", LOOK_ELSEWHERE + dispatch._REAPED_S + ssh._ENDED_S),
        ("its Slurm job is cancelled", LOOK_ELSEWHERE + dispatch._REAPED_S + slurm._ENDED_S),
        ("a node stands still", silence.SILENT_S + LOOK_ELSEWHERE),
        ("the network to a host", silence.SILENT_S + LOOK_ELSEWHERE + ssh._ASK_S),
        ("the network to the scheduler's host", presence.SCHEDULER_S + LOOK_ELSEWHERE),
        ("a scheduler of its own", LOOK + dispatch._REAPED_S),
    ],
)
def test_losses_elsewhere_are_rounded_up_to_five_seconds(row: str, limit: float) -> None:
    stated = within(cells("On a cluster that is elsewhere", row)[1])
    assert stated % 5 == 0
    assert limit < stated <= limit + 5


def test_patience_of_a_fit_elsewhere() -> None:
    section = "On a cluster that is elsewhere"
    stopped = cells(section, "a node stands still")[2]
    assert after(stopped) == silence.SILENT_S + silence.STOPPED_S
    assert after(cells(section, "the network to a host")[2]) == silence.UNREACHABLE_S


def test_other_times() -> None:
    text = " ".join((DOCS / "faults.md").read_text(encoding="utf-8").split())
    twice = "The scheduler is asked for its [nodes](clusters.md) twice a second"
    assert twice in text
    assert presence.CHECK_EVERY_S == 0.5
    lost = parse_timedelta(dask.config.get("distributed.comm.timeouts.tcp"))
    closing = adopted._RELEASE_S + 2 * adopted.CLOSE_S
    for stated in (
        f"So after {silence.SILENT_S:g} s of silence its host is asked",
        f"A cut of less than {silence.SILENT_S:g} s goes unnoticed",
        f"such a node is lost after {silence.UNKNOWN_S:g} s of silence",
        f"a host is cut off takes up to {closing:g} s more",
        f"by themselves {lost:g} s after they have lost their scheduler",
    ):
        assert stated in text, stated
    assert distributed.__version__  # its defaults are those of the configuration above


def test_times_of_clusters() -> None:
    text = " ".join((DOCS / "clusters.md").read_text(encoding="utf-8").split())
    found = {each.name: each.default for each in slurm.SlurmSettings.__dataclass_fields__.values()}
    assert found["walltime"] == "01:00:00"
    assert "`walltime` (one hour)" in text
    assert f"`start_timeout` ({found['start_timeout']:g} s," in text
    assert parse_timedelta(dask.config.get("distributed.scheduler.worker-ttl")) == 300
    assert "Python's lock for more than five minutes makes a scheduler give its worker up" in text
