"""`DataParallel`, which over one CPU is its module under another name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.nn.module import Module

__all__ = ["DataParallel"]


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
