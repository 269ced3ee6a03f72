"""`ComposedOptimizer`: optimizers whose step is no formula for each element, and so is made of tensor functions."""

from __future__ import annotations

from typing import Any

from numgrad.autograd import no_grad
from numgrad.engine.private import expose
from numgrad.errors import describe
from numgrad.optim.optimizer import Optimizer
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import is_alike, plan_copy

State = dict[str, Tensor]


class ComposedOptimizer(Optimizer):
    """Base class. A subclass defines `begun` and `stepped`, which change nothing; then the results are copied at once."""

    def begun(self, group: dict[str, Any], parameter: Tensor) -> State:
        """A parameter's first state."""
        raise NotImplementedError

    def stepped(self, group: dict[str, Any], parameter: Tensor, grad: Tensor, state: State) -> tuple[Tensor, State]:
        """The parameter and its state after a step, as new tensors."""
        raise NotImplementedError

    def plan(self, changes: Changes, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        latest: dict[Tensor, tuple[Tensor, State]] = {}  # a parameter that is listed twice takes two steps
        for parameter, grad in zip(params, grads, strict=True):
            is_alike(parameter._spec, grad._spec, "grad")
            if parameter not in latest:
                state = self.state.get(parameter) or self.begun(group, parameter)
                for name, each in state.items():
                    if not isinstance(each, Tensor):
                        raise RuntimeError(describe("optimizer", f"{name} of a parameter's state", each, "a Tensor"))
                # What is computed from private layouts may have one, and a step is planned until nothing moves any more.
                for each in (parameter, grad, *state.values()):
                    expose(each)
                latest[parameter] = parameter.detach(), state
            with no_grad():
                latest[parameter] = self.stepped(group, latest[parameter][0], grad.detach(), latest[parameter][1])
        for parameter, (value, after) in latest.items():
            plan_copy(changes, parameter, value)
            before = self.state.get(parameter)
            if not before:
                self._keep(changes, parameter, after)
                continue
            for name, tensor in after.items():
                plan_copy(changes, before[name], tensor)
