"""`default_collate`, which makes a batch of a list of samples, and `default_convert`, for single samples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.tensor import creation, joining
from numgrad.tensor.tensor import Tensor

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

_Functions = dict[Any, Callable[..., Any]]


def default_convert(data: Any) -> Any:
    """``data`` with NumPy's arrays and numbers in it as tensors, which share an array's memory; all else as it is.

    Mappings, named tuples and sequences are looked through; tuples become lists.

    >>> import numpy as np
    >>> from numgrad.utils.data import default_convert
    >>> default_convert({"x": np.array([1, 2]), "name": "a"})
    {'x': tensor([1, 2]), 'name': 'a'}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SaUO" else _as_tensor(data)
    if isinstance(data, Mapping):
        return _same_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple):
        return _same_tuple(data, [default_convert(each) for each in data])
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _same_sequence(data, [default_convert(each) for each in data])
    return data


def collate(batch: Sequence[Any], *, collate_fn_map: _Functions | None = None) -> Any:
    """A batch of a list of samples: values in the same place are put together by the function for their type.

    Parameters
    ----------
    batch
        The samples. Their structure is the first one's: mappings, named tuples and sequences are looked through.
    collate_fn_map
        From types, or tuples of them, to functions ``(values, *, collate_fn_map)``. A type itself goes before its bases.

    Raises
    ------
    RuntimeError
        Sequences differ in length, or tensors in shape.
    TypeError
        There is no function for a type.

    >>> from numgrad.utils.data.collate import collate
    >>> def total(values, *, collate_fn_map):
    ...     return sum(values)
    >>> collate([(1, 2), (3, 4)], collate_fn_map={int: total})
    [4, 6]
    """
    first = batch[0]
    function = _function_for(type(first), collate_fn_map or {})
    if function is not None:
        return function(batch, collate_fn_map=collate_fn_map)

    def together(values: Sequence[Any]) -> Any:
        return collate(values, collate_fn_map=collate_fn_map)

    if isinstance(first, Mapping):
        return _same_mapping(first, {key: together([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(together(values) for values in zip(*batch, strict=False)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        joined = [together(values) for values in zip(*batch, strict=True)]
        return joined if isinstance(first, tuple) else _same_sequence(first, joined)
    raise TypeError(_refusal(type(first)))


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch of a list of samples: tensors, arrays and numbers get a new first dimension, strings stay a list.

    Floats become float64. Mappings, named tuples and sequences are looked through; tuples become lists. Programs may add
    types to ``default_collate_fn_map``.

    Raises
    ------
    RuntimeError
        Sequences differ in length, or tensors in shape.
    TypeError
        A sample holds something of another type.

    >>> import numgrad as ng
    >>> from numgrad.utils.data import default_collate
    >>> default_collate([{"x": ng.tensor([1.0, 2.0]), "y": 0}, {"x": ng.tensor([3.0, 4.0]), "y": 1}])
    {'x': tensor([[1., 2.], [3., 4.]]), 'y': tensor([0, 1])}
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def _function_for(kind: type, functions: _Functions) -> Callable[..., Any] | None:
    if kind in functions:
        return functions[kind]
    return next((function for types, function in functions.items() if issubclass(kind, types)), None)


def _same_mapping(like: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """A mapping of the type of ``like``, with its further attributes; a dict where the type cannot be made that way."""
    try:
        if not isinstance(like, MutableMapping):
            return type(like)(items)  # type: ignore[call-arg]
        changed = copy.copy(like)
        changed.update(items)
        return changed
    except TypeError:
        return items


def _same_tuple(like: tuple[Any, ...], items: list[Any]) -> Any:
    return type(like)(*items) if hasattr(like, "_fields") else items


def _same_sequence(like: Sequence[Any], items: list[Any]) -> Any:
    try:
        if not isinstance(like, MutableSequence):
            return type(like)(items)  # type: ignore[call-arg]
        changed = copy.copy(like)
        for index, item in enumerate(items):
            changed[index] = item
        return changed
    except TypeError:
        return items


def _as_tensor(data: Any) -> Tensor:
    """The array's memory as a tensor; a copy of what no tensor can share, such as a read-only array."""
    return creation.as_tensor(data)


def _tensors(batch: Sequence[Tensor], *, collate_fn_map: _Functions | None = None) -> Tensor:
    return joining.stack(batch)


def _arrays(batch: Sequence[Any], *, collate_fn_map: _Functions | None = None) -> Any:
    if batch[0].dtype.kind in "SaUO":
        raise TypeError(_refusal(batch[0].dtype))
    return collate([_as_tensor(each) for each in batch], collate_fn_map=collate_fn_map)


def _array_numbers(batch: Sequence[Any], *, collate_fn_map: _Functions | None = None) -> Tensor:
    return creation.tensor(np.array(batch))


def _floats(batch: Sequence[float], *, collate_fn_map: _Functions | None = None) -> Tensor:
    return creation.tensor(batch, dtype=dtypes.float64)


def _ints(batch: Sequence[int], *, collate_fn_map: _Functions | None = None) -> Tensor:
    return creation.tensor(batch)


def _unchanged(batch: Sequence[Any], *, collate_fn_map: _Functions | None = None) -> Any:
    return batch


def _refusal(kind: Any) -> str:
    return (
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {kind}; pass a "
        "collate_fn= of your own"
    )


default_collate_fn_map: _Functions = {
    Tensor: _tensors,
    np.ndarray: _arrays,
    (np.bool_, np.number, np.object_): _array_numbers,
    float: _floats,
    int: _ints,
    str: _unchanged,
    bytes: _unchanged,
}


def is_default(collate_fn: Any) -> bool:
    """Whether tensors are collated by this function as `stack` joins them."""
    return collate_fn is default_collate and default_collate_fn_map.get(Tensor) is _tensors
