"""NumPy's names over tensors: ``import numgrad.numpy as np`` makes plain NumPy code differentiable.

Functions, arguments, promotion and results are NumPy's; arrays are `ndarray`, which remember how they were computed. docs/numpy.md
is the guide, and docs/numpy-functions.md lists every name of NumPy's with what becomes of it.

>>> import numgrad as ng
>>> import numgrad.numpy as np
>>> def tanh(x):
...     y = np.exp(-2.0 * x)
...     return (1.0 - y) / (1.0 + y)
>>> ng.grad(tanh)(1.0)
np.float64(0.41997434161402...)
"""

from __future__ import annotations

import importlib as _importlib
from typing import Any

import numpy as _np

from numgrad.numpy import calculus as _calculus  # noqa: F401 (what these declare is public)
from numgrad.numpy import creation as _creation  # noqa: F401
from numgrad.numpy import elementwise as _elementwise  # noqa: F401
from numgrad.numpy import linalg as linalg
from numgrad.numpy import ordering as _ordering  # noqa: F401
from numgrad.numpy import padding as _padding  # noqa: F401
from numgrad.numpy import polynomials as _polynomials  # noqa: F401
from numgrad.numpy import reductions as _reductions  # noqa: F401
from numgrad.numpy import statistics as _statistics  # noqa: F401
from numgrad.numpy import table as _table
from numgrad.numpy.array_type import ndarray as ndarray
from numgrad.numpy.objects import c_ as c_
from numgrad.numpy.objects import mgrid as mgrid
from numgrad.numpy.objects import ndenumerate as ndenumerate
from numgrad.numpy.objects import ogrid as ogrid
from numgrad.numpy.objects import r_ as r_
from numgrad.numpy.objects import vectorize as vectorize
from numgrad.numpy.ufuncs import ufunc as ufunc

from numgrad.numpy import fft as fft  # isort: skip  (after the functions that they read)

# NumPy's own, as they are: numbers, dtypes, settings, and what knows no array.
PLAIN = """
e euler_gamma inf nan newaxis pi little_endian True_ False_ ScalarType typecodes sctypeDict
bool bool_ byte double dtype float16 float32 float64 generic half inexact floating number int16 int32 int64 int8 int_ intc integer
intp long short signedinteger single ubyte uint8 unsignedinteger complexfloating
finfo iinfo errstate seterr geterr seterrcall geterrcall get_printoptions set_printoptions printoptions
isdtype issubdtype promote_types typename mintypecode info s_ index_exp ndindex exceptions testing typing dtypes lib
""".split()

globals().update({name: getattr(_np, name) for name in PLAIN if hasattr(_np, name)})
globals().update({name: f for name, f in _table.BY_NAME.items() if "." not in name})

__all__ = sorted(
    {
        *(name for name in PLAIN if hasattr(_np, name)),
        *(name for name in _table.BY_NAME if "." not in name),
        *("c_", "fft", "linalg", "mgrid", "ndarray", "ndenumerate", "ogrid", "r_", "random", "ufunc", "vectorize"),
    }
)


def __getattr__(name: str) -> Any:
    if name == "random":  # NumPy's takes longer to import than all of this
        return _importlib.import_module("numgrad.numpy.random")
    return _table.refused("", name)
