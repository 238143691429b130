"""Factors: one entry each; what a level changes, and what the cells of all of them give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from study_small import Silent, computed_here, small_study
from test_study_settings import STUDY, write

from bench_core.study import cell_runner, factors, figures
from bench_core.study import run as running
from bench_core.study.cells import Cell, cells, process_recipe, teacher_of
from bench_core.study.context import Study
from bench_core.study.factors import FACTORS, Factor
from bench_core.study.run import planned, run_study
from bench_core.study.settings import StudySettings
from bench_core.study.table import COLUMNS
from encoders.videogpt.checkpoint import load_gpt, read
from tests.study.docs_factors import PAGE, table
from tests.study.docs_factors import read as read_measured

GIVEN = "hidden_dim = [6, 48]\nheads = [1, 2]"
STUDENT = "[student]\nhidden_dim = 12\nlayers = 1\nweight = 0.25\n[clips]"


def read_study(folder: Path, given: str, baseline: str = "", design: str = "") -> StudySettings:
    text = STUDY.replace(GIVEN, given).replace("[clips]", STUDENT)
    text = text.replace('preset = "tiny"', f'preset = "tiny"\n{baseline}')
    return StudySettings.read(write(folder, text.replace("[factors]", f"{design}\n[factors]", 1)))


def test_a_size_needs_one_entry_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Factor("cond_dim", "widths", "width of the conditioning", int, "size")
    monkeypatch.setitem(FACTORS, "cond_dim", entry)  # type: ignore[arg-type]
    settings = read_study(tmp_path, "cond_dim = [12, 24]")
    assert "cond_dim" in settings.baseline.words()
    found = cells(settings)
    assert [cell.name for cell in found] == ["cond_dim 12", "cond_dim 24"]
    assert [cell.config.gpt.cond_dim for cell in found if cell.config] == [12, 24]
    rows = [
        {
            **dict.fromkeys(COLUMNS), "factor": "cond_dim", "level": cell.level, "status": "ok",
            "subject": "sub-01", "r_mean": 0.1, **cell.levels,
        }
        for cell in found
    ]  # fmt: skip
    (written,) = figures.draw_figures(settings, rows, tmp_path / "figures")
    assert written.name == "figure-cond_dim.svg"


def test_a_setting_of_training_needs_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Factor("schedule", "schedules", "schedule", str, "recipe", default="cosine")
    monkeypatch.setitem(FACTORS, "schedule", entry)  # type: ignore[arg-type]
    settings = read_study(tmp_path, 'schedule = ["cosine", "constant"]')
    found = [process_recipe(settings, cell, 5).schedule for cell in cells(settings)]
    assert found == ["cosine", "constant"]


def test_levels_reach_the_network_and_its_training(tmp_path: Path) -> None:
    settings = read_study(
        tmp_path,
        'attention = ["math"]\ncheckpointing = [false, true]\nparallel = ["fsdp"]\n'
        "processes = [2, 4]",
        "processes = 4",
    )
    found = {cell.name: cell for cell in cells(settings)}
    assert list(found) == [
        "attention math", "checkpointing false", "checkpointing true", "processes 2",
        "processes 4", "parallel fsdp",
    ]  # fmt: skip
    assert found["attention math"].config.gpt.attention == "math"
    assert found["checkpointing true"].config.gpt.checkpointing is True
    # The batch of 16 is that of all processes.
    assert [process_recipe(settings, found[f"processes {n}"], 1).batch_size for n in (2, 4)] == [
        8, 4,
    ]  # fmt: skip
    assert process_recipe(settings, found["parallel fsdp"], 1).parallel == "fsdp"
    assert "processes 4" in settings.baseline.words()


@pytest.mark.parametrize(
    ("way", "count", "words"),
    [("ddp", 3, ("3", "16", "batch")), ("tensor", 3, ("3", "4", "heads")), ("tensor", 2, None)],
)
def test_what_processes_cannot_share_is_refused(
    tmp_path: Path, way: str, count: int, words: tuple[str, ...] | None
) -> None:
    (cell,) = cells(read_study(tmp_path, f"processes = [{count}]", f'parallel = "{way}"'))
    assert (cell.config is None) == (words is not None)
    for word in words or ():
        assert word in str(cell.reason)


def test_a_teacher_is_the_cell_but_for_the_student(tmp_path: Path) -> None:
    given = 'layers = [1, 2]\ndistillation = ["none", "student", "distilled"]'
    settings = read_study(tmp_path, given, design='design = "product"')
    found = cells(settings)
    assert [teacher_of(settings, cell) is not None for cell in found] == 2 * [False, False, True]
    for cell in found:
        assert cell.config is not None
        own = cell.levels["distillation"] == "none"
        sizes = (48, cell.levels["layers"]) if own else (12, 1)
        assert (cell.config.gpt.hidden_dim, cell.config.gpt.layers) == sizes
    teacher = teacher_of(settings, found[-1])
    assert teacher is not None
    assert teacher.config == found[3].config
    # Drawn against one factor: the other is at the baseline, which has two blocks.
    rows = [{**cell.levels, "layer": cell.layer, "level": cell.level} for cell in found]
    shown = figures.rows_of_factor(settings, rows, "distillation")
    assert [row["level"] for row in shown] == [
        f"layers=2 distillation={level}" for level in ("none", "student", "distilled")
    ]


LEVELS = """\
attention = ["sdpa", "math"]
checkpointing = [false, true]
distillation = ["none", "student", "distilled"]
quantisation = ["none", "int8"]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudySettings, dict[str, Any]]:
    """A study of all new factors of one process, computed here; subjects are not fitted."""
    folder = tmp_path_factory.mktemp("factors") / "example"
    student = "[student]\nhidden_dim = 12\nlayers = 1\n\n[clips]"
    settings = small_study(folder, LEVELS, {"[clips]": student})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "in_process", computed_here)
        patch.setattr(cell_runner, "_fits", fitted)
        rows = run_study(settings, Silent())
    return settings, {f"{row['factor']} {row['level']}": row for row in rows}


def fitted(study: Study, *_: Any) -> dict[str, Any]:
    r = {"mean": 0.1, "median": 0.1, "p95": 0.2, "max": 0.3}
    return {
        subject.name: {"status": "ok", "reason": None, "r": r, "seconds_fit": 1.0}
        for subject in study.subjects
    }


def planned_cells(settings: StudySettings) -> dict[str, Any]:
    return {each.cell.name: each for each in planned(Study.open(settings))}


def network(settings: StudySettings, row: dict[str, Any]) -> Path:
    each = next(p for p in planned_cells(settings).values() if p.key[:16] == row["cell"])
    path: Path = settings.out / each.record["checkpoint"]
    return path


def test_all_cells_are_computed_with_seconds_and_bytes(
    study: tuple[StudySettings, dict[str, Any]],
) -> None:
    _, rows = study
    assert len(rows) == 9
    for row in rows.values():
        assert (row["status"], row["reason"]) == ("ok", None)
        assert row["weight_bytes"] > 0
        assert row["peak_memory_bytes"] > 0
        parts = ("vqvae", "gpt", "teacher", "encode", "fit")
        assert row["seconds"] == pytest.approx(sum(row[f"seconds_{p}"] or 0 for p in parts))


def test_checkpointing_and_other_kernels_learn_the_same(
    study: tuple[StudySettings, dict[str, Any]],
) -> None:
    settings, rows = study
    base, kept = rows["checkpointing false"], rows["checkpointing true"]
    assert kept["cell"] != base["cell"]
    assert kept["loss_gpt_train"] == base["loss_gpt_train"]
    weights = [load_gpt(network(settings, row)).state_dict() for row in (base, kept)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    other = rows["attention math"]
    assert other["cell"] != base["cell"]
    assert other["loss_gpt_train"] == pytest.approx(base["loss_gpt_train"], rel=1e-4)
    # All of them on one VQ-VAE.
    assert len({row["loss_vqvae_train"] for row in rows.values()}) == 1
    assert len(list((settings.out / "training").glob("vqvae-*"))) == 1


def test_the_baseline_teaches_a_smaller_network(
    study: tuple[StudySettings, dict[str, Any]],
) -> None:
    settings, rows = study
    teacher, alone, taught = (
        rows[f"distillation {x}"] for x in ("none", "student", "distilled")
    )  # fmt: skip
    assert teacher["cell"] == rows["checkpointing false"]["cell"]
    assert alone["parameters_gpt"] == taught["parameters_gpt"] < teacher["parameters_gpt"]
    assert alone["weight_bytes"] == taught["weight_bytes"] < teacher["weight_bytes"]
    assert alone["cell"] != taught["cell"]
    assert alone["loss_gpt_held_out"] != taught["loss_gpt_held_out"]
    assert taught["seconds_teacher"] == teacher["seconds_gpt"]
    assert alone["seconds_teacher"] is None
    assert "weight 0.5, temperature 2" in read(network(settings, taught))["data"]
    assert "teacher" not in read(network(settings, alone))["data"]


def test_int8_reads_the_network_that_is_there(
    study: tuple[StudySettings, dict[str, Any]],
) -> None:
    settings, rows = study
    base, small = rows["quantisation none"], rows["quantisation int8"]
    assert small["cell"] != base["cell"]
    assert network(settings, small) == network(settings, base)
    assert base["weight_bytes"] == 4 * base["parameters_gpt"]
    assert 1.4 < base["weight_bytes"] / small["weight_bytes"] < 4
    assert small["loss_gpt_train"] == base["loss_gpt_train"]
    # Held-out loss is of the weights that features are read with.
    assert small["loss_gpt_held_out"] != base["loss_gpt_held_out"]
    assert small["loss_gpt_held_out"] == pytest.approx(base["loss_gpt_held_out"], rel=0.02)


def test_figures_have_r_beside_what_it_costs(
    study: tuple[StudySettings, dict[str, Any]], tmp_path: Path
) -> None:
    settings, rows = study
    drawn = [row for row in rows.values() if row["factor"] == "distillation"]
    (written,) = figures.draw_figures(settings, drawn, tmp_path)
    assert written.name == "figure-distillation.svg"
    shown = [row for row in rows.values() if row["factor"] == "quantisation"]
    figure = figures._figure("made", FACTORS["quantisation"], shown)
    assert len(figure.axes) == 5
    (line,) = figure.axes[4].get_lines()
    assert line.get_xydata()[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(
        line.get_xydata()[:, 1], [row["weight_bytes"] / 1024 for row in shown]
    )
    assert [label.get_text() for label in figure.axes[4].get_xticklabels()] == ["none", "int8"]


def test_keys_of_studies_without_these_factors_do_not_change_with_them(
    study: tuple[StudySettings, dict[str, Any]],
) -> None:
    """What is at its default decides nothing, so that what was computed before is found."""
    settings, _ = study
    opened = Study.open(settings)
    base: Cell = planned_cells(settings)["checkpointing false"].cell
    keys = opened.keys(base)
    for name, level in (("parallel", "fsdp"), ("distillation", "student")):
        assert opened.keys(replace(base, levels={**base.levels, name: level})) == keys
    several = opened.keys(replace(base, levels={**base.levels, "processes": 2}))
    assert several["gpt"] != keys["gpt"]
    assert several["vqvae"] == keys["vqvae"]
    quantised = opened.keys(replace(base, levels={**base.levels, "quantisation": "int8"}))
    assert quantised["gpt"] == keys["gpt"]
    assert quantised["cell"] != keys["cell"]


def test_defaults_are_levels() -> None:
    for each in FACTORS.values():
        if each.default is not None:
            each.check(each.default, each.name)
    assert factors.changed({"processes": 1, "parallel": "ddp"}, "processes") == {}


def test_the_table_of_the_page_is_what_was_measured() -> None:
    assert table(read_measured()) in PAGE.read_text(encoding="utf-8")
