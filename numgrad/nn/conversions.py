"""Conversions of whole modules: `Converted` is the part of `Module` that changes dtypes and memory of all its tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numgrad.devices import on_cpu
from numgrad.dtypes import bfloat16, float16, float32, float64
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DeviceError
from numgrad.nn.parameter import UninitializedTensorMixin
from numgrad.nn.tree import Walked
from numgrad.tensor import arguments, creation, legacy, shaping
from numgrad.tensor.sharing import shared
from numgrad.tensor.tensor import Tensor

_M = TypeVar("_M", bound="Converted")


class Converted(Walked):
    """The part of `Module` that converts its parameters and buffers, in place."""

    def to(
        self: _M,
        *args: Any,
        device: Any = None,
        dtype: Dtype | None = None,
        non_blocking: bool = False,
        memory_format: Any = None,
    ) -> _M:
        """Convert floating-point parameters and buffers in place to ``dtype``, or to a memory format.

        Parameters
        ----------
        args
            A dtype, a tensor (whose dtype is taken), or the CPU, by its name or as a device.
        device
            The CPU.
        dtype
            A floating-point dtype.
        memory_format
            'channels_last' or 'contiguous_format', for four-dimensional parameters and buffers.

        Raises
        ------
        TypeError
            The dtype is not a floating-point dtype, or an argument has another type.
        RuntimeError
            The device is not the CPU.
        """
        dtype, _ = arguments.conversion("nn.Module.to", args, dtype, device, False)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")

        def convert(tensor: Tensor) -> Tensor:
            if dtype is not None and tensor.is_floating_point():
                tensor = arguments.cast(tensor, dtype)
            return (
                shaping.contiguous(tensor, memory_format) if memory_format is not None and tensor.ndim == 4 else tensor
            )

        return self._apply(convert)

    def _apply(self: _M, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _M:
        """Replace the memory of each parameter, gradient and buffer by the function's result for it, children first."""
        if recurse:
            for child in self.children():
                child._apply(fn)
        for parameter in self._parameters.values():
            if isinstance(parameter, UninitializedTensorMixin):
                parameter.converted(fn(creation.empty(0, dtype=parameter.dtype)))
            elif parameter is not None:
                parameter.data = fn(parameter.detach())
                if parameter._grad is not None:
                    parameter._grad = fn(parameter._grad.detach())
        for name, buffer in self._buffers.items():
            if isinstance(buffer, UninitializedTensorMixin):
                buffer.converted(fn(creation.empty(0, dtype=buffer.dtype)))
            elif buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def float(self: _M) -> _M:
        """Convert to float32."""
        return self.to(float32)

    def double(self: _M) -> _M:
        """Convert to float64."""
        return self.to(float64)

    def half(self: _M) -> _M:
        """Convert to float16."""
        return self.to(float16)

    def bfloat16(self: _M) -> _M:
        """Convert to bfloat16."""
        return self.to(bfloat16)

    def cpu(self: _M) -> _M:
        """This module: everything is on the CPU."""
        return self

    def cuda(self: _M, device: Any = None) -> _M:
        """Refused, with a RuntimeError that is an AssertionError as well, as torch's: numgrad computes on the CPU."""
        return self._refused("cuda", device)

    def xpu(self: _M, device: Any = None) -> _M:
        """Refused, as `cuda`."""
        return self._refused("xpu", device)

    def ipu(self: _M, device: Any = None) -> _M:
        """Refused, as `cuda`."""
        return self._refused("ipu", device)

    def mtia(self: _M, device: Any = None) -> _M:
        """Refused, as `cuda`."""
        return self._refused("mtia", device)

    def _refused(self: _M, kind: str, device: Any) -> _M:
        on_cpu(f"nn.Module.{kind}", kind if device is None else device)
        raise DeviceError(f"nn.Module.{kind}: Invalid device, must be {kind} device, and is {device!r}")

    def share_memory(self: _M) -> _M:
        """Move all parameters and buffers to memory that this process shares with those that are forked from it later."""
        return self._apply(shared)

    def to_empty(self: _M, *, device: Any, recurse: bool = True) -> _M:
        """This module: its memory is on the only device already."""
        on_cpu("nn.Module.to_empty", device)
        return self

    def type(self: _M, dst_type: Any) -> _M:
        """Convert all parameters and buffers to a dtype, or to a type such as `FloatTensor`; see `Tensor.type`."""
        chosen = legacy.dtype_of(dst_type)
        return self._apply(lambda tensor: arguments.cast(tensor, chosen))
