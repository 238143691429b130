"""Features from tables of events: impulses, events that reach no sample, odd rows and encodings."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from small_images import TR, SmallImages

from bench_core.brain.build import build, plan
from bench_core.brain.settings import ProblemSettings
from bench_core.data.events import Event, boxcars, read_events
from bench_core.errors import InputError

HEADER = "onset\tduration\ttrial_type\n"


@pytest.fixture
def study(tmp_path):
    SmallImages(tmp_path, runs=1)

    def planned(rows, encoding="utf-8", more=""):
        (tmp_path / "run-1_events.tsv").write_bytes((HEADER + rows).encode(encoding))
        config = tmp_path / "study.toml"
        config.write_text(f"""
dtype = "float64"
[targets]
source = "images"
folder = "."
bold = "*_bold.nii.gz"
extract = "whole-brain"
mask = "mask.nii.gz"
[features]
source = "events"
folder = "."
{more}
[samples]
tr = {TR}
window = 2
""")
        return plan(ProblemSettings.read(config))

    planned.folder = tmp_path
    return planned


def test_an_impulse_is_on_at_the_next_volume(study):
    problem = build(study("3.2\t0\tface\n9\t0\tface\n12\t3\thouse\n"), study.folder / "p")
    base = np.zeros((30, 2))
    base[[3, 6], 0] = 1  # 3.2 s is followed by 4.5 s; 9 s is the onset of a volume
    base[[8, 9], 1] = 1
    for k, delay in enumerate((1, 2)):
        truth = np.vstack([np.zeros((delay, 2)), base[:-delay]])
        np.testing.assert_array_equal(problem.X[:, 2 * k : 2 * k + 2], truth)
    assert problem.meta["pairing"][0]["notes"] == []


def test_what_was_on_before_the_run_is_seen_by_its_first_volumes(study):
    problem = build(study("-3\t2\tface\n3\t1\tface\n"), study.folder / "p")
    # On at -3 and -1.5 s, which are one and two TRs before volume 0.
    assert problem.X[:4].tolist() == [[1, 1], [0, 1], [0, 0], [1, 0]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("4.6\t0.3\tface", "between two volumes"),
        ("100\t2\tface", "after the last of 30 volumes"),
        ("-20\t2\tface", "window"),
        ("43.5\t1\tface", "after the last of 30 volumes"),  # the last volume: no delay is left
    ],
)
def test_events_that_reach_no_sample_are_named(study, row, reason):
    assert study("3\t2\tface\n").runs[0].notes == ()
    (note,) = study(f"3\t2\tface\n{row}\n").runs[0].notes
    assert note.startswith("line 3: face at")
    assert reason in note


def test_events_without_a_trial_type_are_no_feature(study):
    planned = study("3\t2\tn/a\n3\t2\tface\n9\t2\t\n")
    assert planned.features.columns == ["face"]
    assert [note.partition(":")[0] for note in planned.runs[0].notes] == ["line 2", "line 4"]
    with pytest.raises(InputError, match="trial_type"):
        study("3\t2\tn/a\n")


def test_a_duration_that_is_not_available_is_named_with_its_row(study):
    rows = "3\t2\tface\n6\tn/a\thouse\n"
    with pytest.raises(InputError, match=r"run-1_events\.tsv, line 3: house at 6 s"):
        study(rows)
    assert study(rows, more='categories = ["face"]').p == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_are_detected(study, encoding):
    assert study("3\t2\tGesicht für\n", encoding).features.columns == ["Gesicht für"]


def test_another_encoding_is_named_with_its_line(study):
    with pytest.raises(InputError, match=r"run-1_events\.tsv, line 3: byte 0xfc"):
        study("3\t2\tface\n6\t2\tfür\n", "latin-1")


def test_compressed_tables(tmp_path):
    (tmp_path / "e.tsv.gz").write_bytes(gzip.compress((HEADER + "3\t2\tface\n").encode()))
    assert read_events(tmp_path / "e.tsv.gz") == [Event(3, 2, "face")]


@pytest.mark.parametrize("row", ["3\t2", "3\t2\tface\tmore"])
def test_ragged_rows_are_named(tmp_path, row):
    (tmp_path / "e.tsv").write_text(f"{HEADER}1\t1\tface\n{row}\n")
    with pytest.raises(InputError, match="line 3"):
        read_events(tmp_path / "e.tsv")


@pytest.mark.parametrize(
    ("onset", "duration"), [(np.nan, 1), (np.inf, 1), (1, np.nan), (1, np.inf), (1, -1)]
)
def test_no_boxcar_of_what_is_no_time(onset, duration):
    with pytest.raises(InputError):
        boxcars([Event(onset, duration, "face")], ["face"], 4, 1.0)


def test_rounding_of_the_tr_loses_no_volume():
    """0.1 · 3 is above 0.3 in binary, and 0.1 · 6 above 0.6: the event is on at 3, 4 and 5."""
    found = boxcars([Event(0.3, 0.3, "face")], ["face"], 10, 0.1)
    assert np.flatnonzero(found[:, 0]).tolist() == [3, 4, 5]
