"""`OneCycleLR`, the one-cycle policy."""

from __future__ import annotations

import math
from typing import Any

from numgrad.optim.lr_scheduler.base import (
    LRScheduler,
    check_divisor,
    check_optimizer,
    cycles_beta,
    for_groups,
    set_momentum,
)
from numgrad.optim.optimizer import Optimizer


class OneCycleLR(LRScheduler):
    """Raises the rate to ``max_lr`` and lowers it far below the start, in one cycle; the momentum goes the other way.

    Smith and Topin, 2018. Call `step` after each batch. The rate starts at ``max_lr / div_factor`` and ends at the start
    divided by ``final_div_factor``.

    Parameters
    ----------
    optimizer
        An optimizer with momentum, or with betas, whose first is then cycled.
    max_lr
        The highest rate, for all groups or for each.
    total_steps
        Length of the cycle; None: ``epochs`` times ``steps_per_epoch``.
    epochs, steps_per_epoch
        See total_steps.
    pct_start
        The share of the cycle in which the rate rises.
    anneal_strategy
        'cos' or 'linear'.
    cycle_momentum
        Whether the momentum goes from ``max_momentum`` to ``base_momentum`` and back.
    base_momentum, max_momentum
        See cycle_momentum; for all groups or for each.
    div_factor, final_div_factor
        See above.
    three_phase
        Fall back to the start as fast as the rate rose, and only then to the end.
    last_epoch
        As for `LRScheduler`.

    Raises
    ------
    ValueError
        The length is missing or not positive, a step goes beyond it, or an option is invalid.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> optimizer = optim.SGD([ng.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> round(scheduler.get_last_lr()[0], 6)
    1.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not (isinstance(pct_start, float) and 0 <= pct_start <= 1):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        check_divisor("OneCycleLR", "div_factor", div_factor)
        check_divisor("OneCycleLR", "final_div_factor", final_div_factor)
        up, last = float(pct_start * self.total_steps) - 1, self.total_steps - 1
        # (last step, start and end of the rate, start and end of the momentum)
        phases: list[tuple[Any, ...]] = [(up, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
        if three_phase:
            down = float(2 * pct_start * self.total_steps) - 2
            phases.append((down, "max_lr", "initial_lr", "base_momentum", "max_momentum"))
            phases.append((last, "initial_lr", "min_lr", "max_momentum", "max_momentum"))
        else:
            phases.append((last, "max_lr", "min_lr", "base_momentum", "max_momentum"))
        self._schedule_phases = [
            dict(zip(("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum"), phase, strict=True))
            for phase in phases
        ]
        self._anneal_func_type = anneal_strategy
        groups = optimizer.param_groups
        tops = for_groups("max_lr", optimizer, max_lr)
        self.cycle_momentum = cycle_momentum
        highs = lows = [0.0] * len(groups)
        if cycle_momentum:
            self.use_beta1 = cycles_beta(optimizer)
            highs = for_groups("max_momentum", optimizer, max_momentum)
            lows = for_groups("base_momentum", optimizer, base_momentum)
        if last_epoch == -1:
            for group, top, low, high in zip(groups, tops, lows, highs, strict=True):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    set_momentum(group, high)
                    group["max_momentum"] = high
                    group["base_momentum"] = low
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, part: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)

    def get_lr(self) -> list[Any]:
        self._warn_outside()
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        rates = []
        for group in self.optimizer.param_groups:
            begin = 0.0
            for phase in self._schedule_phases:
                end = phase["end_step"]
                if step <= end or phase is self._schedule_phases[-1]:
                    part = (step - begin) / (end - begin) if end != begin else 1.0  # a phase without steps is over
                    rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], part))
                    if self.cycle_momentum:
                        ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                        set_momentum(group, self._between(*ends, part))
                    break
                begin = end
        return rates


def _total_steps(total: int | None, epochs: int | None, per_epoch: int | None) -> int:
    lengths = {"total_steps": total} if total is not None else {"epochs": epochs, "steps_per_epoch": per_epoch}
    if None in lengths.values():
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    for name, value in lengths.items():
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return math.prod(lengths.values())  # type: ignore[arg-type]
