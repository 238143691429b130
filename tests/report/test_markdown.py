from pathlib import Path

import pytest

from bench_core.errors import BadInput
from bench_core.report.markdown import BEGIN, END, comparison, replace
from bench_core.report.runs import Run, latest, read_runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runs(record):
    return [
        Run("here", "c0ffee00", "env-a", [record(8.0), record(2.0, strategy="bmor", nodes=2)]),
    ]


def test_a_row_per_configuration_with_its_speed_up(runs):
    lines = comparison(runs).splitlines()
    assert lines[0].endswith("| openblas 0.3.30 Haswell |")
    assert "| whole-brain-bmor 1/16 | bmor | 2 × 1 | 2 s (4.00×) |" in lines
    assert "| whole-brain-bmor 1/16 | ridgecv | 1 × 1 | 8 s (1.00×) |" in lines


def test_only_what_is_between_the_markers_changes(runs):
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = replace(text, runs, "README.md")
    assert new == f"before\n{BEGIN}\n{comparison(runs)}\n{END}\nafter\n"
    assert replace(new, runs, "README.md") == new


def test_a_file_without_markers_is_refused(runs):
    with pytest.raises(BadInput, match=r"README\.md has no lines"):
        replace("nothing", runs, "README.md")


def test_the_readme_shows_the_committed_reference_run():
    """Nobody edits a figure by hand."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (
        replace(text, latest(read_runs(ROOT / "results", "reference-2core")), "README.md") == text
    )
