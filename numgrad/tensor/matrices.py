"""What the functions of linear algebra share: checks of matrices, broadcast of leading dimensions, results with names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.errors import ShapeError
from numgrad.ops.linalg import broadcast_batch
from numgrad.tensor import creation, shaping
from numgrad.tensor.arguments import as_number, check_tensor

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def transposed(x: Tensor) -> Tensor:
    """The matrices transposed."""
    return shaping.transpose(x, -2, -1)


def check_two_dims(name: str, x: Any, letter: str = "A") -> Tensor:
    """A tensor of matrices, square or not.

    Raises
    ------
    TypeError
        It is no tensor.
    RuntimeError
        It has less than two dimensions.
    """
    if check_tensor(name, letter, x)._spec.ndim < 2:
        raise ShapeError(f"{name}: The input tensor {letter} must have at least 2 dimensions.")
    return x  # type: ignore[no-any-return]


def check_square(name: str, x: Any, letter: str = "A") -> Tensor:
    """A tensor of square matrices; errors as `check_two_dims`."""
    rows, columns = check_two_dims(name, x, letter)._spec.shape[-2:]
    if rows != columns:
        raise ShapeError(
            f"{name}: {letter} must be batches of square matrices, but they are {rows} by {columns} matrices"
        )
    return x  # type: ignore[no-any-return]


def check_floating(name: str, x: Tensor) -> Tensor:
    """A tensor of floating point.

    Raises
    ------
    RuntimeError
        It has another dtype.
    """
    dtype = x._spec.dtype
    if not dtype.is_floating_point:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {dtype.torch_name}; convert it with .float() or "
            ".double() first"
        )
    return x


def check_flag(name: str, argument: str, value: Any) -> bool:
    """A bool.

    Raises
    ------
    TypeError
        It is something else.
    """
    if value is not True and value is not False:
        raise TypeError(f"{name}(): argument '{argument}' must be bool, not {type(value).__name__}")
    return value is True


def broadcast(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors of matrices with the leading dimensions that both broadcast to."""
    one, other = tuple(first._spec.shape), tuple(second._spec.shape)
    if one[:-2] == other[:-2]:
        return first, second
    batch = broadcast_batch(one[:-2], other[:-2])
    return shaping.expand(first, (*batch, *one[-2:])), shaping.expand(second, (*batch, *other[-2:]))


def epsilon(x: Tensor) -> float:
    """The distance from 1 to the next number of a tensor's dtype."""
    return float(np.finfo(x._spec.dtype.numpy).eps)


def tolerances(name: str, a: Tensor, atol: Any, rtol: Any) -> tuple[Tensor | None, Tensor]:
    """atol and rtol as tensors of one number a matrix; without either, rtol is max(m, n) times the dtype's epsilon."""
    batch, (m, n) = tuple(a._spec.shape[:-2]), a._spec.shape[-2:]

    def laid(argument: str, value: Any) -> Tensor:
        number = as_number(value)
        if number is not None:
            return creation.full(batch, float(number), dtype=a._spec.dtype)
        return shaping.expand(check_floating(name, check_tensor(name, argument, value)), batch)

    if rtol is None:
        positive = atol is not None and (as_number(atol) is None or float(as_number(atol) or 0) > 0)
        rtol = 0.0 if positive else max(m, n) * epsilon(a)
    return None if atol is None else laid("atol", atol), laid("rtol", rtol)


class Named(tuple[Any, ...]):
    """Several results, with their names as attributes, as of torch's ``return_types``."""

    _names: tuple[str, ...] = ()
    _of = ""

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            return self[self._names.index(name)]
        raise AttributeError(
            f"numgrad.return_types.{self._of} has no attribute {name!r}, only {', '.join(self._names)}"
        )

    def __repr__(self) -> str:
        rows = [f"{name}={value!r}" for name, value in zip(self._names, self, strict=True)]
        return f"numgrad.return_types.{self._of}(\n" + ",\n".join(rows) + ")"

    def __reduce__(self) -> Any:
        return named, (self._of, self._names, tuple(self))


def named(of: str, names: Sequence[str], values: Sequence[Any]) -> Any:
    """The results of a function of this name, whose parts have these names."""
    result = Named(values)
    result._of, result._names = of, tuple(names)
    return result
