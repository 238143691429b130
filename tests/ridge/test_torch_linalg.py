"""A decomposition that fails on a GPU is made another way, and says so; the GPU is made up here."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from bench_core.ridge import MultiTargetRidgeCV
from bench_core.ridge.arrays import torch_linalg
from bench_core.ridge.arrays.torch_linalg import DecompositionWarning
from bench_core.runner.timing import kept_warnings

torch = pytest.importorskip("torch", reason="torch is not installed")


class OnGpu:
    """A tensor that says that it lies on a GPU."""

    device = "cuda:0"

    def __init__(self, values):
        self.values = values

    @property
    def shape(self):
        return self.values.shape

    def detach(self):
        return self

    def cpu(self):
        return self.values

    def to(self, device):
        assert device == self.device
        return self


class Torch:
    """What is used of torch, on a made-up GPU: decompositions fail in the libraries ``failing``."""

    def __init__(self, *failing, magma=True, error=None):
        self.failing, self.tried = failing, []
        self.error = error or torch.linalg.LinAlgError("failed to converge\nlong explanation")
        self.cuda = SimpleNamespace(has_magma=magma)
        self.preferred = "default"
        self.backends = SimpleNamespace(cuda=SimpleNamespace(preferred_linalg_library=self.choose))
        self.linalg = SimpleNamespace(eigh=self.eigh, svd=self.svd)

    def choose(self, library=None):
        self.preferred = library or self.preferred
        return self.preferred

    def _try(self):
        self.tried.append(self.preferred)
        if self.preferred in self.failing:
            raise self.error

    def eigh(self, K):
        self._try()
        return tuple(OnGpu(one) for one in torch.linalg.eigh(K.values))

    def svd(self, A, full_matrices):
        self._try()
        return tuple(OnGpu(one) for one in torch.linalg.svd(A.values, full_matrices=full_matrices))

    def isfinite(self, one):
        return torch.isfinite(one.values)

    def from_numpy(self, array):
        return OnGpu(torch.from_numpy(array))


@pytest.fixture
def singular():
    """Return a matrix of order 12 and rank 5, positive semidefinite."""
    A = np.random.default_rng(0).standard_normal((12, 5))
    return torch.from_numpy(A @ A.T)


@pytest.mark.parametrize(
    ("failing", "magma", "tried", "named"),
    [
        ([], True, ["default"], None),
        (["default"], True, ["default", "cusolver"], "cusolver on cuda:0"),
        (["default", "cusolver"], True, ["default", "cusolver", "magma"], "magma on cuda:0"),
        (["default", "cusolver"], False, ["default", "cusolver"], "processor"),
        (["default", "cusolver", "magma"], True, ["default", "cusolver", "magma"], "processor"),
    ],
)
def test_the_next_way_is_taken_and_named(singular, failing, magma, tried, named):
    fake = Torch(*failing, magma=magma)
    with kept_warnings() as texts:
        w, V = torch_linalg.eigh(OnGpu(singular), fake)
    assert fake.tried == tried
    assert fake.preferred == "default"
    np.testing.assert_allclose(
        (V.values * w.values) @ V.values.T, singular, atol=1e-12 * float(singular.abs().max()) * 12
    )
    np.testing.assert_allclose(V.values.T @ V.values, np.eye(12), atol=1e-12)
    assert (np.diff(w.values) >= 0).all()
    if named is None:
        assert texts == []
    else:
        (text,) = texts
        assert named in text
        assert "failed to converge" in text
        assert "long explanation" not in text


@pytest.mark.parametrize("whole", [True, False])
def test_singular_values_have_the_same_ways(whole):
    A = torch.from_numpy(np.random.default_rng(1).standard_normal((9, 4)))
    fake = Torch("default", "cusolver", "magma")
    with pytest.warns(DecompositionWarning, match="processor"):
        U, s, Vt = torch_linalg.svd(OnGpu(A), full_matrices=whole, torch=fake)
    assert U.values.shape == (9, 9 if whole else 4)
    np.testing.assert_allclose((U.values[:, :4] * s.values) @ Vt.values, A, atol=1e-12)


def test_a_full_gpu_is_no_end(singular):
    fake = Torch("default", "cusolver", "magma", error=torch.OutOfMemoryError("out of memory"))
    with pytest.warns(DecompositionWarning, match="out of memory"):
        w, _ = torch_linalg.eigh(OnGpu(singular), fake)
    np.testing.assert_allclose(w.values, np.linalg.eigvalsh(singular.numpy()), atol=1e-11)


def test_values_that_are_not_finite_are_a_failure(singular):
    fake = Torch()
    fake.linalg.eigh = lambda K: (OnGpu(torch.full((12,), torch.nan)), OnGpu(torch.eye(12)))
    with pytest.warns(DecompositionWarning, match="not finite"):
        w, _ = torch_linalg.eigh(OnGpu(singular), fake)
    np.testing.assert_allclose(w.values, np.linalg.eigvalsh(singular.numpy()), atol=1e-11)


def test_an_error_of_another_kind_is_raised(singular):
    fake = Torch("default", error=TypeError("a bug"))
    with pytest.raises(TypeError, match="a bug"):
        torch_linalg.eigh(OnGpu(singular), fake)


@pytest.mark.parametrize("shape", [(30, 60), (60, 12)])
@pytest.mark.parametrize("alpha_per_target", [False, True])
def test_a_fit_goes_on_and_is_right(monkeypatch, shape, alpha_per_target):
    rng = np.random.default_rng(2)
    X = rng.standard_normal(shape)
    Y = X[:, :4] @ rng.standard_normal((4, 7)) + rng.standard_normal((shape[0], 7))
    alphas = [1e-2, 1.0, 100.0, 1e4]
    real, calls = torch.linalg.eigh, []

    def once(K, **options):
        calls.append(K.shape[0])
        if len(calls) == 1:
            raise torch.linalg.LinAlgError("failed to converge")
        return real(K, **options)

    monkeypatch.setattr(torch.linalg, "eigh", once)
    with pytest.warns(DecompositionWarning, match="LAPACK"):
        model = MultiTargetRidgeCV(alphas, device="torch", alpha_per_target=alpha_per_target).fit(
            X, Y
        )
    assert len(calls) == 1
    expected = RidgeCV(alphas, alpha_per_target=alpha_per_target).fit(X, Y)
    np.testing.assert_array_equal(model.alpha_, expected.alpha_)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-9)
