"""From the example's films to r, timed: the planted layer wins where it was planted."""

from __future__ import annotations

import pytest

from bench_core.errors import UnknownNameError
from bench_core.study.encoding import EncodingCase, measure_encoding


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("encoding")


@pytest.fixture(scope="module")
def figures(folder):
    return {
        layer: measure_encoding(EncodingCase("parcels", layer, "none", "multitarget"), folder)
        for layer in ("first", "second")
    }


def test_the_planted_layer_wins_where_it_was_planted(figures):
    for layer, place, other in (("first", "early", "late"), ("second", "late", "early")):
        planted = figures[layer].planted
        assert planted[place] > 0.5
        assert abs(planted[other]) < 0.35
    assert figures["first"].planted["early"] > figures["second"].planted["early"] + 0.3
    assert figures["second"].planted["late"] > figures["first"].planted["late"] + 0.3


def test_every_step_has_its_figure(figures):
    for found in figures.values():
        assert min(found.decode_s, found.network_s, found.fit_s, found.predict_s) > 0
        assert found.feature_bytes > 0
        assert found.r_max > found.r_p95 > found.r_mean
        assert found.null_max < found.r_max
        assert 0 < found.ceiling_p95 <= 1


def test_a_second_call_reads_the_figures(folder, figures):
    again = measure_encoding(EncodingCase("parcels", "first", "none", "multitarget"), folder)
    assert again == figures["first"]


def test_an_unknown_problem_is_named(folder):
    with pytest.raises(UnknownNameError):
        measure_encoding(EncodingCase("voxels", "first", "none", "multitarget"), folder)
