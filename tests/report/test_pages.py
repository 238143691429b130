import io
import json
import re
import shlex
from dataclasses import replace
from importlib.metadata import version

import pytest
from click.testing import CliRunner
from rich.console import Console

from bench_core.cli import cli
from bench_core.errors import InputError, UnknownNameError
from bench_core.records import SCHEMA_KERNELS, KernelCase, KernelRate, KernelsRecord
from bench_core.records.blas import BlasCalls
from bench_core.records.skips import make_skips
from bench_core.report.run_monitor import progress_line, watch
from bench_core.report.runs import EnvironmentRun
from bench_core.report.site import Project, describe_machine, known_machine, machine_name
from bench_core.report.terminal import print_summary, seconds_text
from tests.comparison.made_runs import make_record
from tests.report.site_html import site_of


@pytest.fixture
def runs(record):
    blas = record().blas
    rate = KernelRate(0.1, 50.0, 0.5)
    names = ("gemm", "syrk", "eigh", "svd")
    kernels = KernelsRecord(
        SCHEMA_KERNELS,
        "ok",
        None,
        KernelCase(2, 1024, "openblas", "default", names),
        {kind: dict.fromkeys(names, rate) for kind in ("float64", "float32")},
        BlasCalls(blas.numpy, blas.scipy),
    )
    haxby = {"name": "haxby2001", "subject": None, "scale": None}
    records = [
        kernels,
        record(8.0),
        record(2.5, strategy="bmor", nodes=2),
        record(6.0, suite="threads", problem={"name": "parcels"}),
        record(3.0, suite="threads", problem={"name": "parcels"}, threads=2),
        record(0.5, suite="accuracy", problem=haxby),
        record(status="skipped", reason="4 threads, <2> [cores]", threads=4),
    ]
    return [EnvironmentRun("here", "c0ffee00", "env-a", records)]


def _printed(runs):
    out = io.StringIO()
    print_summary(runs, Console(file=out, width=200))
    return out.getvalue()


def test_the_summary_ends_with_the_answer(runs):
    text = _printed(runs)
    lines = text.rstrip().splitlines()
    assert "whole-brain-bmor at scale 1/16: bmor, float64, 2 nodes × 1 thread, " in text
    assert lines[-1].split()[:4] == ["$", "ridgebench", "fit", "bmor"]
    assert text.index("numpy calls openblas") < text.index("whole-brain-bmor at scale 1/16: bmor")
    assert "4 threads, <2> [cores]" in text
    assert re.search(r"threads: parcels 1/16 float64", text)
    assert re.search(r"ridgecv +openblas +1×2 +3 s +2.00 +1.00", text)
    assert "numpy calls openblas 0.3.30, Haswell kernels" in text.replace("\n", "")


def test_a_package_without_a_commit_is_named_by_its_release(record):
    release = version("ridgebench")
    first = EnvironmentRun("here", "unknown", "env-a", [record()])
    assert f"machine here, ridgebench {release}, " in _printed([first])
    assert "machine here, commit c0ffee00, " in _printed([replace(first, commit="c0ffee00")])


def test_the_summary_fits_80_columns(runs):
    out = io.StringIO()
    print_summary(runs, Console(file=out, width=80))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(
        r"^ bmor +openblas +2×1 +2.5 s .* 3.20 +3.00 +0.250 +1e-12", text, re.MULTILINE
    )


def test_a_long_command_is_cut_where_a_shell_joins_it(runs):
    out = io.StringIO()
    print_summary(runs, Console(file=out, width=40))
    commands = out.getvalue().rstrip().rpartition("$ ")[2]
    assert commands.count("\\\n") >= 2
    joined = shlex.split(commands.replace("\\\n", ""))
    assert joined[-2:] == ["--out", "fitted"]
    assert max(map(len, commands.splitlines())) <= 40


def test_nothing_measured_says_what_to_run():
    assert "ridgebench bench" in _printed([])


def test_the_pages_read_without_internet(runs, tmp_path):
    path = tmp_path / "html" / "ridgebench.html"
    pages = site_of(runs, path)
    for page in pages.values():
        outside = {*page.fetched, *page.links} - {"index.html", "data:,"}
        names = {one.partition("#")[0] for one in outside} - {""}
        assert [one for one in names if not (path.parent / one).is_file()] == []
        assert len(page.ids) == len(set(page.ids))
        assert page.unnamed_figures == 0
    drawn = [page.tags.count("svg") for page in pages.values()]
    assert sum(drawn) >= 5  # strategies, threads, speed-ups, kernels, accuracy
    assert "4 threads, &lt;2&gt; [cores]" in pages["skipped"].source
    fits = [dict(zip(pages["fits"].rows[0], row, strict=True)) for row in pages["fits"].rows[1:]]
    assert "3.20" in [one["DSU"] for one in fits]
    assert "bmor, float64, 2 nodes × 1 thread" in pages["answer"].text
    assert "ridgebench fit bmor whole-brain-bmor" in pages["answer"].text
    assert "libscipy_openblas.so" in pages["environments"].text


def test_the_page_of_nothing_is_a_page(tmp_path):
    pages = site_of([], tmp_path / "ridgebench.html")
    assert list(pages) == ["answer"]
    assert "more than one configuration yet" in pages["answer"].text


def test_progress_says_each_record_once(tmp_path, record, leave):
    out = io.StringIO()
    environment = "virtualenv-py3.11-RIDGEBENCH_BLASopenblas-RIDGEBENCH_KERNELSbest"
    leave(tmp_path, environment, "c" * 40, [record(1.0, threads=8)])  # an earlier run's
    with watch(tmp_path, Console(file=out, width=120), interval=0.01):
        leave(tmp_path, environment, "c" * 40, [record(2.5, nodes=2, strategy="bmor")])
    lines = out.getvalue().splitlines()
    assert len(lines) == 1
    assert "openblas best" in lines[0]
    assert "whole-brain-bmor 1/16 float64, bmor 2 x 1: 2.5 s, mean r 0.250" in lines[0]


def test_progress_passes_over_what_was_skipped(record):
    assert progress_line(record(status="skipped", reason="too big")) is None
    case = progress_line(record()).partition(": ")[0]
    assert case.startswith("whole-brain-bmor 1/16 float64, ")
    assert progress_line(record(status="failed", reason="boom")) == f"{case}: failed: boom"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123456, "12.3 ms"), (2.5, "2.5 s"), (4199.2, "4,199 s")]
)
def test_times_have_three_digits(seconds, text):
    assert seconds_text(seconds) == text


def test_a_machine_of_another_name_is_described_from_the_start(tmp_path, monkeypatch):
    pytest.importorskip("asv", reason="asv is not installed (extra: bench)")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "asv.conf.json").write_text('{"version": 1, "repo": ".", "project": "some"}')
    project = Project(tmp_path, tmp_path / "results", tmp_path / "html", tmp_path / "benchmarks")
    assert describe_machine(project, "mine") == "mine"
    known = json.loads((tmp_path / ".asv-machine.json").read_text("utf-8"))
    assert set(known["mine"]) == {"machine", "os", "arch", "cpu", "num_cpu", "ram"}


@pytest.mark.parametrize("name", ["a/b", "", "..", ".hidden", "a\\b"])
def test_a_machine_whose_results_could_not_be_found_again_is_refused(tmp_path, monkeypatch, name):
    pytest.importorskip("asv", reason="asv is not installed (extra: bench)")
    monkeypatch.setenv("HOME", str(tmp_path))
    project = Project(tmp_path, tmp_path / "results", tmp_path / "html", tmp_path / "benchmarks")
    with pytest.raises(InputError, match="machine"):
        describe_machine(project, name)
    assert list(tmp_path.iterdir()) == []


def test_reading_a_machine_writes_nothing(tmp_path, monkeypatch):
    pytest.importorskip("asv", reason="asv is not installed (extra: bench)")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert machine_name("nosuch") == "nosuch"
    assert machine_name()
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_nothing_is_known_of_is_refused_and_nothing_written(tmp_path, monkeypatch):
    pytest.importorskip("asv", reason="asv is not installed (extra: bench)")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "asv.conf.json").write_text('{"version": 1, "repo": ".", "project": "some"}')
    (tmp_path / "results/measured").mkdir(parents=True)
    (tmp_path / ".asv-machine.json").write_text('{"described": {}, "version": 1}')
    pending = tmp_path / ".asv/records/environment/c0ffee00"
    pending.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(cli, ["report", "--machine", "mesured"])
    assert isinstance(ended.exception, UnknownNameError)  # status 2 of the program
    assert "measured" in str(ended.exception)
    assert sorted(tmp_path.rglob("*")) == before
    project = Project(tmp_path, tmp_path / "results", tmp_path / "html", tmp_path / "benchmarks")
    assert known_machine(project) == machine_name()
    for name in ("measured", "described"):
        assert known_machine(project, name) == name


def test_the_summary_names_machine_commit_day_and_profile(runs):
    text = _printed(runs)
    day = runs[0].fits[0].started[:10]
    assert f"machine here, commit c0ffee00, {day}, profile not recorded" in text
    runs[0].records.append(make_skips({("threads", "2 cores"): 3}, "medium"))
    assert "profile medium" in _printed(runs)


@pytest.mark.parametrize("name", ["[/]", "[bold]P[/bold]", "<script>", "a [red]b"])
def test_names_are_shown_as_they_are(record, name):
    one = record(2.5, problem={"name": name, "scale": None, "subject": None})
    bad = record(status="failed", reason=f"{name} failed", problem={"name": name})
    run = EnvironmentRun("here", "c0ffee00", "env-a", [one, bad])
    text = _printed([run])
    assert text.count(name) >= 2
    assert f"{name} failed" in text


def test_skipped_parameters_take_a_line_for_each_reason(runs):
    left_out = {
        ("threads", "profile small runs no other scale than 1/24"): 3,
        ("nodes", "profile small runs no other strategy than bmor"): 4,
        ("nodes", "more than 2 cores"): 5,
        ("threads", "more than 2 cores"): 6,
    }
    runs[0].records.append(make_skips(left_out, "small"))
    text = _printed(runs)
    assert (
        len(
            re.findall(r"^ skipped .* profile small runs no other .* 7 +nodes, threads", text, re.M)
        )
        == 1
    )
    assert len(re.findall(r"^ skipped +more than 2 cores +11 +nodes, threads", text, re.M)) == 1


def test_answers_are_as_long_as_their_words_on_a_wide_screen(runs):
    out = io.StringIO()
    print_summary(runs, Console(file=out, width=10_000))
    answers = out.getvalue()[out.getvalue().index("whole-brain-bmor at scale 1/16: bmor") :]
    assert max(map(len, answers.splitlines())) < 300


def test_many_records_take_one_screen_with_the_answers_last():
    problems = [f"problem-{n:02}" for n in range(40)]
    records = [
        make_record(seconds, strategy=strategy, nodes=nodes, problem={"name": name})
        for name in problems
        for nodes in (1, 2, 4)
        for seconds, strategy in ((8.0 / nodes, "ridgecv"), (2.5 / nodes, "bmor"))
    ]
    records += [
        make_record(status="failed", reason=f"failure {n}", threads=n + 1) for n in range(80)
    ]
    text = _printed([EnvironmentRun("here", "c0ffee00", "env-a", records)])
    lines = text.splitlines()
    assert len(lines) <= 50
    assert lines[-1].startswith("… and the answers to ")
    first = lines.index(next(line for line in lines if line.startswith("problem-00 at scale")))
    assert all(line.startswith(("problem-", "…")) for line in lines[first:])
    assert "more: page 'Skipped'" in text
    assert "fastest of 6" in text
    shown = len([line for line in lines[first:] if line.startswith("problem-")])
    assert lines[-1] == f"… and the answers to {40 - shown} problems more: page 'Answer'"
