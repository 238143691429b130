import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.scaling import distributed_speed_up, parallel_efficiency, speed_up

seconds = st.floats(min_value=1e-6, max_value=1e6)


@given(seconds, seconds, st.integers(1, 512))
def test_ratios_are_those_of_the_thesis(reference, measured, threads):
    assert speed_up(reference, measured) * measured == pytest.approx(reference)
    assert parallel_efficiency(reference, measured, threads) * threads == pytest.approx(
        reference / measured
    )
    assert distributed_speed_up(reference, measured) == pytest.approx(reference / measured)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="seconds"):
        speed_up(1.0, bad)
    with pytest.raises(ValueError, match="seconds"):
        speed_up(bad, 1.0)


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match="threads"):
        parallel_efficiency(1.0, 1.0, 0)
