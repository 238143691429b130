"""The conformance test: own strategies pass, planted faults are named."""

from importlib.util import find_spec

import numpy as np
import pytest

from bench_core import strategies
from bench_core.errors import InputError
from bench_core.strategies import ConformanceError, Strategy, check_strategy

RidgeCVStrategy = strategies.get("ridgecv")
Batches = strategies.get("bmor")


@pytest.mark.parametrize("name", strategies.names())
def test_own_strategies_pass(cluster_of, name):
    if name.startswith("himalaya") and find_spec("himalaya") is None:
        pytest.skip("himalaya is not installed (extra: peers)")
    check_strategy(strategies.get(name), clusters=cluster_of)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("multitarget", {"coef": None}),
        ("multitarget", {"solver": "primal"}),
        ("bmor-shared", {"factorise": "each"}),
        ("bmor-shared", {"solver": "dual"}),
    ],
)
def test_own_strategies_pass_with_options(cluster_of, name, options):
    check_strategy(strategies.get(name), options=options, clusters=cluster_of)


class Nameless(RidgeCVStrategy):
    summary = ""


class Boastful(RidgeCVStrategy):
    supports = frozenset({"solver"})


class Renaming(RidgeCVStrategy):
    supports = frozenset()

    def __init__(self, alphas=(1.0,), *, fit_intercept=True, cluster=None):
        super().__init__(tuple(2 * alpha for alpha in alphas), fit_intercept=fit_intercept)


class Modest(RidgeCVStrategy):
    @classmethod
    def bytes_needed(cls, t, p, s, dtype, nodes):
        return 100


class Planless(RidgeCVStrategy):
    def plan(self, t, p, s, dtype="float64", nodes=1):
        return "a plan"


class Short(RidgeCVStrategy):
    def predict(self, X):
        return super().predict(X)[:, :-1]


class Flat(RidgeCVStrategy):
    def predict(self, X):
        return np.squeeze(super().predict(X))


class Shuffled(RidgeCVStrategy):
    def predict(self, X):
        return super().predict(X)[:, ::-1]


class Shifted(RidgeCVStrategy):
    def predict(self, X):
        return super().predict(X) + 0.01


class Largest(RidgeCVStrategy):
    def fit_checked(self, X, Y, alphas):
        super().fit_checked(X, Y, alphas[-1:])


class Careless(RidgeCVStrategy):
    def fit_checked(self, X, Y, alphas):
        super().fit_checked(np.nan_to_num(X), np.nan_to_num(Y, posinf=0), alphas)


class Alone(RidgeCVStrategy):
    def fit(self, X, Y):
        self.cluster = None
        return super().fit(X, Y)


class Uneven(Batches):
    penalty_scope = "target"


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (object, "check_declaration"),
        (Nameless, "check_declaration"),
        (Boastful, "check_declaration"),
        (Renaming, "check_parameters"),
        (Modest, "check_estimates"),
        (Planless, "check_estimates"),
        (Short, "check_shapes"),
        (Flat, "check_single_target"),
        (Shuffled, "check_target_order"),
        (Shifted, "check_agreement_with_ridge"),
        (Largest, "check_ridgecv_penalty"),
        (Careless, "check_errors"),
        (Alone, "check_cluster_argument"),
        (Uneven, "check_node_independence"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_planted_faults_are_named(cluster_of, cls, check):
    with pytest.raises(ConformanceError) as caught:
        check_strategy(cls, clusters=cluster_of)
    assert str(caught.value).startswith(f"{check}: ")


def test_former_name_of_what_a_plug_in_overrides_warns(make_problem):
    class Former(Strategy):
        name, summary, penalty_scope = "former", "zero", "all"

        def _fit(self, X, Y, alphas):
            self.coef_ = np.zeros((Y.shape[1], X.shape[1]))

    with pytest.warns(DeprecationWarning, match="fit_checked"):
        Former().fit(*make_problem(9, 3, 2))
    with pytest.raises(InputError, match="cluster"):
        Former().running_cluster()
