"""Maps of several subjects, and noise ceilings."""

from __future__ import annotations

import numpy as np
import pytest

from bench_core.accuracy import map_correlations, mean_between, noise_ceiling
from bench_core.errors import InputError


def test_map_correlations_equal_numpy_and_skip_undefined():
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((3, 50)) + rng.standard_normal(50)
    np.testing.assert_allclose(map_correlations(maps), np.corrcoef(maps), atol=1e-12)
    holed = maps.copy()
    holed[0, :10] = np.nan
    holed[1, 5:20] = np.nan
    found = map_correlations(holed)
    assert found[0, 1] == pytest.approx(np.corrcoef(maps[:2, 20:])[0, 1])
    assert found[0, 2] == pytest.approx(np.corrcoef(maps[[0, 2], 10:])[0, 1])
    below = [found[1, 0], found[2, 0], found[2, 1]]
    assert mean_between(found) == pytest.approx(np.mean(below))


def test_maps_without_anything_in_common_are_undefined():
    a, b = np.array([1.0, 2, np.nan, np.nan]), np.array([np.nan, np.nan, 1.0, 2])
    assert np.isnan(map_correlations([a, b])[0, 1])
    assert np.isnan(mean_between(map_correlations([a, b])))
    with pytest.raises(InputError, match="3, 4"):
        map_correlations([np.ones(3), np.ones(4)])


@pytest.mark.parametrize("part", [0.0, 0.25, 0.64])
def test_noise_ceiling_of_a_known_part_of_variance(part):
    rng = np.random.default_rng(1)
    n, s = 4_000, 30
    response = rng.standard_normal((n, s)) * np.sqrt(part)
    repeats = [response + rng.standard_normal((n, s)) * np.sqrt(1 - part) for _ in range(3)]
    found = noise_ceiling(repeats)
    assert (found.repeats, found.samples) == (3, n)
    assert found.reliability.mean() == pytest.approx(part, abs=0.01)
    np.testing.assert_allclose(found.ceiling, np.sqrt(np.maximum(found.reliability, 0)))
    if part:
        perfect = [np.corrcoef(response[:, j], repeats[0][:, j])[0, 1] for j in range(s)]
        assert found.ceiling.mean() == pytest.approx(np.mean(perfect), abs=0.01)


def test_one_repeat_is_not_enough():
    with pytest.raises(InputError, match="at least 2"):
        noise_ceiling([np.ones((3, 2))])
