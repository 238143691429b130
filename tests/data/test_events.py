"""Tables of events: any BIDS table is read, errors name file, line and value."""

from __future__ import annotations

import numpy as np
import pytest

from bench_core.data.events import Event, boxcars, read_events
from bench_core.errors import InputError


def test_events(tmp_path):
    path = tmp_path / "events.tsv"
    path.write_text("onset\tduration\ttrial_type\n2.5\t5\tface\n10\t1\thouse\n")
    events = read_events(path)
    found = boxcars(events, ["face", "house"], 6, 2.5)
    assert found.T.tolist() == [[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0]]
    assert boxcars(events, ["face", "house"], 6, 2.5, 1.5)[:, 1].tolist() == [0] * 6
    with pytest.raises(InputError, match="'house'"):
        boxcars(events, ["face"], 6, 2.5)
    path.write_text("onset\tduration\n1\t2\n")
    assert read_events(path) == [Event(1, 2)]
    with pytest.raises(InputError, match="trial_type"):
        read_events(path, required=("trial_type",))


HEADER = "onset\tduration\ttrial_type\tstim_file\n"


def test_events_of_any_bids_table(tmp_path):
    path = tmp_path / "events.tsv"
    path.write_text(HEADER + "3\t0\tn/a\tgame.bk2\n-1.5\t2\tplay\t\n")
    assert read_events(path) == [Event(3, 0, None, "game.bk2"), Event(-1.5, 2, "play", None)]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("soon\t2\tface\tx", "line 3: onset is 'soon'"),
        ("1\tlong\tface\tx", "line 3: duration is 'long'"),
        ("one", "line 3: onset is 'one'"),
        ("nan\t2\tface\tx", "line 3: onset is 'nan'"),
        ("1\t-2\tface\tx", "line 3: duration is -2"),
        ("1\t2\tn/a\tx", "line 3: trial_type is 'n/a'"),
    ],
)
def test_errors_in_events_name_file_line_and_value(tmp_path, row, named):
    path = tmp_path / "events.tsv"
    path.write_text(f"{HEADER}1\t2\tface\tx\n{row}\n")
    with pytest.raises(InputError, match=rf"events\.tsv, {named}"):
        read_events(path, required=("trial_type",))


def test_an_events_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.tsv"):
        read_events(tmp_path / "none.tsv")


def test_a_duration_that_is_not_available_is_nan_and_no_boxcar(tmp_path):
    path = tmp_path / "events.tsv"
    path.write_text("onset\tduration\ttrial_type\n2.5\tn/a\tface\n")
    (event,) = read_events(path)
    assert np.isnan(event.duration)
    with pytest.raises(InputError, match=r"2\.5"):
        boxcars([event], ["face"], n=4, tr=2.5)
