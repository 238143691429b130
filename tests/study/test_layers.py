"""What a comparison of layers refuses, and which layer a target prefers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core.errors import InputError
from bench_core.study.layers import LayersRequest, compare_layers, preferred_layer
from bench_core.study.settings import FitSettings

CONFIG = """
[targets]
source = "npy"
folder = "."
[features]
source = "{source}"
folder = "."
"""


@settings(max_examples=50, deadline=None)
@given(layers=st.integers(1, 4), least=st.floats(-1, 1), seed=st.integers(0, 2**31))
def test_the_preferred_layer_is_the_one_with_the_largest_r(layers, least, seed):
    rng = np.random.default_rng(seed)
    r = rng.uniform(-1, 1, (layers, 20))
    r[rng.random(r.shape) < 0.2] = np.nan
    for own, found in zip(r.T, preferred_layer(r, least), strict=True):
        defined = [value for value in own if not np.isnan(value)]
        if not defined or max(defined) < least:
            assert found == 0
        else:
            assert own[found - 1] == max(defined)


@pytest.mark.parametrize(("source", "layers"), [("npy", ["a", "b"]), ("store", ["a"])])
def test_what_cannot_be_compared_is_refused(tmp_path, source, layers):
    np.save(tmp_path / "run.npy", np.zeros((9, 2)))
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(source=source), encoding="utf-8")
    with pytest.raises(InputError):
        compare_layers(LayersRequest(config, layers, FitSettings()), scratch=tmp_path / "scratch")
