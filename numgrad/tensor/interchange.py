"""What other libraries ask of a tensor: DLPack, which shares memory without a copy, the buffer protocol, the array API."""

from __future__ import annotations

import builtins
import ctypes
import enum
import importlib
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.engine import private
from numgrad.engine.tape import modes, tensor_over
from numgrad.layout import contiguous_strides, product, spec_of
from numgrad.runtime import memory
from numgrad.tensor import creation, shaping
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


class DLDeviceType(enum.IntEnum):
    """DLPack's kinds of devices, of which numgrad has the first.

    >>> import numgrad as ng
    >>> ng.ones(2).__dlpack_device__()
    (<DLDeviceType.kDLCPU: 1>, 0)
    """

    kDLCPU = 1  # noqa: N815 (DLPack's names)
    kDLCUDA = 2  # noqa: N815
    kDLCUDAHost = 3  # noqa: N815
    kDLOpenCL = 4  # noqa: N815
    kDLVulkan = 7  # noqa: N815
    kDLMetal = 8  # noqa: N815
    kDLVPI = 9  # noqa: N815
    kDLROCM = 10  # noqa: N815
    kDLROCMHost = 11  # noqa: N815
    kDLExtDev = 12  # noqa: N815
    kDLCUDAManaged = 13  # noqa: N815
    kDLOneAPI = 14  # noqa: N815


_INT, _UINT, _FLOAT, _BFLOAT, _COMPLEX, _BOOL = 0, 1, 2, 4, 5, 6  # DLPack's kinds of elements
_KINDS = {_INT: "int", _UINT: "uint", _FLOAT: "float", _BFLOAT: "bfloat", _COMPLEX: "complex", _BOOL: "bool"}


def _code_of(dtype: Dtype) -> tuple[int, int]:
    """DLPack's kind and bits of a dtype."""
    bits = 8 * dtype.itemsize
    if dtype.is_bool:
        return _BOOL, bits
    if dtype.is_floating_point:
        return (_BFLOAT if dtype is dtypes.bfloat16 else _FLOAT), bits
    return (_INT if dtype.is_signed else _UINT), bits


_DTYPES = {_code_of(each): each for each in (*dtypes.ALL, dtypes.float16, dtypes.bfloat16)}


@public("method", name="__dlpack_device__", asks=True)
def dlpack_device(input: Tensor) -> tuple[int, int]:
    """The device for DLPack: the CPU, number 0.

    >>> import numgrad as ng
    >>> int(ng.ones(2).__dlpack_device__()[0])
    1
    """
    return DLDeviceType.kDLCPU, 0


def _expose(tensor: Tensor) -> None:
    """Refuse what has a gradient or no memory of its own, and tell a capture."""
    if tensor.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    private.expose(tensor)
    tensor._array()


@public("method", name="__dlpack__", asks=True)
def dlpack(
    input: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[Any, int] | None = None,
    copy: builtins.bool | None = None,
) -> Any:
    """A capsule of DLPack over this tensor's memory, by which another library shares it: ``torch.from_dlpack(tensor)``.

    The memory lives as long as the other library uses it. With ``max_version`` of (1, 0) or more the capsule is of DLPack 1,
    otherwise of the older kind. With ``copy=True`` it is over a copy.

    Raises
    ------
    BufferError
        The tensor requires a gradient, which the other library would lose; or another device than the CPU is asked for.
    RuntimeError
        A stream is given: the CPU has none.

    >>> import numpy as np
    >>> import numgrad as ng
    >>> x = ng.zeros(3)
    >>> np.from_dlpack(x)[1] = 7
    >>> x
    tensor([0., 7., 0.])
    """
    from numgrad.runtime import capsules  # takes longer to import than all of this file, and is seldom needed

    if stream is not None:
        raise RuntimeError(f"__dlpack__: stream is {stream!r}, expected None, since the CPU has no streams")
    if dl_device is not None and tuple(dl_device) != (DLDeviceType.kDLCPU, 0):
        raise BufferError(f"__dlpack__: dl_device is {dl_device}, expected (1, 0), the CPU")
    _expose(input)
    shared = shaping.clone(input) if copy else input
    spec = shared._spec
    flags = None if max_version is None or max_version[0] < 1 else capsules.IS_COPIED if copy else 0
    return capsules.pass_out(shared._storage, shared._address, spec.shape, spec.strides, *_code_of(spec.dtype), flags)


@public("function", asks=True)
def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: builtins.bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array, which lives as long as the tensor, or longer.

    ``ext_tensor`` has ``__dlpack__``, as arrays of NumPy, torch and JAX have, or is a capsule of DLPack. The memory is shared
    where that is possible: changes of either show in the other, so write to what JAX shares only if nobody else reads it.
    With ``copy=True`` it is copied. Memory that is read-only, misaligned or has negative strides is copied too, unless
    ``copy=False``.

    Raises
    ------
    TypeError
        The object is neither, its capsule was consumed, or numgrad does not have the dtype.
    BufferError
        It requires a gradient, is on another device, or, with ``copy=False``, its memory cannot be shared.

    >>> import numpy as np
    >>> import numgrad as ng
    >>> array = np.zeros(3)
    >>> x = ng.from_dlpack(array)
    >>> array[0] = 7
    >>> x
    tensor([7., 0., 0.], dtype=numgrad.float64)
    """
    from numgrad.runtime import capsules

    on_cpu("from_dlpack", device)
    if type(ext_tensor) is Tensor and copy is not True and ext_tensor._spec.numel:
        return _shared(ext_tensor)
    capsule = (
        ext_tensor if type(ext_tensor).__name__ == "PyCapsule" else _capsule_of(ext_tensor, copy, capsules.VERSION)
    )
    described = capsules.describe(capsule)
    if described.device_type != DLDeviceType.kDLCPU:
        raise BufferError(
            f"from_dlpack: the memory is on a device of kind {described.device_type}, expected 1, the CPU"
        )
    dtype = _DTYPES.get((described.code, described.bits)) if described.lanes == 1 else None
    if dtype is None:
        kind = f"{_KINDS.get(described.code, 'kind ' + str(described.code))}{described.bits}"
        lanes = "" if described.lanes == 1 else f" in {described.lanes} lanes"
        raise TypeError(
            f"from_dlpack: got elements of {kind}{lanes}, expected one of {', '.join(each.name for each in _DTYPES.values())}"
        )
    if modes.capture is not None:
        modes.capture.array(ext_tensor)
    strides = described.strides
    if min(strides, default=0) < 0:  # the stride of an extent of 1 means nothing, and so may be negative
        plain = contiguous_strides(described.shape)
        strides = tuple([s if n > 1 or s >= 0 else p for n, s, p in zip(described.shape, strides, plain, strict=True)])
    problem = (
        "is read-only, and tensors can be written to"
        if described.read_only
        else f"has the strides {strides}, and a tensor has no negative ones"
        if min(strides, default=0) < 0
        else f"begins at an address that is no multiple of {dtype.itemsize}"
        if described.address % dtype.itemsize
        else ""
    )
    if problem and copy is False:
        raise BufferError(f"from_dlpack: the memory {problem}; leave out copy=False, which copies it")
    keeper = capsules.take(capsule)
    if not product(described.shape):
        return creation.empty(described.shape, dtype=dtype)
    if problem or copy:
        return _copied(described.address, described.shape, strides, dtype, keeper)
    spec = spec_of(dtype, described.shape, strides)
    storage = memory.Storage(described.address, spec.nbytes, keeper)
    shared: Tensor = tensor_over(Tensor, storage, spec, described.address)
    return shared


def _shared(tensor: Tensor) -> Tensor:
    """What a tensor's own capsule would give, without one."""
    _expose(tensor)
    if modes.capture is not None:
        modes.capture.array(tensor)
    return private.alias(tensor, Tensor, tensor._storage.share())  # type: ignore[no-any-return]


def _capsule_of(array: Any, copy: builtins.bool | None, version: tuple[int, int]) -> Any:
    """The capsule of an object, with the newest arguments that it knows."""
    if not hasattr(array, "__dlpack__") or not hasattr(array, "__dlpack_device__"):
        raise TypeError(
            f"from_dlpack: got {type(array).__name__}, expected an object with __dlpack__ and __dlpack_device__, or a capsule"
        )
    arguments: dict[str, Any] = {"max_version": version}
    if array.__dlpack_device__()[0] != DLDeviceType.kDLCPU and copy is not False:
        arguments["dl_device"] = (DLDeviceType.kDLCPU, 0)
    if copy is False:
        arguments["copy"] = False
    try:
        return array.__dlpack__(**arguments)
    except TypeError:  # it knows an older protocol, without these arguments
        return array.__dlpack__()


def _copied(address: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Dtype, keeper: Any) -> Tensor:
    """A new tensor of the elements in memory of any alignment and strides, which ``keeper`` keeps."""
    steps = [step * dtype.itemsize for step in strides]
    before = sum([(n - 1) * -step for n, step in zip(shape, steps, strict=True) if step < 0])
    behind = sum([(n - 1) * step for n, step in zip(shape, steps, strict=True) if step > 0])
    window = (ctypes.c_char * (before + behind + dtype.itemsize)).from_address(address - before)
    copied = creation.empty(shape, dtype=dtype)
    copied._memory()[...] = np.ndarray(shape, dtype.numpy, memoryview(window), before, steps)
    del keeper  # not before the elements are read
    return copied


@public("function", asks=True)
def to_dlpack(tensor: Tensor) -> Any:
    """The capsule of `Tensor.__dlpack__` of the older kind, which can be consumed once.

    Raises
    ------
    TypeError
        The argument is not a tensor.
    BufferError
        The tensor requires a gradient.

    >>> import numgrad as ng
    >>> ng.from_dlpack(ng.to_dlpack(ng.ones(2)))
    tensor([1., 1.])
    """
    return dlpack(check_tensor("to_dlpack", "tensor", tensor))


@public("method", name="__buffer__", asks=True)
def buffer(input: Tensor, flags: int, /) -> memoryview:
    """The memory for Python's buffer protocol, from Python 3.12 on: ``memoryview(tensor)``, ``hashlib.sha256(tensor)``.

    In Python 3.11, where no class of Python's has buffers, ``memoryview(tensor.numpy())`` is the same.

    Raises
    ------
    BufferError
        The tensor requires a gradient, or is of bfloat16, which buffers do not have.

    >>> import numgrad as ng
    >>> ng.ones(2, 3).__buffer__(0).shape
    (2, 3)
    """
    if input.requires_grad or input._spec.dtype is dtypes.bfloat16:
        problem = "requires a gradient; use tensor.detach()" if input.requires_grad else "is of bfloat16"
        raise BufferError(f"can't view the memory of a Tensor that {problem}")
    return memoryview(input.numpy())  # type: ignore[arg-type]  # NumPy's stubs say so from Python 3.12 on


# ---- the array API ----------------------------------------------------------------------------------------------


@public("method", name="__array_namespace__", asks=True)
def array_namespace(input: Tensor, *, api_version: str | None = None) -> Any:
    """The namespace of the array API standard, `numgrad.array_api`, whose functions take tensors.

    Raises
    ------
    ValueError
        There is no such revision of the standard, or none that is known.

    >>> import numgrad as ng
    >>> ng.ones(2).__array_namespace__().__array_api_version__
    '2025.12'
    """
    if api_version is not None and api_version not in _API_VERSIONS:
        raise ValueError(
            f"__array_namespace__: api_version is {api_version!r}, expected one of {', '.join(_API_VERSIONS)}"
        )
    return importlib.import_module("numgrad.array_api")  # a layer above


@public("method", asks=True)
def to_device(input: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """This tensor itself, since there is no other device.

    Raises
    ------
    RuntimeError
        The device is not the CPU, or a stream is given.

    >>> import numgrad as ng
    >>> x = ng.ones(2)
    >>> x.to_device(x.device) is x
    True
    """
    on_cpu("to_device", device)
    if stream is not None:
        raise RuntimeError(f"to_device: stream is {stream!r}, expected None, since the CPU has no streams")
    return input


@public("method", name="__complex__", asks=True)
def complex_(input: Tensor) -> complex:
    """The value of a tensor of one element as a Python complex number.

    >>> import numgrad as ng
    >>> complex(ng.tensor(2.5))
    (2.5+0j)
    """
    return complex(input._only())
