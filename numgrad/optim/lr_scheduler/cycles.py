"""Schedules that begin again: `CyclicLR` and `CosineAnnealingWarmRestarts`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from numgrad.optim.lr_scheduler.base import (
    LRScheduler,
    check_divisor,
    check_optimizer,
    cycles_beta,
    for_groups,
    set_momentum,
    set_option,
)
from numgrad.optim.optimizer import Optimizer
from numgrad.tensor.changes import Changes


class CyclicLR(LRScheduler):
    """Between ``base_lr`` and ``max_lr``, up and down along straight lines; the momentum goes the other way. Smith, 2017.

    Parameters
    ----------
    optimizer
        An optimizer with momentum, or with betas, whose first is then cycled.
    base_lr, max_lr
        The lowest and the highest rate, for all groups or for each.
    step_size_up, step_size_down
        The steps of each half; the second one has as many as the first if it is None.
    mode
        'triangular'; 'triangular2', whose height halves with each cycle; 'exp_range', whose height is ``gamma**step``.
    gamma
        See mode.
    scale_fn, scale_mode
        A function of the number of the cycle ('cycle') or of the step ('iterations') that gives the height instead.
    cycle_momentum
        Whether the momentum goes from ``max_momentum`` to ``base_momentum`` and back.
    base_momentum, max_momentum
        See cycle_momentum; for all groups or for each.
    last_epoch
        As for `LRScheduler`.

    Raises
    ------
    ValueError
        An option is invalid, or the optimizer has no momentum.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> optimizer = optim.SGD([ng.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> scheduler = optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        lowest = for_groups("base_lr", optimizer, base_lr)
        highest = for_groups("max_lr", optimizer, max_lr)
        check_divisor("CyclicLR", "step_size_up", step_size_up)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.optimizer = optimizer
        self.max_lrs = highest
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        groups = optimizer.param_groups
        if cycle_momentum:
            self.use_beta1 = cycles_beta(optimizer)
            self.base_momentums = for_groups("base_momentum", optimizer, base_momentum)
            self.max_momentums = for_groups("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for number, group in enumerate(groups):
                set_option(group, "lr", lowest[number])
                if cycle_momentum:
                    set_momentum(group, self.max_momentums[number])
                    group["max_momentum"] = self.max_momentums[number]
                    group["base_momentum"] = self.base_momentums[number]
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lowest

    def scale_fn(self, x: float) -> float:
        """The height of the cycle x, or at the step x; see ``scale_mode``."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 1 / 2.0 ** (x - 1)
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[Any]:
        self._warn_outside()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        part = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        # While the constructor runs, `base_lrs` are the rates that the groups began with.
        rates = [low + (high - low) * part * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]
        if self.cycle_momentum:
            pairs = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, pairs, strict=True):
                set_momentum(group, high - (high - low) * part * height)
        return rates

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's attributes without the optimizer; a callable object is saved by its attributes, a function not."""
        state = super().state_dict()
        function = state.pop("_scale_fn_custom")
        is_object = function is not None and not isinstance(function, type(lambda: None))
        state["_scale_fn_custom"] = dict(function.__dict__) if is_object else None
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a `state_dict`; the function stays the one that this scheduler was made with."""
        changes = Changes()
        attributes = state_dict["_scale_fn_custom"]
        if attributes is not None:
            changes.call(self._scale_fn_custom.__dict__.update, attributes)
        changes.call(self.__dict__.update, {**state_dict, "_scale_fn_custom": self._scale_fn_custom})
        changes.make()


class CosineAnnealingWarmRestarts(LRScheduler):
    """From the initial rate down to ``eta_min`` along half a cosine, again and again: SGDR, 2017.

    Parameters
    ----------
    optimizer
        The optimizer whose rate is changed.
    T_0
        The epochs of the first cosine.
    T_mult
        How much longer each next one is.
    eta_min
        The lowest rate.
    last_epoch
        As for `LRScheduler`.

    Raises
    ------
    ValueError
        An option is out of its range.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> optimizer = optim.SGD([ng.ones(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += [round(rate, 6) for rate in scheduler.get_last_lr()]
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [1.0, 0.5, 1.0, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803
        T_mult: int = 1,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside()
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:  # type: ignore[override]
        """Advance by one epoch, or go to an epoch, which may be a part of one: call it after each batch with
        ``epoch + batch / batches``.

        Raises
        ------
        ValueError
            The epoch is negative.
        """
        if epoch is not None and epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        self._as_a_whole(CosineAnnealingWarmRestarts._go_to, epoch)

    def _go_to(self, epoch: float | None) -> None:
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            cycles = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**cycles - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**cycles
        self.last_epoch = math.floor(epoch)
        self._set_rates(self.get_lr)
