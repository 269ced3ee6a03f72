"""`numgrad.load` and `numgrad.save`: the functions of `api` with Tensors and torch's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from numgrad import dtypes
from numgrad.serialization import api
from numgrad.serialization.api import Format, Path, Unknown
from numgrad.serialization.dtypes import Unpacked
from numgrad.tensor import creation
from numgrad.tensor.arguments import cast
from numgrad.tensor.tensor import Tensor


class _SavedStorage:
    """The argument of a `map_location` function: a storage in the CPU's memory, whatever device it was saved from."""

    def cpu(self) -> _SavedStorage:
        """Return the storage itself."""
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> _SavedStorage:
        """Refuse: there is no such device."""
        raise _no_device("cuda")


def load(
    f: Path | IO[bytes],
    map_location: Any = None,
    pickle_module: None = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    unknown: Unknown | None = None,
    encoding: str | None = None,
    verify: bool = True,
) -> Any:
    """Read a checkpoint, a torch ``.pth`` file of either format or a safetensors file, with tensors.

    Nothing in the file is executed. Tensors of bfloat16 share no memory, also where they did. See
    `numgrad.serialization.load` for ``encoding``, ``verify`` and the result.

    Parameters
    ----------
    map_location
        The device of the tensors, which can only be the CPU: 'cpu', a device of that type, a dict from the devices in the
        file to it, or a function ``(storage, device) -> storage``, which is called for each storage. Tensors come to the
        CPU without it as well, whatever device they were saved from.
    pickle_module
        Has to be None: nothing executes the contents of a file.
    weights_only
        True and None: read tensors, containers, numbers, strings and NumPy arrays, and refuse a file with anything else.
        False, with which torch would make objects of any class, means ``unknown="skip"``.
    mmap
        Accepted; all tensors are read into memory.
    unknown
        "refuse" (the default), or "skip": objects of other classes, such as an `argparse.Namespace` beside the weights,
        become an inert `numgrad.serialization.Placeholder`.

    Raises
    ------
    WeightsFormatError
        The file is damaged or hostile, or holds what numgrad does not read.
    TypeError
        A tensor has a dtype that numgrad lacks, or ``map_location`` is something else.
    RuntimeError
        ``map_location`` asks for a device other than the CPU.
    ValueError
        ``unknown`` or ``encoding`` has another value, or ``weights_only=True`` comes with ``unknown="skip"``.
    OSError
        The file cannot be opened or read.

    >>> import io
    >>> import numgrad as ng
    >>> file = io.BytesIO()
    >>> ng.save({"epoch": 3, "weight": ng.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> ng.load(file, map_location="cpu")
    {'epoch': 3, 'weight': tensor([1., 1.])}
    """
    if pickle_module is not None:
        raise TypeError("load: pickle_module has to be None, since nothing runs what a file holds")
    if not (weights_only is None or isinstance(weights_only, bool)):
        raise TypeError(f"load: weights_only is {type(weights_only).__name__}, expected a bool or None")
    if not (mmap is None or isinstance(mmap, bool)):
        raise TypeError(f"load: mmap is {type(mmap).__name__}, expected a bool or None")
    if weights_only and unknown == "skip":
        raise ValueError("load: unknown is 'skip' with weights_only=True, which refuses all but weights; leave one out")
    if unknown is None:
        unknown = "skip" if weights_only is False else "refuse"
    locate = _locator(map_location)
    return api.load(f, make_tensor=as_tensor, verify=verify, unknown=unknown, encoding=encoding, locate=locate)


def save(
    obj: Any, f: Path | IO[bytes], *, format: Format | None = None, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a checkpoint that torch or safetensors reads: nested containers of tensors, numbers, strings and None.

    The format is safetensors for a path that ends in ``.safetensors``, otherwise torch's. A path is written atomically;
    see `numgrad.serialization.save`. In torch's format NumPy arrays stay arrays, which torch itself reads only with
    ``weights_only=False``; `from_numpy` makes tensors of them. safetensors holds only tensors.

    Raises
    ------
    TypeError
        A part of ``obj`` cannot be saved.
    OSError
        The file cannot be written.

    >>> import os, tempfile
    >>> import numgrad as ng
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "checkpoint.pth")
    ...     ng.save({"epoch": 3, "weight": ng.ones(2)}, path)
    ...     ng.load(path)
    {'epoch': 3, 'weight': tensor([1., 1.])}
    """
    api.save(obj, f, format=format, unpack_tensor=_unpacked, metadata=metadata)


def as_tensor(array: np.ndarray, dtype_name: str, requires_grad: bool) -> Tensor:
    """A tensor over an array that a checkpoint's reader made."""
    try:
        dtypes.from_numpy_dtype(array.dtype)
    except TypeError as error:
        raise TypeError(f"load: the file holds a tensor of dtype {dtype_name}, which numgrad does not have") from error
    tensor = creation.from_numpy(array)
    if dtype_name == "bfloat16":  # read as float32, since NumPy has no such dtype
        tensor = cast(tensor, dtypes.bfloat16)
    return tensor.requires_grad_() if requires_grad and tensor.is_floating_point() else tensor


def _unpacked(leaf: Any) -> Unpacked | None:
    if not isinstance(leaf, Tensor):
        return None
    name = "bfloat16" if leaf.dtype is dtypes.bfloat16 else ""
    return Unpacked(leaf._values(), leaf.requires_grad, name)


def _locator(map_location: Any) -> Callable[[str], None] | None:
    """The function to call with the device of each storage in the file, or None."""
    if map_location is None:
        return None
    if isinstance(map_location, Mapping):
        for device in map_location.values():
            _check_device(device)
        return None
    if not callable(map_location):
        _check_device(map_location)
        return None

    def locate(location: str) -> None:
        placed = map_location(_SavedStorage(), location)
        if placed is not None and not isinstance(placed, _SavedStorage):
            raise TypeError(
                f"load: map_location returned {type(placed).__name__} for a storage of {location!r}, expected the storage "
                "that it was given, or None"
            )

    return locate


def _check_device(device: Any) -> None:
    kind = device if isinstance(device, str) else getattr(device, "type", None)
    if not isinstance(kind, str):
        raise TypeError(
            f"load: map_location has {type(device).__name__}, expected 'cpu', a device, a dict of them or a function"
        )
    if kind.partition(":")[0] != "cpu":
        raise _no_device(str(device))


def _no_device(device: str) -> RuntimeError:
    return RuntimeError(
        f"load: map_location asks for the device {device!r}, expected 'cpu', the only one that numgrad has"
    )
