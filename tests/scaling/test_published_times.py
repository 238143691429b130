"""The published times against the figures that the thesis and its reference notes state."""

import pytest

from bench_core.scaling import speed_up
from bench_core.scaling.published_times import mean_seconds, published_times, select

TIMES = published_times()


def test_all_420_times_are_there():
    assert len(TIMES) == 420
    assert all(time.seconds > 0 for time in TIMES)


@pytest.mark.parametrize(("resolution", "ratio"), [("parcels", 1.96), ("roi", 1.91)])
def test_mkl_over_openblas_at_32_threads(resolution, ratio):
    openblas, mkl = (
        mean_seconds(TIMES, figure="3.6", resolution=resolution, blas=blas, threads=32)
        for blas in ("openblas", "mkl")
    )
    assert speed_up(openblas, mkl) == pytest.approx(ratio, abs=0.005)


def test_bmor_at_8_nodes_of_32_threads():
    times = list(select(TIMES, figure="3.10", strategy="bmor", nodes=8, threads=32))
    assert [time.subject for time in times] == [f"sub-{i:02}" for i in range(1, 7)]
    over_one_thread, over_one_node = [], []
    for time in times:
        one_thread = mean_seconds(TIMES, figure="3.11", subject=time.subject)
        one_node = mean_seconds(
            TIMES, figure="3.10", strategy="ridgecv", threads=32, subject=time.subject
        )
        over_one_thread.append(speed_up(one_thread, time.seconds))
        over_one_node.append(speed_up(one_node, time.seconds))
    assert over_one_thread == pytest.approx([25.9, 29.8, 32.0, 27.2, 25.9, 28.3], abs=0.05)
    assert min(over_one_node) == pytest.approx(3.25, abs=0.05)
    assert max(over_one_node) == pytest.approx(4.0, abs=0.05)


def test_what_was_not_published_is_not_invented():
    assert mean_seconds(TIMES, figure="3.6", threads=3) is None
    with pytest.raises(TypeError, match="node"):
        list(select(TIMES, node=1))
