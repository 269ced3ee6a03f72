"""`GradScaler`: losses times a number, and steps that are left out when a gradient is not finite."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from numgrad.autograd import no_grad
from numgrad.devices import device as kind_of_device
from numgrad.engine.tape import modes
from numgrad.tensor.tensor import Tensor


class GradScaler:
    """Multiplies losses by a scale that grows while gradients are finite, and divides gradients by it before a step.

    Parameters
    ----------
    device
        'cpu'. With 'cuda', which is torch's default and is not there, the scaler warns and does nothing.
    init_scale
        The first scale.
    growth_factor, backoff_factor
        What the scale is multiplied by after ``growth_interval`` steps in a row with finite gradients; and after one without.
    growth_interval
        A number of steps.
    enabled
        False: losses are passed on as they are, and `step` is the optimizer's.

    Raises
    ------
    AssertionError
        A factor is not on its side of 1; the class is torch's.

    >>> import numgrad as ng
    >>> weight = ng.ones(2, requires_grad=True)
    >>> optimizer = ng.optim.SGD([weight], lr=0.5)
    >>> scaler = ng.amp.GradScaler("cpu", init_scale=4.0)
    >>> scaler.scale((weight * 3).sum()).backward()
    >>> weight.grad
    tensor([12., 12.])
    >>> _ = scaler.step(optimizer)
    >>> scaler.update()
    >>> weight
    tensor([-0.5000, -0.5000], requires_grad=True)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = kind_of_device(device).type
        self._enabled = enabled
        if enabled and self._device != "cpu":
            warnings.warn(
                f"{self._device}.amp.GradScaler is enabled, but {self._device.upper()} is not available.  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if self._enabled and growth_factor <= 1.0:
            raise AssertionError(f"The growth factor must be > 1.0. Got {growth_factor}")
        if self._enabled and backoff_factor >= 1.0:
            raise AssertionError(f"The backoff factor must be < 1.0. Got {backoff_factor}")
        self._scale = float(init_scale)
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        # By the optimizer's id, since the last update: whether its gradients are unscaled and finite, and whether it stepped.
        self._finite: dict[int, bool] = {}
        self._stepped: set[int] = set()

    def scale(self, outputs: Any) -> Any:
        """A tensor times the scale; of a list, tuple or other iterable of tensors each.

        Raises
        ------
        ValueError
            It is no tensor and no iterable of tensors.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if not isinstance(outputs, Iterable):
            raise ValueError("outputs must be a Tensor or an iterable of Tensors")
        scaled = map(self.scale, outputs)
        return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, once before its step; for clipping them.

        Raises
        ------
        RuntimeError
            They are already, or the optimizer has stepped since the last `update`.
        """
        if not self._enabled:
            return
        if modes.capture is not None:
            modes.capture.refuse(
                "unscales gradients with a GradScaler, which makes no step where they are not finite",
                "leave backward and scaler.step outside of the captured part, take bfloat16, which needs no scaling "
                "(enabled=False), or fallback='eager'",
            )
        if id(optimizer) in self._stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if id(optimizer) in self._finite:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        grads = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        finite = True
        with no_grad():
            for grad in grads:
                grad.div_(self._scale)
                finite = finite and bool(grad.isfinite().all())
        self._finite[id(optimizer)] = finite

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Unscale the gradients if nobody has, and step if they are all finite; what the optimizer's ``step`` returned, or None.

        Raises
        ------
        RuntimeError
            The optimizer has stepped since the last `update`, or a closure is given.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        if id(optimizer) in self._stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if id(optimizer) not in self._finite:
            self.unscale_(optimizer)
        result = optimizer.step(*args, **kwargs) if self._finite[id(optimizer)] else None
        self._stepped.add(id(optimizer))
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Set the scale for the next loss: by what the gradients since the last update were, or to a given one.

        Raises
        ------
        RuntimeError
            No gradients were looked at since the last update.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._finite:
            raise RuntimeError("No inf checks were recorded prior to update.")
        elif all(self._finite.values()):
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale *= self._growth_factor
                self._growth_tracker = 0
        else:
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        self._finite.clear()
        self._stepped.clear()

    def get_scale(self) -> float:
        """The scale; 1.0 for a scaler that is not enabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale grows by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what the scale grows by."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale shrinks by."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what the scale shrinks by."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """The number of steps with finite gradients after which the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set that number."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """All that it is; {} for a scaler that is not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of another.

        Raises
        ------
        RuntimeError
            It is empty, from a scaler that was not enabled.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale = float(state_dict["scale"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]
