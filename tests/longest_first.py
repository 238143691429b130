"""The order in which files of tests are given to the processes of pytest-xdist: the longest first.

One process runs a whole file (``--dist loadfile``). xdist by itself begins with the files of most
tests. Files of a few long tests come last then, and one process runs them while others have ended.

``durations.tsv`` beside this says how long each file took: ``make durations`` writes it. Only the
order follows from it. A file that is not in it counts as long as its tests are on average.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

TABLE = Path(__file__).with_name("durations.tsv")
OPTION = "--write-durations"


def read_durations(path: Path = TABLE) -> dict[str, float]:
    """Return the seconds of every file in the table, by its path in the checkout."""
    if not path.is_file():
        return {}
    lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return {file: float(seconds) for seconds, file in lines}


def write_durations(seconds: Mapping[str, float], path: Path = TABLE) -> None:
    """Write the table, the longest first."""
    ordered = sorted(seconds.items(), key=lambda item: (-round(item[1], 1), item[0]))
    lines = [f"{taken:.1f}\t{file}\n" for file, taken in ordered]
    path.write_text("".join(lines), encoding="utf-8")


def longest_first(files: Sequence[str], seconds: Mapping[str, float]) -> list[str]:
    """Return the files, each once, in the order to run them.

    Parameters
    ----------
    files : the file of every test. seconds : of whole files.
    """
    counts = Counter(files)
    known = [file for file in counts if file in seconds]
    tests = sum(counts[file] for file in known)
    average = sum(seconds[file] for file in known) / tests if tests else 1.0
    expected = {file: seconds.get(file, average * count) for file, count in counts.items()}
    return sorted(counts, key=lambda file: (-expected[file], file))


class Durations:
    """Plugin that adds up what the tests of each file take, and writes the table at the end.

    Parameters
    ----------
    root : folder of the checkout.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._taken: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._taken[report.nodeid.partition("::")[0]] += report.duration

    def pytest_sessionfinish(self) -> None:
        kept = {file: s for file, s in read_durations().items() if (self._root / file).is_file()}
        write_durations({**kept, **self._taken})


def add_option(parser: pytest.Parser) -> None:
    """Add the option that writes the table."""
    parser.addoption(
        OPTION,
        action="store_true",
        help=f"write what each file took to {TABLE.name}; files that were not run keep their line",
    )


def configure(config: pytest.Config) -> None:
    """Let durations be written where that is asked for: of whole files."""
    if not config.getoption(OPTION) or hasattr(config, "workerinput"):
        return
    options = config.option
    if options.keyword or options.markexpr or any("::" in one for one in config.args):
        raise pytest.UsageError(f"{OPTION} is for whole files: no -k, no -m and no '::'")
    config.pluginmanager.register(Durations(config.rootpath))


def order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the tests of a process of pytest-xdist by file; without xdist they keep their order."""
    if not hasattr(config, "workerinput"):
        return
    files = [item.nodeid.partition("::")[0] for item in items]
    place = {file: number for number, file in enumerate(longest_first(files, read_durations()))}
    items.sort(key=lambda item: place[item.nodeid.partition("::")[0]])
