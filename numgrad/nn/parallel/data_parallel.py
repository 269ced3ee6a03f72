"""`DataParallel` and its function, which over one CPU call their module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.nn.module import Module

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """Calls its module, as torch's does where there is no accelerator; the names in its ``state_dict`` begin with 'module.'.

    Parameters
    ----------
    module
        The module.
    device_ids, output_device, dim
        Without effect: there is one CPU, which takes all of a batch.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> model = nn.DataParallel(nn.Linear(2, 3))
    >>> model(ng.ones(1, 2)).shape, list(model.state_dict())
    (numgrad.Size([1, 3]), ['module.weight', 'module.bias'])
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """Call a module; ``inputs`` is a tuple of its arguments, or the only one. The other arguments are `DataParallel`'s.

    >>> import numgrad as ng
    >>> data_parallel(ng.nn.ReLU(), ng.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))
