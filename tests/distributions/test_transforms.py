"""Transforms: inverses, Jacobians by finite differences, shapes, caches, what is equal; registries; helpers."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.distributions.cases import of_torch, tensor

D = ng.distributions
C = D.constraints

# Each with an argument: a row of numbers, vectors or matrices.
TRANSFORMS: dict[str, tuple[Any, Any]] = {
    "Exp": (lambda D, t: D.ExpTransform(), [0.3, -1.2]),
    "Power": (lambda D, t: D.PowerTransform(t([2.0, -0.5])), [0.3, 1.2]),
    "Sigmoid": (lambda D, t: D.SigmoidTransform(), [0.3, -1.2]),
    "Softplus": (lambda D, t: D.transforms.SoftplusTransform(), [0.3, -1.2]),
    "Tanh": (lambda D, t: D.TanhTransform(), [0.3, -1.2]),
    "Affine": (lambda D, t: D.AffineTransform(t([1.0, -1.0]), t([2.0, -3.0])), [0.3, -1.2]),
    "Affine-numbers": (lambda D, t: D.AffineTransform(1.0, -2.0), [0.3, -1.2]),
    "Affine-vectors": (lambda D, t: D.AffineTransform(t([1.0, -1.0]), t([2.0, -3.0]), event_dim=1), [0.3, -1.2]),
    "Abs": (lambda D, t: D.AbsTransform(), [0.3, 1.2]),
    "Cdf": (lambda D, t: D.CumulativeDistributionTransform(D.Normal(t(0.5), t(2.0))), [0.3, -1.2]),
    "Compose": (lambda D, t: D.ComposeTransform([D.AffineTransform(1.0, t([2.0, 3.0])), D.ExpTransform()]), [0.3, -1.2]),
    "Compose-vectors": (
        lambda D, t: D.ComposeTransform([D.StickBreakingTransform(), D.ExpTransform().inv, D.AffineTransform(0.0, 2.0)]),
        [0.3, -1.2],
    ),
    "Identity": (lambda D, t: D.identity_transform, [0.3, -1.2]),
    "Independent": (lambda D, t: D.IndependentTransform(D.ExpTransform(), 1), [0.3, -1.2]),
    "Reshape": (lambda D, t: D.ReshapeTransform((4,), (2, 2)), [0.3, -1.2, 0.1, 2.0]),
    "Softmax": (lambda D, t: D.SoftmaxTransform(), [0.3, -1.2]),
    "StickBreaking": (lambda D, t: D.StickBreakingTransform(), [0.3, -1.2]),
    "CorrCholesky": (lambda D, t: D.CorrCholeskyTransform(), [0.3, -1.2, 0.4]),
    "LowerCholesky": (lambda D, t: D.LowerCholeskyTransform(), [[0.3, 0.0], [-1.2, 0.4]]),
    "PositiveDefinite": (lambda D, t: D.PositiveDefiniteTransform(), [[0.3, 0.0], [-1.2, 0.4]]),
    "Cat": (
        lambda D, t: D.CatTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)], dim=-1, lengths=[1, 2]),
        [0.3, -1.2, 0.4],
    ),
    "Cat-vectors": (
        lambda D, t: D.CatTransform(
            [D.IndependentTransform(D.ExpTransform(), 1), D.AffineTransform(1.0, 2.0)], dim=-1, lengths=[1, 2]
        ),
        [0.3, -1.2, 0.4],
    ),
    "Stack": (lambda D, t: D.StackTransform([D.ExpTransform(), D.TanhTransform()], dim=-1), [[0.3, -1.2], [0.1, 0.2]]),
}  # fmt: skip
BACK_ONLY = {"Softmax", "Abs"}
WITHOUT_JACOBIAN = {"Abs", "Softmax", "LowerCholesky", "PositiveDefinite"}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_inverses_shapes_and_texts(name: str, torch: Any) -> None:
    make, argument = TRANSFORMS[name]
    ours, theirs, x = make(D, tensor), make(torch.distributions, of_torch(torch)), tensor(argument)
    y, z = ours(x), theirs(of_torch(torch)(argument))
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ours(ours.inv(y)).numpy(), y.numpy(), rtol=1e-10, atol=1e-12)
    if name not in BACK_ONLY:
        np.testing.assert_allclose(ours.inv(y).numpy(), x.numpy(), rtol=1e-10, atol=1e-12)
    assert tuple(ours.forward_shape(x.shape)) == tuple(y.shape)
    assert tuple(ours.inverse_shape(y.shape)) == tuple(x.shape)
    assert ours.inv.inv is ours
    assert (ours.bijective, ours.inv.bijective) == (theirs.bijective, theirs.inv.bijective)
    for one, two in ((ours.domain, theirs.domain), (ours.codomain, theirs.codomain), (ours, theirs)):
        assert repr(one).replace("numgrad.", "") == repr(two).replace("torch.", "")
    if name != "Cat-vectors":  # parts of different ranks, which neither can join
        assert ours.codomain.check(y).all()
    try:
        assert np.asarray(ours.sign).tolist() == np.asarray(theirs.sign).tolist()
    except NotImplementedError:
        with pytest.raises(NotImplementedError):
            theirs.sign


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name not in WITHOUT_JACOBIAN])
def test_jacobians(name: str, torch: Any) -> None:
    make, argument = TRANSFORMS[name]
    transform, x = make(D, tensor), tensor(argument)
    y = transform(x)
    got = transform.log_abs_det_jacobian(x, y)
    want = make(torch.distributions, of_torch(torch)).log_abs_det_jacobian(
        of_torch(torch)(argument), torch.tensor(y.numpy())
    )
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-9)
    np.testing.assert_allclose(transform.inv.log_abs_det_jacobian(y, x).numpy(), -want.numpy(), rtol=1e-9)

    def coordinates(flat: np.ndarray) -> np.ndarray:
        """Of the results as many as there are arguments: those of a simplex but for the last, those of a triangle."""
        value = transform(tensor(flat.reshape(x.shape))).numpy()
        if name == "CorrCholesky":
            return value[np.tril_indices(3, -1)]
        return value.ravel()[: flat.size]

    flat = np.array(argument).ravel()
    steps = 1e-5 * np.eye(flat.size)
    numeric = np.stack([(coordinates(flat + s) - coordinates(flat - s)) / 2e-5 for s in steps], 1)
    if name == "Compose-vectors":
        return  # two more transforms of all three elements: no determinant, torch's value is what there is
    if got.dim() == 0:
        np.testing.assert_allclose(got.item(), np.linalg.slogdet(numeric)[1], rtol=1e-6, atol=1e-9)
    else:
        np.testing.assert_allclose(got.numpy().ravel(), np.log(np.abs(np.diag(numeric))), rtol=1e-6, atol=1e-9)


def test_caches() -> None:
    for name, (make, argument) in TRANSFORMS.items():
        if name in ("Identity",):
            continue
        cached, x = make(D, tensor).with_cache(), tensor(argument)
        y = cached(x)
        assert cached.inv(y) is x, name
        if not name.startswith("Compose"):
            assert cached(x) is y, name
        assert cached.with_cache() is cached
        assert cached.with_cache(0)._cache_size == 0
    with pytest.raises(ValueError, match="cache_size must be 0 or 1"):
        D.ExpTransform(cache_size=2)
    assert pickle.loads(pickle.dumps(D.ExpTransform())) == D.ExpTransform()


def test_equality_is_torchs(torch: Any) -> None:
    def table(D: Any, t: Any) -> list[list[bool]]:
        transforms = [
            D.ExpTransform(), D.ExpTransform(), D.ExpTransform().inv, D.AffineTransform(0.0, 1.0), D.AffineTransform(0, 1),
            D.AffineTransform(t([0.0, 0.0]), 1.0), D.AffineTransform(0.0, 2.0), D.PowerTransform(t(2.0)),
            D.PowerTransform(t(2.0)), D.PowerTransform(t(3.0)), D.ComposeTransform([D.ExpTransform()]),
            D.ComposeTransform([D.ExpTransform()]), D.ComposeTransform([]), D.SigmoidTransform(), D.TanhTransform(),
        ]  # fmt: skip
        return [[bool(one == two) for two in transforms] for one in transforms]

    assert table(D, tensor) == table(torch.distributions, of_torch(torch))


@pytest.mark.parametrize(
    "call",
    [
        lambda D, t: D.ReshapeTransform((2,), (3,)),
        lambda D, t: D.ReshapeTransform((2,), (1, 2)).forward_shape((3,)),
        lambda D, t: D.ReshapeTransform((2, 1), (1, 2)).forward_shape((2,)),
        lambda D, t: D.IndependentTransform(D.ExpTransform(), 2)(t([1.0])),
        lambda D, t: D.StickBreakingTransform().forward_shape(()),
        lambda D, t: D.CorrCholeskyTransform().forward_shape((2,)),
        lambda D, t: D.CorrCholeskyTransform().inverse_shape((2, 3)),
        lambda D, t: D.CatTransform([D.ExpTransform()], lengths=[1, 2]),
        lambda D, t: D.CatTransform([D.ExpTransform()], lengths=[2])(t([1.0])),
        lambda D, t: D.CatTransform([D.ExpTransform()], dim=1)(t([1.0])),
        lambda D, t: D.StackTransform([D.ExpTransform()], dim=0)(t([1.0, 2.0])),
        lambda D, t: D.StackTransform([1]),
        lambda D, t: D.StickBreakingTransform().event_dim + D.ReshapeTransform((2,), (1, 2)).event_dim,
        lambda D, t: D.constraints.independent(D.constraints.real, -1),
        lambda D, t: D.constraints.independent(D.constraints.real, 2).check(t([1.0])),
        lambda D, t: D.constraints.dependent.check(t([1.0])),
        lambda D, t: D.constraints.dependent.event_dim,
        lambda D, t: D.constraints.cat([D.constraints.real], 1).check(t([1.0])),
        lambda D, t: D.biject_to(D.constraints.boolean),
        lambda D, t: D.biject_to.register(3, abs),
        lambda D, t: D.utils.vec_to_tril_matrix(t([1.0, 2.0])),
        lambda D, t: D.utils.tril_matrix_to_vec(t([[1.0, 2.0], [3.0, 4.0]]), 2),
        lambda D, t: D.TransformedDistribution(D.Normal(t(0.0), t(1.0)), [3]),
        lambda D, t: D.TransformedDistribution(D.Normal(t(0.0), t(1.0)), 3),
        lambda D, t: D.TransformedDistribution(D.Normal(t(0.0), t(1.0)), D.StickBreakingTransform()),
    ],
)  # fmt: skip
def test_refusals_are_torchs(call: Any, torch: Any) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        call(torch.distributions, of_torch(torch))
    with pytest.raises(type(theirs.value)) as ours:
        call(D, tensor)
    assert str(ours.value).replace("numgrad.", "torch.") == str(theirs.value)


# ---- constraints and registries --------------------------------------------------------------------------------------

CONSTRAINTS: dict[str, tuple[Any, Any]] = {
    "boolean": (lambda C, t: C.boolean, [0.0, 1.0, 0.5]),
    "one_hot": (lambda C, t: C.one_hot, [[0.0, 1.0], [1.0, 1.0], [0.5, 0.5]]),
    "nonnegative_integer": (lambda C, t: C.nonnegative_integer, [0.0, 3.0, 0.5, -1.0]),
    "positive_integer": (lambda C, t: C.positive_integer, [0.0, 3.0, 0.5, -1.0]),
    "integer_interval": (lambda C, t: C.integer_interval(0, t([2.0, 3.0])), [[0.0, 3.0], [3.0, 1.5], [-1.0, 4.0]]),
    "real": (lambda C, t: C.real, [0.0, float("nan"), float("inf")]),
    "real_vector": (lambda C, t: C.real_vector, [[0.0, 1.0], [float("nan"), 1.0]]),
    "positive": (lambda C, t: C.positive, [0.0, 1.0, float("nan")]),
    "nonnegative": (lambda C, t: C.nonnegative, [0.0, -1.0]),
    "greater_than": (lambda C, t: C.greater_than(1.0), [0.0, 1.0, 2.0]),
    "greater_than_eq": (lambda C, t: C.greater_than_eq(1), [0.0, 1.0, 2.0]),
    "less_than": (lambda C, t: C.less_than(1.0), [0.0, 1.0, 2.0]),
    "interval": (lambda C, t: C.interval(-1.0, 2.0), [-1.0, 2.0, 3.0]),
    "half_open_interval": (lambda C, t: C.half_open_interval(-1.0, 2.0), [-1.0, 2.0, 3.0]),
    "unit_interval": (lambda C, t: C.unit_interval, [0.0, 1.0, 1.1]),
    "multinomial": (lambda C, t: C.multinomial(3), [[1.0, 2.0], [2.0, 2.0], [-1.0, 2.0]]),
    "simplex": (lambda C, t: C.simplex, [[0.3, 0.7], [1.5, -0.5], [0.5, 0.6]]),
    "lower_triangular": (lambda C, t: C.lower_triangular, [[[1.0, 0.0], [2.0, -1.0]], [[1.0, 1.0], [2.0, 1.0]]]),
    "lower_cholesky": (lambda C, t: C.lower_cholesky, [[[1.0, 0.0], [2.0, -1.0]], [[1.0, 0.0], [2.0, 1.0]]]),
    "corr_cholesky": (lambda C, t: C.corr_cholesky, [[[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [0.5, 0.5]]]),
    "square": (lambda C, t: C.square, [[[1.0, 0.0], [0.6, 0.8]]]),
    "not square": (lambda C, t: C.symmetric, [[[1.0, 0.0, 1.0], [0.6, 0.8, 1.0]]]),
    "symmetric": (lambda C, t: C.symmetric, [[[1.0, 0.5], [0.5, 0.8]], [[1.0, 0.5], [0.4, 0.8]]]),
    "positive_definite": (lambda C, t: C.positive_definite, [[[1.0, 0.5], [0.5, 0.8]], [[1.0, 2.0], [2.0, 1.0]]]),
    "positive_semidefinite": (
        lambda C, t: C.positive_semidefinite, [[[1.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]]],
    ),
    "cat": (lambda C, t: C.cat([C.positive, C.unit_interval], -1, [1, 2]), [1.0, 2.0, 0.5]),
    "stack": (lambda C, t: C.stack([C.positive, C.unit_interval], -1), [[1.0, 2.0], [0.5, -1.0]]),
    "independent": (lambda C, t: C.independent(C.positive, 1), [[1.0, 2.0], [0.5, -1.0]]),
    "mixture": (lambda C, t: C.MixtureSameFamilyConstraint(C.positive), [1.0, -1.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints(name: str, torch: Any) -> None:
    make, argument = CONSTRAINTS[name]
    ours, theirs = make(C, tensor), make(torch.distributions.constraints, of_torch(torch))
    got, want = ours.check(tensor(argument)), theirs.check(of_torch(torch)(argument))
    assert (got.tolist(), got.dtype) == (want.tolist(), ng.bool)
    assert (ours.event_dim, ours.is_discrete) == (theirs.event_dim, theirs.is_discrete)
    assert repr(ours) == repr(theirs).replace("torch.", "numgrad.")
    for ours_to, theirs_to in (
        (D.biject_to, torch.distributions.biject_to),
        (D.transform_to, torch.distributions.transform_to),
    ):
        try:
            expected = repr(theirs_to(theirs))
        except NotImplementedError as error:
            with pytest.raises(NotImplementedError) as refused:
                ours_to(ours)
            assert str(refused.value) == str(error)  # noqa: PT017
        else:
            transform = ours_to(ours)
            assert repr(transform) == expected
            rank = transform.domain.event_dim
            x = ng.randn(*((2, 2, 3)[-max(rank, 1) :] if rank < 2 else (2, 2)), dtype=ng.float64)
            if not name.startswith(("cat", "stack")) and name != "integer_interval":
                assert ours.check(transform(x)).all()


def test_dependent_properties() -> None:
    assert C.is_dependent(D.Uniform.support)
    assert not C.is_dependent(D.Normal.support)
    assert (D.Uniform.support.event_dim, D.Binomial.support.is_discrete) == (0, True)
    with pytest.raises(NotImplementedError, match="cannot be determined statically"):
        D.Independent.support.event_dim
    assert C.dependent(event_dim=2).event_dim == 2


def test_lazy_properties_are_recorded() -> None:
    probs = tensor([0.2, 0.5]).requires_grad_()
    distribution = D.Bernoulli(probs)
    with ng.no_grad():
        logits = distribution.logits
    assert logits.requires_grad
    assert distribution.logits is logits
    assert isinstance(D.Bernoulli.logits, D.utils.lazy_property)


def test_triangles(torch: Any) -> None:
    for diag in (-2, -1, 0, 1):
        matrix = np.arange(18.0).reshape(2, 3, 3)
        got = D.utils.tril_matrix_to_vec(ng.tensor(matrix), diag)
        want = torch.distributions.utils.tril_matrix_to_vec(torch.tensor(matrix), diag)
        assert got.tolist() == want.tolist()
        if diag <= 0:
            back = D.utils.vec_to_tril_matrix(got, diag)
            assert back.tolist() == torch.distributions.utils.vec_to_tril_matrix(want, diag).tolist()


def test_broadcasting_of_arguments() -> None:
    _, two = D.utils.broadcast_all(tensor([1.0, 2.0]), 3)
    assert (two.tolist(), two.dtype) == ([3.0, 3.0], ng.float64)
    with pytest.raises(ValueError, match="Input arguments must all be instances of Number"):
        D.utils.broadcast_all("one")
    with pytest.raises(RuntimeError):
        D.Normal(ng.zeros(2), ng.ones(3))
