"""`LRScheduler`, the base class of the schedulers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from numgrad.optim.optimizer import Optimizer
from numgrad.tensor.changes import Changes

_MISSING_INITIAL = (
    "param 'initial_lr' is not specified in param_groups[{}] when resuming a scheduler with last_epoch >= 0: load the "
    "optimizer's state first, or leave last_epoch at -1"
)


def check_divisor(scheduler: str, name: str, value: Any) -> None:
    """Refuse 0 for an option that the formula divides by.

    Raises
    ------
    ValueError
        The value is 0.
    """
    if value == 0:
        raise ValueError(f"{scheduler}: {name} is 0, expected a positive number")


class LRScheduler:
    """Base class. A subclass defines `get_lr`, the rates of the groups for ``last_epoch``.

    Parameters
    ----------
    optimizer
        The optimizer whose groups' 'lr' is set, now and at each `step`.
    last_epoch
        The number of the last step, to resume; -1 to start.

    Raises
    ------
    TypeError
        ``optimizer`` is not an `Optimizer`.
    KeyError
        ``last_epoch`` asks to resume, and the optimizer's state was not loaded before.

    >>> import numgrad as ng
    >>> class Harmonic(ng.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [rate / (self.last_epoch + 1) for rate in self.base_lrs]
    >>> optimizer = ng.optim.SGD([ng.ones(2, requires_grad=True)], lr=0.5)
    >>> scheduler = Harmonic(optimizer)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(_MISSING_INITIAL.format(number))
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._steps_before = optimizer._step_count
        self._advance()

    def get_lr(self) -> list[float]:
        """The rate of each group for ``last_epoch``; subclasses define it."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The most recent rates of the groups."""
        return self._last_lr

    def step(self) -> None:
        """Advance by one epoch (or batch); call it after the optimizer's step."""
        if self._step_count == 1 and self.optimizer._step_count == self._steps_before:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
                "the first value of the learning rate schedule is skipped otherwise.",
                UserWarning,
                stacklevel=2,
            )
        self._advance()

    def _advance(self) -> None:
        self._as_a_whole(LRScheduler._next_epoch)

    def _next_epoch(self) -> None:
        self._step_count += 1
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr
        self._last_lr = self._rates()

    def _as_a_whole(self, function: Callable[..., None], *args: Any) -> None:
        """Call ``function(scheduler, *args)`` with a copy of this scheduler, which holds copies of the groups. Then make its
        changes here and in the groups, all at once. After an error or Ctrl-C nothing has been changed.
        """
        ahead, optimizer = object.__new__(type(self)), object.__new__(type(self.optimizer))
        optimizer.__dict__.update(self.optimizer.__dict__)
        optimizer.param_groups = [dict(group) for group in self.optimizer.param_groups]
        ahead.__dict__.update({**self.__dict__, "optimizer": optimizer})
        function(ahead, *args)
        changes = Changes()
        for group, after in zip(self.optimizer.param_groups, optimizer.param_groups, strict=True):
            changes.call(group.update, after)
        changes.call(self.__dict__.update, {**ahead.__dict__, "optimizer": self.optimizer})
        changes.make()

    @property
    def _is_first(self) -> bool:
        """True while the constructor runs: a scheduler that resumes leaves the groups' rates as they are."""
        return self._step_count == 1

    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def _scaled(self, factor: float) -> list[float]:
        return [lr * factor for lr in self._rates()]

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's attributes without the optimizer."""
        left_out = ("optimizer", "_steps_before")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a `state_dict`. The optimizer's own state, which has the current rate, is loaded separately."""
        self.__dict__.update(state_dict)
