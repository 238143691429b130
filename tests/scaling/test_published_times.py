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
    means = {
        blas: mean_seconds(TIMES, figure="3.6", resolution=resolution, blas=blas, threads=32)
        for blas in ("openblas", "mkl")
    }
    assert means["openblas"] / means["mkl"] == pytest.approx(ratio, abs=0.005)


def test_bmor_at_8_nodes_of_32_threads():
    over_one_thread, over_one_node = [], []
    for time in select(TIMES, figure="3.10", strategy="bmor", nodes=8, threads=32):
        single = mean_seconds(TIMES, figure="3.11", subject=time.subject)
        node = mean_seconds(
            TIMES, figure="3.10", strategy="ridgecv", threads=32, subject=time.subject
        )
        over_one_thread.append(speed_up(single, time.seconds))
        over_one_node.append(speed_up(node, time.seconds))
    assert over_one_thread == pytest.approx([25.9, 29.8, 32.0, 27.2, 25.9, 28.3], abs=0.05)
    assert min(over_one_node) == pytest.approx(3.25, abs=0.05)
    assert max(over_one_node) == pytest.approx(4.0, abs=0.05)


def test_what_was_not_published_is_not_invented():
    assert mean_seconds(TIMES, figure="3.6", threads=3) is None
    with pytest.raises(TypeError, match="node"):
        list(select(TIMES, node=1))
