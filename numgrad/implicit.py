"""Gradients of solutions: `root`, `fixed_point` and `minimum` are solved by any means, and differentiated by what they satisfy.

A solver's steps are not recorded, so neither its memory nor its iterations count: the derivatives come from the implicit
function theorem. If F(x, p) = 0, then dx/dp = -(dF/dx)^-1 dF/dp (Krantz and Parks, The Implicit Function Theorem, 2002).

>>> import numgrad as ng
>>> p = ng.tensor(2.0, dtype=ng.float64, requires_grad=True)
>>> x = ng.implicit.root(lambda x, p: x**3 - p, ng.tensor(1.0, dtype=ng.float64), p)
>>> x.backward()
>>> round(x.item(), 6), round(p.grad.item(), 6)  # 2 ** (1/3), 2 ** (-2/3) / 3
(1.259921, 0.209987)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.autograd import functional
from numgrad.autograd.function import Function as AutogradFunction
from numgrad.autograd.gradients import grad
from numgrad.autograd.modes import enable_grad, is_grad_enabled, no_grad
from numgrad.autograd.stateless import functional_call
from numgrad.func.transforms import grad as grad_of
from numgrad.func.transforms import jacrev
from numgrad.linalg import solve
from numgrad.nn import Module
from numgrad.scipy import minimize as scipy_minimize
from numgrad.scipy import root as scipy_root
from numgrad.scipy.vectors import Call, Form, Function, depends_on_others, has_tangent, joined, scipy, tensor_of
from numgrad.tensor.creation import zeros_like
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.trees import flatten

__all__ = ["fixed_point", "minimum", "root"]

_DENSE = 500  # unknowns up to which the Jacobian is made, and the derivatives can be differentiated again
_POLISH = 5  # steps of Newton's method after SciPy's at most


def root(
    fun: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Callable[..., Any] | None = None,
    tol: float | None = None,
) -> Any:
    """x with ``fun(x, *args) = 0``, with gradients by the tensors in ``args``.

    Parameters
    ----------
    fun
        Returns a tensor of as many elements as x has, or a tree of tensors with as many in all.
    x0
        Where to start: a tensor, an array or a number, or a tree of these. It gets no gradient: the solution does not depend on it.
    *args
        Trees of tensors and modules; gradients reach those tensors and parameters that require one.
    solver
        ``solver(fun, x0, *args)`` returns x, by any means; by default `numgrad.scipy.root`.
    tol
        The default solver's tolerance; by default 1e-10, or ten times the eps of a dtype of ``x0`` that has fewer digits.

    Returns
    -------
    tensor or tree
        In the form of ``x0``. With up to 500 unknowns its gradients have gradients again; beyond that, the linear system of a
        backward is solved by GMRES, without a matrix, and the result has no second derivative.

    Raises
    ------
    RuntimeError
        There is no solution; the Jacobian by x is singular (in the backward); ``fun`` uses a tensor that requires a gradient and is
        not in ``args``.
    ImportError
        SciPy is not installed, and there is no ``solver``, or GMRES is needed.

    >>> import numgrad as ng
    >>> a = ng.tensor([1.0, 4.0], dtype=ng.float64, requires_grad=True)
    >>> x = ng.implicit.root(lambda x, a: x * x - a, ng.ones(2, dtype=ng.float64), a)
    >>> ng.autograd.grad(x.sum(), a)  # 1 / (2 sqrt(a))
    (tensor([0.5000, 0.2500], dtype=numgrad.float64),)
    """
    form = Form("root", x0)

    def solved() -> Any:
        if solver is not None or not form.count:
            return x0 if solver is None else solver(fun, x0, *args)
        result = scipy_root(fun, x0, args, tol=max(1e-10, 10 * _eps(form)) if tol is None else tol)
        function = Function("root: fun", fun, form, args, trees=True)
        return _checked("root", result, form, lambda x: np.linalg.solve(function.jacobian(x), function.values(x)))

    return _solve(form, fun, args, solved)


def fixed_point(
    fun: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Callable[..., Any] | None = None,
    tol: float | None = None,
    max_iter: int = 1000,
) -> Any:
    """x with ``fun(x, *args) = x``, with gradients by the tensors in ``args``: an equilibrium of a network, for example.

    Parameters
    ----------
    fun
        Returns a tree like x.
    x0, *args
        As in `root`.
    solver
        ``solver(fun, x0, *args)`` returns x; by default ``fun`` is applied until x changes no more.
    tol
        What counts as no change, relative to ``1 + max |x|``; by default ten times the dtype's eps.
    max_iter
        How often ``fun`` is applied at most.

    Raises
    ------
    RuntimeError
        As in `root`; x still changes after ``max_iter`` applications.

    >>> import numgrad as ng
    >>> w = ng.tensor(0.5, requires_grad=True)
    >>> x = ng.implicit.fixed_point(lambda x, w: ng.cos(w * x), ng.tensor(1.0), w)
    >>> x.backward()
    >>> x, w.grad
    (tensor(0.9004, grad_fn=<ToCopyBackward0>), tensor(-0.3218))
    """
    form = Form("fixed_point", x0)

    def solved() -> Any:
        if solver is not None:
            return solver(fun, x0, *args)
        return _iterate(fun, form, args, tol, max_iter)

    def residual(x: Any, *args: Any) -> Any:
        before, _ = flatten(x)
        after, build = flatten(fun(x, *args))
        return build([b - a for a, b in zip(before, after, strict=True)])

    return _solve(form, residual, args, solved)


def minimum(
    fun: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Callable[..., Any] | None = None,
    tol: float | None = None,
) -> Any:
    """The x of the least ``fun(x, *args)``, with gradients by the tensors in ``args``: the gradient by x is 0 there.

    Parameters
    ----------
    fun
        Returns a tensor of one element.
    x0, *args
        As in `root`.
    solver
        ``solver(fun, x0, *args)`` returns x; by default `numgrad.scipy.minimize` with Newton's method in trust regions.
    tol
        The default solver's bound on the gradient; by default 1e-9. Where rounding hides the way there from it (sums of many
        values, float32), steps of Newton's method on the gradient follow, until they are as small as the dtype can tell.

    Raises
    ------
    RuntimeError
        As in `root`; the Hessian is singular.

    >>> import numgrad as ng
    >>> c = ng.tensor(3.0, dtype=ng.float64, requires_grad=True)
    >>> x = ng.implicit.minimum(lambda x, c: (x - c) ** 2 + x**4, ng.tensor(0.0, dtype=ng.float64), c)
    >>> x.backward()
    >>> round(x.item(), 4), round(c.grad.item(), 4)  # 2 / (2 + 12 x**2)
    (1.0, 0.1429)
    """
    form = Form("minimum", x0)

    def solved() -> Any:
        if solver is not None or not form.count:
            return x0 if solver is None else solver(fun, x0, *args)
        method = "trust-exact" if form.count <= _DENSE else "trust-krylov"
        result = scipy_minimize(fun, x0, args, method=method, options={"gtol": 1e-9 if tol is None else tol})
        return _checked(
            "minimum", result, form, functools.partial(_downhill, Function("minimum: fun", fun, form, args))
        )

    def residual(x: Any, *args: Any) -> Any:
        leaves, build = flatten(x)
        if not any(leaf.requires_grad for leaf in leaves):  # forward mode asks for the value alone
            return grad_of(fun)(x, *args)
        with enable_grad():
            value = fun(build(leaves), *args)
            return build(list(grad(value, leaves, create_graph=True, materialize_grads=True)))

    return _solve(form, residual, args, solved)


def _eps(form: Form) -> float:
    """The coarsest of the dtypes' eps."""
    return max((float(np.finfo(leaf.dtype.numpy).eps) for leaf in form.leaves), default=0.0)


def _checked(name: str, result: Any, form: Form, newton: Callable[[Any], Any]) -> Any:
    """SciPy's solution, or one that a few steps of Newton's method lead to from there.

    SciPy's tests of progress compare values whose rounding may hide it, in float32 above all. ``newton`` gives the step at a
    vector; once that is below the root of eps, the next one, by quadratic convergence, would be of the size of eps.
    """
    if result.success:
        return result.x
    x, root_of_eps = form.vector("x", result.x), _eps(form) ** 0.5
    for _ in range(_POLISH):
        try:
            step = newton(x)
        except np.linalg.LinAlgError:
            break
        if not np.isfinite(step).all():
            break
        x = x - step
        if np.abs(step).max() <= root_of_eps * (1 + np.abs(x).max()):
            return form.given(x)
    raise RuntimeError(
        f"{name}: SciPy found no solution: {result.message}; start closer to it, or give a solver= of your own"
    )


def _downhill(function: Function, x: Any) -> Any:
    """The step of Newton's method on the gradient.

    Raises
    ------
    LinAlgError
        The Hessian is not positive definite.
    """
    _, gradient = function.number_and_gradient(x)
    if len(x) <= _DENSE:
        hessian = function.hessian(x)
        np.linalg.cholesky(hessian)
        return np.linalg.solve(hessian, gradient)
    linalg = scipy("sparse.linalg")
    operator = linalg.LinearOperator((len(x), len(x)), matvec=functools.partial(function.product, x), dtype=np.float64)
    step, left = linalg.cg(operator, gradient, rtol=1e-6, maxiter=10 * _DENSE)
    if left or step @ gradient < 0:
        raise np.linalg.LinAlgError("the Hessian is not positive definite")
    return step


def _iterate(fun: Callable[..., Any], form: Form, args: tuple[Any, ...], tol: float | None, max_iter: int) -> Any:
    bound = 10 * _eps(form) if tol is None else tol
    old = form.start()
    x, change = form.given(old), np.inf
    for _ in range(max_iter):
        x = fun(x, *args)
        new = form.vector("the result of fun", x)
        change = np.abs(new - old).max(initial=0.0) / (1 + np.abs(new).max(initial=0.0))
        old = new
        if change <= bound:
            return x
    raise RuntimeError(
        f"fixed_point: x still changes by {change:.3g}, more than {bound:.3g}, after {max_iter} applications of fun; "
        "raise max_iter or tol, or give a solver= of your own"
    )


class _Problem:
    """A residual as a function of a vector and of the tensors that gradients are asked for by.

    ``tensors`` are those of the arguments, one after the other, and of their modules, that require a gradient.
    """

    def __init__(self, residual: Callable[..., Any], form: Form, args: tuple[Any, ...]) -> None:
        self.name, self.form = form.name, form
        self.leaves, self.build = flatten(args)
        self.call = Call(residual, [leaf for leaf in self.leaves if isinstance(leaf, Module)])
        self.places = [n for n, leaf in enumerate(self.leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]
        parameters = [(key, each) for key, each in self.call.named_parameters() if each.requires_grad]
        self.keys = [key for key, _ in parameters]
        self.tensors = [*(self.leaves[n] for n in self.places), *(each for _, each in parameters)]
        # The backward computes with these again, so a change in place has to be noticed. Buffers change at any time, by design.
        known = {id(each) for each in self.tensors}
        self.constants = [
            each
            for each in (*self.leaves, *self.call.parameters())
            if isinstance(each, Tensor) and id(each) not in known
        ]

    def of(self, flat: Tensor, tensors: list[Tensor]) -> Tensor:
        """The residual at ``flat`` [count] with other tensors in place of ``tensors``, in float64.

        Raises
        ------
        TypeError, ValueError
            The function returns something else than a tensor, or a tree of them, of x's number of elements.
        """
        leaves = list(self.leaves)
        for n, tensor in zip(self.places, tensors, strict=False):
            leaves[n] = tensor
        swapped = dict(zip(self.keys, tensors[len(self.places) :], strict=True))
        result = functional_call(self.call, swapped, (self.form.tree(flat), *self.build(leaves)))
        rows, _ = flatten(result)
        vector = joined(f"{self.name}: fun", result)
        if vector.numel() != self.form.count:
            shapes, own = [list(row.shape) for row in rows], [list(leaf.shape) for leaf in self.form.leaves]
            raise ValueError(f"{self.name}: expected fun to return as many elements as x has, {own}, got {shapes}")
        return vector


def _solve(form: Form, residual: Callable[..., Any], args: tuple[Any, ...], solved: Callable[[], Any]) -> Any:
    name = form.name
    if form.module is not None:
        raise TypeError(f"{name}: expected x0 to be a tensor or a tree of tensors, got a module")
    with no_grad():
        flat = tensor_of(form.vector("the solver's result", solved()))
    problem = _Problem(residual, form, args)
    if is_grad_enabled():
        with enable_grad():
            point, *fresh = flat.detach().requires_grad_(), *(each.view(each.shape) for each in problem.tensors)
            value = problem.of(point, fresh)
            if depends_on_others([value], [point, *fresh]):
                raise RuntimeError(
                    f"{name}: fun uses a tensor that requires a gradient and is not among its arguments, so it would get none: "
                    "pass it, or the module that has it, after x0, or detach it"
                )
        forward = has_tangent([value])
    else:
        forward = has_tangent([problem.of(flat, problem.tensors)])
    if forward:
        flat = _newton(problem, flat)
    elif is_grad_enabled() and problem.tensors:
        flat = _Solution.apply(problem, flat, *problem.tensors)
    return form.tree(flat)


def _newton(problem: _Problem, flat: Tensor) -> Tensor:
    """The solution as the result of two steps of Newton's method from it, which every mode differentiates.

    One step has the right first derivatives, two the right ones up to the third.

    Raises
    ------
    RuntimeError
        There are too many unknowns for a Jacobian.
    """
    if problem.form.count > _DENSE:
        raise RuntimeError(
            f"{problem.name}: a solution of {problem.form.count} unknowns, more than {_DENSE}, has no forward mode; "
            "take reverse mode (grad, jacrev, vjp)"
        )

    jacobian = jacrev(lambda vector: problem.of(vector, problem.tensors))
    for _ in range(2):
        flat = flat - _solved(problem, jacobian(flat), problem.of(flat, problem.tensors))
    return flat


def _solved(problem: _Problem, matrix: Tensor, vector: Tensor) -> Tensor:
    try:
        return solve(matrix, vector)
    except np.linalg.LinAlgError as error:
        raise RuntimeError(
            f"{problem.name}: the Jacobian by x is singular at the solution, so it has no derivatives"
        ) from error


class _Solution(AutogradFunction):
    """The solution as a function of the arguments' tensors."""

    @staticmethod
    def forward(ctx: Any, problem: _Problem, flat: Tensor, *tensors: Tensor) -> Tensor:
        solution = flat.clone()
        ctx.problem = problem
        ctx.save_for_backward(solution, *tensors, *problem.constants)
        return solution

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        problem = ctx.problem
        if not problem.form.count:
            return None, None, *(zeros_like(each) for each in problem.tensors)
        further = is_grad_enabled()
        with enable_grad():
            # Views: partial derivatives, of a graph that goes on to the tensors themselves if that is asked for.
            flat, *tensors = [
                each.view(each.shape) if further and each.requires_grad else each.detach().requires_grad_()
                for each in ctx.saved_tensors[: 1 + len(problem.tensors)]
            ]
            result = problem.of(flat, tensors)
        if problem.form.count <= _DENSE:
            (rows,) = zip(*functional.rows_of([result], [flat], further), strict=True)
            with enable_grad() if further else no_grad():
                vector = _solved(problem, rows[0].reshape(problem.form.count, problem.form.count).T, cotangent)
        elif further:
            raise RuntimeError(
                f"{problem.name}: a solution of {problem.form.count} unknowns, more than {_DENSE}, has no second derivative"
            )
        else:
            vector = _krylov(problem, result, flat, cotangent)
        products = grad(result, tensors, -vector, create_graph=further, materialize_grads=True)
        return None, None, *products


def _krylov(problem: _Problem, result: Tensor, flat: Tensor, cotangent: Tensor) -> Tensor:
    """The transposed Jacobian's solution, by products with it alone."""
    linalg = scipy("sparse.linalg")

    def product(vector: Any) -> Any:
        (row,) = grad(result, [flat], tensor_of(vector), retain_graph=True, materialize_grads=True)
        return row.numpy()

    count = problem.form.count
    operator = linalg.LinearOperator((count, count), matvec=product, dtype=np.float64)
    vector, left = linalg.gmres(
        operator, cotangent.numpy(), rtol=max(1e-10, 100 * _eps(problem.form)), maxiter=100, restart=50
    )
    if left:
        raise RuntimeError(
            f"{problem.name}: the linear system of the gradient was not solved by GMRES; is the Jacobian by x singular?"
        )
    return tensor_of(vector)
