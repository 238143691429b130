"""The published times against the figures that the thesis and its reference notes state."""

import pytest

from bench_core.scaling.published_times import (
    bmor_speed_ups,
    mean_seconds,
    mkl_over_openblas,
    published_times,
    select,
)


def test_all_420_times_are_there():
    times = published_times()
    assert len(times) == 420
    assert all(time.seconds > 0 for time in times)


@pytest.mark.parametrize(("resolution", "ratio"), [("parcels", 1.96), ("roi", 1.91)])
def test_mkl_over_openblas_at_32_threads(resolution, ratio):
    assert mkl_over_openblas(resolution, 32) == pytest.approx(ratio, abs=0.005)


def test_bmor_at_8_nodes_of_32_threads():
    speed_ups = bmor_speed_ups(8, 32)
    over_one_thread = [speed_ups[f"sub-{i:02}"]["one_thread"] for i in range(1, 7)]
    assert over_one_thread == pytest.approx([25.9, 29.8, 32.0, 27.2, 25.9, 28.3], abs=0.05)
    over_one_node = [ratios["one_node"] for ratios in speed_ups.values()]
    assert min(over_one_node) == pytest.approx(3.25, abs=0.05)
    assert max(over_one_node) == pytest.approx(4.0, abs=0.05)


def test_what_was_not_published_is_not_invented():
    assert mean_seconds(published_times(), figure="3.6", threads=3) is None
    with pytest.raises(ValueError, match="nothing published"):
        mkl_over_openblas("parcels", 3)
    with pytest.raises(ValueError, match="nothing published"):
        bmor_speed_ups(3, 32)
    with pytest.raises(TypeError, match="no such field: node;"):
        list(select(published_times(), node=1))
