"""The thesis's tables and how they shrink."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core import data
from bench_core.errors import InputError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "subject", "t", "s"),
    [
        ("parcels", "sub-01", 69_202, 444),
        ("roi", "sub-04", 69_202, 6_728),
        ("whole-brain", "sub-01", 69_202, 264_805),
        ("whole-brain", "sub-06", 69_202, 281_532),
        ("whole-brain-bmor", "sub-03", 10_000, 261_880),
        ("whole-brain-mor", "sub-02", 1_000, 2_000),
    ],
)
def test_full_size_is_the_thesis(name, subject, t, s):
    size = data.shape(name, subject=subject)
    assert (size.t, size.p, size.s) == (t, 16_384, s)


def test_the_scales_the_benchmarks_use():
    bmor = data.shape("whole-brain-bmor", scale=1 / 4)
    assert (bmor.t, bmor.p, bmor.s) == (2_500, 4_096, 66_201)
    parcels = data.shape("parcels", scale=1 / 8)
    assert (parcels.t, parcels.p, parcels.s) == (8_650, 2_048, 55)


def test_rounding_errors_of_the_product_do_not_count():
    assert 10_000 * 0.57 < 5_700
    assert data.shape("whole-brain-bmor", scale=0.57).t == 5_700


@given(
    name=st.sampled_from([n for n in data.names() if n != data.HAXBY]),
    subject=st.sampled_from(data.SUBJECTS),
    scale=st.floats(1e-6, 1),
    other=st.floats(1e-6, 1),
)
def test_shrinking_rounds_down_and_keeps_a_problem(name, subject, scale, other):
    full = data.shape(name, subject=subject)
    size = data.shape(name, subject=subject, scale=scale)
    assert 20 <= size.t <= max(20, full.t * scale + 1e-6)
    assert 4 <= size.p <= max(4, full.p * scale + 1e-6)
    assert size.p % 4 == 0
    assert 1 <= size.s <= max(1, full.s * scale + 1e-6)
    smaller = data.shape(name, subject=subject, scale=min(scale, other))
    assert (smaller.t, smaller.p, smaller.s) <= (size.t, size.p, size.s)
    assert smaller.s <= size.s


@pytest.mark.parametrize("scale", [0, -0.5, 1.5, float("nan")])
def test_scales_outside_the_range(scale):
    with pytest.raises(InputError, match=str(scale)):
        data.shape("roi", scale=scale)


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(UnknownNameError, match="'whole-brain-bmor'"):
        data.shape("whole-brain-bmr")
    with pytest.raises(UnknownNameError, match="sub-06"):
        data.shape("whole-brain", subject="sub-07")
    with pytest.raises(UnknownNameError, match="parcels"):
        data.make("parcel")


def test_real_data_cannot_shrink():
    with pytest.raises(InputError, match=r"0\.5"):
        data.shape("haxby2001", scale=0.5)
    with pytest.raises(UnknownNameError, match="sub-02"):
        data.shape("haxby2001", subject="sub-02")
