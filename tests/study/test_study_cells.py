"""Grids, sizes, the published values and the figures, from closed forms; nothing is trained."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from test_study_settings import STUDY, write

from bench_core.study import costs, figures
from bench_core.study.cells import cells, layers_of_network
from bench_core.study.factors import FACTORS
from bench_core.study.published_r import LABEL, published_r
from bench_core.study.settings import StudySettings
from bench_core.study.table import COLUMNS, Row, rows_of
from encoders.videogpt.config import preset


def read(folder: Path, **changes: str) -> StudySettings:
    text = STUDY
    for old, new in changes.items():
        text = text.replace({"factors": "hidden_dim = [6, 48]", "top": 'out = "study"'}[old], new)
    return StudySettings.read(write(folder, text))


def test_one_factor_at_a_time_around_the_baseline(tmp_path: Path) -> None:
    found = cells(read(tmp_path))
    assert [(c.factor, c.level) for c in found] == [
        ("hidden_dim", "6"),
        ("hidden_dim", "48"),
        ("heads", "1"),
        ("heads", "2"),
    ]
    assert [(c.levels["hidden_dim"], c.levels["heads"]) for c in found] == [
        (6, 4),
        (48, 4),
        (48, 1),
        (48, 2),
    ]
    assert found[0].config is None  # 4 heads do not divide 6
    assert all(c.config is not None for c in found[1:])


def test_product_has_every_combination(tmp_path: Path) -> None:
    found = cells(read(tmp_path, top='out = "study"\ndesign = "product"'))
    assert [(c.levels["hidden_dim"], c.levels["heads"]) for c in found] == [
        (6, 1),
        (6, 2),
        (48, 1),
        (48, 2),
    ]
    assert found[0].name == "hidden_dim=6 heads=1"
    assert len({c.name for c in found}) == 4


def test_1024_is_refused_with_its_neighbours(tmp_path: Path) -> None:
    (cell, _, _) = cells(read(tmp_path, factors="hidden_dim = [1024]"))
    assert cell.config is None
    assert "1024 is not divisible by 3" in (cell.reason or "")
    assert "1023" in (cell.reason or "")


def test_layers_that_are_read_are_those_of_the_thesis(tmp_path: Path) -> None:
    text = STUDY.replace("hidden_dim = [6, 48]\nheads = [1, 2]", "layers = [1, 2, 4, 8]\nheads=[2]")
    text = text.replace('preset = "tiny"', 'preset = "thesis"')
    *swept, other = cells(StudySettings.read(write(tmp_path, text)))
    names = [f"attn_stack.attn_nets.{block}.post_fc_dp" for block in (0, 1, 3, 7)]
    assert [cell.layer for cell in swept] == names  # table 4.4
    assert other.layer == "attn_stack.attn_nets.4.post_fc_dp"


def test_a_layer_is_a_level_of_one_network(tmp_path: Path) -> None:
    block = "attn_stack.attn_nets.{}.post_fc_dp"
    text = STUDY.replace(
        "hidden_dim = [6, 48]\nheads = [1, 2]",
        f'layer = ["{block.format(0)}", "last", "{block.format(2)}"]\nheads = [1]',
    )
    found = cells(StudySettings.read(write(tmp_path, text)))
    heads, first, last, absent = found
    assert heads.factor == "heads"
    read = [(cell.factor, cell.layer) for cell in (first, last)]
    assert read == [("layer", block.format(0)), ("layer", block.format(1))]
    assert absent.config is None  # the tiny network has two blocks
    assert block.format(2) in (absent.reason or "")
    settings = StudySettings.read(write(tmp_path, text))
    assert layers_of_network(settings, last) == [block.format(1), block.format(0)]
    assert layers_of_network(settings, heads) == [heads.layer]  # of another network


def test_the_figure_of_layers_is_4_7(tmp_path: Path) -> None:
    block = "attn_stack.attn_nets.0.post_fc_dp"
    settings = read(tmp_path, factors=f'layer = ["{block}", "last"]')
    written = figures.draw_figures(settings, made_rows(settings), tmp_path / "figures")
    names = [path.name for path in written]
    assert "figure-4.7-layer.svg" in names
    assert block in (tmp_path / "figures" / "figure-4.7-layer.svg").read_text(encoding="utf-8")


def test_parameters_are_the_thesis_s() -> None:
    found = costs.parameters(preset("thesis"))
    assert (found.gpt, found.both) == (40_324_768, 76_151_379)


def test_operations_by_hand() -> None:
    config = preset("tiny")
    tokens, gpt = config.tokens, costs.parameters(config).gpt
    once = 6 * gpt * tokens + 12 * 2 * 48 * tokens**2
    assert costs.training_operations(config, 16, 10) == pytest.approx(160 * once)


def test_published_values() -> None:
    found = published_r()
    assert len(found) == 68
    assert {each.figure for each in found} == {"4.2", "4.3", "4.4", "4.5", "4.6"}
    best = max(found, key=lambda each: each.r)
    assert (best.factor, best.level, best.subject, best.r) == ("heads", 1, "sub-01", 0.69)
    frames = {each.level for each in found if each.factor == "training_frames"}
    assert frames == {10_000, 100_000, 1_000_000, 6_000_000}


def made_rows(settings: StudySettings, status: str = "ok") -> list[Row]:
    rows = []
    for i, cell in enumerate(cells(settings)):
        ok = cell.config is not None
        own = {"status": "ok", "reason": None, "r": {"mean": i / 10, "p95": 0.5, "max": 0.6}}
        record = {
            "status": status if ok else "refused",
            "data": {"frames": 480},
            "subjects": {"sub-01": own} if ok else {},
        }
        identity = {"factor": cell.factor, "level": cell.level, **cell.levels}
        rows += rows_of(identity, ["sub-01"], record)
    return rows


def test_figures_have_the_thesis_in_grey_and_ours(tmp_path: Path) -> None:
    settings = read(tmp_path)
    rows = made_rows(settings)
    assert all(set(row) == set(COLUMNS) for row in rows)
    written = figures.draw_figures(settings, rows, tmp_path / "figures")
    assert [path.name for path in written] == [
        "figure-4.3-hidden_dim.svg",
        "figure-4.5-heads.svg",
    ]
    shown = figures.rows_of_factor(settings, rows, "heads")
    figure = figures._figure("made", FACTORS["heads"], shown)
    mean, _, largest = figure.axes
    (ours,) = [line for line in mean.get_lines() if line.get_label() == "sub-01"]
    assert ours.get_xydata().tolist() == [[1, 0.2], [2, 0.3]]
    grey = [line for line in largest.get_lines() if line.get_linestyle() == "--"]
    assert len(grey) == 4
    assert grey[0].get_label() == LABEL
    assert grey[0].get_xydata().tolist() == [[1, 0.69], [4, 0.61], [8, 0.64]]
    assert not [line for line in mean.get_lines() if line.get_linestyle() == "--"]


@pytest.mark.parametrize(
    ("factor", "levels"),
    [
        ("hidden_dim", [6, 24, 30, 48, 126, 576, 1000, 1024]),
        ("training_frames", [10_000, 11_000, 200_000, 6_000_000]),
        ("layers", list(range(1, 33))),
        ("precision", ["fp32", "bf16", "fp16"]),
        ("attention", ["sdpa", "flash", "efficient", "math", "reference"]),
        ("checkpointing", [False, True]),
    ],
)
def test_labels_keep_apart_and_the_legend_lies_on_no_panel(factor: str, levels: list) -> None:
    rows = [
        {
            "factor": factor, "level": str(level), "subject": f"sub-{subject:02}", "status": "ok",
            "frames": 480, "r_mean": 0.1 * i, "r_p95": 0.2, "r_max": 0.3, factor: level,
            "seconds_gpt": 2.0 + i, "peak_memory_bytes": 2**30, "peak_gpu_bytes": None,
        }
        for i, level in enumerate(levels)
        for subject in range(6)
    ]  # fmt: skip
    figure = figures._figure("made", FACTORS[factor], rows)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert {text.get_text() for text in legend.get_texts()} >= {f"sub-{k:02}" for k in range(6)}
    for axis in figure.axes:
        assert not axis.get_tightbbox().overlaps(box)
        assert axis.get_legend() is None
        shown = [label for label in axis.get_xticklabels() if label.get_text()]
        assert len(axis.get_xticks()) >= len(levels)
        assert len(shown) >= min(3, len(levels))
        boxes = [label.get_window_extent() for label in shown]
        assert not any(one.overlaps(other) for one, other in pairwise(boxes))
        names = [text.get_window_extent() for text in axis.texts]
        assert not any(one.overlaps(other) for one, other in combinations(names, 2))


def test_a_product_is_drawn_where_the_other_factors_are_at_the_baseline(tmp_path: Path) -> None:
    settings = read(tmp_path, top='out = "study"\ndesign = "product"')
    rows = made_rows(settings)
    # The baseline has 4 heads, which is no level here: nothing varies the width alone.
    assert figures.rows_of_factor(settings, rows, "hidden_dim") == []
    shown = figures.rows_of_factor(settings, rows, "heads")
    assert [(row["hidden_dim"], row["heads"]) for row in shown] == [(48, 1), (48, 2)]
