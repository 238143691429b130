"""A whole study at a tiny size: more data must help, nothing is computed twice, failures are rows.

The example's outcomes are drawn independently of the symbols' pictures, and the run that tests
shows symbols that no other scanner run shows: what is learned from clips is the only way to predict
them. Mean r of 12 planted targets over seeds 10–14: −0.03, −0.03, −0.12, −0.10, 0.10 after 4 trials
(chance), 0.37, 0.30, 0.15, 0.35, 0.20 after 384. With 24 symbols to test, chance is about ±0.1.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from click.testing import CliRunner
from study_small import Silent, changed, computed_here, fitted_here, small_study

from bench_core.cli.commands.study import command
from bench_core.errors import InputError
from bench_core.runner.run import run_fit
from bench_core.study import cell_runner, subjects
from bench_core.study import run as running
from bench_core.study.cells import Cell
from bench_core.study.context import Study
from bench_core.study.example import ExampleSize, make_world, planted_targets, write_example
from bench_core.study.process import CellFailedError, in_process
from bench_core.study.run import planned, run_study
from bench_core.study.settings import StudySettings
from bench_core.study.subjects import fit_subject

pytestmark = pytest.mark.slow

SMALL, LARGE = 48, 4608


@pytest.fixture(scope="module", autouse=True)
def _in_this_process() -> Iterator[None]:
    """Cells are computed and subjects are fitted here; two tests below start the processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "in_process", computed_here)
        patch.setattr(subjects, "run_fit", fitted_here)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudySettings, list[dict[str, Any]]]:
    """The example's study, carried out: two sizes of data and a width that cannot be built."""
    config = tmp_path_factory.mktemp("study") / "example" / "study.toml"
    write_example(config.parent, seed=0)
    changes = {
        "training_frames = [48, 288, 4608]": f"training_frames = [{SMALL}, {LARGE}]",
        "hidden_dim = [12, 24, 1024]": "hidden_dim = [1024]",
        'layers = [1, 2]\nheads = [1, 4]\nprecision = ["fp32", "bf16"]\n': "",
        "steps = 300": "steps = 250",
        "[fit]": '[fit]\nstrategy = "ridgecv"',
    }
    settings = changed(config, "small.toml", changes)
    return settings, run_study(settings, Silent())


def r_of(rows: list[dict[str, Any]], frames: int, subject: str) -> float:
    (row,) = [r for r in rows if (r["level"], r["subject"]) == (str(frames), subject)]
    return float(row["r_mean"])


def forbidden(*_: object) -> dict[str, Any]:
    raise AssertionError("computed again")


def test_more_training_data_helps(study: tuple[StudySettings, list[dict[str, Any]]]) -> None:
    _, rows = study
    for subject in ("sub-01", "sub-02"):
        small, large = r_of(rows, SMALL, subject), r_of(rows, LARGE, subject)
        assert large > 0.1
        assert large > small + 0.12


def test_the_table(study: tuple[StudySettings, list[dict[str, Any]]]) -> None:
    settings, _ = study
    with (settings.out / "table.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(r["factor"], r["level"], r["subject"], r["status"]) for r in table] == [
        (factor, level, subject, status)
        for factor, level, status in (
            ("training_frames", "48", "ok"),
            ("training_frames", "4608", "ok"),
            ("hidden_dim", "1024", "refused"),
        )
        for subject in ("sub-01", "sub-02")
    ]
    first, refused = table[0], table[-1]
    assert (first["frames"], first["clips"], first["samples"]) == ("48", "12", "8")
    assert int(table[2]["frames"]) == LARGE
    assert first["targets"] == "16"
    assert "1024 is not divisible by 3" in refused["reason"]
    assert refused["r_mean"] == ""
    # Four trials are learned by heart; runs with other symbols are not predicted by that.
    assert float(first["loss_gpt_train"]) < 0.2 < float(first["loss_gpt_held_out"])
    assert float(table[2]["loss_gpt_held_out"]) < float(first["loss_gpt_held_out"])
    for row in table[:4]:
        r = np.load(settings.out / "cells" / f"{row['cell']}_{row['subject']}_r.npy")
        assert float(row["r_mean"]) == pytest.approx(r.mean())
        assert float(row["r_p95"]) == pytest.approx(np.percentile(r, 95))
        assert float(row["r_max"]) == pytest.approx(r.max())
        parts = [float(row[f"seconds_{part}"]) for part in ("vqvae", "gpt", "encode", "fit")]
        assert row["seconds_teacher"] == ""
        assert float(row["seconds"]) == pytest.approx(sum(parts))
        assert float(row["peak_memory_bytes"]) > 50 * 2**20
    assert not list((settings.out / "scratch").glob("problem-*"))


def test_nothing_is_computed_twice(
    study: tuple[StudySettings, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, rows = study
    monkeypatch.setattr(running, "in_process", forbidden)
    assert run_study(settings, Silent()) == rows


def test_a_study_that_was_moved_or_copied_computes_nothing(
    study: tuple[StudySettings, list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, rows = study
    monkeypatch.setattr(running, "in_process", forbidden)
    copy = tmp_path / "elsewhere"
    shutil.copytree(settings.path.parent, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    assert run_study(StudySettings.read(copy / settings.path.name), Silent()) == rows


def test_targets_of_the_same_size_and_time_are_other_targets(
    study: tuple[StudySettings, list[dict[str, Any]]], tmp_path: Path
) -> None:
    settings, _ = study
    copy = tmp_path / "elsewhere"
    shutil.copytree(settings.path.parent, copy)
    own = Study.open(settings).subjects[0]
    first = own.targets.runs[0].files[0]
    path = copy / first.relative_to(settings.path.parent.resolve())
    values = np.load(path)
    values.flat[0] += 1
    np.save(path, values)
    os.utime(path, ns=(first.stat().st_mtime_ns, first.stat().st_mtime_ns))
    assert path.stat().st_size == first.stat().st_size
    changed_study = Study.open(StudySettings.read(copy / settings.path.name))
    assert changed_study.subjects[0].key != own.key
    assert changed_study.subjects[1].key == Study.open(settings).subjects[1].key


def test_dry_run_and_figures(study: tuple[StudySettings, list[dict[str, Any]]]) -> None:
    settings, _ = study
    found = CliRunner().invoke(command, [str(settings.path), "--dry-run"])
    assert found.exit_code == 0, found.output
    assert "hidden_dim 1024: refused: hidden_dim 1024 is not divisible by 3" in found.output
    assert "GPTs that are left, roughly: 0.0 s" in found.output
    found = CliRunner().invoke(command, [str(settings.path)])
    assert found.exit_code == 0, found.output
    assert (settings.out / "figures" / "figure-4.2-training_frames.svg").is_file()


def test_a_layer_is_read_of_a_network_that_is_trained(
    study: tuple[StudySettings, list[dict[str, Any]]],
) -> None:
    base, known = study
    first = "attn_stack.attn_nets.0.post_fc_dp"
    changes = {"hidden_dim = [1024]": f'layer = ["{first}", "last"]'}
    settings, progress = changed(base.path, "layer.toml", changes), Silent()
    rows = [row for row in run_study(settings, progress) if row["factor"] == "layer"]
    assert not [what for what in progress.seen if ", loss" in what]  # nothing was trained
    assert [row["status"] for row in rows] == ["ok"] * 4
    assert [row["layer"] for row in rows[::2]] == [first, "attn_stack.attn_nets.1.post_fc_dp"]
    for row in rows[2:]:
        assert row["r_mean"] == r_of(known, LARGE, row["subject"])
    assert rows[0]["r_mean"] != rows[2]["r_mean"]


def test_an_interrupted_cell_goes_on_from_its_checkpoint(
    study: tuple[StudySettings, list[dict[str, Any]]],
) -> None:
    base, _ = study
    changes = {"steps = 250": "steps = 12\ncheckpoint_every = 5"}
    settings = changed(base.path, "interrupted.toml", changes)
    (cell, *_) = [each.cell for each in planned(Study.open(settings))]

    class Interrupted(KeyboardInterrupt):
        pass

    begun: list[int] = []

    def interrupt(what: str, done: int, total: int) -> None:
        if what.startswith("GPT"):
            begun.append(done)
            if done == 8:
                raise Interrupted

    with pytest.raises(Interrupted):
        cell_runner.compute(settings, cell, interrupt)
    again: list[int] = []
    record = cell_runner.compute(
        settings,
        cell,
        lambda what, done, total: again.append(done) if what.startswith("GPT") else None,
    )
    assert begun == list(range(1, 9))
    assert again == list(range(6, 13))
    folder = (settings.out / record["checkpoint"]).parent
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        losses = {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}
    assert sorted(losses) == list(range(12))
    assert record["loss_gpt_train"] == pytest.approx(np.mean(list(losses.values())))


def test_failures_are_rows_and_are_tried_again(
    study: tuple[StudySettings, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, _ = study
    changes = {"steps = 250": "steps = 3", "[48, 4608]": "[48, 99999, 288]"}
    settings = changed(base.path, "failing.toml", changes)

    def killed(settings: StudySettings, cell: Cell, log: Path, notify: Any) -> dict[str, Any]:
        raise CellFailedError(f"lost at {cell.level}")

    monkeypatch.setattr(running, "in_process", killed)
    progress = Silent()
    rows = run_study(settings, progress)
    reasons = {row["level"]: (row["status"], row["reason"]) for row in rows}
    assert reasons["48"] == ("failed", "lost at 48")
    assert reasons["99999"][0] == "refused"
    assert "99999 frames" in reasons["99999"][1]
    assert progress.ended[0] == ("training_frames 48", "failed")
    tried: list[str] = []

    def ok(settings: StudySettings, cell: Cell, log: Path, notify: Any) -> dict[str, Any]:
        tried.append(cell.level)
        return {"subjects": {}, "data": {}, "films": {"run-1": ["its first picture is late"]}}

    monkeypatch.setattr(running, "in_process", ok)
    run_study(settings, progress)
    assert tried == ["48", "288"]
    assert progress.noted == ["run-1: its first picture is late"]


def test_a_damaged_record_is_named(study: tuple[StudySettings, list[dict[str, Any]]]) -> None:
    settings = replace(study[0], seed=0)
    (first, *_) = planned(Study.open(settings))
    assert first.key is not None
    path = running.record_path(settings, first.key)
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(text[:40], encoding="utf-8")
        with pytest.raises(InputError, match="delete it"):
            planned(Study.open(settings))
    finally:
        path.write_text(text, encoding="utf-8")


def test_a_process_that_is_killed_is_a_failure_with_its_reason(
    study: tuple[StudySettings, list[dict[str, Any]]], tmp_path: Path
) -> None:
    settings, _ = study
    (first, *_) = planned(Study.open(settings))

    def kill(what: str, done: int = 0, total: int = 0, /) -> None:
        for child in psutil.Process().children():
            if "bench_core.study.worker" in child.cmdline():
                child.kill()

    moved = replace(settings, out=tmp_path / "elsewhere")
    with pytest.raises(CellFailedError, match="SIGKILL"):
        in_process(moved, first.cell, tmp_path / "log", kill)


def test_bmor_shared_gives_the_same_r(
    study: tuple[StudySettings, list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pipeline's fit, in its processes, against scikit-learn's in this one."""
    monkeypatch.setattr(subjects, "run_fit", run_fit)
    settings, _ = study
    opened = Study.open(settings)
    cell = next(each for each in planned(opened) if each.cell.level == str(LARGE))
    keys = opened.keys(cell.cell)
    assert cell.record is not None
    checkpoint = settings.out / cell.record["checkpoint"]
    encoder = cell_runner.encoder_of(opened, cell.cell, checkpoint, torch.device("cpu"))
    features, notes = cell_runner.encode_features(opened, cell.cell, encoder, keys, lambda *_: None)
    assert notes == {} == cell.record["films"]
    fit = replace(settings.fit, strategy="bmor-shared", threads=1)
    found = fit_subject(
        opened.subjects[0], features, settings.samples, fit, cache=tmp_path, scratch=tmp_path
    )
    assert found.record.status == "ok"
    assert found.record.agreement.agrees
    assert found.record.blas.proof is not None
    assert found.record.case.threads == 1
    assert found.record.case.options == {"coef": None}
    key = keys["cell"][:16]
    np.testing.assert_allclose(
        found.r, np.load(settings.out / "cells" / f"{key}_sub-01_r.npy"), atol=1e-4
    )


def test_a_cell_s_own_process_gives_the_row_that_this_one_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small_study(
        tmp_path / "example", "heads = [1]\n", {"[fit]": '[fit]\nstrategy = "ridgecv"'}
    )
    (here,) = run_study(replace(settings, out=tmp_path / "here"), Silent())
    monkeypatch.setattr(running, "in_process", in_process)
    (there,) = run_study(settings, Silent())
    assert (there["status"], there["reason"]) == ("ok", None)
    assert there["loss_gpt_train"] == pytest.approx(here["loss_gpt_train"], rel=1e-5)
    for name in ("r_mean", "r_max", "targets", "weight_bytes", "cell"):
        assert there[name] == pytest.approx(here[name], abs=1e-4), name
    # The process had nothing but the cell in it.
    assert there["peak_memory_bytes"] > 50 * 2**20
    (path,) = (settings.out / "cells").glob("*.json")
    fitted = json.loads(path.read_text(encoding="utf-8"))["subjects"]["sub-01"]["record"]
    parts = ("vqvae", "gpt", "encode", "fit")
    assert there["seconds"] == pytest.approx(sum(there[f"seconds_{part}"] for part in parts))
    assert fitted["agreement"]["agrees"]
    assert fitted["blas"]["proof"]["calls"]["numpy"]


def test_the_example_tells_nothing_by_pictures() -> None:
    world = make_world(48, 0)
    assert len({symbol.tobytes() for symbol in world.symbols}) == 48
    rng = np.random.default_rng(0)
    expected = np.zeros((400, 4))
    expected[1::2] = rng.choice([-1, 1], (200, 4))
    size = ExampleSize(strength=3.0)
    found = planted_targets(expected, size, rng)
    r = [np.corrcoef(found[3:, i], expected[:-3, i % 4])[0, 1] for i in range(16)]
    # Signal variance 9 beside noise of 1: r = √0.9.
    np.testing.assert_allclose(r[:12], 0.9**0.5, atol=0.02)
    assert max(map(abs, r[12:])) < 0.2
