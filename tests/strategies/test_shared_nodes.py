"""The tasks of ``bmor-shared``, called here as nodes call them: memory against the plan."""

import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bench_core.cluster import ArrayRef, RowFile, share_array
from bench_core.ridge.inputs import find_folds
from bench_core.ridge.planning.flops import FitShape
from bench_core.scaling.node_plans import plan_nodes
from bench_core.strategies import _shared_nodes as on_node

ALPHAS = np.array([1.0, 30.0, 1000.0, 30000.0])


def shared(folder, name, array) -> ArrayRef:
    np.save(folder / f"{name}.npy", array)
    return share_array(np.load(folder / f"{name}.npy", mmap_mode="r"), folder)


class Node:
    """One node's results, and the most memory that its tasks have held."""

    def __init__(self):
        self.peak = self.held = 0
        self.kept = {}

    def run(self, name, function, *arguments):
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        self.kept[name] = function(*arguments)
        current, peak = tracemalloc.get_traced_memory()
        self.peak = max(self.peak, self.held + peak - before)
        self.held += current - before
        return self.kept[name]

    def forget(self, *names):
        before = tracemalloc.get_traced_memory()[0]
        for name in names:
            self.kept.pop(name, None)
        self.held += tracemalloc.get_traced_memory()[0] - before


@pytest.mark.parametrize("factorise", ["one", "each"])
@pytest.mark.parametrize("selection", ["shared", "each"])
@pytest.mark.parametrize(
    ("t", "p", "form"), [(300, 400, "dual"), (500, 90, "primal"), (400, 90, "dual")]
)
@pytest.mark.parametrize(("scoring", "cv"), [("neg_mean_squared_error", "loo"), ("r2", 3)])
def test_two_nodes_hold_what_is_planned(tmp_path, t, p, form, selection, factorise, scoring, cv):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((t, p)), rng.standard_normal((t, 700))
    Y[:, :5] += X[:, :5]
    folds = find_folds(cv, t, None)
    sizes = tuple((len(train), len(test)) for train, test in folds)
    shape = FitShape(t, p, 700, 4, folds=sizes, scaled=scoring == "r2", coef="file")
    plan = plan_nodes(shape, 2, form=form, selection=selection, factorise=factorise)
    job = on_node.Job(
        shared(tmp_path, "X", X),
        shared(tmp_path, "Y", Y),
        ALPHAS,
        True,
        scoring,
        "cpu",
        plan,
        str(tmp_path),
    )
    on_node.save_folds(job.folder, folds)
    rows = RowFile.create(tmp_path, (700, p), np.dtype("f8"))
    nodes = [Node(), Node()]
    tracemalloc.start()
    try:
        for node in nodes[: plan.holders]:
            node.run("solver", on_node.factorise, job)
        if plan.holders == 1 and plan.sums_need_x:
            nodes[0].run("written", on_node.broadcast, job, nodes[0].kept["solver"])
        for number in range(plan.passes):
            for node, (start, stop) in zip(nodes, plan.targets, strict=True):
                if stop > start:
                    solver = node.kept.get("solver") if plan.sums_need_x else None
                    columns = slice(start, stop)
                    node.run("part", on_node.partial_sums, job, number, columns, solver)
            parts = [node.kept["part"] for node in nodes if "part" in node.kept]
            total = parts[0] if len(parts) == 1 else on_node.add(*parts)
            nodes[0].run("scores", on_node.score, job, number, nodes[0].kept["solver"], total)
            del parts, total
            for node in nodes:
                node.forget("part")
        alpha, others = 30.0, factorise == "one"
        for node in nodes if factorise == "each" else nodes[:1]:
            node.run("solution", on_node.solve, job, node.kept["solver"], alpha, others)
        for node, share in zip(nodes, plan.solved, strict=True):
            node.forget("solver")
            found = node.kept.get("solution")
            node.run(
                "intercept", on_node.write_coefficients, job, slice(*share), rows, alpha, found
            )
    finally:
        tracemalloc.stop()
    expected = Ridge(alpha=alpha).fit(X, Y)
    np.testing.assert_allclose(rows.detach(), expected.coef_, atol=1e-10)
    intercepts = np.concatenate([node.kept["intercept"] for node in nodes])
    np.testing.assert_allclose(intercepts, expected.intercept_, atol=1e-10)
    for node, planned in zip(nodes, plan.node_bytes, strict=True):
        assert node.peak <= planned < 5 * node.peak + 2**22
