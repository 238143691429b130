"""Study files: what is read, and errors that name the key and the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench_core.errors import RidgebenchError
from bench_core.records import from_json, to_json
from bench_core.study.cells import cells
from bench_core.study.factors import FACTORS
from bench_core.study.process import CellJob
from bench_core.study.settings import StudySettings

STUDY = """\
out = "study"
[factors]
hidden_dim = [6, 48]
heads = [1, 2]
[baseline]
preset = "tiny"
[clips]
folder = "clips"
[vqvae]
steps = 5
[gpt]
steps = 7
[subjects]
sub-01 = "sub-01.toml"
"""


def write(folder: Path, text: str = STUDY) -> Path:
    (folder / "sub-01.toml").write_text("", encoding="utf-8")
    path = folder / "s.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_the_thesis_s(tmp_path: Path) -> None:
    found = StudySettings.read(write(tmp_path))
    assert found.samples.settings().alignment().delays == (3,)
    assert found.fit.strategy == "bmor-shared"
    assert found.out == tmp_path / "study"
    recipe = found.recipes(7)["gpt"]
    assert (recipe.schedule, recipe.schedule_steps, recipe.clip_gradient) == ("cosine", 200_000, 1)
    assert recipe.precision == "fp32"
    half = found.recipes(7, {"precision": "bf16", "heads": 2})
    assert (half["gpt"].precision, half["vqvae"].precision) == ("bf16", "fp32")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hidden_dim = [6, 48]", "hidden_dims = [6]", ["[factors]", "hidden_dims", "hidden_dim'"]),
        ("hidden_dim = [6, 48]", "hidden_dim = [6, 6]", ["factors.hidden_dim", "once"]),
        ("heads = [1, 2]", 'heads = ["one"]', ["factors.heads", "'one'", "integer"]),
        ("heads = [1, 2]", 'precision = ["fp8"]', ["factors.precision", "fp8", "bf16"]),
        ('preset = "tiny"', 'preset = "small"', ["baseline.preset", "small", "tiny"]),
        ('preset = "tiny"', 'layers = "two"', ["baseline.layers", "'two'", "8"]),
        ('preset = "tiny"', "layer = 2", ["[baseline]", "layer", "layers"]),
        ('preset = "tiny"', "n_hiddens = 25", ["n_hiddens 25", "24 or 26"]),
        ("heads = [1, 2]", 'attention = ["fast"]', ["factors.attention", "fast", "flash"]),
        ("heads = [1, 2]", "checkpointing = [1]", ["factors.checkpointing", "true or false"]),
        ("heads = [1, 2]", "processes = [0]", ["factors.processes", "0", "1 or more"]),
        ("heads = [1, 2]", 'parallel = ["dp"]', ["factors.parallel", "dp", "ddp"]),
        ("heads = [1, 2]", 'quantisation = ["int4"]', ["quantisation", "int4", "int8"]),
        ("heads = [1, 2]", 'distillation = ["student"]', ["distillation", "[student]"]),
        ('preset = "tiny"', 'distillation = "distilled"', ["distillation", "[student]"]),
        ('preset = "tiny"', "processes = true", ["baseline.processes", "True", "integer"]),
        ('preset = "tiny"', 'quantisation = "int2"', ["baseline.quantisation", "int2", "int8"]),
        ("[subjects]", "[student]\nweight = 0.0\n[subjects]", ["student.weight", "0"]),
        ("[subjects]", "[student]\ntemperature = 0.0\n[subjects]", ["student.temperature"]),
        ("[subjects]", "[student]\nwidth = 2\n[subjects]", ["[student]", "width", "hidden_dim"]),
        ("[gpt]\nsteps = 7", "[gpt]", ["[gpt]", "steps", "epochs"]),
        ("[gpt]\nsteps = 7", "[gpt]\nsteps = 7\nepochs = 1", ["[gpt]", "steps", "epochs"]),
        ("[gpt]\nsteps = 7", "[gpt]\nepochs = 0", ["gpt.epochs", "more than 0"]),
        ("steps = 7", "steps = 7\nlearning_rate = -1.0", ["learning_rate -1.0"]),
        ("[vqvae]\nsteps = 5", "[vqvae]", ["[vqvae]", "checkpoint", "steps"]),
        ('folder = "clips"', "", ["clips.folder is missing"]),
        ("sub-01.toml", "sub-02.toml", ["subjects.sub-01", "sub-02.toml", "does not exist"]),
        ('sub-01 = "sub-01.toml"', "", ["[subjects]", "PROBLEM.toml"]),
        ("[subjects]", '[fit]\nstrategy = "bmr"\n[subjects]', ["fit.strategy", "bmr", "bmor"]),
        ("[subjects]", "[fit]\nalphas = [0]\n[subjects]", ["0"]),
        ("[subjects]", "[fit]\ntest_fraction = 1.0\n[subjects]", ["fit.test_fraction", "1.0"]),
        ("[subjects]", "[fitt]\n[subjects]", ["fitt", "fit"]),
        ("[subjects]", "[samples]\ntr = 0\n[subjects]", ["TR 0"]),
        ("[factors]\nhidden_dim = [6, 48]\nheads = [1, 2]", "", ["[factors]", "no levels"]),
        ('out = "study"', "", ["out is missing"]),
        ('out = "study"', "out = [", ["TOML"]),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in STUDY
    with pytest.raises(RidgebenchError) as found:
        StudySettings.read(write(tmp_path, STUDY.replace(old, new)))
    for word in [str(tmp_path / "s.toml"), *words]:
        assert word in str(found.value)


def test_numbers_have_the_types_that_are_declared_however_they_are_written(tmp_path: Path) -> None:
    whole = StudySettings.read(write(tmp_path, STUDY + "[fit]\nalphas = [1, 100]\n"))
    point = StudySettings.read(write(tmp_path, STUDY + "[fit]\nalphas = [1.0, 100.0]\n"))
    assert repr(whole) == repr(point)  # 1 == 1.0, and their digests differ


def test_the_process_of_a_cell_gets_the_same_settings(tmp_path: Path) -> None:
    settings = StudySettings.read(write(tmp_path))
    for cell in cells(settings):
        job = CellJob(settings, cell)
        assert repr(from_json(CellJob, to_json(job), "job")) == repr(job)


def test_the_factors_of_the_page_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "study.md").read_text(encoding="utf-8")
    (block,) = (
        each for each in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[student]" in each
    )
    rest = STUDY.replace("[factors]\nhidden_dim = [6, 48]\nheads = [1, 2]\n", block)
    settings = StudySettings.read(write(tmp_path, rest))
    assert settings.student.sizes() == {"hidden_dim": 12, "layers": 1}
    assert {cell.factor for cell in cells(settings)} == set(settings.factors.levels)
    for name in FACTORS:
        assert f"`{name}`" in page
