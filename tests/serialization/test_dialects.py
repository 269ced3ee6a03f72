"""Dialects that today's torch does not write, and what readers that knew only its own files got wrong."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict

import numpy as np
import pytest

from numgrad.serialization import WeightsFormatError, load, torch_legacy
from numgrad.serialization.source import ByteSource
from tests.serialization.dialects import (
    RESNET18_BYTES,
    Call,
    Legacy,
    Name,
    Raw,
    Storage,
    new_zip,
    old_zip,
    old_zip_entries,
    resnet18_arrays,
    resnet18_checkpoint,
    resnet18_shapes,
    tensor,
    zip_bytes,
)

SIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_the_published_resnet18_dialect_to_the_byte() -> None:
    arrays = resnet18_arrays()
    data = resnet18_checkpoint(arrays)
    assert len(data) == RESNET18_BYTES
    grads = {}

    def make(array: np.ndarray, dtype_name: str, requires_grad: bool) -> np.ndarray:
        grads[id(array)] = requires_grad
        return array

    state = load(io.BytesIO(data), make_tensor=make)
    assert type(state) is OrderedDict
    assert list(state) == list(resnet18_shapes())
    assert len(state) == 102
    for name, array in state.items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)
        assert grads[id(array)] is ("running" not in name)


def test_the_published_checksum_is_that_of_other_values() -> None:
    """The real file has the real values, so only the length may agree, not the hash."""
    assert not hashlib.sha256(resnet18_checkpoint()).hexdigest().startswith("f37072fd")


def test_today_s_entries_are_read_or_ignored() -> None:
    np.testing.assert_array_equal(load(io.BytesIO(new_zip({"a": tensor(SIX, "0")})))["a"], SIX)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "i4", "i2", "i1", "?", "c8", "c16"])
def test_big_endian_storages_are_swapped(dtype: str) -> None:
    array = (SIX + 258).astype(dtype)
    swapped = Storage("0", tensor(array, "0").arguments[0].type_name, array.astype(">" + dtype).tobytes(), 6)
    obj = {"whole": tensor(array, "0", storage=swapped), "part": tensor(array[1], "0", storage=swapped, offset=3)}
    result = load(io.BytesIO(new_zip(obj, byteorder="big")))
    np.testing.assert_array_equal(result["whole"], array, strict=True)
    np.testing.assert_array_equal(result["part"], array[1], strict=True)


def test_any_folder_and_any_order_of_entries() -> None:
    entries = old_zip_entries({"a": tensor(SIX, "3"), "b": tensor(SIX + 1, "140000000000000")}, "säved model")
    result = load(io.BytesIO(zip_bytes(entries[::-1])))
    np.testing.assert_array_equal(result["b"], SIX + 1)


def test_locations_are_ignored() -> None:
    for location in ("cuda:0", "mps", "xla:1", ""):
        there = tensor(SIX, "0", storage=Storage("0", "FloatStorage", SIX.tobytes(), 6, location))
        for data in (old_zip(there), Legacy(there).data()):
            np.testing.assert_array_equal(load(io.BytesIO(data)), SIX)


def test_an_empty_storage_may_be_left_out() -> None:
    entries = old_zip_entries({"a": tensor(np.empty((0, 3), "f4"), "0")})
    result = load(io.BytesIO(zip_bytes([entry for entry in entries if "data/0" not in entry.name])))
    assert result["a"].shape == (0, 3)


def test_the_first_version_of_rebuild_tensor() -> None:
    oldest = Call(Name("torch._utils", "_rebuild_tensor"), tensor(SIX, "0").arguments[:4])
    np.testing.assert_array_equal(load(io.BytesIO(old_zip(oldest))), SIX)


def test_strings_of_python_2() -> None:
    data = Legacy({"a": Raw(b"U\3abc")}).data()
    assert load(io.BytesIO(data)) == {"a": "abc"}


def test_strides_that_are_never_stepped_may_be_anything() -> None:
    row = tensor(SIX[:1], "0", stride=(2**62, 1))
    np.testing.assert_array_equal(load(io.BytesIO(old_zip(row))), SIX[:1])


def test_booleans_of_any_byte_are_true() -> None:
    storage = Storage("0", "BoolStorage", bytes([0, 1, 2, 255]), 4)
    array = load(io.BytesIO(old_zip(tensor(np.zeros(4, "?"), "0", storage=storage))))
    assert array.view(np.uint8).tolist() == [0, 1, 1, 1]


def test_128_containers_are_read_and_129_are_not() -> None:
    def nested(depth: int) -> bytes:
        return old_zip(Raw(b"]" * depth + b"a" * (depth - 1)))

    load(io.BytesIO(nested(128)))
    with pytest.raises(WeightsFormatError, match="more than 128 deep"):
        load(io.BytesIO(nested(129)))


def test_no_more_of_a_legacy_file_is_read_than_its_pickles_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickles are looked for in a first part of the file, then in more of it, but not after a refusal for another reason."""
    reads = []
    real = ByteSource.read
    monkeypatch.setattr(ByteSource, "read", lambda self, at, count: (reads.append(count), real(self, at, count))[1])
    monkeypatch.setattr(torch_legacy, "_FIRST_BYTES", 1000)
    large = tensor(np.zeros(1 << 20, np.float32), "1")
    load(io.BytesIO(Legacy({"small": tensor(SIX, "0"), "large": large}).data()))
    assert max(reads) == 1000
    long = {"text": "a" * 40_000, "large": large}
    load(io.BytesIO(Legacy(long).data()))
    assert max(reads) == 1000 * 32**2
    reads.clear()
    with pytest.raises(WeightsFormatError, match="names 'os.system'"):
        load(io.BytesIO(Legacy([Name("os", "system"), long]).data()))
    assert max(reads) == 1000
