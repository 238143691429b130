"""The wheel and the source distribution: what is in them, and that they work without a clone."""

from __future__ import annotations

import json
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

from bench_core import __version__
from tests.installed import ROOT, Distributions, Installed

PACKAGES = ("bench_core", "encoders")
TEMPLATES = {
    "bench_core/asv_project/benchmarks": "benchmarks",
    "bench_core/asv_project/envs": "envs",
}


def tree(folder: Path, below: str) -> set[str]:
    """Return the files of a folder that belong to the project, as ``below/…``."""
    return {
        f"{below}/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_all_of_the_packages_and_nothing_else(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = set().union(*(tree(ROOT / name, name) for name in PACKAGES))
    for place, source in TEMPLATES.items():
        expected |= tree(ROOT / source, place)
    expected.add("bench_core/asv_project/asv.conf.json")
    assert found == expected
    # Data that the code reads: a template, a table, a calibration, fMRI, an encoder's text.
    assert {
        "bench_core/report/templates/page.html",
        "bench_core/scaling/published/timings.csv",
        "bench_core/scaling/published/xeon-6130-mkl.json",
        "bench_core/study/published/encoding_r.csv",
        "bench_core/blas/known_bad.toml",
        "bench_core/data/haxby2001/run-01/bold.nii.gz",
        "bench_core/brain/bars_encoder.py.txt",
        "bench_core/py.typed",
    } <= found
    assert distributions.wheel.stat().st_size < 4 * 2**20


def test_the_source_distribution_has_what_a_wheel_and_the_pages_are_built_from(
    distributions: Distributions,
) -> None:
    with tarfile.open(distributions.sdist) as sdist:
        found = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"} <= found
    assert {"benchmarks/profiles.toml", "envs/asv.conda.conf.json", "asv.conf.json"} <= found
    assert {"docs/conf.py", "docs/index.md"} <= found
    assert not [name for name in found if name.split("/")[0] in ("tests", "results", ".ci", ".asv")]
    assert distributions.sdist.stat().st_size < 4 * 2**20


def test_metadata_is_the_project_s(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        (name,) = (one for one in wheel.namelist() if one.endswith(".dist-info/METADATA"))
        found = Parser().parsestr(wheel.read(name).decode())
        (entries,) = (one for one in wheel.namelist() if one.endswith("/entry_points.txt"))
        assert "ridgebench = bench_core.cli:main" in wheel.read(entries).decode()
    assert (found["Name"], found["Version"]) == ("ridgebench", __version__)
    assert found["License-Expression"] == "BSD-3-Clause"
    assert {"bench", "report", "docs"} <= set(found.get_all("Provides-Extra"))
    assert found.get_payload().startswith("# ridgebench")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


def test_the_installed_package_is_not_this_checkout(installed: Installed, empty: Path) -> None:
    done = installed.run("python", "-c", "import bench_core; print(bench_core.__file__)", cwd=empty)
    assert Path(done.stdout.strip()).is_relative_to(installed.prefix)
    assert __version__ in installed.run("ridgebench", "--version", cwd=empty).stdout


def test_doctor_runs_in_an_empty_folder(installed: Installed, empty: Path) -> None:
    done = installed.run("ridgebench", "doctor", "--json", "--no-measure", cwd=empty)
    found = json.loads(done.stdout)
    assert found["machine"]["cores"]["available"] >= 1
    assert list(empty.iterdir()) == []


def test_fit_runs_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    fit = ("ridgebench", "fit", "multitarget", "haxby2001", "--threads", "1", "--out", "haxby")
    installed.run(*fit, cwd=tmp_path)
    r = np.load(tmp_path / "haxby" / "r.npy")
    assert r.shape == (530,)
    # docs/problems.md: 0.73, found with scikit-learn.
    assert np.nanmax(r) == pytest.approx(0.73, abs=0.01)
    record = json.loads((tmp_path / "haxby" / "record.json").read_text(encoding="utf-8"))
    assert record["status"] == "ok"
    assert record["agreement"]["agrees"]


def test_without_a_project_the_report_says_how_to_make_one(
    installed: Installed, empty: Path
) -> None:
    done = installed.run("ridgebench", "report", cwd=empty, status=None)
    assert done.returncode != 0
    assert "ridgebench init" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_project_of_one_s_own_is_measured_and_reported(
    installed: Installed, tmp_path: Path
) -> None:
    installed.run("ridgebench", "init", cwd=tmp_path)
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "benchmarks")):
        installed.run("git", *words, cwd=tmp_path)
    commit = installed.run("git", "rev-parse", "HEAD", cwd=tmp_path).stdout.strip()
    records = str(tmp_path / ".asv" / "records")
    # What a suite does: measure, and leave the record to be collected.
    script = (
        "from pathlib import Path\n"
        "from bench_core import FitSpec, measure\n"
        "from bench_core.measure import publish\n"
        "spec = FitSpec('haxby2001', 'multitarget', repeats=2, null='skip')\n"
        "print(publish(measure(spec, store=Path('store'))))\n"
    )
    (tmp_path / "measure.py").write_text(script, encoding="utf-8")
    where = {"RIDGEBENCH_RECORDS": records, "ASV_COMMIT": commit}
    installed.run("python", "measure.py", cwd=tmp_path, **where)
    done = installed.run("ridgebench", "report", cwd=tmp_path)
    assert "haxby2001" in done.stdout
    assert (tmp_path / ".asv" / "html" / "ridgebench.html").is_file()
    (collected,) = (tmp_path / "results").glob("*/*.records.jsonl")
    assert collected.name.startswith(commit[:8])
