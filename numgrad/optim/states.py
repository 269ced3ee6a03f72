"""States of parameters: how they begin, and how they are read from a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numgrad.autograd import no_grad
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32, float64, get_default_dtype
from numgrad.tensor import arguments, creation, shaping
from numgrad.tensor.loading import loadable, loaded
from numgrad.tensor.tensor import Tensor


def count_dtype() -> Dtype:
    """The dtype of numbers such as a parameter's count of steps: float32, or float64 if that is the default dtype."""
    return float64 if get_default_dtype() is float64 else float32


def check_state(number: Any, values: Any, parameter: Tensor, moments: Sequence[str], counts: Sequence[str]) -> None:
    """Refuse a saved state with which a later step would fail or compute something else.

    ``moments`` are the states that have the parameter's shape, ``counts`` those that are one number.

    Raises
    ------
    TypeError
        The state is not a dict, or a value in it is neither a tensor nor an array, or a count is not a number.
    RuntimeError
        A moment does not have the parameter's shape.
    """
    where = f"loaded state dict: the state of parameter {number}"
    if not isinstance(values, Mapping):
        raise TypeError(f"{where} is {type(values).__name__}, expected a dict")
    for name, value in values.items():
        if name in counts and not (isinstance(value, (int, float)) or (loadable(value) and np.prod(value.shape) == 1)):
            raise TypeError(f"{where} has {type(value).__name__} as '{name}', expected a number or a tensor of one")
        if name not in moments or value is None:
            continue
        if not loadable(value):
            raise TypeError(f"{where} has {type(value).__name__} as '{name}', expected a tensor")
        if tuple(value.shape) != tuple(parameter.shape):
            raise RuntimeError(
                f"{where} has shape {list(value.shape)} as '{name}', expected the parameter's, {list(parameter.shape)}"
            )


def loaded_state(name: str, value: Any, parameter: Tensor, counts: Sequence[str]) -> Any:
    """A saved value for this parameter's state; floating-point tensors get its dtype and, with its shape, its layout.

    A count of steps keeps its dtype. A number as a count becomes a tensor: old checkpoints hold Python numbers.
    """
    if name in counts and isinstance(value, (int, float)):
        return creation.tensor(float(value), dtype=count_dtype())
    if isinstance(value, Mapping):
        return {key: loaded_state(key, each, parameter, counts) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(loaded_state("", each, parameter, counts) for each in value)
    if not loadable(value):
        return copy.deepcopy(value)
    tensor = loaded(value)
    with no_grad():
        if name == "step" or not parameter.is_floating_point():
            return shaping.clone(tensor)
        if tensor.shape == parameter.shape and name not in counts:
            return creation.zeros_like(parameter).copy_(tensor)
        return shaping.clone(tensor) if tensor.dtype is parameter.dtype else arguments.cast(tensor, parameter.dtype)
