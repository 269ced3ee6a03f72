"""``NUMGRAD_PYTHON=1``: launches as plain Python over NumPy arrays, so that a debugger steps from ``x.tanh()`` into its loop.

A kernel is an ordinary function, and so are the device functions that it calls. This module calls them on arrays over the
same memory that compiled code would get, with all of the work in one call. For them ``math`` is NumPy's, which gives
infinities and NaN where Python's raises, and float32 for float32. Results agree with compiled kernels to rounding, not to
the last bit: nothing is fused, and sums are taken one by one.

Kernels on intrinsics (matrix products, convolutions, transposed copies, the optimizers' tables) have no Python form. Such a
launch runs compiled, among the others, and so does the replay of a recording.
"""

from __future__ import annotations

import math
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad.runtime import program
from numgrad.runtime.kernel import Device, Intrinsic, Kernel, python_function, rebound
from numgrad.runtime.memory import array_over
from numgrad.runtime.parameters import Parameter

_DTYPES: dict[str, Any] = {
    "f4": np.float32,
    "f8": np.float64,
    "u1": np.uint8,
    "b1": np.bool_,
    **{f"i{n}": np.dtype(f"i{n}").type for n in (1, 2, 4, 8)},
}
_programs: weakref.WeakValueDictionary[int, program.Program] = weakref.WeakValueDictionary()


class _NoPythonFormError(Exception):
    """A kernel calls an intrinsic without a reference in Python."""


def know(stepped: program.Program) -> None:
    """Register a program under its address, for `execute`."""
    _programs[stepped.address] = stepped


def execute(address: int, *addresses: int) -> int:
    """Run a program's launches one by one; the status word, as `program.execute` gives it."""
    status = np.zeros(1, np.int64)
    for launch in _programs[address].launches:
        for part in launch.parts:
            function = _python_form(part.kernel)
            if function is not None:
                arguments = _arguments(part, addresses, status)
                with np.errstate(all="ignore"):
                    function(*arguments, 0, part.work, *((0,) if part.kernel.takes_worker else ()))
            elif not status[0]:  # else the result is thrown away
                status[0] = _run_compiled(part, addresses)
    return int(status[0])


def _run_compiled(launch: program.Launch, addresses: Sequence[int]) -> int:
    alone = program.Program([launch], len(addresses), stepped=False)
    program.make_ready(alone)
    return program.execute_compiled(alone.address, addresses)


# ---- arguments --------------------------------------------------------------------------------------------------


def _arguments(launch: program.Launch, addresses: Sequence[int], status: np.ndarray) -> list[Any]:
    return [
        _array(parameter, argument, addresses, status) if parameter.ndim else _scalar(parameter, argument)
        for parameter, argument in zip(launch.kernel.bound(launch.binding), launch.arguments, strict=True)
    ]


def _array(parameter: Parameter, argument: Any, addresses: Sequence[int], status: np.ndarray) -> np.ndarray:
    """The array over the memory that an argument names."""
    if isinstance(argument, program.Constant):
        return argument.words
    index = argument.address.index
    if index == program.STATUS_ADDRESS:
        return status
    if index == program.TABLE_ADDRESS:
        return np.array(addresses, np.int64)
    array = array_over(addresses[index] + argument.address.offset, argument.shape, np.dtype(_DTYPES[parameter.type]))
    array.flags.writeable = not parameter.const
    return array


def _scalar(parameter: Parameter, value: Any) -> Any:
    """A number as a kernel gets it: integers are Python's, since they count; floats are NumPy's."""
    if parameter.record is not None:
        fields = zip(parameter.fields, value, strict=True)
        return parameter.record(*[_scalar(field, item) for field, item in fields])
    return int(value) if parameter.type == "i8" else _DTYPES[parameter.type](value)


# ---- functions --------------------------------------------------------------------------------------------------

_forms: weakref.WeakKeyDictionary[Kernel, Any] = weakref.WeakKeyDictionary()  # None: there is none


def _python_form(kernel: Kernel) -> Any:
    """The kernel as a Python function; None if it calls an intrinsic without a Python form."""
    if kernel not in _forms:
        try:
            _forms[kernel] = _Converter().convert(kernel.py_func)
        except _NoPythonFormError:
            _forms[kernel] = None
    return _forms[kernel]


class _Converter:
    """Gives a function's copy NumPy's mathematics, and Python forms of the device functions that it calls."""

    def __init__(self) -> None:
        self.done: dict[int, Callable[..., Any]] = {}

    def convert(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if id(function) not in self.done:
            self.done[id(function)] = rebound(function, self.value)  # type: ignore[arg-type]
        return self.done[id(function)]

    def value(self, value: Any) -> Any:
        if isinstance(value, Intrinsic):
            if value.reference is None:
                raise _NoPythonFormError
            return _of_numpy(value.reference)
        if isinstance(value, Device) or (hasattr(value, "py_func") and python_function(value)):
            return self.convert(value.py_func)
        if isinstance(value, types.ModuleType) and value is math:
            return _NUMPY_MATH
        return value


class _NumPyMath:
    """Stands for the module ``math``."""

    def __getattr__(self, name: str) -> Any:
        return _of_numpy(getattr(math, name))


_NUMPY_MATH = _NumPyMath()


def _of_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function in the place of one of ``math``'s; one that NumPy lacks, such as ``erf``, keeps its argument's dtype."""
    name = getattr(function, "__name__", "")
    if getattr(math, name, None) is not function:
        return function
    if hasattr(np, name):
        numpy_function: Callable[..., Any] = getattr(np, name)
        return numpy_function

    def applied(x: Any) -> Any:
        try:
            return type(x)(function(x))
        except (OverflowError, ValueError):  # lgamma and the like at a pole
            return type(x)(np.nan if x != x or x == -np.inf else np.inf)

    return applied
