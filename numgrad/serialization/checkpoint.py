"""`numgrad.load` and `numgrad.save`: checkpoints as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from numgrad import dtypes
from numgrad.serialization import api
from numgrad.serialization.api import Format, Path
from numgrad.serialization.dtypes import Unpacked
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor


def load(file: Path | IO[bytes], *, verify: bool = True) -> Any:
    """Read a checkpoint, a torch ``.pth`` file of either format or a safetensors file, with tensors.

    Nothing in the file is executed. float16 and bfloat16 become float32, in which every value of theirs can be written.
    See `numgrad.serialization.load` for the parameters, and for what comes back.

    Raises
    ------
    WeightsFormatError
        The file is damaged or hostile, or holds what numgrad does not read.
    TypeError
        A tensor has a dtype that numgrad has not.
    OSError
        The file cannot be opened or read.

    >>> import io
    >>> import numgrad as ng
    >>> file = io.BytesIO()
    >>> ng.save({"epoch": 3, "weight": ng.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> ng.load(file)
    {'epoch': 3, 'weight': tensor([1., 1.])}
    """
    return api.load(file, make_tensor=as_tensor, verify=verify)


def save(
    obj: Any, file: Path | IO[bytes], *, format: Format | None = None, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a checkpoint that torch or safetensors reads: nested containers of tensors, numbers, strings and None.

    The format is safetensors for a path that ends in ``.safetensors``, torch's for all else. A path is written
    atomically. See `numgrad.serialization.save`.

    Raises
    ------
    TypeError
        Something in ``obj`` cannot be saved.
    OSError
        The file cannot be written.
    """
    api.save(obj, file, format=format, unpack_tensor=_unpacked, metadata=metadata)


def as_tensor(array: np.ndarray, dtype_name: str, requires_grad: bool) -> Tensor:
    """A tensor over an array that a checkpoint's reader made."""
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    try:
        dtypes.from_numpy_dtype(array.dtype)
    except TypeError as error:
        raise TypeError(f"load: the file holds a tensor of dtype {dtype_name}, which numgrad does not have") from error
    tensor = creation.from_numpy(array)
    return tensor.requires_grad_() if requires_grad and tensor.is_floating_point() else tensor


def _unpacked(leaf: Any) -> Unpacked | None:
    return Unpacked(leaf._array(), leaf.requires_grad) if isinstance(leaf, Tensor) else None
