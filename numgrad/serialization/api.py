"""`load` and `save` for arrays: the readers and writers of all formats behind two functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import IO, Any, BinaryIO, Literal, cast

from numgrad.serialization.atomic import replacing
from numgrad.serialization.dtypes import array_as_tensor
from numgrad.serialization.pickle_text import checked_encoding
from numgrad.serialization.safetensors import read_metadata, read_safetensors
from numgrad.serialization.safetensors_writer import write_safetensors
from numgrad.serialization.sniff import sniff
from numgrad.serialization.source import ByteSource
from numgrad.serialization.tensors import MakeTensor, Options, keep_array
from numgrad.serialization.torch_legacy import read_torch_legacy
from numgrad.serialization.torch_writer import UnpackTensor, write_torch_zip
from numgrad.serialization.torch_zip import read_torch_zip

Path = str | os.PathLike[str]
Format = Literal["torch", "safetensors"]
Unknown = Literal["refuse", "skip"]


def load(
    file: Path | IO[bytes],
    *,
    make_tensor: MakeTensor = keep_array,
    verify: bool = True,
    unknown: Unknown = "refuse",
    encoding: str | None = None,
    locate: Callable[[str], None] | None = None,
) -> Any:
    """Read a checkpoint: a torch ``.pth`` file of either format, or a safetensors file.

    The contents decide the format, never the name. Nothing in the file is executed, whatever it holds: the readers know
    only containers, numbers, strings and tensors.

    Parameters
    ----------
    file:
        A path, or a binary file object, which is read from its position to its end.
    make_tensor:
        Called as ``make_tensor(array, dtype_name, requires_grad)`` for every tensor; its result replaces the tensor.
        The array is C-contiguous, aligned, writable, in native byte order, and independent of the file. ``dtype_name``
        is torch's name of the stored dtype; only "bfloat16" differs from the array's own dtype, which is float32. By
        default the array itself is the result.
    verify:
        Whether to compare tensors with their checksums in torch's zip format. That costs about 0.25 ms per MB; a second
        thread hides half of it if a core is free. False is for callers that have verified a hash of the whole file. It is
        as safe, but a damaged file gives wrong numbers.
    unknown:
        How to treat objects of unknown classes: "refuse" the file, or "skip" them, which leaves an inert `Placeholder`
        for each and reads the rest. In both cases no class is looked up, imported or called.
    encoding:
        The encoding of strings that Python 2 wrote: 'utf-8', 'latin1' or 'ascii'. The default is UTF-8 for strings that
        are valid UTF-8, otherwise Latin-1.
    locate:
        Called with the device of each storage, such as 'cuda:0', before any storage is read; it may raise an error. All
        storages are read into memory.

    Returns
    -------
    object
        The saved tree of dict, OrderedDict (with torch's ``_metadata``), Counter, list and tuple; a torch.Size becomes a
        tuple. NumPy's scalars and arrays of numbers, bytes and complex numbers keep their types. For safetensors, a dict
        from names to tensors. A tensor that was saved under two names, such as a tied weight, is one array under two
        names; tensors that overlap in another way may become separate.

    Raises
    ------
    WeightsFormatError
        The file is damaged or hostile, or holds what numgrad does not read.
    ValueError
        ``unknown`` or ``encoding`` has another value.
    OSError
        The file cannot be opened or read.

    Examples
    --------
    >>> import io, numpy as np
    >>> file = io.BytesIO()
    >>> save({"epoch": 3, "weight": np.ones(2, np.float32)}, file)
    >>> _ = file.seek(0)
    >>> load(file)
    {'epoch': 3, 'weight': array([1., 1.], dtype=float32)}
    """
    if unknown not in ("refuse", "skip"):
        raise ValueError(f"load: unknown is {unknown!r}, expected 'refuse' or 'skip'")
    options = Options(make_tensor, verify, unknown == "skip", checked_encoding(encoding), locate)
    with ByteSource(file) as source:
        format = sniff(source)
        if format == "safetensors":
            return read_safetensors(source, make_tensor)
        return (read_torch_zip if format == "zip" else read_torch_legacy)(source, options)


def save(
    obj: Any,
    file: Path | IO[bytes],
    *,
    format: Format | None = None,
    unpack_tensor: UnpackTensor = array_as_tensor,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a checkpoint that torch.load (also with ``weights_only=True``) or safetensors reads.

    A path is written atomically: a crash at any moment leaves either the old file or the new one. An object that cannot
    be saved leaves the old file unchanged.

    Parameters
    ----------
    obj:
        Nested dict, OrderedDict, Counter, list, tuple and Size of tensors, NumPy arrays, str, bytes, numbers and None.
        For safetensors, a flat dict from names to tensors.
    file:
        A path, or a binary file object to write to.
    format:
        "torch" or "safetensors"; by default safetensors for a path that ends in ``.safetensors``, otherwise torch.
    unpack_tensor:
        Called with every leaf that is not a plain scalar; returns an `Unpacked` for a tensor, None for anything else. By
        default NumPy arrays are the tensors. Other arrays are saved as arrays; see `torch_writer`.
    metadata:
        For safetensors only: strings by name.

    Raises
    ------
    TypeError
        A part of ``obj`` cannot be saved; the message says where it is.
    ValueError
        The format is unknown, metadata were given for torch's format, or a value does not fit the requested dtype.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import io, numpy as np
    >>> file = io.BytesIO()
    >>> save({"weight": np.zeros((2, 3))}, file, format="safetensors", metadata={"epoch": "3"})
    >>> _ = file.seek(0)
    >>> load_metadata(file)
    {'epoch': '3'}
    """
    if format is None:
        has_suffix = isinstance(file, (str, os.PathLike)) and os.fspath(file).endswith(".safetensors")
        format = "safetensors" if has_suffix else "torch"
    if format not in ("torch", "safetensors"):
        raise ValueError(f"save: format is {format!r}, expected 'torch' or 'safetensors'")
    if metadata and format == "torch":
        raise ValueError("save: metadata is for safetensors only; put it into the saved dict instead")
    if isinstance(file, (str, os.PathLike)):
        with replacing(file) as out:
            _write(obj, out, format, unpack_tensor, metadata)
    elif hasattr(file, "write"):
        _write(obj, cast(BinaryIO, file), format, unpack_tensor, metadata)
    else:
        raise TypeError(f"save: file is {type(file).__name__}, expected a path or a binary file object")


def load_metadata(file: Path | IO[bytes]) -> dict[str, str]:
    """The ``__metadata__`` of a safetensors file, without its tensors.

    Raises
    ------
    WeightsFormatError
        The file is not a valid safetensors file.

    Examples
    --------
    >>> import io, numpy as np
    >>> file = io.BytesIO()
    >>> save({"weight": np.zeros(2)}, file, format="safetensors")
    >>> _ = file.seek(0)
    >>> load_metadata(file)
    {}
    """
    with ByteSource(file) as source:
        return read_metadata(source)


def _write(
    obj: Any, file: BinaryIO, format: Format, unpack_tensor: UnpackTensor, metadata: Mapping[str, str] | None
) -> None:
    if format == "safetensors":
        write_safetensors(obj, file, unpack_tensor, metadata)
    else:
        write_torch_zip(obj, file, unpack_tensor)
