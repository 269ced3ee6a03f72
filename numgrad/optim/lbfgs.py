"""`LBFGS`."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

from numgrad.autograd import enable_grad, no_grad
from numgrad.engine.tape import modes
from numgrad.errors import describe
from numgrad.optim.line_search import Point, strong_wolfe
from numgrad.optim.optimizer import Optimizer, Params, check_numbers
from numgrad.tensor import joining
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import plan_copy

_SMALLEST_CURVATURE = 1e-10


class LBFGS(Optimizer):
    """Quasi-Newton steps, from the gradients of the last ``history_size`` iterations. Nocedal, 1980.

    A step makes several iterations and calls its closure for each, so it has to be given one: `step`. All parameters are in
    one group.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Length of an iteration, or of the line search's first try; a tensor of one number is read at each step.
    max_iter, max_eval
        The most iterations, and calls of the closure, of a step; by default 5 calls for 4 iterations.
    tolerance_grad, tolerance_change
        A step ends where no element of the gradient is larger, or none of the parameters or the loss changes by more.
    history_size
        How many iterations are remembered; each takes the memory of two copies of the parameters.
    line_search_fn
        'strong_wolfe', or None for iterations of fixed length.

    Raises
    ------
    ValueError
        There are several groups, or the learning rate is negative.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> x = ng.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((x - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure)
    tensor(13., grad_fn=<SumBackward0>)
    >>> bool(((x - 1).abs() < 1e-5).all())
    True
    """

    _counts = ()

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_numbers(options, {"lr": "learning rate"})
        if getattr(self, "param_groups", ()):
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Make up to ``max_iter`` iterations; the loss at the start is returned.

        ``closure`` clears the gradients, computes the loss and its gradients, and returns the loss. If it fails, or is
        interrupted, parameters and state are as before.

        Raises
        ------
        RuntimeError
            The line search is unknown.
        TypeError
            A limit is not a number.
        """
        if modes.capture is not None:
            modes.capture.refuse(
                "makes a step of LBFGS, which decides by the values of losses and directions",
                "capture the closure instead, ng.jit(closure), and call optimizer.step with that, or take fallback='eager'",
            )
        group = self.param_groups[0]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        for name in ("max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size"):
            if not isinstance(group[name], numbers.Real):
                raise TypeError(describe("LBFGS", name, repr(group[name]), "a number"))
        search = _Search(group, closure)
        first = group["params"][0]
        count = self._step_count
        with no_grad():
            before = search.copies()
            try:
                result, state = search.run(dict(self.state.get(first, {})))
                changes = Changes()
                self._keep(changes, first, state)
                changes.call(setattr, self, "_step_count", count + 1)
                changes.make()
            except BaseException:
                if search.moved and self._step_count == count:
                    search.put(before)
                raise
        return result


class _Search:
    """One step: the parameters as one vector, and the closure."""

    def __init__(self, group: dict[str, Any], closure: Callable[[], Any]) -> None:
        self.group, self.closure = group, closure
        self.params: list[Tensor] = group["params"]
        self.moved = False

    def loss(self) -> Any:
        """Call the closure, which computes gradients."""
        with enable_grad():
            return self.closure()

    def gradient(self) -> Tensor:
        """All gradients as one vector; zeros where there is none."""
        parts = [
            parameter.new_zeros(parameter.numel()) if parameter.grad is None else parameter.grad.reshape(-1)
            for parameter in self.params
        ]
        return joining.cat(parts, 0)

    def copies(self) -> list[Tensor]:
        """Copies of the parameters."""
        return [parameter.detach().clone() for parameter in self.params]

    def put(self, values: list[Tensor]) -> None:
        """Set the parameters, all at once."""
        changes = Changes()
        for parameter, value in zip(self.params, values, strict=True):
            plan_copy(changes, parameter, value)
        changes.make()

    def move(self, step: Any, direction: Tensor) -> None:
        """Move the parameters along the direction."""
        self.moved = True
        values, offset = [], 0
        for parameter in self.params:
            part = direction[offset : offset + parameter.numel()].view_as(parameter)
            values.append(parameter.add(part, alpha=float(step)))
            offset += parameter.numel()
        self.put(values)

    def evaluated(self, begin: list[Tensor], step: Any, direction: Tensor) -> Point:
        """The point of a step from ``begin``, where the parameters are before and after."""
        self.move(step, direction)
        loss, grad = float(self.loss()), self.gradient()
        self.put(begin)
        return Point(step, loss, grad, grad.dot(direction))

    def run(self, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The loss at the start, and the state after the step."""
        group = self.group
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        tolerance_grad, tolerance_change = group["tolerance_grad"], group["tolerance_change"]
        first = self.loss()
        loss, calls = float(first), 1
        state["func_evals"] += 1
        grad = self.gradient()
        if not grad.numel() or grad.abs().max() <= tolerance_grad:
            return first, state
        direction: Any = state.get("d")
        step: Any = state.get("t")
        memory = _Memory(state, group["history_size"])
        previous = state.get("prev_flat_grad")
        previous_loss = state.get("prev_loss")
        lr = group["lr"] if isinstance(group["lr"], (int, float)) else float(group["lr"])
        iteration = 0
        while iteration < group["max_iter"]:
            iteration += 1
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                longest: Any = 1.0 / grad.abs().sum()
                direction, step = grad.neg(), min(1.0, longest) * lr
                memory.clear()
            else:
                memory.add(grad - previous, direction * step)
                direction, step = memory.direction(grad), lr
            previous, previous_loss = grad.clone(), loss
            slope = grad.dot(direction)
            if slope > -tolerance_change:
                break
            ended, used = False, 0
            if group["line_search_fn"] is not None:
                begin = self.copies()
                evaluate = _bound(self.evaluated, begin, direction)
                start = Point(0, loss, grad, slope)
                point, used = strong_wolfe(evaluate, step, start, direction, group["max_eval"] - calls)
                step, loss, grad = point.step, point.loss, point.grad
                self.move(step, direction)
                ended = bool(grad.abs().max() <= tolerance_grad)
            else:
                self.move(step, direction)
                if iteration != group["max_iter"]:
                    loss, grad, used = float(self.loss()), self.gradient(), 1
                    ended = bool(grad.abs().max() <= tolerance_grad)
            calls += used
            state["func_evals"] += used
            if ended or calls >= group["max_eval"] or (direction * step).abs().max() <= tolerance_change:
                break
            if abs(loss - previous_loss) < tolerance_change:
                break
        if memory.shares is not None:
            state["al"] = memory.shares
        state.update(d=direction, t=step, old_dirs=memory.dirs, old_stps=memory.steps, ro=memory.ro)
        state.update(H_diag=memory.diagonal, prev_flat_grad=previous, prev_loss=previous_loss)
        return first, state


def _bound(evaluated: Callable[..., Point], begin: list[Tensor], direction: Tensor) -> Callable[[Any], Point]:
    return lambda step: evaluated(begin, step, direction)


class _Memory:
    """The last changes of the gradient and of the parameters: an approximation of the inverse of the Hessian."""

    def __init__(self, state: Mapping[str, Any], size: int) -> None:
        self.size = size
        self.dirs, self.steps, self.ro = (list(state.get(name) or ()) for name in ("old_dirs", "old_stps", "ro"))
        self.diagonal: Any = state.get("H_diag")
        self.shares: list[Any] | None = state.get("al")
        self.no_shares: list[Any] = [None] * size

    def clear(self) -> None:
        """Forget everything."""
        self.dirs, self.steps, self.ro, self.diagonal = [], [], [], 1

    def add(self, change: Tensor, step: Tensor) -> None:
        """Remember an iteration, if the function curves upwards along it."""
        curvature = change.dot(step)
        if curvature > _SMALLEST_CURVATURE:
            if len(self.dirs) == self.size:
                for each in (self.dirs, self.steps, self.ro):
                    each.pop(0)
            self.dirs.append(change)
            self.steps.append(step)
            self.ro.append(1.0 / curvature)
            self.diagonal = curvature / change.dot(change)

    def direction(self, grad: Tensor) -> Tensor:
        """The inverse of the Hessian, as far as it is known, times the gradient; downwards. The two-loop recursion."""
        shares = self.shares = list(self.no_shares if self.shares is None else self.shares)
        q = grad.neg()
        for k in reversed(range(len(self.dirs))):
            shares[k] = self.steps[k].dot(q) * self.ro[k]
            q = q.sub(self.dirs[k], alpha=float(shares[k]))
        r = q * self.diagonal
        for k in range(len(self.dirs)):
            r = r.add(self.steps[k], alpha=float(shares[k] - self.dirs[k].dot(r) * self.ro[k]))
        return r
