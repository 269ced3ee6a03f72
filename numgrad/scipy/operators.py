"""`linear_operator`: a function's derivative at a point, as SciPy's iterative solvers take a matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.autograd.gradients import grad
from numgrad.autograd.modes import no_grad
from numgrad.func.transforms import jvp
from numgrad.scipy.vectors import Form, Function, scipy, tensor_of


def linear_operator(fun: Callable[..., Any], x: Any, args: tuple[Any, ...] = ()) -> Any:
    """The Jacobian of ``fun`` at ``x`` as a ``scipy.sparse.linalg.LinearOperator`` [m, n], of which no matrix is made.

    ``matvec`` is a Jacobian-vector product, by forward mode; ``rmatvec`` a vector-Jacobian product, by reverse mode. So it fits
    ``gmres``, ``cg``, ``lsmr``, ``svds``, ``eigsh`` and other functions of SciPy's that take an operator.

    Parameters
    ----------
    fun
        ``fun(x, *args)`` returns a tensor of any shape, with m elements; x has the form of ``x``.
    x
        The point: a tensor, an array, a number, or a tree of these, with n elements in all.
    args
        Further arguments of ``fun``.

    Raises
    ------
    TypeError
        ``fun`` returns no tensor; ``x`` has a leaf that is no tensor of floating point, array or number.
    ImportError
        SciPy is not installed.

    >>> import numgrad as ng
    >>> J = ng.scipy.linear_operator(lambda x: x[:2] * x[2], ng.tensor([1.0, 2.0, 3.0]))
    >>> J.shape, J @ [1, 1, 1], J.T @ [1, 1]
    ((2, 3), array([4., 5.]), array([3., 3., 3.]))
    """
    linalg = scipy("sparse.linalg")
    form = Form("linear_operator", x)
    function = Function("linear_operator: fun", fun, form, args)
    point = form.start()
    result = function.at(point)

    def matvec(vector: Any) -> Any:
        with no_grad():
            _, tangent = jvp(lambda flat: function.of(flat).reshape(-1), (tensor_of(point),), (tensor_of(vector),))
        return tangent.numpy().astype(np.float64)

    def rmatvec(vector: Any) -> Any:
        if not result.requires_grad:
            return np.zeros(form.count)
        cotangent = tensor_of(vector).reshape(result.shape).to(result.dtype)
        (product,) = grad(result, [function.flat], cotangent, retain_graph=True, materialize_grads=True)
        return product.numpy()

    return linalg.LinearOperator((result.numel(), form.count), matvec=matvec, rmatvec=rmatvec, dtype=np.float64)
