"""What is refused, in torch's words; what is expanded, derived, and switched off."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.distributions.cases import ALL, of_torch, tensor, values_of

D = ng.distributions

REFUSED: dict[str, Any] = {
    "scale": lambda D, t: D.Normal(t([0.0, 1.0]), t([1.0, -1.0])),
    "loc": lambda D, t: D.Normal(t(float("nan")), t(1.0)),
    "one element": lambda D, t: D.Exponential(t([0.0])),
    "dependent": lambda D, t: D.Uniform(t([1.0, 0.0]), t([1.0, 1.0])),
    "probs": lambda D, t: D.Bernoulli(t([0.5, 1.5])),
    "both": lambda D, t: D.Bernoulli(t(0.5), t(0.5)),
    "none": lambda D, t: D.Categorical(),
    "no dimension": lambda D, t: D.Categorical(t(0.5)),
    "no dimension of logits": lambda D, t: D.Categorical(logits=t(0.5)),
    "negative": lambda D, t: D.Categorical(t([-0.5, 1.5])),
    "geometric 0": lambda D, t: D.Geometric(t([0.5, 0.0])),
    "clamped probs": lambda D, t: D.ContinuousBernoulli(t(1.5), validate_args=True),
    "count": lambda D, t: D.Binomial(t([1.5, 2.0]), t(0.5)),
    "counts": lambda D, t: D.Multinomial(t([1.0]), t([0.5, 0.5])),
    "dirichlet": lambda D, t: D.Dirichlet(t(1.0)),
    "concentration": lambda D, t: D.Dirichlet(t([1.0, 0.0])),
    "beta": lambda D, t: D.Beta(t(1.0), t(0.0)),
    "gamma": lambda D, t: D.Gamma(t(1.0), t(0.0)),
    "chi2": lambda D, t: D.Chi2(t(-1.0)),
    "dim": lambda D, t: D.LKJCholesky(1),
    "two matrices": lambda D, t: D.MultivariateNormal(t([0.0]), t([[1.0]]), t([[1.0]])),
    "no matrix": lambda D, t: D.MultivariateNormal(t([0.0])),
    "flat covariance": lambda D, t: D.MultivariateNormal(t([0.0]), t([1.0])),
    "flat triangle": lambda D, t: D.MultivariateNormal(t([0.0]), scale_tril=t([1.0])),
    "flat loc": lambda D, t: D.MultivariateNormal(t(0.0), t([[1.0]])),
    "not definite": lambda D, t: D.MultivariateNormal(t([0.0, 0.0]), t([[1.0, 2.0], [2.0, 1.0]])),
    "low rank loc": lambda D, t: D.LowRankMultivariateNormal(t(0.0), t([[1.0]]), t([1.0])),
    "low rank factor": lambda D, t: D.LowRankMultivariateNormal(t([0.0]), t([1.0]), t([1.0])),
    "low rank rows": lambda D, t: D.LowRankMultivariateNormal(t([0.0]), t([[1.0], [1.0]]), t([1.0])),
    "low rank diagonal": lambda D, t: D.LowRankMultivariateNormal(t([0.0]), t([[1.0]]), t([1.0, 1.0])),
    "low rank batches": lambda D, t: D.LowRankMultivariateNormal(
        t([[0.0], [0.0]]), t([[[1.0]], [[1.0]], [[1.0]]]), t([1.0])
    ),
    "wishart none": lambda D, t: D.Wishart(t(3.0)),
    "wishart flat": lambda D, t: D.Wishart(t(3.0), t([1.0])),
    "wishart df": lambda D, t: D.Wishart(0.5, t([[1.0, 0.0], [0.0, 1.0]])),
    "independent": lambda D, t: D.Independent(D.Normal(t([0.0]), t(1.0)), 2),
    "independent support": lambda D, t: D.Independent(D.Bernoulli(t([0.5])), 1).enumerate_support(),
    "counts of many": lambda D, t: D.Binomial(t([1.0, 2.0]), t(0.5)).entropy(),
    "support of many": lambda D, t: D.Binomial(t([1.0, 2.0]), t(0.5)).enumerate_support(),
    "mode": lambda D, t: D.LogisticNormal(t([0.0]), t([1.0])).mode,
    "sample": lambda D, t: D.Bernoulli(t(0.5)).rsample(),
    "value": lambda D, t: D.Exponential(t([1.0, 2.0])).log_prob(t([1.0, -1.0])),
    "value of cdf": lambda D, t: D.Exponential(t(1.0)).cdf(t(-1.0)),
    "number": lambda D, t: D.Normal(t(0.0), t(1.0)).log_prob(1.0),
    "shape": lambda D, t: D.Normal(t([0.0, 1.0]), t(1.0)).log_prob(t([1.0, 2.0, 3.0])),
    "event": lambda D, t: D.Dirichlet(t([1.0, 1.0])).log_prob(t([0.2, 0.3, 0.5])),
    "simplex": lambda D, t: D.Dirichlet(t([1.0, 1.0])).log_prob(t([0.2, 0.3])),
    "index": lambda D, t: D.Categorical(t([0.5, 0.5])).log_prob(t(2.0)),
    "mixture": lambda D, t: D.MixtureSameFamily(
        D.Categorical(t([0.5, 0.5])), D.Normal(t([0.0, 0.0, 0.0]), t(1.0))
    ),
    "default": lambda D, t: D.Distribution.set_default_validate_args("yes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_in_torchs_words(name: str, torch_says: Any) -> None:
    def question(module: Any, t: Any) -> list[str]:
        with pytest.raises(Exception) as refused:  # noqa: PT011
            REFUSED[name](module, t)
        text = re.sub(r"\b(torch|numgrad)\.", "", str(refused.value))
        return [type(refused.value).__name__, " ".join(text.split()).replace("( ", "(")]

    want = torch_says(lambda torch: question(torch.distributions, of_torch(torch)))
    got = question(D, tensor)
    assert got[0] == want[0]
    # torch's message about numbers of components lacks a space, the one about defaults says nothing.
    assert got[1] == want[1].replace("batch_shape[-1]`(", "batch_shape[-1]` (") or not want[1]


def test_checks_can_be_switched_off() -> None:
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    assert D.Exponential(1.0, validate_args=False).log_prob(ng.tensor(-1.0)).item() == 1
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Normal(0.0, -1.0).scale.item() == -1
        with pytest.raises(ValueError, match="Expected parameter scale"):
            D.Normal(0.0, -1.0, validate_args=True)
    finally:
        D.Distribution.set_default_validate_args(True)


def test_expanded_distributions_check_as_before() -> None:
    checked = D.Exponential(1.0).expand((2,))
    with pytest.raises(ValueError, match="to be within the support"):
        checked.log_prob(ng.tensor(-1.0))
    assert D.Exponential(1.0, validate_args=False).expand((2,)).log_prob(ng.tensor(-1.0)).tolist() == [1, 1]


@pytest.mark.parametrize("name", ALL)
def test_copies_and_pickles_are_alike(name: str) -> None:
    distribution = ALL[name].make(D, tensor)
    values = values_of(distribution)
    log_prob = distribution.log_prob(values)  # for which some compute their logits
    for twin in (copy.deepcopy(distribution), pickle.loads(pickle.dumps(distribution))):
        assert repr(twin) == repr(distribution)
        assert twin.log_prob(values).tolist() == log_prob.tolist()
        assert values_of(twin).tolist() == values.tolist()


@pytest.mark.parametrize("name", ALL)
def test_gradients_pass_through_expanded_parameters(name: str) -> None:
    leaves: list[Any] = []

    def leaf(values: Any) -> Any:
        leaves.append(tensor(values).requires_grad_())
        return leaves[-1]

    wide = ALL[name].make(D, leaf)
    wide = wide.expand((3, *wide.batch_shape))
    wide.log_prob(wide.sample()).sum().backward()
    assert any(each.grad is not None for each in leaves)


def test_classes_of_ones_own() -> None:
    class Shifted(D.Normal):
        """Without an ``__init__`` of its own."""

    assert type(Shifted(0.0, 1.0).expand((2,))) is Shifted

    class Unit(D.Normal):
        def __init__(self, loc: Any) -> None:
            super().__init__(loc, 1.0)

    with pytest.raises(
        NotImplementedError, match=r"Subclass Unit of Normal that defines a custom __init__ method must also"
    ):
        Unit(0.0).expand((2,))

    class Log(D.LogNormal):
        def __init__(self) -> None:
            super().__init__(0.0, 1.0)

    with pytest.raises(NotImplementedError, match="Subclass Log of LogNormal that defines"):
        Log().expand((2,))

    class Bare(D.Distribution):
        def log_prob(self, value: Any) -> Any:
            self._validate_sample(value)
            return value * 0

    with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
        bare = Bare()
    with pytest.warns(UserWarning, match="does not define `support`"):
        bare.log_prob(ng.zeros(()))
    for question in (
        lambda: bare.mean, lambda: bare.mode, lambda: bare.variance, lambda: bare.support, lambda: bare.sample(),
        lambda: bare.cdf(0), lambda: bare.icdf(0), lambda: bare.entropy(), lambda: bare.enumerate_support(),
        lambda: bare.expand((2,)), lambda: bare.arg_constraints,
    ):  # fmt: skip
        with pytest.raises(NotImplementedError):
            question()
    with pytest.warns(FutureWarning, match="sample_n"):
        assert tuple(D.Normal(0.0, 1.0).sample_n(3).shape) == (3,)


def test_singular_samples_are_drawn_again() -> None:
    eye = ng.eye(3)
    with pytest.warns(UserWarning, match="Low df values detected"):
        low = D.Wishart(2.0001, eye)
    ng.manual_seed(0)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        drawn = low.sample((50,))
    assert D.constraints.positive_definite.check(drawn).float().mean() > 0.5


def test_a_policy_learns() -> None:
    """REINFORCE and the path derivative, as torch's documentation has them."""
    ng.manual_seed(0)
    logits = ng.zeros(3, requires_grad=True)
    policy = D.Categorical(logits=logits)
    actions = policy.sample((4000,))
    rewards = (actions == 1).float()
    (-(policy.log_prob(actions) * rewards).mean()).backward()
    np.testing.assert_allclose(logits.grad.numpy(), [1 / 9, -2 / 9, 1 / 9], atol=0.03)
    loc = ng.zeros((), requires_grad=True)
    D.Normal(loc, 1.0).rsample((4000,)).pow(2).mean().backward()
    assert abs(loc.grad.item()) < 0.15


def test_many_examples() -> None:
    """`vmap` draws for each example, and checks the parameters of all."""
    rates = ng.tensor([0.5, 2.0, 7.0])
    for make in (
        D.Exponential,
        lambda x: D.Normal(x, x),
        lambda x: D.Gamma(x, 1.0),
        lambda x: D.Laplace(x, x),
        D.Poisson,
    ):
        log_probs = ng.func.vmap(lambda x, make=make: make(x).log_prob(ng.tensor([1.0, 2.0])))(rates)
        want = make(rates.unsqueeze(-1)).log_prob(ng.tensor([1.0, 2.0]))
        np.testing.assert_allclose(log_probs.numpy(), want.numpy(), rtol=1e-5)
    for make in (D.Exponential, lambda x: D.Cauchy(x, x), lambda x: D.Beta(x, 2.0), lambda x: D.StudentT(x)):
        drawn = ng.func.vmap(lambda x, make=make: make(x).rsample((2,)), randomness="different")(rates)
        assert tuple(drawn.shape) == (3, 2)
        assert len(set(drawn.ravel().tolist())) == 6
    with pytest.raises((ValueError, RuntimeError)):
        ng.func.vmap(lambda x: D.Exponential(x).mean)(ng.tensor([1.0, -1.0]))
    grads = ng.func.vmap(ng.func.grad(lambda x: D.kl_divergence(D.Normal(x, 1.0), D.Normal(0.0, 1.0))))(rates)
    np.testing.assert_allclose(grads.numpy(), rates.numpy(), rtol=1e-6)
