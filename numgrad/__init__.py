"""numgrad: autograd on the CPU, with kernels that Numba compiles and PyTorch's API."""

from __future__ import annotations

from numgrad import command as _command  # noqa: F401  # isort: skip  (first, for what it does to a process of the command's)

import importlib as _importlib
import math as _math
from collections.abc import Callable as _Callable

from numgrad import autograd, config, linalg, nn, ops, optim
from numgrad.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from numgrad.devices import device, get_default_device, set_default_device, strided
from numgrad.dtypes import (
    bfloat16,
    can_cast,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from numgrad.dtypes import bool_ as bool
from numgrad.kernels import scalar
from numgrad.layout import Size, channels_last, contiguous_format, memory_format, preserve_format
from numgrad.ops.custom import custom_op
from numgrad.ops.family import elementwise
from numgrad.runtime.threads import get_num_threads, set_num_threads
from numgrad.tensor import activations as _activations  # noqa: F401 (what these declare is public)
from numgrad.tensor import aliases as _aliases  # noqa: F401
from numgrad.tensor import buffers as _buffers  # noqa: F401
from numgrad.tensor import conversions as _conversions  # noqa: F401
from numgrad.tensor import copies as _copies  # noqa: F401
from numgrad.tensor import counting as _counting  # noqa: F401
from numgrad.tensor import diagonals as _diagonals  # noqa: F401
from numgrad.tensor import grids as _grids  # noqa: F401
from numgrad.tensor import halves as _halves  # noqa: F401
from numgrad.tensor import in_place_views as _in_place_views  # noqa: F401
from numgrad.tensor import interchange as _interchange  # noqa: F401
from numgrad.tensor import known_graphs as _known_graphs  # noqa: F401
from numgrad.tensor import low_rank as _low_rank  # noqa: F401
from numgrad.tensor import network as _network  # noqa: F401
from numgrad.tensor import new as _new  # noqa: F401
from numgrad.tensor import nonzeros as _nonzeros  # noqa: F401
from numgrad.tensor import older_factors as _older_factors  # noqa: F401
from numgrad.tensor import operators as _operators
from numgrad.tensor import placing as _placing  # noqa: F401
from numgrad.tensor import products as _products  # noqa: F401
from numgrad.tensor import quantiles as _quantiles  # noqa: F401
from numgrad.tensor import ramps as _ramps  # noqa: F401
from numgrad.tensor import recurrent as _recurrent  # noqa: F401
from numgrad.tensor import repeating as _repeating  # noqa: F401
from numgrad.tensor import reshaping as _reshaping  # noqa: F401
from numgrad.tensor import rounding as _rounding  # noqa: F401
from numgrad.tensor import sampling as _sampling  # noqa: F401
from numgrad.tensor import scans as _scans  # noqa: F401
from numgrad.tensor import scattering as _scattering  # noqa: F401
from numgrad.tensor import selection as _selection  # noqa: F401
from numgrad.tensor import settings as _settings  # noqa: F401
from numgrad.tensor import slopes as _slopes  # noqa: F401
from numgrad.tensor import sorting as _sorting  # noqa: F401
from numgrad.tensor import splitting as _splitting  # noqa: F401
from numgrad.tensor import statistics as _statistics  # noqa: F401
from numgrad.tensor import storages as _storages  # noqa: F401
from numgrad.tensor.arguments import result_type
from numgrad.tensor.legacy import TYPES as _TYPES
from numgrad.tensor.legacy import set_default_tensor_type
from numgrad.tensor.random import Generator
from numgrad.tensor.storages import TypedStorage, UntypedStorage
from numgrad.tensor.surface import functions_of as _functions_of
from numgrad.tensor.tensor import Tensor

__version__ = "0.1.0"
half, float, double, short, int, long = float16, float32, float64, int16, int32, int64
pi, e, inf, nan, newaxis = _math.pi, _math.e, _math.inf, _math.nan, None


def _numpy_functions(function: object) -> _Callable[..., object]:
    from numgrad.numpy import table

    return table.implementation(function)


_operators.numpy_functions.look_up = _numpy_functions
config.start()


def __getattr__(name: str) -> object:
    """What takes time to import and is seldom needed is imported when it is asked for."""
    if name in ("load", "save"):
        from numgrad.serialization import checkpoint

        return getattr(checkpoint, name)
    if name == "autocast":
        from numgrad.amp import autocast

        return autocast
    if name == "vmap":
        return _importlib.import_module("numgrad.func").vmap
    if name in ("elementwise_grad", "grad", "hessian", "jacobian", "make_jvp", "make_vjp", "value_and_grad"):
        return getattr(_importlib.import_module("numgrad.numpy.derivatives"), name)
    if name == "jit":
        return _importlib.import_module("numgrad.compile").jit
    if name == "differentiable":
        return _importlib.import_module("numgrad.tensor.loops").differentiable
    if name in (
        "accelerator",
        "amp",
        "array_api",
        "backends",
        "compile",
        "cpu",
        "cuda",
        "datasets",
        "distributed",
        "distributions",
        "func",
        "implicit",
        "models",
        "mps",
        "numpy",
        "profiler",
        "quasirandom",
        "random",
        "scipy",
        "signal",
        "special",
        "testing",
        "transforms",
        "utils",
        "viz",
        "weights",
    ):
        return _importlib.import_module(f"numgrad.{name}")
    from numgrad.errors import ABSENT

    reason = f": {ABSENT[name]}" if name in ABSENT else ""
    raise AttributeError(f"module 'numgrad' has no attribute {name!r}{reason}")


globals().update(_functions_of("function"))
globals().update(_TYPES)

__all__ = [
    *_functions_of("function"),
    *_TYPES,
    "Generator",
    "Size",
    "Tensor",
    "TypedStorage",
    "UntypedStorage",
    "__version__",
    "accelerator",
    "amp",
    "array_api",
    "autocast",
    "autograd",
    "backends",
    "bfloat16",
    "bool",
    "can_cast",
    "channels_last",
    "compile",
    "jit",
    "contiguous_format",
    "cpu",
    "cuda",
    "custom_op",
    "device",
    "differentiable",
    "distributed",
    "distributions",
    "double",
    "dtype",
    "e",
    "elementwise",
    "enable_grad",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "func",
    "get_default_device",
    "get_default_dtype",
    "get_num_threads",
    "half",
    "iinfo",
    "inf",
    "inference_mode",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "linalg",
    "load",
    "long",
    "memory_format",
    "mps",
    "nan",
    "newaxis",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "pi",
    "preserve_format",
    "profiler",
    "promote_types",
    "quasirandom",
    "random",
    "result_type",
    "save",
    "scalar",
    "set_default_device",
    "set_default_dtype",
    "set_default_tensor_type",
    "set_grad_enabled",
    "set_num_threads",
    "short",
    "signal",
    "special",
    "strided",
    "testing",
    "uint8",
    "utils",
    "viz",
    "vmap",
]
