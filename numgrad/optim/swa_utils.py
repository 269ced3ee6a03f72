"""Means of models over the steps of a training: stochastic weight averaging, and exponential moving averages.

Izmailov and others, Averaging Weights Leads to Wider Optima and Better Generalization, 2018.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from numgrad import ops
from numgrad.autograd import no_grad
from numgrad.dtypes import int64
from numgrad.engine.tape import modes
from numgrad.nn.batchnorm import _BatchNorm, _InstanceNorm
from numgrad.nn.module import Module
from numgrad.optim.lr_scheduler.base import LRScheduler, for_groups
from numgrad.optim.optimizer import Optimizer
from numgrad.tensor import creation
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import plan_update

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """The function of many tensors at once for an exponential moving average, for `AveragedModel`.

    It changes its first argument, a list, towards the second, by 1 - ``decay``.

    Raises
    ------
    ValueError
        decay is not between 0 and 1.

    >>> import numgrad as ng
    >>> mean = [ng.zeros(2)]
    >>> ng.optim.swa_utils.get_ema_multi_avg_fn(0.75)(mean, [ng.ones(2)], 1)
    >>> mean
    [tensor([0.2500, 0.2500])]
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], _: Any) -> None:
        if ema_param_list[0].is_floating_point():
            _approach(ema_param_list, current_param_list, 1 - decay)
        else:
            for mean, current in zip(ema_param_list, current_param_list, strict=True):
                mean.copy_(mean * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """The function of many tensors at once for the mean of all models, for `AveragedModel`.

    >>> import numgrad as ng
    >>> mean = [ng.zeros(2)]
    >>> ng.optim.swa_utils.get_swa_multi_avg_fn()(mean, [ng.ones(2)], 1)
    >>> mean
    [tensor([0.5000, 0.5000])]
    """

    @no_grad()
    def swa_update(
        averaged_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], num_averaged: Tensor | int
    ) -> None:
        if averaged_param_list[0].is_floating_point():
            _approach(averaged_param_list, current_param_list, float(1 / (num_averaged + 1)))
        else:
            for mean, current in zip(averaged_param_list, current_param_list, strict=True):
                mean.copy_(mean + (current - mean) / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Tensor]:
    """The function of one tensor for an exponential moving average, for `AveragedModel`.

    Raises
    ------
    ValueError
        decay is not between 0 and 1.

    >>> import numgrad as ng
    >>> ng.optim.swa_utils.get_ema_avg_fn(0.75)(ng.zeros(2), ng.ones(2), 1)
    tensor([0.2500, 0.2500])
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Callable[..., Tensor]:
    """The function of one tensor for the mean of all models, for `AveragedModel`.

    >>> import numgrad as ng
    >>> ng.optim.swa_utils.get_swa_avg_fn()(ng.zeros(2), ng.ones(2), 1)
    tensor([0.5000, 0.5000])
    """

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Tensor | int) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _approach(means: Sequence[Tensor], currents: Sequence[Tensor], weight: float) -> None:
    """Change all means towards the current values, in one launch."""
    changes = Changes()
    plan_update(changes, ops.update.average, means, currents, {}, {}, (weight,))
    changes.make()


class AveragedModel(Module):
    """A copy of a model whose parameters are the means of the model's over the calls of `update_parameters`.

    Parameters
    ----------
    model
        The model. The copy is ``module``, and calls go to it.
    device
        Where the copy lies.
    avg_fn
        ``(mean, current, number of models in the mean) -> mean``, for each tensor.
    multi_avg_fn
        ``(means, currents, number)``, which changes a list of means of one dtype. Without either function the mean is that
        of all models, each with the same weight.
    use_buffers
        Whether buffers are averaged as parameters are, or else copied.

    Raises
    ------
    AssertionError
        Both functions are given.

    >>> import numgrad as ng
    >>> from numgrad import nn, optim
    >>> model = nn.Linear(1, 1, bias=False)
    >>> mean = optim.swa_utils.AveragedModel(model)
    >>> for weight in (1.0, 2.0, 6.0):
    ...     _ = nn.init.constant_(model.weight, weight)
    ...     mean.update_parameters(model)
    >>> mean(ng.ones(1))
    tensor([3.], grad_fn=<ViewBackward0>)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[..., Tensor] | None = None,
        multi_avg_fn: Callable[..., None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", creation.tensor(0, dtype=int64))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the mean; the first ones are copied."""
        if modes.capture is not None:
            modes.capture.refuse(
                "calls AveragedModel.update_parameters, which decides by the count n_averaged",
                "call it outside of the step, or keep the means in tensors of your own: mean.lerp_(parameter, share)",
            )
        means = [each.detach() for each in _averaged_tensors(self.module, self.use_buffers)]
        currents = [each.detach() for each in _averaged_tensors(model, self.use_buffers)]
        pairs = list(zip(means, currents, strict=False))
        with no_grad():
            if self.n_averaged == 0:
                for mean, current in pairs:
                    mean.copy_(current)
            elif self.avg_fn is not None:
                for mean, current in pairs:
                    mean.copy_(self.avg_fn(mean, current, self.n_averaged))
            else:
                for dtype in dict.fromkeys(mean.dtype for mean, _ in pairs):
                    some = [pair for pair in pairs if pair[0].dtype is dtype]
                    self._average([mean for mean, _ in some], [current for _, current in some])
            if not self.use_buffers:
                for mine, other in zip(self.module.buffers(), model.buffers(), strict=True):
                    mine.detach().copy_(other.detach())
            self.n_averaged += 1

    def _average(self, means: list[Tensor], currents: list[Tensor]) -> None:
        """Average tensors of one dtype."""
        if self.multi_avg_fn is not None:
            self.multi_avg_fn(means, currents, self.n_averaged)
        elif means[0].is_floating_point():
            _approach(means, currents, 1 / (self.n_averaged.item() + 1))
        else:
            get_swa_multi_avg_fn()(means, currents, self.n_averaged)


def _averaged_tensors(model: Module, use_buffers: bool) -> Iterable[Tensor]:
    return itertools.chain(model.parameters(), model.buffers()) if use_buffers else model.parameters()


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the statistics of a model's batch norms again, as means over all batches of the loader.

    A batch that is a list or a tuple is represented by its first element.

    >>> import numgrad as ng
    >>> from numgrad import nn, optim
    >>> model = nn.BatchNorm1d(1)
    >>> optim.swa_utils.update_bn([ng.zeros(2, 1), ng.ones(2, 1)], model)
    >>> model.running_mean
    tensor([0.5000])
    """
    layers = [
        module for module in model.modules() if isinstance(module, _BatchNorm) and not isinstance(module, _InstanceNorm)
    ]
    if not layers:
        return
    momenta, was_training = [layer.momentum for layer in layers], model.training
    try:
        model.train()
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
        for batch in loader:
            images = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(images if device is None else images.to(device))
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """From the rate at the start to ``swa_lr``, which then stays, in ``anneal_epochs`` epochs.

    Parameters
    ----------
    optimizer
        The optimizer whose rate is changed.
    swa_lr
        The last rate, for all groups or for each.
    anneal_epochs, anneal_strategy
        How long it takes, along 'cos' or along a 'linear' line.
    last_epoch
        As for `LRScheduler`.

    Raises
    ------
    ValueError
        An option is invalid.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> optimizer = optim.SGD([ng.ones(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [1.0, 0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = for_groups("swa_lr", optimizer, swa_lr)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        for rate, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """The share of the way after the share t of the time."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        self._warn_outside()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (self.anneal_func(max(0, min(1, each / max(1, self.anneal_epochs)))) for each in (step - 1, step))
        rates = []
        for group in self.optimizer.param_groups:
            last = group["swa_lr"]
            first = last if before == 1 else (group["lr"] - before * last) / (1 - before)
            rates.append(last * now + first * (1 - now))
        return rates

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a `state_dict`. The optimizer's own state, which has the current rate, is loaded separately."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "anneal_func"})
