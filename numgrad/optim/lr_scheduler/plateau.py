"""`ReduceLROnPlateau`, whose rate follows a metric."""

from __future__ import annotations

import math
from typing import Any

from numgrad.errors import warn
from numgrad.optim.lr_scheduler.base import EPOCH_DEPRECATION_WARNING, LRScheduler, check_optimizer, set_option
from numgrad.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by ``factor`` when a metric has not improved for more than ``patience`` steps.

    Parameters
    ----------
    optimizer
        The optimizer whose rate is changed.
    mode
        'min' or 'max': which way is better.
    factor, patience
        See above.
    threshold, threshold_mode
        The smallest improvement that counts: relative ('rel') or absolute ('abs').
    cooldown
        Number of steps after a change that do not count.
    min_lr
        The lowest rate, for all groups or for each.
    eps
        The smallest change of the rate that is made.

    Raises
    ------
    ValueError
        factor is not below 1, or a mode is unknown.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> optimizer = optim.SGD([ng.ones(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 3.0, 3.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        check_optimizer(optimizer)
        count = len(optimizer.param_groups)
        is_list = isinstance(min_lr, (list, tuple))
        lowest: list[float] = list(min_lr) if is_list else [min_lr] * count  # type: ignore[arg-type, list-item]
        if len(lowest) != count:
            raise ValueError(f"expected {count} min_lrs, got {len(lowest)}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        self.factor = factor
        self.optimizer = optimizer
        self.default_min_lr = None if is_list else min_lr
        self.min_lrs = lowest
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = self._rates()
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool:
        """Whether steps do not count, since the rate was lowered a short time ago."""
        return self.cooldown_counter > 0

    def _is_better(self, value: float) -> bool:
        if self.threshold_mode == "rel":
            part = 1.0 - self.threshold if self.mode == "min" else self.threshold + 1.0
            bound = self.best * part
        else:
            bound = self.best - self.threshold if self.mode == "min" else self.best + self.threshold
        return value < bound if self.mode == "min" else value > bound

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Note the metric, and lower the rate if it has not improved for too long.

        Raises
        ------
        RuntimeError
            The optimizer has got more groups, and ``min_lr`` was given for each.
        """
        if epoch is not None:
            warn(EPOCH_DEPRECATION_WARNING)
        self._as_a_whole(ReduceLROnPlateau._next_metric, float(metrics), epoch)

    def _next_metric(self, value: float, epoch: int | None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._lower()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self._rates()

    def _lower(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from when `ReduceLROnPlateau` was "
                    f"initialized ({len(self.min_lrs)}), usually due to a new param group being added to the optimizer. Please "
                    "modify the `min_lrs` field to match the length of the `optimizer` param groups."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)  # type: ignore[list-item]
        for group, lowest in zip(groups, self.min_lrs, strict=True):
            rate = float(group["lr"])
            lower = max(rate * self.factor, lowest)
            if rate - lower > self.eps:
                set_option(group, "lr", lower)
