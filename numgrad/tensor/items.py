"""``x[index]`` and ``x[index] = value``: calls that machine code may know (`known`), or `indexing`, or `backwards`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad.errors import NegativeStepError
from numgrad.runtime.fast import start as fast
from numgrad.tensor import backwards, indexing, known

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_read, _written = known.table(), known.table()


def get_item(self: Tensor, index: Any) -> Tensor:
    """`Tensor.__getitem__`."""
    result = fast.run_known(_read, self, index)
    if result is None:
        return known.watched(_read, _get, (self, index), kind=_kind(2, index))  # type: ignore[no-any-return]
    return _get(self, index) if result is NotImplemented else result


def set_item(self: Tensor, index: Any, value: Any) -> None:
    """`Tensor.__setitem__`."""
    result = fast.run_known(_written, self, index, value)
    if result is None:
        known.watched(_written, _set, (self, index, value), kind=_kind(3, index), varying=(float, int))
    elif result is NotImplemented:
        _set(self, index, value)


def _kind(count: int, index: Any) -> int:
    """What can be known of a call with so many arguments: nothing where a list names elements by numbers that may change."""
    return count if index.__class__ is not list and indexing.names_by_numbers(index) else 0


def _get(tensor: Tensor, index: Any) -> Tensor:
    try:
        return indexing.get_item(tensor, index)
    except NegativeStepError:
        return backwards.get_item(tensor, index)


def _set(tensor: Tensor, index: Any, value: Any) -> Tensor:
    """The tensor, with other elements: tables know calls by their results."""
    try:
        indexing.set_item(tensor, index, value)
    except NegativeStepError:
        backwards.set_item(tensor, index, value)
    return tensor
