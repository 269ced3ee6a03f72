"""load and save: the two functions through which everything goes."""

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

    The format is told from the contents, never from the name. Nothing in the file is executed, whatever it holds; it
    is read as data by readers that know nothing but containers, numbers, strings and tensors.

    Parameters
    ----------
    file:
        A path, or a binary file object, which is read from its position to its end.
    make_tensor:
        Called as ``make_tensor(array, dtype_name, requires_grad)`` for every tensor; what it gives takes the tensor's
        place. The array is C-contiguous, aligned, writable, in native byte order, and independent of the file.
        ``dtype_name`` is torch's name of the stored dtype; it is the array's own but for "bfloat16", which comes as
        float32 values. By default the array itself is the result.
    verify:
        Whether to compare tensors with the checksums that torch's zip format has for them, which costs about 0.25 ms
        per MB, half of it hidden by a second thread where a core is free. False is for callers that have verified a hash of
        the whole file; it is as safe, but damage to the file then gives wrong numbers.
    unknown:
        What becomes of objects of classes that are not read: "refuse", or "skip", which puts an inert `Placeholder` in
        the place of each and reads the rest. Either way nothing of them is looked up, imported or called.
    encoding:
        That of strings which Python 2 wrote and which are not ASCII: 'utf-8', 'latin1' or 'ascii'; by default UTF-8
        where they are that, else Latin-1.
    locate:
        Called with the device that each storage was saved from, such as 'cuda:0', before any is read; it may refuse.
        All are read into memory.

    Returns
    -------
    object
        The saved tree: dict, OrderedDict (with torch's ``_metadata``), Counter, list and tuple; a torch.Size is a
        tuple. NumPy's scalars and arrays of numbers, bytes and complex numbers are what they were. For safetensors, a
        dict from names to tensors. One tensor that was saved under two names, as tied weights
        are, is one array under two names; tensors that overlap in another way may come apart.

    Raises
    ------
    WeightsFormatError
        The file is damaged or hostile, or holds what numgrad does not read.
    ValueError
        ``unknown`` or ``encoding`` is none of those above.
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

    A path is written atomically: a crash at any moment leaves the old file or the new one, never half of one, and an
    object that cannot be saved leaves the old file as it was.

    Parameters
    ----------
    obj:
        Nested dict, OrderedDict, Counter, list and tuple of tensors, NumPy arrays, str, bytes, numbers and None.
        For safetensors, a flat dict from names to tensors.
    file:
        A path, or a binary file object to write to.
    format:
        "torch" or "safetensors"; by default, safetensors for a path that ends in ``.safetensors``, torch for all else.
    unpack_tensor:
        Called with every leaf that is no plain scalar; gives an `Unpacked` for a tensor, None for anything else. By
        default NumPy arrays are the tensors. An array that is none stays an array; see `torch_writer`.
    metadata:
        For safetensors only: strings by name.

    Raises
    ------
    TypeError
        Something in ``obj`` cannot be saved; the message says where it is.
    ValueError
        The format is unknown, metadata was given for torch's, or a value does not fit the dtype that was asked for.
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
        named_so = isinstance(file, (str, os.PathLike)) and os.fspath(file).endswith(".safetensors")
        format = "safetensors" if named_so else "torch"
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
