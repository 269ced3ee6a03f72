"""The same code over numgrad and over torch: both must give the same text, or refuse with the same words."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

import numgrad as ng
from numgrad import nn, optim


class Library:
    """A library's names, as the cases use them."""

    def __init__(self, tensors: ModuleType, nn: ModuleType, optim: ModuleType) -> None:
        self.t = tensors
        self.nn = nn
        self.F = nn.functional
        self.init = nn.init
        self.optim = optim
        self.schedulers = optim.lr_scheduler
        self.averages = optim.swa_utils

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        """A copy of an array."""
        return self.t.tensor(np.array(array), requires_grad=requires_grad)


def ours() -> Library:
    """numgrad."""
    return Library(ng, nn, optim)


def theirs(torch: ModuleType) -> Library:
    """torch."""
    return Library(torch, torch.nn, torch.optim)


def outcome(case: Callable[[Library], Any], library: Library) -> tuple[str, str]:
    """The text of what a case gives, or the class and words of what it raises, with torch's names made numgrad's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kind, text = "", str(case(library))
        except Exception as error:
            kind = next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
            kind = "RuntimeError" if kind == "NotImplementedError" else kind  # which is a finer one of these
            text = str(error)
    text = text.replace("torch.nn.modules.module.Module", "numgrad.nn.module.Module").replace("torch", "numgrad")
    return kind, re.sub(r" at 0x[0-9a-f]+", "", text)


def copy_state(source: Any, target: Any) -> None:
    """Load torch's state into numgrad's module."""
    target.load_state_dict({name: np.array(value.detach().numpy()) for name, value in source.state_dict().items()})


def array(tensor: Any) -> np.ndarray:
    """A tensor of either library as an array of its own."""
    return np.array(tensor.detach().numpy())
