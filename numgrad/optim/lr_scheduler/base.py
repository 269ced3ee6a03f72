"""`LRScheduler`, the base class of the schedulers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from numgrad.engine.tape import modes
from numgrad.errors import warn
from numgrad.optim.optimizer import Optimizer
from numgrad.tensor import creation
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import plan_copy

_MISSING_INITIAL = (
    "param 'initial_lr' is not specified in param_groups[{}] when resuming a scheduler with last_epoch >= 0: load the "
    "optimizer's state first, or leave last_epoch at -1"
)
_TOO_EARLY = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
    "the first value of the learning rate schedule is skipped otherwise."
)
_OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make sure to "
    "call `optimizer.step()` before `lr_scheduler.step()`."
)
EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form is "
    "used instead of the new chainable form, where available."
)
_OUTSIDE = "To get the last learning rate computed by the scheduler, please use `get_last_lr()`."


def check_divisor(scheduler: str, name: str, value: Any) -> None:
    """Refuse 0 for an option that the formula divides by.

    Raises
    ------
    ValueError
        The value is 0.
    """
    if value == 0:
        raise ValueError(f"{scheduler}: {name} is 0, expected a positive number")


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is no optimizer.

    Raises
    ------
    TypeError
        It is none.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def for_groups(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group, from a list or from one value for all; tensors are copied.

    Raises
    ------
    ValueError
        The list has another length.
    """
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(values)} values, "
            f"param_groups has {count}."
        )
    return [each.clone() if isinstance(each, Tensor) else each for each in values]


def set_option(group: dict[str, Any], name: str, value: Any) -> None:
    """Set an option of a group; in the place of a tensor comes a tensor of its dtype and shape."""
    before = group[name]
    if isinstance(before, Tensor):
        value = creation.full_like(before, float(value))
    group[name] = value


def cycles_beta(optimizer: Optimizer) -> bool:
    """Whether an optimizer's momentum is the first of its betas.

    Raises
    ------
    ValueError
        It has none.
    """
    if not {"momentum", "betas"} & set(optimizer.defaults):
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
    return "betas" in optimizer.defaults


def set_momentum(group: dict[str, Any], momentum: float) -> None:
    """Set a group's momentum, or the first of its betas."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def _replayed(step: Callable[..., None]) -> Callable[..., None]:
    """A scheduler's ``step`` that each replay of a captured step calls again."""

    @functools.wraps(step)
    def advance(self: Any, *args: Any, **kwargs: Any) -> None:
        if modes.capture is None:
            step(self, *args, **kwargs)
        else:
            modes.capture.again(f"{type(self).__name__}.step", functools.partial(advance, self, *args, **kwargs))

    return advance


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

    _get_lr_called_within_step = False
    _replay_opaque = True  # see `compile.visible`
    _is_initial = False  # while the constructor runs: a scheduler that resumes leaves the groups' rates as they are

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__:
            cls.step = _replayed(cls.step)  # type: ignore[method-assign]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                rate = group["lr"]
                group.setdefault("initial_lr", rate.clone() if isinstance(rate, Tensor) else rate)
            elif "initial_lr" not in group:
                raise KeyError(_MISSING_INITIAL.format(number))
        self.base_lrs = self._of_groups("initial_lr")
        self.last_epoch = last_epoch
        self._steps_before = optimizer._step_count, optimizer.__dict__.get("step")
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Any]:
        """The rate of each group for ``last_epoch``; subclasses define it. `step` calls it."""
        raise NotImplementedError

    def get_last_lr(self) -> list[Any]:
        """The most recent rates of the groups."""
        return self._last_lr

    @_replayed
    def step(self, epoch: int | None = None) -> None:
        """Advance by one epoch (or batch); call it after the optimizer's step.

        With ``epoch``, which torch deprecates, go to that epoch.
        """
        if self._step_count == 1:
            count, override = self._steps_before
            if self.optimizer.__dict__.get("step") is not override:
                warn(_OVERRIDDEN)
            elif self.optimizer._step_count == count:
                warn(_TOO_EARLY)
        if epoch is not None:
            warn(EPOCH_DEPRECATION_WARNING)
        self._as_a_whole(LRScheduler._next_epoch, epoch)

    def _next_epoch(self, epoch: int | None) -> None:
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr if epoch is None else getattr(self, "_get_closed_form_lr", self.get_lr)
        self._set_rates(rates)

    def _set_rates(self, rates: Callable[[], list[Any]]) -> None:
        self._get_lr_called_within_step = True
        try:
            values = rates()
        finally:
            self._get_lr_called_within_step = False
        for group, lr in zip(self.optimizer.param_groups, values, strict=True):
            set_option(group, "lr", lr)
        self._last_lr = self._rates()

    def _as_a_whole(self, function: Callable[..., None], *args: Any) -> None:
        """Call ``function(scheduler, *args)`` with a copy of this scheduler, which holds copies of the groups. Then make its
        changes here and in the groups, all at once. After an error or Ctrl-C nothing has been changed.
        """
        optimizer = object.__new__(type(self.optimizer))
        optimizer.__dict__.update(self.optimizer.__dict__)
        optimizer.param_groups = [dict(group) for group in self.optimizer.param_groups]
        ahead = self._copied(optimizer)
        function(ahead, *args)
        changes = Changes()
        for group, after in zip(self.optimizer.param_groups, optimizer.param_groups, strict=True):
            rate = group["lr"]
            if isinstance(rate, Tensor) and after["lr"] is not rate:
                plan_copy(changes, rate, after["lr"])
                after["lr"] = rate
            changes.call(group.update, after)
        self._plan_state(changes, ahead)
        changes.make()

    def _copied(self, optimizer: Optimizer) -> LRScheduler:
        """A copy of this scheduler, and of those that it runs, for a copy of the optimizer."""
        copy = object.__new__(type(self))
        copy.__dict__.update({**self.__dict__, "optimizer": optimizer})
        return copy

    def _plan_state(self, changes: Changes, ahead: LRScheduler) -> None:
        """Plan to take over the state of such a copy."""
        changes.call(self.__dict__.update, {**ahead.__dict__, "optimizer": self.optimizer})

    def _of_groups(self, name: str) -> list[Any]:
        """An option of each group; tensors are copied."""
        values = [group[name] for group in self.optimizer.param_groups]
        return [value.clone() if isinstance(value, Tensor) else value for value in values]

    def _rates(self) -> list[Any]:
        return self._of_groups("lr")

    def _scaled(self, factor: float) -> list[Any]:
        return [lr * factor for lr in self._rates()]

    def _warn_outside(self) -> None:
        """Warn if `get_lr` is not called by a step: its value may be that of the next one."""
        if not self._get_lr_called_within_step:
            warn(_OUTSIDE)

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's attributes without the optimizer."""
        left_out = ("optimizer", "_steps_before")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a `state_dict`. The optimizer's own state, which has the current rate, is loaded separately."""
        self.__dict__.update(state_dict)


class _LRScheduler(LRScheduler):
    """The name that programs know from torch before 2.0."""
