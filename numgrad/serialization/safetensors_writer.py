"""Writer of the safetensors format."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from numgrad.serialization.dtypes import DTYPES, array_as_tensor
from numgrad.serialization.torch_writer import UnpackTensor

_ORDER = {dtype.name: index for index, dtype in enumerate(DTYPES)}


def write_safetensors(
    tensors: Any, file: BinaryIO, unpack_tensor: UnpackTensor, metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors, sorted by falling size of their types and by name, so that all data are aligned.

    Parameters
    ----------
    tensors:
        A flat dict from names to tensors or NumPy arrays.
    file:
        The file to write to.
    unpack_tensor:
        Returns an `Unpacked` for a tensor, None for anything else. The format does not store requires_grad.
    metadata:
        Strings by name: the format's ``__metadata__``.

    Raises
    ------
    TypeError
        The format cannot hold the object.
    ValueError
        A tensor has the name that the format reserves.
    """
    if not isinstance(tensors, dict):
        raise TypeError(f"save: safetensors holds a dict of tensors, not a {type(tensors).__name__}; save as .pth")
    named = []
    for name, tensor in tensors.items():
        if type(name) is not str:
            raise TypeError(f"save: safetensors names are strings, not {name!r}")
        if name == "__metadata__":
            raise ValueError("save: safetensors reserves the name '__metadata__'; use the metadata argument")
        unpacked = unpack_tensor(tensor) or array_as_tensor(tensor)  # in this format arrays are tensors
        if unpacked is None:
            raise TypeError(
                f"save: safetensors holds only tensors, but {name!r} is a {type(tensor).__name__}; save as .pth instead"
            )
        dtype = unpacked.stored
        if dtype is None or dtype.safetensors is None:
            raise TypeError(f"save: {name!r} has the dtype {unpacked.array.dtype}, which safetensors does not have")
        named.append((name, dtype, unpacked.array))
    named.sort(key=lambda item: (-_ORDER[item[1].name], item[0]))

    header: dict[str, Any] = {}
    if metadata:
        if not all(type(key) is str and type(value) is str for key, value in metadata.items()):
            raise TypeError("save: metadata is a map from strings to strings")
        header["__metadata__"] = dict(metadata)
    at = 0
    for name, dtype, array in named:
        end = at + array.size * dtype.itemsize
        header[name] = {"dtype": dtype.safetensors, "shape": list(array.shape), "data_offsets": [at, end]}
        at = end
    try:
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        raise TypeError("save: a name or metadata string holds a lone surrogate, which is not a character") from None
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for _, dtype, array in named:
        file.write(dtype.encode(array))
