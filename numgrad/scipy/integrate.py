"""`solve_ivp`: ``scipy.integrate.solve_ivp`` for right sides of tensors, with gradients by the adjoint equation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from numgrad.autograd.function import Function as AutogradFunction
from numgrad.autograd.function import once_differentiable
from numgrad.autograd.gradients import grad
from numgrad.autograd.modes import enable_grad, is_grad_enabled, no_grad
from numgrad.compile import jit as numgrad_jit
from numgrad.func.transforms import jacfwd
from numgrad.nn import Module, ModuleList
from numgrad.scipy.vectors import Form, as_it_is, depends_on_others, has_tangent, leads_to, scipy, tensor_of
from numgrad.tensor import creation, joining
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.trees import flatten

_IMPLICIT = {"Radau", "BDF", "LSODA"}
# Gauss and Legendre's points in a step: exact for polynomials of degree 9, where the solutions of a step are of degree 7 at most.
_NODES = 5


def solve_ivp(
    fun: Callable[..., Any],
    t_span: tuple[float, float],
    y0: Any,
    method: str = "RK45",
    t_eval: Any = None,
    *,
    args: tuple[Any, ...] = (),
    parameters: Iterable[Tensor] | None = None,
    dense_output: bool = False,
    events: Any = None,
    jit: bool = False,
    **options: Any,
) -> Any:
    """Solve ``y' = fun(t, y, *args)`` from y0: ``scipy.integrate.solve_ivp``, whose result has gradients.

    The Jacobians that Radau, BDF and LSODA ask for come from numgrad. The gradients by ``y0``, by the tensors in ``args`` and by
    ``parameters`` are those of the continuous problem (Pontryagin's adjoint equation a' = -a df/dy, as in Chen et al., 2018): it is
    solved backward in time by the same method, with the same tolerances, along the interpolated solution, which is kept; nothing
    of the forward steps is. The integrals of the parameters' gradients are Gauss and Legendre's sums over each step.

    Parameters
    ----------
    fun
        ``fun(t, y, *args)`` returns a tree like ``y0``; t is a tensor of float64 without dimensions.
    t_span
        Start and end; the end may be before the start.
    y0
        A tensor, an array or a number (tensors of float64 in ``fun``), or a tree of these.
    method, t_eval, dense_output, **options
        As SciPy's: ``rtol``, ``atol``, ``max_step``, ``first_step``, ...
    args
        Further arguments of ``fun``; gradients reach the tensors in them.
    parameters
        Tensors that ``fun`` uses otherwise, for gradients; by default the parameters of ``fun`` if that is a module or a module's
        method, and of the modules in ``args``.
    events
        As SciPy's; they get t and y as ``fun`` does, and return a tensor or a number. Not with gradients, since the times of
        events would need some too.
    jit
        Capture ``fun`` and its derivatives by `numgrad.jit`, under its rules (docs/replay.md), and replay them: with few numbers an
        evaluation then takes a tenth of the time or less.

    Returns
    -------
    scipy.integrate.OdeResult
        As SciPy's; ``y`` is a tree like ``y0`` of tensors [..., len(t)].

    Raises
    ------
    TypeError, ValueError
        ``fun`` returns no tree like ``y0``, or numbers that are not finite at the start; ``vectorized`` or ``jac`` are among the
        options.
    RuntimeError
        With gradients: the solver fails, events are given, ``fun`` uses tensors that require a gradient and are named neither
        in ``args`` nor in ``parameters``, a time requires one, a second derivative or forward mode is asked for.
    ImportError
        SciPy is not installed.

    >>> import numgrad as ng
    >>> rate = ng.tensor(0.5, requires_grad=True)
    >>> y = ng.scipy.solve_ivp(lambda t, y, rate: -rate * y, (0, 2), ng.ones(1), args=(rate,), rtol=1e-6).y[0, -1]
    >>> y.backward()
    >>> y, rate.grad  # exp(-2 rate), -2 exp(-2 rate)
    (tensor(0.3679, grad_fn=<SelectBackward0>), tensor(-0.7358))
    """
    for name in ("vectorized", "jac"):
        if name in options:
            raise ValueError(
                f"solve_ivp: {name} is not taken: the right side is of tensors, its Jacobian comes from numgrad"
            )
    integrate = scipy("integrate")
    form = Form("solve_ivp", y0)
    leaves, build = flatten(args)
    if parameters is None:
        modules = [each for each in (fun, getattr(fun, "__self__", None), *leaves) if isinstance(each, Module)]
        parameters = ModuleList(modules).parameters()
    parameters = list(parameters)
    used = {id(each): each for each in parameters if each.requires_grad}
    _refuse_dependent(list(used.values()))
    # Partial derivatives: an argument is cut off from others that it depends on.
    cut = {
        id(leaf): (leaf, leaf.detach().requires_grad_())
        for leaf in leaves
        if isinstance(leaf, Tensor) and leaf.requires_grad
    }
    args = build([cut[id(leaf)][1] if id(leaf) in cut else leaf for leaf in leaves])
    by = [*(leaf for leaf, _ in cut.values()), *used.values()]
    start = _flat(flatten(y0)[0], form)
    side = _RightSide(
        fun, form, args, [*(leaf for _, leaf in cut.values()), *used.values()], numgrad_jit if jit else as_it_is
    )
    solver = {"method": method, **options}
    if method in _IMPLICIT:
        solver["jac"] = side.jacobian
    times = [each for each in (*t_span, t_eval) if isinstance(each, Tensor)]
    needed = is_grad_enabled() and (start.requires_grad or bool(by))
    if is_grad_enabled() and any(each.requires_grad for each in times):
        raise RuntimeError("solve_ivp: there are no gradients by the times; detach t_span and t_eval")
    if needed and events is not None:
        raise RuntimeError(
            "solve_ivp: events have no gradients: call it under numgrad.no_grad(), or leave the events out and give t_eval"
        )
    side.check(float(t_span[0]), [*flatten(y0)[0], *leaves, *times])
    result = integrate.solve_ivp(
        side.value,
        tuple(float(t) for t in t_span),
        start.detach().numpy().copy(),
        t_eval=None if t_eval is None else np.asarray(t_eval, np.float64),
        dense_output=dense_output or needed,
        events=_events(events, form, args),
        **solver,
    )
    if needed and not result.success:
        raise RuntimeError(
            f"solve_ivp: {result.message}; there is no gradient of a solution that ends before t_span does"
        )
    # An empty t_eval gives a list without rows.
    states = creation.from_numpy(np.ascontiguousarray(np.reshape(result.y, (form.count, len(result.t))).T))
    if needed:
        solver.pop("jac", None)
        solver.pop("first_step", None)
        states = _Solution.apply(side, result, solver, float(t_span[0]), states, start, *by)
    result.y = _trajectory(states, form)
    if not dense_output:
        result.sol = None
    return result


def _refuse_dependent(parameters: list[Tensor]) -> None:
    """Check that none of the parameters is computed from others: its gradient would count twice.

    Raises
    ------
    RuntimeError
        One is.
    """
    for each in parameters:
        if each.grad_fn is not None:
            others = [other for other in parameters if other is not each]
            if leads_to(each, others):
                raise RuntimeError(
                    "solve_ivp: one of the parameters is computed from another, whose gradient would count twice; pass it in args"
                )


def _flat(leaves: list[Any], form: Form) -> Tensor:
    """y0 as one tensor of float64, with its graph."""
    if not any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves):
        return tensor_of(form.start())
    return joining.cat(
        [
            (leaf if isinstance(leaf, Tensor) else own).reshape(-1).to(own.dtype).double()
            for leaf, own in zip(leaves, form.leaves, strict=True)
        ]
    )


def _trajectory(states: Tensor, form: Form) -> Any:
    """States [len(t), count] as a tree of tensors [..., len(t)]."""
    count = states.shape[0]
    parts = states.T.split(form.sizes) if len(form.sizes) > 1 else (states.T,)
    return form.build(
        [part.reshape(*leaf.shape, count).to(leaf.dtype) for part, leaf in zip(parts, form.leaves, strict=True)]
    )


def _events(events: Any, form: Form, args: tuple[Any, ...]) -> Any:
    if events is None:
        return None
    if callable(events):
        return _event(events, form, args)
    return [_event(each, form, args) for each in events]


def _event(event: Callable[..., Any], form: Form, args: tuple[Any, ...]) -> Callable[..., float]:
    def asked(t: float, y: Any) -> float:
        with no_grad():
            return float(event(_time(t), form.tree(tensor_of(y)), *args))

    for name in ("terminal", "direction"):
        if hasattr(event, name):
            setattr(asked, name, getattr(event, name))
    return asked


class _RightSide:
    """The right side as a function of a vector, and its derivatives.

    Parameters
    ----------
    by
        The tensors other than y that gradients are asked for.
    """

    def __init__(self, fun: Any, form: Form, args: tuple[Any, ...], by: list[Tensor], wrap: Callable[..., Any]) -> None:
        self.fun, self.form, self.args, self.by = fun, form, args, by
        self._value, self._by_y, self._by_others = (
            wrap(self.of),
            wrap(self._product_by_y),
            wrap(self._product_by_others),
        )
        self._jacobian = wrap(jacfwd(self.of, 1))

    def of(self, t: Tensor, flat: Tensor) -> Tensor:
        """The derivative of y, flat as y is; t is a tensor of float64 without dimensions.

        Raises
        ------
        TypeError, ValueError
            The user's function returns no tree of tensors like y.
        """
        result = self.fun(t, self.form.tree(flat), *self.args)
        leaves, _ = flatten(result)
        if any(not isinstance(leaf, Tensor) for leaf in leaves):
            kinds = sorted({type(leaf).__name__ for leaf in leaves if not isinstance(leaf, Tensor)})
            raise TypeError(f"solve_ivp: expected fun to return tensors, got {', '.join(kinds)}")
        shapes, own = [list(leaf.shape) for leaf in leaves], [list(leaf.shape) for leaf in self.form.leaves]
        if shapes != own:
            raise ValueError(f"solve_ivp: expected fun to return the shapes of y0, {own}, got {shapes}")
        if len(leaves) == 1:
            return leaves[0].reshape(-1).double()
        return joining.cat([leaf.reshape(-1).double() for leaf in leaves])

    def check(self, t: float, others: list[Any]) -> None:
        """Check the derivative at the start, and that all tensors that it depends on and that are differentiated are known.

        Raises
        ------
        RuntimeError
            The derivative depends on other tensors that require a gradient, which would be missing; or on one with a tangent.
        ValueError
            It is not finite: the solvers would not end.
        """
        differentiated = is_grad_enabled()
        with enable_grad():
            result = self.of(_time(t), tensor_of(self.form.start()))
        if has_tangent([*others, result]):
            raise RuntimeError("solve_ivp: there is no forward mode; take reverse mode (grad, jacrev, vjp)")
        if differentiated and depends_on_others([result], self.by):
            raise RuntimeError(
                "solve_ivp: fun uses a tensor that requires a gradient and is neither in args nor in parameters, so it would get "
                "none: give it as parameters=[...] (of a module: parameters=model.parameters()), or detach it"
            )
        if not np.isfinite(result.detach().numpy()).all():
            raise ValueError(f"solve_ivp: fun returns numbers that are not finite at the start, t = {t}")

    def value(self, t: float, y: Any) -> np.ndarray[Any, Any]:
        """The derivative of y [count]."""
        with no_grad():
            return self._value(_time(t), tensor_of(y)).numpy()  # type: ignore[no-any-return]

    def jacobian(self, t: float, y: Any) -> np.ndarray[Any, Any]:
        """The Jacobian by y [count, count]."""
        with no_grad():
            return self._jacobian(_time(t), tensor_of(y)).numpy()  # type: ignore[no-any-return]

    def by_y(self, t: float, y: Any, cotangent: Any) -> np.ndarray[Any, Any]:
        """The cotangent's product with the Jacobian by y [count]."""
        return self._by_y(_time(t), tensor_of(y), tensor_of(cotangent)).numpy()  # type: ignore[no-any-return]

    def by_others(self, t: float, y: Any, cotangent: Any) -> list[Tensor]:
        """The cotangent's products with the Jacobians by each of ``by``."""
        return self._by_others(_time(t), tensor_of(y), tensor_of(cotangent))  # type: ignore[no-any-return]

    def _product_by_y(self, t: Tensor, flat: Tensor, cotangent: Tensor) -> Tensor:
        with enable_grad():
            flat = flat.detach().requires_grad_()
            return self._products(t, flat, cotangent, [flat])[0]

    def _product_by_others(self, t: Tensor, flat: Tensor, cotangent: Tensor) -> list[Tensor]:
        with enable_grad():
            return self._products(t, flat, cotangent, self.by)

    def _products(self, t: Tensor, flat: Tensor, cotangent: Tensor, inputs: list[Tensor]) -> list[Tensor]:
        result = self.of(t, flat)
        if not result.requires_grad:
            return [creation.zeros_like(each) for each in inputs]
        return list(grad(result, inputs, cotangent, materialize_grads=True))


def _time(t: float) -> Tensor:
    return creation.from_numpy(np.array(t, np.float64))


class _Solution(AutogradFunction):
    """The states at the times of a result, as a function of y0 and of the right side's parameters."""

    @staticmethod
    def forward(
        ctx: Any, side: _RightSide, result: Any, solver: Any, begin: float, states: Tensor, start: Tensor, *by: Tensor
    ) -> Tensor:
        ctx.save_for_backward(*by)  # so that a change in place is noticed: the backward computes with them again
        ctx.problem = side, result.t, result.sol, solver, begin
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangents: Tensor) -> Any:
        _ = ctx.saved_tensors
        side, times, solution, solver, begin = ctx.problem
        integrals = [creation.zeros_like(each) for each in side.by]
        adjoint = np.zeros(side.form.count)
        rows = cotangents.numpy()
        for position in range(len(times) - 1, -1, -1):
            adjoint = adjoint + rows[position]
            before = times[position - 1] if position else begin
            adjoint = _back(side, solution, solver, times[position], before, adjoint, integrals)
        return None, None, None, None, None, tensor_of(adjoint), *integrals


def _back(
    side: _RightSide,
    solution: Any,
    solver: dict[str, Any],
    t: float,
    before: float,
    adjoint: np.ndarray[Any, Any],
    integrals: list[Tensor],
) -> np.ndarray[Any, Any]:
    """The adjoint at the time ``before`` from that at ``t``; the parameters' gradients of this stretch go into ``integrals``."""
    if t == before or not adjoint.any():
        return adjoint
    if not np.isfinite(adjoint).all():  # the solvers would not end
        for integral in integrals:
            integral.fill_(np.nan)
        return np.full_like(adjoint, np.nan)

    def slope(time: float, vector: Any) -> np.ndarray[Any, Any]:
        return -side.by_y(time, solution(time), vector)

    more = {}
    if solver["method"] in _IMPLICIT:
        more["jac"] = lambda time, _: -side.jacobian(time, solution(time)).T
    result = scipy("integrate").solve_ivp(slope, (t, before), adjoint, dense_output=bool(integrals), **solver, **more)
    if not result.success:
        raise RuntimeError(f"solve_ivp: the adjoint equation was not solved: {result.message}")
    if integrals:
        _integrate(side, solution, result.sol, result.t, integrals)
    return result.y[:, -1]  # type: ignore[no-any-return]


def _integrate(side: _RightSide, solution: Any, adjoint: Any, steps: Any, integrals: list[Tensor]) -> None:
    """Add the integrals of a df/dp, from the last time of ``steps`` to the first, which is the later one."""
    inner = [t for t in solution.ts if min(steps[0], steps[-1]) < t < max(steps[0], steps[-1])]
    ends = np.unique(np.concatenate([steps, inner]))
    if steps[0] < steps[-1]:  # time runs backward in the problem
        ends = ends[::-1]
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    for low, high in itertools.pairwise(ends):
        half = (high - low) / 2
        for node, weight in zip(nodes, weights, strict=True):
            t = low + half * (1 + node)
            for integral, product in zip(integrals, side.by_others(t, solution(t), adjoint(t)), strict=True):
                integral.add_(product, alpha=half * weight)
