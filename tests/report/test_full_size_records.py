"""The committed records of fits at the thesis's full sizes, and the page that quotes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench_core.records import Record, read, read_lines

ROOT = Path(__file__).parents[2]
SIZES = {
    "whole-brain-bmor": (10_000, 16_384, 264_805),
    "parcels": (69_202, 16_384, 444),
    "roi": (69_202, 16_384, 6_728),
}
RECORDS = sorted((ROOT / "docs" / "records").glob("*.json"))


def test_there_are_records():
    assert RECORDS


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_page_quotes_the_record(path: Path):
    record = read(Record, path)
    assert record.status == "ok"
    assert record.agreement.agrees
    size = record.case.problem
    assert (size.t, size.p, size.s) == SIZES[size.name]
    page = (ROOT / "docs" / "ridge.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if f"records/{path.name}" in line)
    cells = [cell.strip() for cell in line.split("|")]
    assert f"{record.times.median_s:.0f} s" in cells
    assert f"{record.memory.peak_bytes / 2**30:.1f} GiB" in cells
    assert f"{record.accuracy.mean:.3f}" in cells


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results").rglob("*.records.jsonl")), ids=lambda path: path.stem
)
def test_every_committed_record_of_a_run_loads(path: Path):
    found = read_lines(path)
    assert found.problems == []
    assert len(found.records) == len(path.read_text(encoding="utf-8").splitlines())
