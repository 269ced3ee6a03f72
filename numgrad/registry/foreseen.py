"""What a program will need later is told to the process that compiles ahead (`runtime.ahead`), if there is one."""

from __future__ import annotations

from typing import Any

from numgrad import dtypes
from numgrad.layout import PrivateStrides, Spec, spec_of
from numgrad.runtime import kernel

_DTYPES = {dtype.name: dtype for dtype in (*dtypes.ALL, dtypes.float16, dtypes.bfloat16)}


def foresee(recipe: str, **facts: Any) -> None:
    """Tell that ``recipe(**told_facts)``, 'module:function', may be needed; it gets what `told` reads."""
    tell = kernel.foreseen
    if tell is None:
        return
    try:
        tell(recipe, {name: _plain(value) for name, value in facts.items()})
    except TypeError:  # JSON has no word for one of them, such as a parameter of a program's own class
        return


def _plain(value: Any) -> Any:
    if isinstance(value, dtypes.dtype):
        return {"dtype": value.name}
    if isinstance(value, Spec):
        return {"dtype": value.dtype.name, "shape": value.shape, "strides": value.strides, "private": value.is_private}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def told(value: Any) -> Any:
    """A fact as it was before `foresee` told it; tuples of names are plain ones."""
    if isinstance(value, list):
        return tuple([told(each) for each in value])
    if isinstance(value, dict):
        dtype = _DTYPES[value["dtype"]]
        if "shape" not in value:
            return dtype
        return spec_of(dtype, value["shape"], (PrivateStrides if value["private"] else tuple)(value["strides"]))
    return value
