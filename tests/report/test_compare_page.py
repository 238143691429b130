"""The page Compare: every two sides, what there is no room for, and how runs agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from bench_core.comparison.compare import compare
from bench_core.comparison.pairing import Dimension
from bench_core.records import EnvironmentRun, Record
from bench_core.report.blocks import Choice, Table
from bench_core.report.choice import make_choice
from bench_core.report.pairs import Compared, compare_all, find_sides
from bench_core.report.run_agreement import find_two_runs
from bench_core.report.sections import compare as section
from bench_core.report.site_data import SiteData
from tests.report.made_site import COMMITS, make_runs

LAST = [one[:8] for one in COMMITS[-3:]]


@pytest.fixture(scope="module")
def data() -> SiteData:
    """Return the last three commits of the made site: two environments, two machines."""
    everything = [run for run in make_runs() if run.commit in LAST]
    shown = [run for run in everything if run.commit == LAST[-1]]
    return SiteData(shown, everything, "ridgebench")


@pytest.fixture(scope="module")
def compared(data: SiteData) -> Compared:
    return compare_all(data)


def test_every_two_sides_are_compared(compared: Compared) -> None:
    counts = {name: len(sides) for name, sides in compared.sides.items()}
    assert counts == {"environment": 2, "strategy": 3, "machine": 2, "commit": 3}
    assert compared.left_out == {}
    done = [*(one for one, _ in compared.found), *compared.empty]
    for name, sides in compared.sides.items():
        found = {frozenset((one.first, one.second)) for one in done if one.dimension == name}
        assert found == {frozenset(both) for both in combinations(sides, 2)}
    assert [one.name for one in compared.sides["commit"]] == LAST[::-1]
    order = [one for one, _ in compared.found if one.dimension == "commit"]
    assert (order[0].first.name, order[0].second.name) == (LAST[-2], LAST[-1])


@pytest.mark.parametrize("dimension", ["environment", "strategy", "machine", "commit"])
def test_the_verdicts_are_those_of_the_command(
    data: SiteData, compared: Compared, dimension: Dimension
) -> None:
    one, judged = next(both for both in compared.found if both[0].dimension == dimension)
    command = compare(data.everything, dimension, one.first.name, one.second.name)
    assert judged.judgement.cases == command.judgement.cases
    assert judged.judgement.mean == command.judgement.mean
    assert judged.pairing.pairs == command.pairing.pairs
    assert judged.pairing.unpaired == command.pairing.unpaired


def test_what_there_is_no_room_for_is_left_out_with_its_command(
    data: SiteData, compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = compare_all(data, most_pairs=3)
    assert {one.dimension for one, _ in few.found} == {"environment", "strategy", "machine"}
    assert {name: len(own) for name, own in few.left_out.items()} == {"strategy": 2, "commit": 3}
    assert few.left_out["commit"][0].command == (
        f"ridgebench compare --commit {LAST[-2]} {LAST[-1]}"
    )
    cases = [len(judged.judgement.cases) for _, judged in compared.found]
    narrow = compare_all(data, most_cases=max(cases) + min(cases) - 1)
    room = sum(len(judged.judgement.cases) for _, judged in narrow.found)
    assert 0 < room < max(cases) + min(cases)
    assert sum(map(len, narrow.left_out.values())) == len(cases) - len(narrow.found)

    monkeypatch.setattr(section, "compare_all", lambda data: few)
    blocks = {block.name: block for block in section.SECTION.build(data) if hasattr(block, "name")}
    table = blocks["left-out"]
    assert isinstance(table, Table)
    assert len(table.rows) == 5
    assert all(row.cells[-1].text.startswith("ridgebench compare --") for row in table.rows)


def test_the_choice_has_every_case_of_every_comparison(data: SiteData, compared: Compared) -> None:
    choice = make_choice(compared, data.records)
    assert isinstance(choice, Choice)
    columns, pairs = choice.data["cases"], choice.data["pairs"]
    lengths = {len(one.get("values") or one.get("codes")) for one in columns.values()}
    assert lengths == {pairs[-1]["rows"][1]}
    assert [one["rows"][0] for one in pairs] == [0, *(one["rows"][1] for one in pairs[:-1])]
    for packed, (one, judged) in zip(pairs, compared.found, strict=True):
        start, end = packed["rows"]
        assert columns["ratio"]["values"][start:end] == pytest.approx(
            [verdict.ratio for *_, verdict in judged.rows()], rel=1e-4
        )
        name, first, second = packed["of"]
        assert choice.data["sides"][name][first][0] == one.first.name
        assert choice.data["sides"][name][second][0] == one.second.name


def test_environments_with_the_same_library_are_told_apart() -> None:
    run = next(run for run in make_runs() if run.commit == LAST[-1])
    records = [
        replace(one, id=f"again-{one.id}") if isinstance(one, Record) else one
        for one in run.records
    ]
    again = EnvironmentRun(run.machine, run.commit, "env-again", records)
    data = SiteData([run, again], [run, again], "ridgebench")
    compared = compare_all(data)
    texts = [one.text for one in compared.sides["environment"]]
    assert len(set(texts)) == 2
    assert all(text.startswith("openblas") for text in texts)
    assert "(env-again)" in texts[0]


def test_an_environment_that_is_measured_no_more_can_still_be_chosen(data: SiteData) -> None:
    gone = replace(data.everything[0], environment="env-gone")
    longer = SiteData(data.runs, [*data.everything, gone], "ridgebench")
    compared = compare_all(longer)
    names = [one.name for one in compared.sides["environment"]]
    assert names[-1] == "env-gone"
    assert any(one.first.name == "env-gone" or one.second.name == "env-gone"
               for one, _ in compared.found)  # fmt: skip


def test_nothing_measured_has_no_page() -> None:
    assert section.SECTION.build(SiteData([], [], "ridgebench")) == []
    assert find_sides(SiteData([], [], "ridgebench"), []) == {}


def test_runs_next_to_each_other_are_compared(data: SiteData) -> None:
    found = list(find_two_runs(data))
    assert {one.machine for one in found} == {"here"}
    assert [len(one.ratios) for one in found] == [18, 18]
    assert all(len(one.winners) == 9 for one in found)
    # The same code on the same machine, with noise of 1 %: openblas is faster by 30 % in both.
    assert [one.beyond(0.1) for one in found] == [0, 0]
    assert [one.flips for one in found] == [0, 0]
