"""Figures of encoders and pipelines: records, their tables in the summary and on the page."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from bench_core.errors import InputError
from bench_core.records import (
    Figure,
    FiguresRecord,
    from_json,
    make_figures,
    parse_record,
    read_lines,
    record_line,
    to_json,
)
from bench_core.records.store import publish
from bench_core.report.encoding import suite_tables
from bench_core.report.pages import write_site
from bench_core.report.run_monitor import progress_line
from bench_core.report.runs import EnvironmentRun, latest
from bench_core.report.terminal import print_summary

WHEN = "2026-01-01T00:00:00Z"


def encoding(layer="first", **figures):
    values = {"decoding": (0.25, "s"), "mean r": (0.5, "r"), "features": (2048, "bytes")}
    values |= figures
    parameters = {"problem": "parcels", "layer": layer, "threads": 1}
    return make_figures("encoding", parameters, values, WHEN)


def rates():
    parameters = {"encoder": "vgg16", "batch": 8}
    return make_figures("encoders", parameters, {"network": (12.5, "samples/s")}, WHEN)


@pytest.fixture
def runs():
    records = [rates(), encoding("second"), encoding("first", **{"planted r": (None, "r")})]
    return [EnvironmentRun("here", "c0ffee00", "env-a", records)]


def test_a_record_is_read_as_it_was_written_and_nothing_else(tmp_path: Path):
    record = encoding()
    assert from_json(FiguresRecord, to_json(record), "this") == record
    assert parse_record(record_line(record), "line") == record
    (tmp_path / "all.jsonl").write_text("\n".join(map(record_line, (record, rates(), record))))
    found = read_lines(tmp_path / "all.jsonl")
    assert len(found.records) == 2  # the third is of the first's case
    values = json.loads(to_json(record))
    values["figures"]["decoding"]["value"] = "0.25"
    with pytest.raises(InputError):
        from_json(FiguresRecord, json.dumps(values), "this")


def test_tables_are_in_order_with_a_row_for_each_case(runs):
    first, second = suite_tables(runs)
    assert [first.suite, second.suite] == ["encoding", "encoders"]
    assert first.parameters == ["problem", "layer", "threads"]
    assert [row.parameters[1] for row in first.rows] == ["first", "second"]
    cells = [dict(zip(first.figures, row.figures, strict=True)) for row in first.rows]
    assert cells[0] == {
        "decoding": "250 ms",
        "mean r": "0.500",
        "features": "2.00 KiB",
        "planted r": "–",
    }
    assert cells[1]["planted r"] == ""
    assert second.rows[0].figures == ["12.5 samples/s"]


def test_what_failed_has_no_row():
    failed = FiguresRecord(**{**vars(encoding()), "status": "failed", "reason": "lost"})
    assert suite_tables([EnvironmentRun("here", "c0ffee00", "env-a", [failed])]) == []


class Cells(HTMLParser):
    """The texts of all cells and headings of a page."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_summary_and_page_have_the_tables(runs, tmp_path: Path):
    out = io.StringIO()
    print_summary(runs, Console(file=out, width=100))
    printed = out.getvalue()
    assert "encoding: From a film to r" in printed
    assert "parcels, second, 1" in printed
    assert "250 ms" in printed
    pages = write_site(runs, tmp_path / "ridgebench.html")
    (own,) = [path for path in pages if path.stem.endswith("-encoders")]
    page = Cells()
    page.feed(own.read_text(encoding="utf-8"))
    for text in ("From a film to r", "Encoders", "2.00 KiB", "12.5 samples/s", "vgg16"):
        assert text in page.texts


def test_a_line_tells_of_it_as_it_comes():
    line = progress_line(encoding())
    assert line is not None
    assert "parcels, first, 1" in line
    assert "mean r 0.500" in line


def test_a_commit_of_figures_alone_can_be_the_latest(runs, record):
    older = EnvironmentRun("here", "0ld0ld00", "env-a", [record()])
    newer = encoding()
    newer = FiguresRecord(**{**vars(newer), "started": "2027-01-01T00:00:00Z"})
    new = EnvironmentRun("here", "new00000", "env-b", [newer])
    assert latest([older, new]) == [new]


def test_figures_that_are_read_again_are_not_news(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("RIDGEBENCH_RECORDS", str(tmp_path))
    path = publish(encoding())
    assert path is not None
    before = path.read_text(encoding="utf-8")
    later = FiguresRecord(**{**vars(encoding()), "started": "2027-01-01T00:00:00Z"})
    assert publish(later) == path
    assert path.read_text(encoding="utf-8") == before
    publish(encoding(**{"mean r": (0.25, "r")}))
    changed = from_json(FiguresRecord, path.read_text(encoding="utf-8"), "this")
    assert changed.figures["mean r"] == Figure(0.25, "r")
    assert publish(encoding("second")) != path
