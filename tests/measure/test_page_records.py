"""Tables of docs/ridge.md are those of the committed records, and the records are what they say."""

from __future__ import annotations

import mmap
from pathlib import Path
from types import ModuleType

import pytest

from bench_core import strategies
from benchmarks.penalty_choices import WAYS
from tests.measure import given_coefficients, penalty_choices

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.parametrize("source", [penalty_choices, given_coefficients])
def test_the_page_has_the_recorded_figures(source: ModuleType) -> None:
    table = source.TABLE
    text = table.page.read_text(encoding="utf-8")
    assert table.filled(text) == text
    assert source.table(table.read()) in text


def test_every_way_was_measured_and_ratios_are_of_medians() -> None:
    record = penalty_choices.TABLE.read()
    assert set(record["fits"]) == set(WAYS)
    rows = {
        cells[0]: cells
        for line in penalty_choices.table(record).splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 7
    }
    for way, (_, options, dtype, peers) in WAYS.items():
        assert rows[way][1] == dtype
        assert rows[way][5].split("; ") == list(peers or ("",))
        assert set(options) <= strategies.get(WAYS[way][0]).option_names()
        own = [fit["seconds"] for fit in record["fits"][way]]
        for peer, ratio in zip(peers, rows[way][6].split(", "), strict=peers != ()):
            theirs = [fit["seconds"] for fit in record["fits"][peer]]
            low, high = min(theirs) / max(own), max(theirs) / min(own)
            assert low - 0.05 <= float(ratio.removesuffix("×")) <= high + 0.05


@pytest.mark.skipif(
    not HUGE_PAGES.is_file() or "[always]" in HUGE_PAGES.read_text(),
    reason="page faults are counted where the kernel gives pages of one size (transparent huge "
    "pages are not known, or always given)",
)
def test_coefficients_that_are_given_save_their_page_faults() -> None:
    """Each page of new memory is a fault; memory that was written before has none."""
    found = {
        given: given_coefficients.fit(
            "float32",
            given=given,
            shape=(40, 256, 20_000),
            variables={"NUMPY_MADVISE_HUGEPAGE": "0"},  # small pages, whatever their number
        )
        for given in (False, True)
    }
    pages = 4 * 256 * 20_000 // mmap.PAGESIZE
    saved = found[False]["minor_faults"] - found[True]["minor_faults"]
    assert 0.9 * pages < saved
    assert found[False]["coef_bytes"] == found[True]["coef_bytes"] == 4 * 256 * 20_000
