"""Schedulers of schedulers: `SequentialLR` and `ChainedScheduler`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from numgrad.optim.lr_scheduler.base import LRScheduler, set_option
from numgrad.optim.lr_scheduler.plateau import ReduceLROnPlateau
from numgrad.optim.optimizer import Optimizer
from numgrad.tensor.changes import Changes


class _Combined(LRScheduler):
    """Base class of both."""

    _schedulers: Sequence[LRScheduler]

    def _check(self, optimizer: Any, schedulers: Sequence[Any]) -> None:
        """Refuse schedulers of another optimizer, and what is no scheduler, or one that needs a metric."""
        name = type(self).__name__
        for index, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{name} at index {index} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be specified "
                    f"when calling `step`, but got one at index {index} in the given schedulers sequence."
                )
            if optimizer is not scheduler.optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {index} has {scheduler.optimizer}, which is different from "
                    f"{type(optimizer).__name__}."
                )

    def _copied(self, optimizer: Optimizer) -> LRScheduler:
        copy = super()._copied(optimizer)
        copy._schedulers = [each._copied(optimizer) for each in self._schedulers]  # type: ignore[attr-defined]
        return copy

    def _plan_state(self, changes: Changes, ahead: Any) -> None:
        for scheduler, copy in zip(self._schedulers, ahead._schedulers, strict=True):
            scheduler._plan_state(changes, copy)
        own = {"optimizer": self.optimizer, "_schedulers": self._schedulers}
        changes.call(self.__dict__.update, {**ahead.__dict__, **own})

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's attributes without the optimizer, and those of the schedulers."""
        state = super().state_dict()
        del state["_schedulers"]
        return {**state, "_schedulers": [each.state_dict() for each in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a `state_dict`, of the schedulers too. The optimizer's own state is loaded separately."""
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        self.__dict__.update({name: value for name, value in state_dict.items() if name != "_schedulers"})


class SequentialLR(_Combined):
    """One scheduler after the other: each begins at its milestone.

    Parameters
    ----------
    optimizer
        The optimizer of all schedulers.
    schedulers
        They are run one after the other.
    milestones
        The epochs at which the second and the later ones begin.
    last_epoch
        As for `LRScheduler`.

    Raises
    ------
    ValueError
        The numbers of schedulers and milestones do not fit, or a scheduler has another optimizer or needs a metric.
    TypeError
        One is no scheduler.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> optimizer = optim.SGD([ng.ones(1, requires_grad=True)], lr=1.0)
    >>> warmup = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = optim.lr_scheduler.SequentialLR(optimizer, [warmup, decay], milestones=[2])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.5, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        if len(schedulers) < 1:
            raise ValueError(f"{type(self).__name__} expects at least one scheduler, but got no scheduler.")
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone "
                f"points, but got number of schedulers {len(schedulers)} and the number of milestones to be equal to "
                f"{len(milestones)}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        self._as_a_whole(SequentialLR._begin)

    def _begin(self) -> None:
        for group in self.optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        self.recursive_undo()
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def recursive_undo(self, sched: Any = None) -> None:
        """Take back the epoch that each scheduler's constructor has counted."""
        scheduler = self if sched is None else sched
        if hasattr(scheduler, "_schedulers"):
            for each in scheduler._schedulers:
                self.recursive_undo(each)
        elif hasattr(scheduler, "last_epoch"):
            scheduler.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Advance by one epoch; call it after the optimizer's step."""
        self._as_a_whole(SequentialLR._advance)

    def _advance(self) -> None:
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Combined):
    """Several schedulers that each change the rate at every step.

    Parameters
    ----------
    schedulers
        They are run one after the other, at each step.
    optimizer
        The optimizer of all; by default that of the first.

    Raises
    ------
    ValueError
        There is no scheduler, or one has another optimizer or needs a metric.
    TypeError
        One is no scheduler.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> optimizer = optim.SGD([ng.ones(1, requires_grad=True)], lr=1.0)
    >>> step = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = optim.lr_scheduler.ChainedScheduler([step, decay])
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.025]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if len(schedulers) < 1:
            raise ValueError(
                f"{type(self).__name__} expects at least one scheduler to be chained, but got no scheduler."
            )
        if optimizer is None:
            self._check(getattr(schedulers[0], "optimizer", None), schedulers)
            optimizer = schedulers[0].optimizer
        self._check(optimizer, schedulers)
        self._schedulers = schedulers
        self.optimizer = optimizer
        self._last_lr = self._rates()

    def step(self) -> None:  # type: ignore[override]
        """Advance all of them by one epoch; call it after the optimizer's step."""
        self._as_a_whole(ChainedScheduler._advance)

    def _advance(self) -> None:
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()
