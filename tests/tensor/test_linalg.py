"""`numgrad.linalg` and its older names: values by NumPy and torch, derivatives of two orders, batches, refusals."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng

rng = np.random.default_rng(11)


def around(*shape: int) -> np.ndarray:
    """Matrices with distinct singular values, far from singular ones."""
    m, n = shape[-2:]
    return rng.normal(size=shape) * 0.3 + np.eye(m, n) * np.linspace(2.0, 4.0, m)[:, None]


A, B, BATCH = around(3, 3), rng.normal(size=(3, 2)), around(2, 3, 3)
TALL, WIDE, LOW = around(4, 3), around(2, 3), np.tril(around(3, 3))
X, Y = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))


def definite(x: Any) -> Any:
    return x @ x.mT


def whole(u: Any, s: Any, vh: Any) -> tuple[Any, ...]:
    """What does not depend on signs of singular vectors."""
    return (u * s[..., None, :]) @ vh, s, u**2, vh**2


# label: (a function of a library and tensors, arrays, the same in NumPy or None); all results are differentiable.
Call = Callable[..., Any]
CALLS: dict[str, tuple[Call, tuple[np.ndarray, ...], Call | None]] = {
    "solve": (lambda t, a, b: t.linalg.solve(a, b), (A, B), np.linalg.solve),
    "solve a vector": (lambda t, a, b: t.linalg.solve(a, b), (A, B[:, 0]), np.linalg.solve),
    "solve vectors": (lambda t, a, b: t.linalg.solve(a, b), (BATCH, X), None),
    "solve, broadcast": (lambda t, a, b: t.linalg.solve(a, b), (BATCH, B), np.linalg.solve),
    "solve from the right": (lambda t, a, b: t.linalg.solve(a, b, left=False), (A, B.T), lambda a, b: b @ np.linalg.inv(a)),
    "solve_ex": (lambda t, a, b: t.linalg.solve_ex(a, b).result, (A, B), np.linalg.solve),
    **{
        f"solve_triangular {upper} {left} {unit}": (
            lambda t, a, b, u=upper, le=left, un=unit: t.linalg.solve_triangular(a, b, upper=u, left=le, unitriangular=un),
            (BATCH, B if left else B.T.copy()), None,
        )
        for upper in (False, True) for left in (False, True) for unit in (False, True)
    },
    "triangular_solve": (lambda t, a, b: t.triangular_solve(b, a, transpose=True).solution, (A, B), None),
    "inv": (lambda t, a: t.linalg.inv(a), (BATCH,), np.linalg.inv),
    "inverse": (lambda t, a: a.inverse() + t.inverse(a), (A,), lambda a: 2 * np.linalg.inv(a)),
    "inv_ex": (lambda t, a: t.linalg.inv_ex(a)[0], (A,), np.linalg.inv),
    "pinv, tall": (lambda t, a: t.linalg.pinv(a), (TALL,), np.linalg.pinv),
    "pinv, wide": (lambda t, a: t.linalg.pinv(a, atol=1e-9), (WIDE,), np.linalg.pinv),
    "pinv, symmetric": (lambda t, a: t.linalg.pinv(a + a.mT, hermitian=True), (BATCH,), lambda a: np.linalg.pinv(a + a.mT)),
    "pinverse": (lambda t, a: a.pinverse(), (TALL,), np.linalg.pinv),
    "det": (lambda t, a: t.linalg.det(a) + a.det(), (BATCH,), lambda a: 2 * np.linalg.det(a)),
    "slogdet": (lambda t, a: tuple(t.linalg.slogdet(a)), (BATCH,), np.linalg.slogdet),
    "logdet": (lambda t, a: t.logdet(a), (BATCH,), lambda a: np.log(np.linalg.det(a))),
    "cholesky": (lambda t, a: t.linalg.cholesky(definite(a)), (BATCH,), lambda a: np.linalg.cholesky(definite(a))),
    "cholesky, upper": (lambda t, a: t.linalg.cholesky(definite(a), upper=True), (A,), None),
    "cholesky of a leaf": (lambda t, a: t.linalg.cholesky(a), (A @ A.T,), np.linalg.cholesky),
    "cholesky_ex": (lambda t, a: t.linalg.cholesky_ex(definite(a)).L, (A,), None),
    "cholesky_solve": (lambda t, b, a: t.cholesky_solve(b, a), (B, LOW), lambda b, a: np.linalg.solve(a @ a.T, b)),
    "cholesky_solve, upper": (lambda t, b, a: b.cholesky_solve(a, True), (B, LOW.T.copy()), None),
    "cholesky_inverse": (lambda t, a: t.cholesky_inverse(a), (LOW,), lambda a: np.linalg.inv(a @ a.T)),
    "qr, tall": (lambda t, a: tuple(t.linalg.qr(a)), (TALL,), np.linalg.qr),
    "qr, wide": (lambda t, a: tuple(t.linalg.qr(a)), (WIDE,), np.linalg.qr),
    "qr, complete": (lambda t, a: tuple(t.linalg.qr(a, "complete")), (WIDE,), None),
    "older qr": (lambda t, a: tuple(t.qr(a)), (BATCH,), np.linalg.qr),
    "householder_product": (lambda t, a, tau: t.linalg.householder_product(a, tau), (TALL, rng.normal(size=2)), None),
    "lu": (lambda t, a: tuple(t.linalg.lu(a))[1:], (BATCH[:, ::-1].copy(),), None),
    "lu, tall": (lambda t, a: tuple(t.linalg.lu(a))[1:], (TALL[::-1].copy(),), None),
    "lu, wide": (lambda t, a: tuple(t.linalg.lu(a))[1:], (WIDE,), None),
    "lu_factor": (lambda t, a: t.linalg.lu_factor(a).LU, (A[::-1].copy(),), None),
    "lu_solve": (lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b), (A[::-1].copy(), B), np.linalg.solve),
    "lu_solve, adjoint": (
        lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, adjoint=True), (A[::-1].copy(), B),
        lambda a, b: np.linalg.solve(a.T, b),
    ),
    "lu_solve from the right": (
        lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, left=False), (A[::-1].copy(), B.T.copy()), None,
    ),
    "eigh": (lambda t, a: (lambda w, v: (w, v**2, (v * w) @ v.mT))(*t.linalg.eigh(a + a.mT)), (A,), None),
    "eigh of a leaf": (lambda t, a: t.linalg.eigh(a, "U")[0], (A + A.T,), np.linalg.eigvalsh),
    "eigvalsh": (lambda t, a: t.linalg.eigvalsh(a + a.mT), (BATCH,), lambda a: np.linalg.eigvalsh(a + a.mT)),
    "svd": (lambda t, a: whole(*t.linalg.svd(a, full_matrices=False)), (TALL,), None),
    "svd, wide": (lambda t, a: whole(*t.linalg.svd(a, full_matrices=False)), (WIDE,), None),
    "svd, square": (lambda t, a: whole(*t.linalg.svd(a)), (BATCH,), None),
    "older svd": (lambda t, a: (lambda u, s, v: whole(u, s, v.mT))(*t.svd(a)), (TALL,), None),
    "values of svd": (lambda t, a: t.svd(a, compute_uv=False).S, (TALL,), None),
    "svdvals": (lambda t, a: t.linalg.svdvals(a), (BATCH,), lambda a: np.linalg.svd(a, compute_uv=False)),
    "lstsq": (lambda t, a, b: t.linalg.lstsq(a, b).solution, (TALL, rng.normal(size=(4, 2))), lambda *ab: np.linalg.lstsq(*ab)[0]),
    "lstsq of a vector": (lambda t, a, b: t.linalg.lstsq(a, b)[0], (TALL, rng.normal(size=4)), None),
    "lstsq, residuals": (lambda t, a, b: tuple(t.linalg.lstsq(a, b, driver="gels")[:2]), (TALL, rng.normal(size=(4, 2))), None),
    "matrix_power": (lambda t, a: t.linalg.matrix_power(a, 5), (BATCH,), lambda a: np.linalg.matrix_power(a, 5)),
    "matrix_power, negative": (lambda t, a: a.matrix_power(-2), (A,), lambda a: np.linalg.matrix_power(a, -2)),
    "matrix_exp": (lambda t, a: t.linalg.matrix_exp(a), (BATCH,), None),
    "older matrix_exp": (lambda t, a: a.matrix_exp() + t.matrix_exp(a * 0.1), (A,), None),
    "multi_dot": (
        lambda t, *each: t.linalg.multi_dot(each), (rng.normal(size=3), A, B, rng.normal(size=(2, 5))),
        lambda *each: np.linalg.multi_dot(each),
    ),
    "tensorinv": (lambda t, a: t.linalg.tensorinv(a, ind=1), (around(6, 6).reshape(6, 2, 3),), lambda a: np.linalg.tensorinv(a, 1)),
    "tensorsolve": (
        lambda t, a, b: t.linalg.tensorsolve(a, b), (around(6, 6).reshape(2, 3, 6), X), np.linalg.tensorsolve,
    ),
    "tensorsolve, dims": (
        lambda t, a, b: t.linalg.tensorsolve(a, b, dims=(0,)), (around(6, 6).reshape(6, 2, 3), X),
        lambda a, b: np.linalg.tensorsolve(a, b, axes=(0,)),
    ),
    "vander": (lambda t, x: t.linalg.vander(x, N=4), (X,), None),
    "cross": (lambda t, x, y: t.linalg.cross(x, y), (X, Y), np.cross),
    "cross, dim": (lambda t, x, y: t.linalg.cross(x, y, dim=0), (X.T.copy(), Y.T.copy()), None),
    "vecdot": (lambda t, x, y: t.linalg.vecdot(x, y), (X, Y[0]), lambda x, y: (x * y).sum(-1)),
    "diagonal": (lambda t, a: t.linalg.diagonal(a, offset=-1), (BATCH,), lambda a: np.diagonal(a, -1, -2, -1)),
    "diagonal of others": (lambda t, a: t.linalg.diagonal(a, dim1=0, dim2=2), (BATCH,), lambda a: np.diagonal(a, 0, 0, 2)),
    "norm": (lambda t, a: t.linalg.norm(a), (BATCH,), np.linalg.norm),
    **{
        f"norm {order} of {what}": (lambda t, a, o=order: t.linalg.norm(a, o), (x,), lambda a, o=order: np.linalg.norm(a, o))
        for what, x, orders in (
            ("a matrix", TALL, ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)), ("a vector", X[0], (0.5, 1, 2, 3, np.inf, -np.inf)),
        )
        for order in orders
    },
    "norm, dims": (lambda t, a: t.linalg.norm(a, 1, dim=(0, 2)), (BATCH,), lambda a: np.linalg.norm(a, 1, (0, 2))),
    "matrix_norm, kept": (lambda t, a: t.linalg.matrix_norm(a, "nuc", (2, 0), True), (BATCH,), None),
    "matrix_norm": (lambda t, a: t.linalg.matrix_norm(a, -np.inf, (0, 1)), (BATCH,), lambda a: np.linalg.norm(a, -np.inf, (0, 1))),
    "vector_norm": (lambda t, a: t.linalg.vector_norm(a, 3, (0, 1), keepdim=True), (BATCH,), None),
    **{
        f"cond {p}": (lambda t, a, p=p: t.linalg.cond(a, p), (BATCH,), lambda a, p=p: np.linalg.cond(a, p))
        for p in (None, 2, -2, 1, np.inf, "fro", "nuc")
    },
}  # fmt: skip


def results(found: Any) -> tuple[Any, ...]:
    return tuple(found) if isinstance(found, tuple) else (found,)


def gradients(lib: Any, call: Call, arrays: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Of a weighted sum of the results, which is the same in both libraries."""
    inputs = [lib.tensor(x).requires_grad_() for x in arrays]
    total: Any = 0
    for k, y in enumerate(results(call(lib, *inputs))):
        weights = np.random.default_rng(k).normal(size=tuple(y.shape))
        total = total + (y * lib.tensor(np.asarray(weights))).sum()
    total.backward()
    return [x.grad.numpy() for x in inputs]


@pytest.mark.parametrize("label", [label for label, (_, _, oracle) in CALLS.items() if oracle])
def test_values_are_numpys(label: str) -> None:
    call, arrays, oracle = CALLS[label]
    assert oracle is not None
    for got, want in zip(results(call(ng, *map(ng.tensor, arrays))), results(oracle(*arrays)), strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-11, atol=1e-11)


older = pytest.mark.filterwarnings("ignore:torch.* is deprecated in favor of torch.linalg")


@pytest.mark.torch
@older
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("label", CALLS)
def test_values_are_torchs(label: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    call, arrays, _ = CALLS[label]
    arrays = tuple(x.astype(dtype) for x in arrays)
    tolerance = 1e-10 if dtype == "float64" else 2e-3
    ours, theirs = (results(call(lib, *map(lib.tensor, arrays))) for lib in (ng, torch))
    for got, want in zip(ours, theirs, strict=True):
        assert (str(got.dtype).split(".")[1], tuple(got.shape)) == (str(want.dtype).split(".")[1], tuple(want.shape))
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=tolerance, atol=tolerance)


# The function reads one triangle, and torch's gradient has numbers in the other one, too.
ONE_TRIANGLE = {"cholesky_solve": np.tril, "cholesky_solve, upper": np.triu, "cholesky_inverse": np.tril}
# torch changes what its own backward needs.
WITHOUT_GRADIENT = {"cond 1", "cond inf", "cond fro"}


@pytest.mark.torch
@older
@pytest.mark.parametrize("label", [label for label in CALLS if label not in WITHOUT_GRADIENT])
def test_gradients_are_torchs(label: str) -> None:
    torch = pytest.importorskip("torch")
    call, arrays, _ = CALLS[label]
    ours, theirs = gradients(ng, call, arrays), gradients(torch, call, arrays)
    if label in ONE_TRIANGLE:
        theirs[-1] = ONE_TRIANGLE[label](theirs[-1])
    for got, want in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8)


# What is one op alone has its derivatives proved by the rows of `tests/ops`.
COMPOSED = [
    "solve from the right", "triangular_solve", "logdet", "cholesky_solve", "cholesky_inverse", "householder_product", "lu",
    "lu_solve from the right", "eigh", "svd", "svd, wide", "lstsq, residuals", "matrix_power, negative", "multi_dot",
    "tensorsolve, dims", "vander", "cross", "diagonal of others", "norm nuc of a matrix", "norm -2 of a matrix",
    "norm inf of a matrix", "cond 1", "cond None",
]  # fmt: skip


@pytest.mark.parametrize("label", COMPOSED)
def test_derivatives_of_both_orders(label: str) -> None:
    call, arrays, _ = CALLS[label]
    inputs = [ng.tensor(x, requires_grad=True) for x in arrays]

    def differentiable(*each: Any) -> Any:
        return tuple(y for y in results(call(ng, *each)) if y.requires_grad)

    assert ng.autograd.gradcheck(differentiable, inputs, check_forward_ad=True)
    assert ng.autograd.gradgradcheck(differentiable, inputs)


@pytest.mark.parametrize(
    "label",
    ["solve", "inv", "det", "slogdet", "cholesky", "qr, tall", "svd", "eigh", "lstsq", "matrix_exp", "lu", "norm 2 of a matrix"],
)  # fmt: skip
def test_many_examples(label: str) -> None:
    call, arrays, _ = CALLS[label]
    stacks = [ng.tensor(np.stack([x, x * 1.5, x[::-1]])) for x in arrays]
    found = ng.func.vmap(lambda *each: results(call(ng, *each)))(*stacks)
    for k in range(3):
        for got, want in zip(found, results(call(ng, *[x[k] for x in stacks])), strict=True):
            np.testing.assert_allclose(got[k].numpy(), want.numpy(), rtol=1e-11, atol=1e-11)


# ---- what is no float, or not smooth ----------------------------------------------------------------------------

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
OTHERS: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "matrix_rank": lambda t, x: (t.linalg.matrix_rank(x(A)), t.linalg.matrix_rank(x(np.ones((2, 3, 4))))),
    "matrix_rank, atol": lambda t, x: t.linalg.matrix_rank(x(np.diag([3.0, 1.0, 0.1])), atol=0.5),
    "matrix_rank, tol": lambda t, x: t.linalg.matrix_rank(x(np.diag([3.0, 1.0, 0.1])), 0.5, hermitian=True),
    "matrix_rank, rtol": lambda t, x: t.linalg.matrix_rank(x(np.diag([3.0, 1.0, 0.1])), rtol=x(np.array(0.5))),
    "info": lambda t, x: (t.linalg.inv_ex(x(SINGULAR)).info, t.linalg.solve_ex(x(SINGULAR), x(SINGULAR)).info),
    "info of cholesky": lambda t, x: t.linalg.cholesky_ex(x(np.stack([np.eye(3), np.diag([1.0, -1.0, 1.0])]))).info,
    "pivots": lambda t, x: tuple(t.linalg.lu_factor_ex(x(np.stack([SINGULAR, A[:2, :2]]))))[1:],
    "permutation": lambda t, x: t.linalg.lu(x(BATCH[:, ::-1].copy())).P,
    "det of singular": lambda t, x: (t.det(x(SINGULAR)), t.logdet(x(SINGULAR)), t.logdet(x(-np.eye(3)))),
    "lstsq by gelsd": lambda t, x: tuple(t.linalg.lstsq(x(TALL), x(TALL[:, :1].copy()), driver="gelsd"))[2:],
    "lstsq by gelsy": lambda t, x: tuple(t.linalg.lstsq(x(TALL), x(TALL[:, :1].copy())))[1:],
    "lstsq by gels": lambda t, x: tuple(t.linalg.lstsq(x(TALL), x(TALL[:, :1].copy()), driver="gels"))[2:],
    "lstsq of low rank": lambda t, x: t.linalg.lstsq(x(SINGULAR), x(np.array([[1.0], [2.0]])))[0],
    "pinv of low rank": lambda t, x: t.linalg.pinv(x(SINGULAR)),
    "cond of singular": lambda t, x: (t.linalg.cond(x(np.zeros((2, 2))), 1), t.linalg.cond(x(np.zeros((2, 2))))),
    "zero power": lambda t, x: t.linalg.matrix_power(x(BATCH), 0),
    "solve_triangular by zero": lambda t, x: t.linalg.solve_triangular(x(np.zeros((2, 2))), x(np.ones((2, 1))), upper=True),
    "vander of ints": lambda t, x: t.linalg.vander(t.tensor([1, 2, 3])),
    "full matrices": lambda t, x: tuple(y.abs() for y in t.linalg.svd(x(TALL))),
    "no vectors": lambda t, x: tuple(y.sum() for y in t.svd(x(TALL), compute_uv=False)),
    "r alone": lambda t, x: tuple(t.linalg.qr(x(TALL), "r")),
    "exp of large": lambda t, x: t.linalg.matrix_exp(x(np.array([[0.0, 50.0], [-50.0, 0.0]]))),
    "zero rows": lambda t, x: (
        t.linalg.det(x(np.zeros((2, 0, 0)))), t.linalg.inv(x(np.zeros((0, 0)))), t.linalg.svdvals(x(np.zeros((0, 3)))),
        t.linalg.solve(x(np.zeros((0, 0))), x(np.zeros((0, 2)))), t.linalg.eigvalsh(x(np.zeros((2, 0, 0)))),
        t.linalg.pinv(x(np.zeros((0, 3)))), t.linalg.matrix_rank(x(np.zeros((0, 3)))), t.linalg.matrix_exp(x(np.zeros((2, 0, 0)))),
    ),
    "no matrices": lambda t, x: (t.linalg.inv(x(np.zeros((0, 2, 2)))), t.linalg.matrix_norm(x(np.zeros((0, 2, 2))), 2)),
}  # fmt: skip


@pytest.mark.torch
@older
@pytest.mark.parametrize("label", OTHERS)
def test_other_results_are_torchs(label: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = (results(OTHERS[label](lib, lib.tensor)) for lib in (ng, torch))
    for got, want in zip(ours, theirs, strict=True):
        assert (str(got.dtype).split(".")[1], tuple(got.shape)) == (str(want.dtype).split(".")[1], tuple(want.shape))
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-9, atol=1e-9)


def test_lu_without_exchanges() -> None:
    P, L, U = ng.linalg.lu(ng.tensor(BATCH), pivot=False)
    assert P.shape == (0,)
    np.testing.assert_allclose((L @ U).numpy(), BATCH)


def test_the_gradient_of_a_determinant_that_is_zero() -> None:
    x = ng.tensor(np.stack([SINGULAR, np.zeros((2, 2))]), requires_grad=True)
    ng.det(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[[4, -2], [-2, 1]], [[0, 0], [0, 0]]], atol=1e-12)  # type: ignore[union-attr]


def test_results_have_names() -> None:
    found = ng.linalg.eigh(ng.eye(2))
    values, vectors = found
    assert found.eigenvalues is values
    assert found.eigenvectors is vectors
    assert repr(found).startswith("numgrad.return_types.linalg_eigh(\neigenvalues=tensor([1., 1.]),\neigenvectors=")
    copied = pickle.loads(pickle.dumps(found))
    assert copied.eigenvalues.tolist() == [1, 1]
    with pytest.raises(AttributeError, match="has no attribute 'values', only eigenvalues, eigenvectors"):
        _ = found.values


# ---- refusals ---------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "singular": (lambda t: t.linalg.solve(t.tensor(SINGULAR), t.ones(2).double()), "torch.linalg.solve: The solver failed because"),
    "singular in a batch": (
        lambda t: t.linalg.inv(t.tensor(np.stack([np.eye(2), SINGULAR]))),
        r"linalg.inv: \(Batch element 1\): The diagonal element 2 is zero, the inversion could not be completed",
    ),
    "inverse": (lambda t: t.zeros(2, 2).inverse(), "linalg.inv: The diagonal element 1 is zero"),
    "not definite": (lambda t: t.linalg.cholesky(-t.eye(2)), "the leading minor of order 1 is not positive-definite"),
    "svd of NaN": (lambda t: t.linalg.svd(t.eye(2) * float("nan")), "linalg.svd: .* contained non-finite values"),
    "eigh of NaN": (lambda t: t.linalg.eigh(t.eye(3) * float("nan")), "linalg.eigh: The algorithm failed to converge"),
    "lu_factor": (lambda t: t.linalg.lu_factor(t.zeros(2, 2)), r"torch.linalg.lu_factor: U\[1,1\] is zero and using it on"),
    "not square": (lambda t: t.linalg.inv(t.ones(2, 3)), "linalg.inv: A must be batches of square matrices, but they are 2 by 3"),
    "a vector": (lambda t: t.linalg.det(t.ones(3)), "linalg.det: The input tensor A must have at least 2 dimensions"),
    "integers": (lambda t: t.linalg.inv(t.eye(2).long()), "linalg.inv: Expected a floating point or complex tensor .* Got Long"),
    "two dtypes": (lambda t: t.linalg.solve(t.eye(2), t.ones(2).double()), "found A of type Float and B of type Double"),
    "other rows": (lambda t: t.linalg.solve(t.eye(3), t.ones(2)), r"for the equation AX = B \(3x3 and 2x1\)"),
    "other rows of a triangle": (lambda t: t.linalg.solve_triangular(t.eye(3), t.ones(2, 2), upper=True), "3x3 and 2x2"),
    "batches": (lambda t: t.linalg.solve(t.eye(2).expand(2, 2, 2), t.ones(3, 2, 1)), "broadcast|must match the size"),
    "mode": (lambda t: t.linalg.qr(t.eye(2), "full"), "qr received unrecognized mode 'full' but expected one of"),
    "triangle": (lambda t: t.linalg.eigh(t.eye(2), "X"), "Expected UPLO argument to be 'L' or 'U', but got X"),
    "driver": (lambda t: t.linalg.lstsq(t.eye(2), t.eye(2), driver="x"), r"should be one of \(gels, gelsy, gelsd, gelss\)"),
    "lstsq": (lambda t: t.linalg.lstsq(t.ones(3, 2), t.ones(2, 2)), r"input.size\(-2\) should match other.size\(-2\)"),
    "order": (lambda t: t.linalg.matrix_norm(t.eye(2), 3), "linalg.matrix_norm: Order 3 not supported"),
    "order of a vector": (lambda t: t.linalg.vector_norm(t.ones(2), "fro"), "'ord'.* must be Number, not str"),
    "three dims": (lambda t: t.linalg.norm(t.ones(2, 2, 2), 2, (0, 1, 2)), "it must be of length 1 or 2"),
    "norm of three": (lambda t: t.linalg.norm(t.ones(2, 2, 2), "nuc"), "the input must be 1D or 2D. Got 3D"),
    "cond": (lambda t: t.linalg.cond(t.eye(2), "x"), "linalg.cond got an invalid norm type: x"),
    "one factor": (lambda t: t.linalg.multi_dot([t.eye(2)]), r"multi_dot\(\): expected at least 2 tensors but got 1"),
    "cross": (lambda t: t.linalg.cross(t.ones(2), t.ones(2)), "inputs dimension -1 must have length 3. Got 2 and 2"),
    "cross of ranks": (lambda t: t.linalg.cross(t.ones(3), t.ones(4, 3)), "inputs must have the same number of dimensions"),
    "vecdot": (lambda t: t.linalg.vecdot(t.arange(3), t.arange(3)), "linalg.vecdot: Expected a floating point"),
    "tensorinv": (lambda t: t.linalg.tensorinv(t.ones(2, 3, 5)), "but got 5 != 6"),
    "power": (lambda t: t.linalg.matrix_power(t.eye(2), 1.5), "argument 'n'.* must be int, not float"),
    "cholesky_solve": (lambda t: t.cholesky_solve(t.ones(2, 2), t.eye(3)), "each A matrix is 3 by 3 but each b matrix is 2 by 2"),
}  # fmt: skip
OF_LINALG = ("singular", "singular in a batch", "inverse", "not definite", "svd of NaN", "eigh of NaN")


@pytest.mark.parametrize("label", REFUSED)
def test_what_is_wrong_is_refused(label: str) -> None:
    call, text = REFUSED[label]
    with pytest.raises((RuntimeError, TypeError), match=text) as caught:
        call(ng)
    assert label not in OF_LINALG or caught.type is ng.linalg.LinAlgError


@pytest.mark.torch
@pytest.mark.parametrize("label", REFUSED)
def test_torch_refuses_it_as_well(label: str) -> None:
    torch = pytest.importorskip("torch")
    call, text = REFUSED[label]
    with pytest.raises((RuntimeError, TypeError), match=text) as theirs:
        call(torch)
    with pytest.raises((RuntimeError, TypeError)) as ours:
        call(ng)
    base = TypeError if theirs.type is TypeError else RuntimeError
    assert issubclass(ours.type, base)


def test_an_error_is_caught_by_either_name() -> None:
    assert issubclass(ng.linalg.LinAlgError, RuntimeError)
    assert issubclass(ng.linalg.LinAlgError, np.linalg.LinAlgError)


def test_complex_results_are_refused() -> None:
    for name in ("eig", "eigvals"):
        with pytest.raises(NotImplementedError, match=f"linalg.{name}: .* complex numbers"):
            getattr(ng.linalg, name)(ng.eye(2))


@pytest.mark.parametrize("mode", ["r", "complete"])
def test_no_derivative_of_qr_without_its_columns(mode: str) -> None:
    x = ng.tensor(TALL, requires_grad=True)
    with pytest.raises(RuntimeError, match="use mode='reduced'"):
        ng.linalg.qr(x, mode).R.sum().backward()


@pytest.mark.parametrize("n", [300, 3])
def test_small_systems_and_large_ones_say_the_same(n: int) -> None:
    """Of more than 128 rows they are cut, and most of the work is products."""
    random = np.random.default_rng(3)
    a = random.standard_normal((2, n, n))
    spd, sides = a @ a.swapaxes(-1, -2) + n * np.eye(n), random.standard_normal((2, n, 2))
    a[1, :, 0] = 0
    spd[1, 1, 1] = -1
    matrices = ng.tensor(a)
    result, info = ng.linalg.solve_ex(matrices, ng.tensor(sides))
    np.testing.assert_allclose(result[0].numpy(), np.linalg.solve(a[0], sides[0]))
    assert info.tolist() == [0, 1]
    assert result[1].isnan().all()
    inverse, info = ng.linalg.inv_ex(matrices)
    np.testing.assert_allclose(inverse[0].numpy(), np.linalg.inv(a[0]))
    assert info.tolist() == [0, 1]
    assert inverse[1].isnan().all()
    for upper in (False, True):
        factor, info = ng.linalg.cholesky_ex(ng.tensor(spd).mT, upper=upper)
        want = np.linalg.cholesky(spd[0])
        np.testing.assert_allclose(factor[0].numpy(), want.T if upper else want, atol=1e-12)
        assert info.tolist() == [0, 2]
        assert factor[1].isnan().all()
    with pytest.raises(ng.linalg.LinAlgError, match="Batch element 1"):
        ng.linalg.inv(matrices)


# ---- one door for all -------------------------------------------------------------------------------------------


def test_a_recording_has_the_calls_of_the_host() -> None:
    a, b = ng.tensor(A), ng.tensor(B)
    with ng.compile.Recording() as recording:
        x = ng.linalg.solve(a * 2, b) + 1
        values = ng.linalg.eigvalsh(a)
    assert recording.names.count("eigvalsh") == 1
    assert len(recording) == len(recording.names)
    a.copy_(ng.tensor(A + np.eye(3)))
    recording.replay()
    np.testing.assert_allclose(x.numpy(), np.linalg.solve(2 * (A + np.eye(3)), B) + 1)
    np.testing.assert_allclose(values.numpy(), np.linalg.eigvalsh(A + np.eye(3)))


def test_a_replay_reports_what_a_call_of_the_host_does() -> None:
    a = ng.tensor(A)
    with ng.compile.Recording() as recording:
        ng.linalg.inv(a)
    a.zero_()
    with pytest.raises(RuntimeError, match="replay: a kernel reported status"):
        recording.replay()


def test_a_profile_names_the_call() -> None:
    with ng.profiler.profile() as profile:
        ng.linalg.eigvalsh(ng.tensor(A))
    event = profile.events[-1]
    assert (event.name, event.kernels) == ("linalg_eigvalsh", ("eigvalsh",))


def test_a_plan_is_one_call_or_launches() -> None:
    from numgrad.errors import KernelError
    from numgrad.runtime.plan import PlanBuilder

    spec = ng.tensor(A)._spec
    builder = PlanBuilder((spec,))
    out = builder.output(spec.dtype, (3, 3))
    builder.host_call(np.copyto, [], [out])
    with pytest.raises(KernelError, match="a plan is either one call of the host or launches"):
        builder.host_call(np.copyto, [], [out])


def test_inputs_cannot_be_written() -> None:
    op = ng.registry.Op("doctest_writes", ("input",), register=False, differentiable=False)

    def write(x: np.ndarray, out: np.ndarray) -> int:
        x[...] = 1
        return 0

    op.plan(lambda b, input: b.host_call(write, [input], [b.output(input.spec.dtype, tuple(input.spec.shape))]))
    with pytest.raises(ValueError, match="read-only"):
        op(ng.tensor(A))


@pytest.mark.parametrize("dtype", [ng.float32, ng.float64])
def test_the_gradient_of_an_exponential_is_linear_where_it_is_large(dtype: Any) -> None:
    """torch's loses the matrix beside a large gradient."""
    a = ng.tensor([[3.4, -0.3, -1.0], [-0.7, 3.1, 1.0], [0.7, 0.1, 2.1]], dtype=dtype, requires_grad=True)
    weights = ng.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 0.0], [1.0, 0.0, 3.0]], dtype=dtype)
    (small,) = ng.autograd.grad(ng.linalg.matrix_exp(a), a, weights)
    (large,) = ng.autograd.grad(ng.linalg.matrix_exp(a), a, weights * 2.0**60)
    np.testing.assert_allclose((large / 2.0**60).numpy(), small.numpy(), rtol=1e-5 if dtype is ng.float32 else 1e-12)
