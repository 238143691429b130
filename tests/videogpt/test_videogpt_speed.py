"""What the benchmark suite measures: that it runs, is kept, and is left out with a reason."""

import importlib.util
import json

import pytest
from videogpt_small import small

from bench_core.errors import InputError
from benchmarks.videogpt import Recipe, TrainingByPath, TrainingBySize
from encoders.videogpt.speed import PUBLISHED, Workload, measure, measured

SIZES = {"n_hiddens": 12, "embedding_dim": 8, "sequence_length": 4, "resolution": 16}
SIZES |= {"downsample": (2, 4, 4), "hidden_dim": 24, "cond_dim": 12}


def load(**options):
    return Workload(sizes=tuple(SIZES.items()), batch=2, repeats=1, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precision": "bf16", "cached_codes": False},
        {"work": "features", "precision": "bf16"},
        PUBLISHED,
    ],
)
def test_speeds_are_measured(options):
    found = measure(load(**options))
    assert found["seconds"] > 0
    assert found["clips_per_second"] == pytest.approx(2 / found["seconds"])
    assert found["peak_bytes"] > 1e7


def test_sizes_are_those_asked_for():
    assert load().config().vqvae.latent_shape == small().vqvae.latent_shape
    config = Workload(preset="thesis", sizes=(("layers", 2),), **PUBLISHED_SIZES).config()
    assert (config.gpt.layers, config.gpt.attention, config.gpt.checkpointing) == (
        2, "reference", True,
    )  # fmt: skip


PUBLISHED_SIZES = {name: PUBLISHED[name] for name in ("attention", "checkpointing")}


def test_measured_once(tmp_path):
    first = measured(tmp_path, load())
    assert measured(tmp_path, load()) == first
    (kept,) = tmp_path.iterdir()
    assert json.loads(kept.read_text()) == first
    assert measured(tmp_path, load(precision="bf16")) != first
    with pytest.raises(InputError, match="'sleep'"):
        measure(load(work="sleep"))


def test_suite_is_left_out_with_a_reason(monkeypatch):
    reason = Recipe.reason_to_skip("published")
    import torch

    assert (reason is None) == torch.cuda.is_available()
    if reason is not None:
        assert "CUDA" in reason
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    assert TrainingBySize.reason_to_skip("cpu", 48, 2, 4) is None
    compiled = TrainingByPath.reason_to_skip("cpu", "fp32", "sdpa", "compiled", "cached")
    assert "compil" in compiled
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "torch" in TrainingBySize.reason_to_skip("cpu", 48, 2, 4)
