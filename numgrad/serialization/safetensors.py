"""Reader of the safetensors format: a JSON header of names, types, shapes and offsets, then the bytes."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

from numgrad.serialization.dtypes import DTYPES, StoredDtype
from numgrad.serialization.errors import WeightsFormatError, shortened
from numgrad.serialization.records import MAX_DIMS
from numgrad.serialization.source import ByteSource
from numgrad.serialization.storages import Extent, read_storages
from numgrad.serialization.tensors import MakeTensor

MAX_HEADER_BYTES = 100_000_000
# Python's objects take about 30 times the memory of their JSON. These bounds (for some 500,000 tensors) keep a hostile
# header from filling the memory.
MAX_BRACKETS = 1_500_000
MAX_QUOTES = 10_000_000

_DTYPES = {dtype.safetensors: dtype for dtype in DTYPES if dtype.safetensors}
_KNOWN_BUT_UNREAD = {
    *("F4", "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"),
}


@dataclass(frozen=True)
class _Tensor:
    name: str
    dtype: StoredDtype
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(source: ByteSource, make_tensor: MakeTensor) -> dict[str, Any]:
    """The tensors of a safetensors file by name, in the order of the header.

    Raises
    ------
    WeightsFormatError
        The file breaks a rule of the format, or has a dtype that NumPy lacks.
    """
    tensors, _, data_start = _read_header(source)
    # Each tensor gets an aligned array of its own: the format does not align data, but compiled loops need that.
    raw = read_storages(
        source,
        {tensor.name: Extent(data_start + tensor.begin, tensor.end - tensor.begin) for tensor in tensors},
    )
    result = {}
    for tensor in tensors:
        try:
            array = tensor.dtype.decode(raw.pop(tensor.name)).reshape(tensor.shape)
        except ValueError as error:
            # Older versions of NumPy allow fewer dimensions than MAX_DIMS.
            raise source.refusal(f"NumPy has no array of {len(tensor.shape)} dimensions: {error}") from None
        result[tensor.name] = make_tensor(array, tensor.dtype.name, False)
    return result


def read_metadata(source: ByteSource) -> dict[str, str]:
    """The ``__metadata__`` of a safetensors file: strings by name.

    Raises
    ------
    WeightsFormatError
        The file breaks a rule of the format.
    """
    return _read_header(source)[1]


def _read_header(source: ByteSource) -> tuple[list[_Tensor], dict[str, str], int]:
    if source.size < 8:
        raise source.refusal(f"the file has {source.size} bytes, too few for a safetensors header")
    (length,) = struct.unpack("<Q", source.read(0, 8))
    if length > MAX_HEADER_BYTES:
        raise source.refusal(f"the safetensors header has {length} bytes, more than {MAX_HEADER_BYTES}")
    if 8 + length > source.size:
        raise source.refusal(f"truncated: the safetensors header has {length} bytes, the file has {source.size}")
    header = parse(source, source.read(8, length), "the safetensors header")
    metadata = _metadata(source, header.pop("__metadata__", {}))
    tensors = [_tensor(source, name, entry) for name, entry in header.items()]
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != end:
            problem = "overlaps the tensor before it" if tensor.begin < end else "leaves a hole before it"
            raise source.refusal(f"{tensor.name!r} {problem} (begins at byte {tensor.begin} of the data, not {end})")
        end = tensor.end
    if 8 + length + end != source.size:
        raise source.refusal(
            f"the tensors need {8 + length + end} bytes and the file has {source.size}: "
            + ("it is truncated, get it again" if 8 + length + end > source.size else "bytes were added")
        )
    return tensors, metadata, 8 + length


def parse(source: ByteSource, raw: bytes, what: str) -> dict[str, Any]:
    """The object that JSON without fractions holds, which is called ``what`` in messages.

    Raises
    ------
    WeightsFormatError
        It is no such JSON, has a key twice, is nested too deeply, or is very large.
    """
    if not raw.startswith(b"{"):
        raise source.refusal(f"{what} does not begin with '{{'")
    if raw.count(b"{") + raw.count(b"[") > MAX_BRACKETS or raw.count(b'"') > MAX_QUOTES:
        raise source.refusal(f"{what} has more tensors than any model")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise source.refusal(f"{what} has the key {shortened(key)} twice")
            result[key] = value
        return result

    def unwanted(text: str) -> Any:
        raise source.refusal(f"{what} holds the number {text[:40]}, where only integers may be")

    try:
        # Only spaces may follow the JSON; JSON itself allows other white space.
        text = raw.rstrip(b" ").decode("utf-8")
        if text[-1] != "}":
            raise source.refusal(f"{what} does not end with '}}' and spaces")
        header = json.loads(text, object_pairs_hook=unique, parse_float=unwanted, parse_constant=unwanted)
    except WeightsFormatError:
        raise
    except UnicodeDecodeError:
        raise source.refusal(f"{what} is not UTF-8") from None
    except RecursionError:
        raise source.refusal(f"{what} is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise source.refusal(f"{what} is not JSON: {error}") from None
    except ValueError as error:
        # An integer with more digits than Python converts.
        raise source.refusal(f"{what} holds an unreadable number: {error}") from None
    assert isinstance(header, dict)
    return header


def _metadata(source: ByteSource, metadata: Any) -> dict[str, str]:
    if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
        raise source.refusal("__metadata__ is not a map from strings to strings")
    if not all(_is_unicode(key) and _is_unicode(value) for key, value in metadata.items()):
        raise source.refusal("__metadata__ holds a lone surrogate, which is not a character")
    return metadata


def _tensor(source: ByteSource, name: str, entry: Any) -> _Tensor:
    shown = shortened(name)
    if not _is_unicode(name):
        raise source.refusal(f"the tensor name {shown} holds a lone surrogate, which is not a character")
    if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise source.refusal(f"{shown} is not described by dtype, shape and data_offsets alone")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(code) is str and code in _KNOWN_BUT_UNREAD:
        raise source.refusal(f"{shown} has the dtype {code}, which NumPy does not have; save it in another one")
    if type(code) is not str or code not in _DTYPES:
        raise source.refusal(f"{shown} has the unknown dtype {shortened(code)}")
    dtype = _DTYPES[code]
    if type(shape) is not list or len(shape) > MAX_DIMS or not all(_is_size(extent) for extent in shape):
        raise source.refusal(f"{shown} has a shape that is not a list of at most {MAX_DIMS} sizes")
    # Even if another extent is zero: the format forbids the overflow, and NumPy has no such array.
    if math.prod(max(extent, 1) for extent in shape) * max(dtype.itemsize, 8) >= 2**63:
        raise source.refusal(f"{shown} has a shape larger than an array can be")
    if type(offsets) is not list or len(offsets) != 2 or not all(_is_size(offset) for offset in offsets):
        raise source.refusal(f"{shown} has data_offsets that are not a pair of byte offsets")
    begin, end = offsets
    needed = math.prod(shape) * dtype.itemsize
    if end - begin != needed:
        raise source.refusal(f"{shown} lies in {end - begin} bytes of data, but its dtype and shape need {needed}")
    return _Tensor(name, dtype, tuple(shape), begin, end)


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
