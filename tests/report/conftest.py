"""Valid records of no measurement, one site of them, and one browser for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench_core.records import AnyRecord, Record, write
from bench_core.runner.spec import FitSpec, ProblemShape
from tests.valid_record import valid_record

if TYPE_CHECKING:
    from tests.report.browser import Browser
    from tests.report.made_site import MadeSite

_SHAPE = ProblemShape("whole-brain-bmor", 100, 64, 9, "float64", "sub-01", 0.0625)
_SPEC = FitSpec("whole-brain-bmor", "ridgecv", suite="nodes_bmor", scale=0.0625)

Make = Callable[..., Record]


def _valid(seconds: float) -> Record:
    record = valid_record(_SPEC, _SHAPE, seconds)
    described = replace(record.machine, cpu={"model": "A test's CPU"})
    return replace(record, started="2026-01-01T00:00:00Z", machine=described)


@pytest.fixture
def record() -> Make:
    """Return a function that makes a record: case fields by keyword, seconds and status apart."""

    def make(
        seconds: float = 8.0, status: str = "ok", reason: str | None = None, **case: Any
    ) -> Record:
        made = _valid(seconds)
        problem = replace(made.case.problem, **case.pop("problem", {}))
        asked = replace(made.case, problem=problem, **case)
        times = None if status in ("skipped", "failed") else made.times
        return replace(made, status=status, reason=reason, case=asked, times=times)

    return make


@pytest.fixture
def leave() -> Callable[[Path, str, str, list[AnyRecord]], None]:
    """Return a function that leaves records where the benchmarks do."""
    numbers = count()

    def leave(pending: Path, environment: str, commit: str, records: list[AnyRecord]) -> None:
        for one in records:
            write(one, pending / environment / commit / f"{next(numbers):03}.json")

    return leave


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> MadeSite:
    """Return a site with every page, which tests read and do not change."""
    from tests.report.made_site import make_site

    return make_site(tmp_path_factory.mktemp("html") / "ridgebench.html")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Yield a browser without a network; skip where there is none."""
    from tests.report.browser import Browser, find_browser

    program = find_browser()
    if program is None:
        pytest.skip("no chromium here: pages are checked by the parser alone")
    started = Browser(program, tmp_path_factory.mktemp("chromium") / "profile")
    yield started
    started.close()
