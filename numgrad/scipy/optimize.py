"""`minimize`, `root` and `least_squares`: ``scipy.optimize``'s, with derivatives by numgrad."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.scipy.vectors import Form, Function, Replayed, scipy

# What SciPy's methods ask for beside the value. Those that are named nowhere ask for the gradient.
_NO_GRADIENT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
_PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
_HESSIAN = {"dogleg", "trust-exact"}
# Those of `root` that take a Jacobian.
_JACOBIAN = {"hybr", "lm"}


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    method: Any = None,
    *,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    jit: bool = False,
) -> Any:
    """The minimum of a function of tensors: ``scipy.optimize.minimize`` with the gradients, and for the methods that ask for
    them the Hessian's products (Newton-CG, trust-ncg, trust-krylov, trust-constr) or the Hessian (dogleg, trust-exact), of ``fun``.

    SciPy works in float64; ``fun`` gets the dtypes of ``x0``. The result has no graph: `numgrad.implicit` has solutions that are
    differentiated by what they depend on.

    Parameters
    ----------
    fun
        ``fun(x, *args)`` returns a tensor of one element; x has the form of ``x0``.
    x0
        Where to start: a tensor, an array or a number (which are tensors of float64 in ``fun``), a tree of these, or a module,
        whose parameters that require a gradient are then changed: ``fun`` gets the module, and so does the result.
    args
        Further arguments of ``fun``.
    method
        A name of SciPy's, or a function as SciPy's custom methods.
    bounds
        SciPy's ``Bounds``, whose ``lb`` and ``ub`` may be numbers or trees like ``x0``, or pairs (min, max), one for each element
        of the vector of all values, in which None is no bound.
    constraints
        One or a list of SciPy's: dicts with ``"type"`` ("eq", "ineq"), ``"fun"`` and perhaps ``"args"``, `LinearConstraint` on the
        vector of all values, `NonlinearConstraint`. Their functions get x as ``fun`` does and return tensors; Jacobians (and
        for trust-constr, Hessians) that they do not bring come from numgrad.
    tol, options
        As SciPy's.
    callback
        Called after each iteration with the current x, or with ``intermediate_result=``, whose x has the form of ``x0``.
    jit
        Capture ``fun`` and its derivatives by `numgrad.jit`, under its rules (docs/replay.md), and replay them: an evaluation of a
        function of few numbers then takes a tenth of the time or less.

    Returns
    -------
    scipy.optimize.OptimizeResult
        Its ``x`` has the form of ``x0``, and ``jac``, if there is one, too.

    Raises
    ------
    TypeError, ValueError
        ``fun`` returns no tensor, or none of one element; ``x0``, bounds or constraints are not of a form given above.
    ImportError
        SciPy is not installed.

    >>> import numgrad as ng
    >>> def rosenbrock(x):
    ...     return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    >>> ng.scipy.minimize(rosenbrock, ng.zeros(4, dtype=ng.float64), method="Newton-CG", tol=1e-10).x
    tensor([1.0000, 1.0000, 1.0000, 1.0000], dtype=numgrad.float64)

    A model is fitted by its parameters:

    >>> x = ng.linspace(-1, 1, 20)[:, None]
    >>> line = ng.nn.Linear(1, 1)
    >>> result = ng.scipy.minimize(lambda model: ng.nn.functional.mse_loss(model(x), 2 * x + 1), line)
    >>> result.x is line, line.weight.round(decimals=3).item(), line.bias.round(decimals=3).item()
    (True, 2.0, 1.0)
    """
    optimize = scipy("optimize")
    form = Form("minimize", x0)
    form.refuse_empty()
    start, kind = form.start(), _kind(jit)
    function = kind("minimize: fun", fun, form, args)
    name = method.lower() if isinstance(method, str) else ""
    more: dict[str, Any] = {}
    if name in _NO_GRADIENT:
        value: Any = function.value
    else:
        value, more["jac"] = function.number_and_gradient, True
        if name in _PRODUCTS:
            more["hessp"] = function.product
        elif name in _HESSIAN:
            more["hess"] = function.hessian
    if callback is not None:
        callback = _callback(callback, form)
    result = optimize.minimize(
        value,
        start,
        method=method,
        bounds=_bounds(bounds, form, optimize),
        constraints=_constraints(constraints, form, optimize, name, kind),
        tol=tol,
        callback=callback,
        options=options,
        **more,
    )
    return _result(result, form, "jac")


def root(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    method: str = "hybr",
    *,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    jit: bool = False,
) -> Any:
    """A root of a function of tensors: ``scipy.optimize.root``, with the Jacobian of ``fun`` for the methods hybr and lm.

    Parameters
    ----------
    fun
        ``fun(x, *args)`` returns a tensor of as many elements as x has, or a tree of tensors with as many in all; x has the form
        of ``x0``.
    x0, args, method, tol, callback, options, jit
        As in `minimize`; a method that approximates the Jacobian itself (krylov, broyden1, ...) is asked for values only.

    Returns
    -------
    scipy.optimize.OptimizeResult
        Its ``x`` has the form of ``x0``.

    Raises
    ------
    TypeError, ValueError
        ``fun`` returns no tensor; ``x0`` is not of a form given in `minimize`.
    ImportError
        SciPy is not installed.

    >>> import numgrad as ng
    >>> ng.scipy.root(lambda x: x.cos() - x, ng.tensor(1.0)).x
    tensor(0.7391)
    """
    optimize = scipy("optimize")
    form = Form("root", x0)
    start = form.start()
    function = _kind(jit)("root: fun", fun, form, args, trees=True)
    result = optimize.root(
        function.values,
        start,
        method=method,
        jac=function.jacobian if method.lower() in _JACOBIAN else None,
        tol=tol,
        callback=None if callback is None else _callback(callback, form),
        options=options,
    )
    return _result(result, form)


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    bounds: Any = (-np.inf, np.inf),
    jit: bool = False,
    **options: Any,
) -> Any:
    """The least sum of squares of residuals: ``scipy.optimize.least_squares``, with the Jacobian of ``fun`` by forward or reverse
    mode, whichever takes fewer passes.

    Parameters
    ----------
    fun
        ``fun(x, *args)`` returns the residuals, a tensor of any shape or a tree of them; x has the form of ``x0``.
    x0, args, jit
        As in `minimize`.
    bounds
        A pair (lower, upper) of numbers or trees like ``x0``, or SciPy's ``Bounds``.
    **options
        SciPy's others: ``method``, ``loss``, ``ftol``, ``xtol``, ``gtol``, ``x_scale``, ``f_scale``, ``max_nfev``, ``verbose``, ...

    Returns
    -------
    scipy.optimize.OptimizeResult
        Its ``x`` and ``grad`` have the form of ``x0``; ``fun`` and ``jac`` are arrays, as SciPy's.

    Raises
    ------
    TypeError, ValueError
        ``fun`` returns no tensor; ``x0`` or the bounds are not of the form given above; ``jac`` is among the options.
    ImportError
        SciPy is not installed.

    >>> import numgrad as ng
    >>> t = ng.linspace(0, 4, 30)
    >>> seen = 2.5 * (-1.3 * t).exp()
    >>> fit = ng.scipy.least_squares(lambda p: p["a"] * (-p["k"] * t).exp() - seen, {"a": ng.tensor(1.0), "k": ng.tensor(1.0)})
    >>> fit.x
    {'a': tensor(2.5000), 'k': tensor(1.3000)}
    """
    if "jac" in options:
        raise ValueError("least_squares: the Jacobian comes from numgrad; leave jac out, or call scipy.optimize")
    optimize = scipy("optimize")
    form = Form("least_squares", x0)
    form.refuse_empty()
    start = form.start()
    function = _kind(jit)("least_squares: fun", fun, form, args, trees=True)
    if not isinstance(bounds, optimize.Bounds):
        if not (isinstance(bounds, (tuple, list)) and len(bounds) == 2):
            raise ValueError(f"least_squares: expected bounds to be a pair (lower, upper), got {bounds!r}")
        bounds = optimize.Bounds(*bounds)
    result = optimize.least_squares(
        function.values, start, jac=function.jacobian, bounds=_bounds(bounds, form, optimize), **options
    )
    return _result(result, form, "grad")


def _kind(jit: bool) -> type[Function]:
    return Replayed if jit else Function


def _result(result: Any, form: Form, *gradients: str) -> Any:
    """SciPy's result, with x and gradients in the form of x0."""
    for name in gradients:
        if isinstance(result.get(name), np.ndarray):  # trust-constr's jac are those of its constraints
            result[name] = form.given(result[name])
    result.x = form.settle(result.x)
    return result


def _callback(callback: Callable[..., Any], form: Form) -> Callable[..., Any]:
    """A callback for SciPy, which looks at the name of its argument to know what to give."""
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:

        def told(intermediate_result: Any) -> Any:
            copied = type(intermediate_result)(intermediate_result)
            copied.x = form.given(copied.x)
            return callback(intermediate_result=copied)

        return told
    return lambda x, *rest: callback(form.given(x), *rest)


def _bounds(bounds: Any, form: Form, optimize: Any) -> Any:
    if not isinstance(bounds, optimize.Bounds):
        return bounds
    ends = [_end(each, form, end) for each, end in ((bounds.lb, "bounds.lb"), (bounds.ub, "bounds.ub"))]
    return optimize.Bounds(*ends, keep_feasible=bounds.keep_feasible)


def _end(end: Any, form: Form, what: str) -> Any:
    """A lower or upper bound as a vector. `Bounds` made an array of it: of its numbers, or of a tree as an object."""
    end = np.asarray(end)
    if end.dtype == object:
        return form.vector(what, end.item() if end.size == 1 else end.tolist())
    if end.size == 1:
        return np.full(form.count, end.item(), np.float64)
    if end.size != form.count:
        raise ValueError(
            f"{form.name}: {what} has {end.size} numbers, expected {form.count}, or one, or a tree like x0"
        )
    return end.astype(np.float64).ravel()


def _constraints(constraints: Any, form: Form, optimize: Any, method: str, kind: type[Function]) -> Any:
    kinds = (dict, optimize.LinearConstraint, optimize.NonlinearConstraint)
    several = [constraints] if isinstance(constraints, kinds) else list(constraints)
    changed = []
    for each in several:
        if isinstance(each, optimize.NonlinearConstraint):
            changed.append(_nonlinear(each, form, optimize, method, kind))
        elif isinstance(each, dict):
            if "fun" not in each:
                raise ValueError(f"minimize: expected a constraint with a 'fun', got the keys {sorted(each)}")
            function = kind("minimize: a constraint", each["fun"], form, tuple(each.get("args", ())))
            jac = each.get("jac")
            changed.append(
                {
                    "type": each.get("type"),
                    "fun": function.values,
                    "jac": function.jacobian if jac is None else functools.partial(_given, jac, form, function.args),
                }
            )
        elif isinstance(each, optimize.LinearConstraint):
            changed.append(each)
        else:
            raise TypeError(f"minimize: expected a constraint of SciPy's, got {type(each).__name__}")
    return changed


def _nonlinear(constraint: Any, form: Form, optimize: Any, method: str, kind: type[Function]) -> Any:
    function = kind("minimize: a constraint", constraint.fun, form)
    # SciPy's defaults are differences for the Jacobian and BFGS for the Hessian.
    jac = function.jacobian if isinstance(constraint.jac, str) else functools.partial(_given, constraint.jac, form, ())
    hess = function.weighted_hessian if method == "trust-constr" else constraint.hess
    return optimize.NonlinearConstraint(
        function.values,
        constraint.lb,
        constraint.ub,
        jac=jac,
        hess=hess,
        keep_feasible=constraint.keep_feasible,
    )


def _given(jac: Callable[..., Any], form: Form, args: tuple[Any, ...], vector: Any) -> Any:
    """A Jacobian of the user's, of the tree, as an array."""
    return np.asarray(jac(form.given(vector), *args), np.float64)
