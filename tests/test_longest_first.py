"""The order of files, and the table of durations that it follows."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.longest_first import longest_first, read_durations, write_durations

NAMES = st.sampled_from("abcdefgh")


@given(st.lists(NAMES), st.dictionaries(NAMES, st.floats(0, 1000)))
def test_every_file_is_there_once_and_known_ones_by_their_length(
    files: list[str], seconds: dict[str, float]
) -> None:
    found = longest_first(files, seconds)
    assert sorted(found) == sorted(set(files))
    known = [seconds[file] for file in found if file in seconds]
    assert known == sorted(known, reverse=True)


def test_a_file_without_a_duration_has_that_of_its_number_of_tests() -> None:
    # Four tests of known files take 6 s: 1.5 s each, 3 s for two.
    files = ["short", "short", "short", "new", "new", "long"]
    assert longest_first(files, {"short": 1.0, "long": 5.0}) == ["long", "new", "short"]
    assert longest_first(["b", "a", "b"], {}) == ["b", "a"]


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "durations.tsv"
    assert read_durations(path) == {}
    write_durations({"tests/a.py": 1.04, "tests/b.py": 20.0, "tests/c.py": 0.0}, path)
    assert path.read_text() == "20.0\ttests/b.py\n1.0\ttests/a.py\n0.0\ttests/c.py\n"
    assert read_durations(path) == {"tests/a.py": 1.0, "tests/b.py": 20.0, "tests/c.py": 0.0}
