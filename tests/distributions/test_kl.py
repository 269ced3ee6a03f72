"""Divergences: every pair of torch's table against it, most by samples; how a pair is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.distributions.cases import COV, FACTOR, of_torch, tensor

D = ng.distributions

# Two distributions of each class, within the supports of each other where that can be; batches of two.
ONE: dict[str, Any] = {
    "Bernoulli": lambda D, t: D.Bernoulli(t([0.2, 1.0])),
    "Beta": lambda D, t: D.Beta(t([0.5, 3.0]), t([2.0, 1.5])),
    "Binomial": lambda D, t: D.Binomial(t([3.0, 4.0]), t([0.2, 0.7])),
    "Categorical": lambda D, t: D.Categorical(t([[0.3, 0.7, 0.0], [0.2, 0.3, 0.5]])),
    "Cauchy": lambda D, t: D.Cauchy(t([0.5, -1.0]), t([1.0, 2.5])),
    "ContinuousBernoulli": lambda D, t: D.ContinuousBernoulli(t([0.2, 0.7])),
    "Dirichlet": lambda D, t: D.Dirichlet(t([[0.5, 2.0, 1.0], [3.0, 0.2, 0.7]])),
    "Exponential": lambda D, t: D.Exponential(t([0.5, 3.0])),
    "Gamma": lambda D, t: D.Gamma(t([0.5, 3.0]), t([1.5, 0.7])),
    "Geometric": lambda D, t: D.Geometric(t([0.2, 0.7])),
    "Gumbel": lambda D, t: D.Gumbel(t([0.5, -1.0]), t([1.0, 2.5])),
    "HalfNormal": lambda D, t: D.HalfNormal(t([0.5, 3.0])),
    "Independent": lambda D, t: D.Independent(D.Normal(t([[0.5], [1.0]]), t([[1.0], [2.5]])), 1),
    "Laplace": lambda D, t: D.Laplace(t([0.5, -1.0]), t([1.0, 2.5])),
    "LowRankMultivariateNormal": lambda D, t: D.LowRankMultivariateNormal(
        t([0.5, -1.0, 0.0]), t([FACTOR, FACTOR]), t([0.5, 1.0, 2.0])
    ),
    "MultivariateNormal": lambda D, t: D.MultivariateNormal(t([[0.5, -1.0, 0.0], [0.0, 1.0, 0.0]]), t(COV)),
    "Normal": lambda D, t: D.Normal(t([0.5, -1.0]), t([1.0, 2.5])),
    "OneHotCategorical": lambda D, t: D.OneHotCategorical(t([[0.3, 0.7, 0.0], [0.2, 0.3, 0.5]])),
    "Pareto": lambda D, t: D.Pareto(t([0.5, 2.0]), t([1.5, 3.5])),
    "Poisson": lambda D, t: D.Poisson(t([0.5, 3.0])),
    "TransformedDistribution": lambda D, t: D.LogNormal(t([0.5, -1.0]), t([1.0, 2.5])),
    "Uniform": lambda D, t: D.Uniform(t([0.1, 0.3]), t([0.9, 1.5])),
    "ExponentialFamily": lambda D, t: D.Wishart(t([4.5, 6.0]), t(COV)),
}
TWO: dict[str, Any] = ONE | {
    "Bernoulli": lambda D, t: D.Bernoulli(t([0.5, 0.4])),
    "Beta": lambda D, t: D.Beta(t([1.5, 0.7]), t([1.2, 2.5])),
    "Binomial": lambda D, t: D.Binomial(t([3.0, 2.0]), t([0.5, 0.4])),
    "Categorical": lambda D, t: D.Categorical(logits=t([[0.3, 0.7, 0.0], [0.2, 0.3, 0.5]])),
    "Cauchy": lambda D, t: D.Cauchy(t([0.0, 1.0]), t([2.0, 0.5])),
    "ContinuousBernoulli": lambda D, t: D.ContinuousBernoulli(t([0.6, 0.3])),
    "Dirichlet": lambda D, t: D.Dirichlet(t([[1.5, 2.5, 0.3], [1.0, 1.0, 1.0]])),
    "Exponential": lambda D, t: D.Exponential(t([1.5, 0.7])),
    "Gamma": lambda D, t: D.Gamma(t([1.5, 0.7]), t([0.5, 2.0])),
    "Geometric": lambda D, t: D.Geometric(t([0.5, 0.4])),
    "Gumbel": lambda D, t: D.Gumbel(t([0.0, 1.0]), t([2.0, 1.5])),
    "HalfNormal": lambda D, t: D.HalfNormal(t([1.5, 0.7])),
    "Independent": lambda D, t: D.Independent(D.Normal(t([[0.0], [2.0]]), t([[2.0], [0.5]])), 1),
    "Laplace": lambda D, t: D.Laplace(t([0.0, 1.0]), t([2.0, 0.5])),
    "LowRankMultivariateNormal": lambda D, t: D.LowRankMultivariateNormal(
        t([0.0, 1.0, 0.5]), t([[0.3], [0.2], [-0.5]]), t([[1.0, 0.5, 1.5], [2.0, 1.0, 1.0]])
    ),
    "MultivariateNormal": lambda D, t: D.MultivariateNormal(t([0.0, 1.0, 0.5]), precision_matrix=t([COV, COV])),
    "Normal": lambda D, t: D.Normal(t([0.0, 1.0]), t([2.0, 0.5])),
    "OneHotCategorical": lambda D, t: D.OneHotCategorical(logits=t([[0.3, 0.7, 0.0], [0.2, 0.3, 0.5]])),
    "Pareto": lambda D, t: D.Pareto(t([0.4, 2.5]), t([2.5, 1.5])),
    "Poisson": lambda D, t: D.Poisson(t([1.5, 0.7])),
    "TransformedDistribution": lambda D, t: D.LogNormal(t([0.0, 1.0]), t([2.0, 0.5])),
    "Uniform": lambda D, t: D.Uniform(t([-0.1, 0.2]), t([1.5, 2.0])),
    "ExponentialFamily": lambda D, t: D.Wishart(t([5.0, 4.0]), t(FACTOR and [[1.0, 0, 0], [0, 2.0, 0], [0, 0, 1.5]])),
}
PAIRS = sorted((p.__name__, q.__name__) for p, q in D.kl._KL_REGISTRY)
# torch says infinite where the interval of a uniform distribution ends with that of the other, and sums over the batch of
# families with parameters of several ranks.
OTHERS = {
    ("ContinuousBernoulli", "Uniform"), ("Uniform", "ContinuousBernoulli"), ("ExponentialFamily", "ExponentialFamily"),
}  # fmt: skip


def test_the_pairs_are_torchs(torch: Any) -> None:
    registry = torch.distributions.kl._KL_REGISTRY
    assert sorted((p.__name__, q.__name__) for p, q in registry) == PAIRS


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_divergences_are_torchs(p: str, q: str, torch: Any) -> None:
    if (p, q) in OTHERS:
        pytest.skip("by samples, below")
    theirs, t = torch.distributions, of_torch(torch)
    got = D.kl_divergence(ONE[p](D, tensor), TWO[q](D, tensor))
    want = theirs.kl_divergence(ONE[p](theirs, t), TWO[q](theirs, t))
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-9, atol=1e-12)


NUMBERS = [
    (p, q) for p, q in PAIRS
    if {p, q} <= {
        "Beta", "ContinuousBernoulli", "Exponential", "Gamma", "Gumbel", "HalfNormal", "Laplace", "Normal", "Pareto",
        "TransformedDistribution", "Uniform",
    }
]  # fmt: skip


@pytest.mark.parametrize(("p", "q"), NUMBERS)
def test_divergences_of_numbers_by_samples(p: str, q: str) -> None:
    one, two = ONE[p](D, tensor), TWO[q](D, tensor)
    got = D.kl_divergence(one, two).numpy()
    ng.manual_seed(1)
    values = one.sample((40_000,))
    within = two.support.check(values).numpy().all(0)
    D.Distribution.set_default_validate_args(False)
    try:
        terms = one.log_prob(values).numpy() - two.log_prob(values).numpy()
    finally:
        D.Distribution.set_default_validate_args(True)
    for column in range(2):
        mine = terms[:, column]
        if np.isfinite(got[column]):
            error = mine.std() / np.sqrt(len(mine))
            assert abs(mine.mean() - got[column]) < 6 * error + 1e-9
        else:
            assert not within[column] or p == "Pareto"  # whose infinite means are of finite terms


NORMALS = ("LowRankMultivariateNormal", "MultivariateNormal")


@pytest.mark.parametrize(("p", "q"), [(p, q) for p in NORMALS for q in NORMALS] + [("ExponentialFamily",) * 2])
def test_divergences_of_vectors_by_samples(p: str, q: str) -> None:
    one, two = ONE[p](D, tensor), TWO[q](D, tensor)
    ng.manual_seed(2)
    values = one.sample((20_000,))
    terms = (one.log_prob(values) - two.log_prob(values)).numpy()
    got = D.kl_divergence(one, two).detach().numpy()
    assert (np.abs(terms.mean(0) - got) < 6 * terms.std(0) / np.sqrt(20_000)).all()


@pytest.mark.parametrize("name", ["Normal", "Gamma", "Exponential", "Bernoulli", "Poisson"])
def test_the_formula_of_families_agrees(name: str) -> None:
    general = D.kl._KL_REGISTRY[D.ExponentialFamily, D.ExponentialFamily]
    one, two = TWO[name](D, tensor), ONE[name](D, tensor)
    if name == "Bernoulli":
        two = D.Bernoulli(tensor([0.2, 0.9]))
    got = general(one, two).detach().numpy()
    np.testing.assert_allclose(got, D.kl_divergence(one, two).numpy(), rtol=1e-9)


def test_of_itself_it_is_0_and_of_other_supports_infinite() -> None:
    for name, make in ONE.items():
        own = make(D, tensor)
        np.testing.assert_allclose(D.kl_divergence(own, own).detach().numpy(), 0, atol=1e-12, err_msg=name)
    unit, wide = D.Uniform(tensor(0.0), tensor(1.0)), D.Uniform(tensor(-1.0), tensor(1.0))
    even = D.ContinuousBernoulli(tensor(0.5))
    assert D.kl_divergence(unit, even).item() == pytest.approx(0, abs=1e-12)
    assert D.kl_divergence(even, unit).item() == pytest.approx(0, abs=1e-12)
    assert D.kl_divergence(wide, even).item() == np.inf
    assert D.kl_divergence(even, D.Uniform(tensor(0.1), tensor(1.0))).item() == np.inf
    assert D.kl_divergence(D.Bernoulli(tensor(0.5)), D.Bernoulli(tensor(0.0))).item() == np.inf
    assert D.kl_divergence(D.Bernoulli(tensor(0.0)), D.Bernoulli(tensor(0.0))).item() == 0
    infinite = D.kl_divergence(D.Normal(tensor([0.0, 1.0]), 1.0), D.Gamma(tensor([[1.0]]), 1.0))
    assert (infinite == np.inf).all()
    assert tuple(infinite.shape) == (1, 2)


def test_divergences_have_gradients() -> None:
    def kl(loc: Any, scale: Any, concentration: Any) -> Any:
        one = D.Gamma(concentration, scale)
        return D.kl_divergence(one, D.Normal(loc, scale)) + D.kl_divergence(D.Normal(loc, scale), D.Normal(0.0, 1.0))

    leaves = tuple(tensor(x).requires_grad_() for x in (0.3, 1.2, 2.5))
    assert ng.autograd.gradcheck(kl, leaves)


def test_the_most_specific_pair_is_taken() -> None:
    class Base(D.Normal):
        pass

    class Derived(Base):
        pass

    before = dict(D.kl._KL_REGISTRY)
    try:
        D.register_kl(Base, Base)(lambda p, q: 1)
        assert D.kl_divergence(Derived(0.0, 1.0), Derived(0.0, 1.0)) == 1
        assert D.kl_divergence(Base(0.0, 1.0), D.Normal(0.0, 1.0)).item() == 0
        D.register_kl(Base, Derived)(lambda p, q: 2)
        assert D.kl_divergence(Derived(0.0, 1.0), Derived(0.0, 1.0)) == 2
        D.register_kl(Derived, Base)(lambda p, q: 3)
        with pytest.warns(
            RuntimeWarning, match=r"Ambiguous kl_divergence\(Derived, Derived\). Please register_kl\(Derived, Der"
        ):
            assert D.kl_divergence(Derived(0.0, 1.0), Derived(0.0, 1.0)) == 3
        D.register_kl(Derived, Derived)(lambda p, q: 4)
        assert D.kl_divergence(Derived(0.0, 1.0), Derived(0.0, 1.0)) == 4
    finally:
        D.kl._KL_REGISTRY.clear()
        D.kl._KL_REGISTRY.update(before)
        D.kl._KL_MEMOIZE.clear()


REFUSED = {
    "no pair": lambda D, t: D.kl_divergence(D.Normal(t(0.0), t(1.0)), D.Bernoulli(t(0.5))),
    "families": lambda D, t: D.kl_divergence(D.Normal(t(0.0), t(1.0)), D.Poisson(t(0.5))),
    "counts": lambda D, t: D.kl_divergence(D.Binomial(2, t(0.5)), D.Binomial(3, t(0.5))),
    "events": lambda D, t: D.kl_divergence(
        D.MultivariateNormal(t([0.0]), t([[1.0]])), D.MultivariateNormal(t([0.0, 1.0]), t([[1.0, 0.0], [0.0, 1.0]]))
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, torch_says: Any) -> None:
    def question(module: Any, t: Any) -> Any:
        with pytest.raises(Exception) as refused:  # noqa: PT011
            REFUSED[name](module, t)
        return type(refused.value).__name__, " ".join(str(refused.value).split())

    want = torch_says(lambda torch: question(torch.distributions, of_torch(torch)))
    assert list(question(D, tensor)) == want


def test_no_class_of_distributions() -> None:
    with pytest.raises(TypeError, match="Expected type_p to be a Distribution subclass but got <class 'int'>"):
        D.register_kl(int, D.Normal)
    with pytest.raises(NotImplementedError, match="transforms of p and q differ"):
        D.kl_divergence(D.LogNormal(0.0, 1.0), D.Weibull(1.0, 1.0))
