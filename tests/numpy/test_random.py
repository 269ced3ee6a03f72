"""`numgrad.numpy.random`: the numbers are NumPy's, and samples are differentiable by the parameters that can be written so."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import numgrad as ng
import numgrad.numpy as np
from numgrad.numpy import random

# Arguments of every method but those in `WITH_GRADIENT`.
ARGUMENTS: dict[str, Any] = {
    "beta": (2.0, 3.0, 4), "binomial": (5, 0.3, 4), "bytes": (3,), "chisquare": (2.0, 3), "dirichlet": ([1.0, 2.0], 3),
    "f": (3.0, 4.0, 3), "geometric": (0.4, 3), "hypergeometric": (5, 4, 3, 4), "integers": (0, 9, 5), "logseries": (0.5, 3),
    "multinomial": (5, [0.2, 0.8], 3), "multivariate_hypergeometric": ([3, 4], 2, 3), "negative_binomial": (3, 0.4, 3),
    "noncentral_chisquare": (2.0, 1.0, 3), "noncentral_f": (3.0, 4.0, 1.0, 3), "poisson": (2.5, 4), "rand": (2, 3),
    "randint": (0, 9, 5), "randn": (2, 3), "random": (3,), "random_sample": (3,), "standard_cauchy": (3,),
    "standard_exponential": (3,), "standard_gamma": (2.0, 3), "standard_normal": (3,), "standard_t": (4.0, 3),
    "triangular": (0.0, 0.5, 1.0, 3), "vonmises": (0.0, 1.0, 3), "wald": (1.0, 2.0, 3), "zipf": (2.5, 3), "choice": (9, 4),
    "permutation": (5,), "permuted": (numpy.arange(6.0),), "seed": (3,),
}  # fmt: skip
WITH_GRADIENT: dict[str, Any] = {
    "normal": (0.5, 2.0), "laplace": (0.5, 2.0), "logistic": (0.5, 2.0), "gumbel": (0.5, 2.0), "uniform": (0.5, 2.0),
    "lognormal": (0.5, 0.3), "exponential": (1.5,), "rayleigh": (1.5,), "weibull": (1.5,), "pareto": (2.5,), "power": (1.5,),
}  # fmt: skip
IN_PLACE = {"shuffle"}
SPECIAL = {"gamma", "multivariate_normal"}


def sources(name: str) -> list[tuple[Any, Any]]:
    pairs = []
    if hasattr(numpy.random.Generator, name):
        pairs.append((np.random.default_rng(5), numpy.random.default_rng(5)))
    if hasattr(numpy.random, name):
        pairs.append((np.random, numpy.random))
    return pairs


def test_every_method_is_in_a_table() -> None:
    assert set(random._METHODS) == {*ARGUMENTS, *WITH_GRADIENT, *IN_PLACE, *SPECIAL}
    theirs = {n for n in dir(numpy.random.Generator) if not n.startswith("_")}
    assert theirs - set(dir(np.random.Generator)) == set()


@pytest.mark.parametrize("name", [*ARGUMENTS, *WITH_GRADIENT])
def test_numbers_are_numpys(name: str) -> None:
    for mine, theirs in sources(name):
        arguments = ARGUMENTS.get(name) or (*WITH_GRADIENT[name], 6)
        numpy.random.seed(3)
        drawn = getattr(mine, name)(*arguments)
        numpy.random.seed(3)
        numpy.testing.assert_array_equal(drawn, getattr(theirs, name)(*arguments))


@pytest.mark.parametrize("name", WITH_GRADIENT)
@pytest.mark.parametrize("of_generator", [True, False])
def test_samples_move_with_their_parameters(name: str, of_generator: bool) -> None:
    def total(*parameters: Any, np: Any = np) -> Any:
        numpy.random.seed(3)
        source = np.random.default_rng(3) if of_generator else np.random
        return np.sum(getattr(source, name)(*parameters, size=(2, 3)) * numpy.array([1.0, -2.0, 0.5]))

    parameters = WITH_GRADIENT[name]
    value, gradients = ng.value_and_grad(total, tuple(range(len(parameters))))(*parameters)
    assert value == pytest.approx(total(*parameters, np=numpy), rel=1e-12)
    for n, gradient in enumerate(gradients):
        ends = [total(*(p + s * 1e-6 * (n == i) for i, p in enumerate(parameters)), np=numpy) for s in (1, -1)]
        assert gradient == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_gamma_and_vectors_of_normal_numbers() -> None:
    scale = ng.grad(lambda s: np.sum(np.random.default_rng(3).gamma(2.0, s, size=4)))(1.5)
    assert scale == pytest.approx(numpy.random.default_rng(3).gamma(2.0, 1.0, 4).sum())
    mean, cov = numpy.array([1.0, 2.0]), numpy.eye(2)
    drawn, gradient = ng.value_and_grad(lambda m: np.sum(np.random.default_rng(3).multivariate_normal(m, cov, 3) ** 2))(
        mean
    )
    theirs = numpy.random.default_rng(3).multivariate_normal(mean, cov, 3)
    assert drawn == pytest.approx((theirs**2).sum())
    numpy.testing.assert_allclose(gradient, 2 * theirs.sum(0))
    for call in (
        lambda a: np.random.default_rng(0).gamma(a), lambda a: np.random.default_rng(0).poisson(a),
        lambda a: np.random.default_rng(0).multivariate_normal(mean, cov * a),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="requires a gradient, which this function does not have by it"):
            ng.grad(lambda a, call=call: np.sum(call(a)))(2.0)


def test_elements_are_chosen_and_shuffled_with_their_history() -> None:
    x = numpy.array([1.0, 2.0, 3.0, 4.0])
    for name, arguments in (("choice", (6,)), ("permutation", ()), ("permuted", ())):
        theirs = getattr(numpy.random.default_rng(4), name)(x, *arguments)
        mine = getattr(np.random.default_rng(4), name)(np.array(x), *arguments)
        numpy.testing.assert_array_equal(mine, theirs)
        gradient = ng.grad(lambda v, n=name, a=arguments: np.sum(getattr(np.random.default_rng(4), n)(v, *a) ** 2))(x)
        numpy.testing.assert_array_equal(gradient, [2 * v * (theirs == v).sum() for v in x])
    shuffled, order = np.array(x), x.copy()
    np.random.default_rng(4).shuffle(shuffled)
    numpy.random.default_rng(4).shuffle(order)
    numpy.testing.assert_array_equal(shuffled, order)
    assert [child.random().shape for child in np.random.default_rng(1).spawn(2)] == [(), ()]
