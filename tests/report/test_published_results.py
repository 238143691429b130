"""The published times as asv reads them back."""

import csv
import itertools
import json
import math
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("asv", reason="asv is the bench extra")

from asv.results import iter_results

from bench_core.errors import RidgebenchError
from bench_core.report.published_results import write_published


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    git("init", "-q", "-b", "main")
    for number in range(2):
        git("commit", "-q", "--allow-empty", "-m", str(number))
    return tmp_path


def _first_commit(repository: Path) -> str:
    done = subprocess.run(
        ["git", "rev-list", "--max-parents=0", "HEAD"], cwd=repository, capture_output=True
    )
    return done.stdout.decode().strip()


def _published(figure: str, subject: str, nodes: int, threads: int) -> float:
    """Return the one time of a line of the published table."""
    path = files("bench_core.scaling") / "published" / "timings.csv"
    rows = csv.DictReader(path.read_text("utf-8").splitlines())
    asked = (figure, subject, str(nodes), str(threads))
    (found,) = (
        float(row["seconds"])
        for row in rows
        if (row["figure"], row["subject"], row["nodes"], row["threads"]) == asked
    )
    return found


def test_asv_reads_the_published_times(repository):
    write_published(repository / "results", repository)
    found = {one.env_vars["RIDGEBENCH_BLAS"]: one for one in iter_results(repository / "results")}
    assert set(found) == {"mkl", "openblas"}
    assert {one.commit_hash for one in found.values()} == {_first_commit(repository)}
    name = "threads.Threads.track_inverse_speed_up"
    values = dict(
        zip(
            [(r, n) for r in ("parcels", "roi") for n in (1, 2, 4, 8, 16, 32)],
            found["mkl"].get_result_value(name, found["mkl"].get_result_params(name)),
            strict=True,
        )
    )
    assert values["parcels", 1] == 1.0
    # Figure 3.6, MKL, parcels: mean over six subjects of 491, 449, … over 4199, 4142, … seconds.
    assert values["parcels", 32] == pytest.approx(480.17 / 4161.0, rel=1e-4)
    dsu = "nodes_bmor.WholeBrain.track_inverse_dsu"
    numbers = found["mkl"].get_result_value(dsu, found["mkl"].get_result_params(dsu))
    assert 1 / min(x for x in numbers if not math.isnan(x)) == pytest.approx(28.1, abs=0.2)
    # Thesis, figure 3.11: B-MOR on 8 nodes of 32 threads, subject by subject.
    by_subject = "subjects.Subjects.track_inverse_dsu"
    params = found["mkl"].get_result_params(by_subject)
    numbers = found["mkl"].get_result_value(by_subject, params)
    ours = dict(zip(itertools.product(*params), numbers, strict=True))
    speed_ups = [1 / ours["'bmor'", f"'sub-0{number}'", "8", "32", "'1'"] for number in range(1, 7)]
    assert speed_ups == pytest.approx([25.9, 29.8, 32.0, 27.2, 25.9, 28.3], abs=0.05)
    # Figure 3.6, sub-01, parcels, MKL: 4199 s on one thread; figure 3.9 begins at two nodes.
    for name, parameters, seconds in (
        ("SubjectsSpeedUp", ("'parcels'", "'sub-01'", "1", "'1'"), 4199.0),
        (
            "SubjectsMor",
            ("'mor'", "'sub-06'", "8", "32", "'1'"),
            _published("3.9", "sub-06", 8, 32),
        ),
    ):
        name = f"subjects.{name}.track_time"
        params = found["mkl"].get_result_params(name)
        values = found["mkl"].get_result_value(name, params)
        assert dict(zip(itertools.product(*params), values, strict=True))[parameters] == seconds
    assert "nodes_mor.MultiOutput.track_time" not in found["openblas"].get_all_result_keys()


def test_a_rewritten_history_leaves_no_stale_file(repository):
    results = repository / "results"
    (first, _) = write_published(results, repository)
    stale = first.with_name(f"00000000-{first.name.split('-', 1)[1]}")
    stale.write_text(first.read_text())
    assert write_published(results, repository)[0] == first
    assert not stale.exists()


def test_no_checkout_is_an_error(tmp_path):
    with pytest.raises(RidgebenchError, match="no git checkout"):
        write_published(tmp_path / "results", tmp_path)


def test_names_and_parameters_are_those_of_the_suites(repository):
    """A benchmark renamed without its published twin would lose the comparison silently."""
    import importlib

    write_published(repository / "results", repository)
    for path in (repository / "results").rglob("*published*.json"):
        for name, row in json.loads(path.read_text())["results"].items():
            module, class_name, track = name.split(".")
            suite = getattr(importlib.import_module(f"benchmarks.{module}"), class_name)
            assert callable(getattr(suite, track))
            assert row[2] == suite.version
            for published, ours in zip(row[1], suite.params, strict=True):
                assert set(published) <= {repr(value) for value in ours}
