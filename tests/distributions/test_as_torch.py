"""Every distribution of the table against torch: numbers, shapes, texts, and what there is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.distributions.cases import ALL, COUNTS, of_torch, tensor, values_of

D = ng.distributions
PROPERTIES = ("mean", "mode", "variance", "stddev")
DIGITS = {"VonMises": 1e-6, "Multinomial": 1e-6}  # parts of torch's are of single precision
# What torch has wrong: says that there is no rsample, where there is one; gives NaN; refuses float64.
UNTRUE = {("LogitRelaxedBernoulli", "has_rsample"), ("Kumaraswamy", "mode")}
REFUSES = {"GeneralizedPareto"}


def asked(question: Any) -> Any:
    try:
        return question()
    except NotImplementedError:
        return NotImplementedError


def same(name: str, got: Any, want: Any) -> None:
    if want is NotImplementedError or got is NotImplementedError:
        assert got is want
        return
    assert tuple(got.shape) == tuple(want.shape)
    tolerance = DIGITS.get(name, 1e-9)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=tolerance, atol=tolerance)


def text(value: Any) -> str:
    return repr(value).replace("torch.", "numgrad.")


@pytest.mark.parametrize("name", ALL)
def test_numbers(name: str, torch: Any) -> None:
    ours, theirs = ALL[name].make(D, tensor), ALL[name].make(torch.distributions, of_torch(torch))
    for each in PROPERTIES:
        if (name, each) in UNTRUE:
            continue
        same(name, asked(lambda each=each: getattr(ours, each)), asked(lambda each=each: getattr(theirs, each)))
    for each in ("entropy", "perplexity"):
        same(name, asked(lambda each=each: getattr(ours, each)()), asked(lambda each=each: getattr(theirs, each)()))
    values = values_of(ours)
    its = torch.tensor(values.numpy())
    if name in REFUSES:
        return
    same(name, ours.log_prob(values), theirs.log_prob(its))
    same(name, asked(lambda: ours.cdf(values)), asked(lambda: theirs.cdf(its)))
    chances = [0.1, 0.7]
    same(name, asked(lambda: ours.icdf(tensor(chances))), asked(lambda: theirs.icdf(of_torch(torch)(chances))))
    for expand in (True, False):
        same(
            name,
            asked(lambda expand=expand: ours.enumerate_support(expand)),
            asked(lambda expand=expand: theirs.enumerate_support(expand)),
        )


# torch says so of samples that are not.
@pytest.mark.filterwarnings("ignore:Singular sample detected:UserWarning:torch")
@pytest.mark.parametrize("name", ALL)
def test_shapes_and_texts(name: str, torch: Any) -> None:
    ours, theirs = ALL[name].make(D, tensor), ALL[name].make(torch.distributions, of_torch(torch))
    for each in ("batch_shape", "event_shape", "has_rsample", "has_enumerate_support", "support"):
        assert (name, each) in UNTRUE or text(getattr(ours, each)) == text(getattr(theirs, each)), each
    assert text(ours) == text(theirs)
    assert text(ours.arg_constraints) == text(theirs.arg_constraints)
    for shape in ((), (2,), (2, 3)):
        assert tuple(ours.sample(shape).shape) == tuple(theirs.sample(shape).shape)
        assert ours.sample(shape).dtype == ng.float64 or name.startswith("Categorical")
    wider = (4, *ours.batch_shape)
    one, two = ours.expand(wider), theirs.expand(wider)
    assert text(one) == text(two)
    assert (tuple(one.batch_shape), tuple(one.event_shape)) == (wider, tuple(ours.event_shape))
    values = values_of(one)
    assert tuple(values.shape) == (3, *wider, *ours.event_shape)
    np.testing.assert_allclose(one.log_prob(values).numpy(), ours.log_prob(values).numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", COUNTS)
def test_probabilities_of_all_values_are_1(name: str) -> None:
    distribution = COUNTS[name].make(D, tensor)
    if not distribution.has_enumerate_support:
        values = ng.arange(200, dtype=ng.float64).unsqueeze(-1)
    else:
        values = distribution.enumerate_support()
    total = distribution.log_prob(values).exp().sum(0)
    np.testing.assert_allclose(total.numpy(), 1, rtol=1e-12)


def test_names_and_module_paths(torch: Any) -> None:
    import importlib
    import pkgutil

    theirs = torch.distributions
    assert set(theirs.__all__) <= set(D.__all__)
    for module in pkgutil.iter_modules(theirs.__path__):
        name = module.name
        ours = importlib.import_module(f"numgrad.distributions.{name}")
        its = importlib.import_module(f"torch.distributions.{name}")
        assert not [each for each in its.__all__ if not hasattr(ours, each)], name


def test_arguments_are_torchs(torch: Any) -> None:
    import inspect

    for name in D.__all__:
        ours, theirs = getattr(D, name), getattr(torch.distributions, name, None)
        if isinstance(ours, type) and theirs is not None:
            one, two = (list(inspect.signature(each.__init__).parameters.values()) for each in (ours, theirs))
            assert [p.name for p in one] == [p.name for p in two], name
            assert all(
                p.default == q.default or {str(p.default), str(q.default)} <= {"()", "torch.Size([])"}
                for p, q in zip(one, two, strict=True)
            ), name
