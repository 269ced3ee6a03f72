"""safetensors: each rule of the format, and files exchanged with the reference implementation."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from numgrad.serialization import WeightsFormatError, load, load_metadata, save
from tests.serialization.dialects import safetensors_bytes

FOUR = np.arange(4, dtype=np.float32)
DTYPES = ("bool", "u1", "i1", "i2", "u2", "f2", "i4", "u4", "f4", "c8", "f8", "i8", "u8")


def entry(dtype: Any = "F32", shape: Any = (4,), offsets: Any = (0, 16), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets} | more


def one(**changed: Any) -> bytes:
    return safetensors_bytes({"a": entry(**changed)}, FOUR.tobytes())


def raw(text: str | bytes, data: bytes = b"") -> bytes:
    return safetensors_bytes(text.encode() if isinstance(text, str) else text, data)


REFUSED = {
    # the frame
    "fewer than 8 bytes": (b"\2\0\0", "too few for a safetensors header|neither"),
    "no header": (raw(""), "does not begin with '{'"),
    "header of 100,000,001 bytes": (safetensors_bytes({}, length=100_000_001), "100000001 bytes, more than 100000000"),
    "header of 2**32 - 1 bytes": (safetensors_bytes({}, length=2**32 - 1), "4294967295 bytes, more than"),
    "header beyond the end": (safetensors_bytes({}, length=3), "truncated: the safetensors header has 3 bytes"),
    "white space first": (raw(" {}"), "does not begin with '{'"),
    "tab at the end": (raw("{}\t"), "does not end with '}'"),
    "newline at the end": (raw("{}\n"), "does not end with '}'"),
    "NUL at the end": (raw("{}\0"), "does not end with '}'"),
    "a list": (raw("[]"), "does not begin with '{'"),
    "two objects": (raw("{}{}"), "not JSON"),
    "not JSON": (raw("{a}"), "not JSON"),
    "a comma too many": (raw('{"a":{},}'), "not JSON"),
    "not UTF-8": (raw(b'{"\xff":1}'), "not UTF-8"),
    "nested 100,000 deep": (raw('{"a":' * 100_000 + "1" + "}" * 100_000), "nested too deeply|more tensors"),
    "a lone surrogate for a name": (raw('{"\\ud800":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'), "surrogate"),
    "two million lists": (raw('{"a":[' + "[]," * 2_000_000 + "[]]}"), "more tensors than any model"),
    # names
    "one name twice": (raw('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],'
                           '"data_offsets":[0,0]}}'), "the key 'a' twice"),
    "one field twice": (raw('{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'), "'dtype' twice"),
    "__metadata__ twice": (raw('{"__metadata__":{},"__metadata__":{}}'), "'__metadata__' twice"),
    "one metadatum twice": (raw('{"__metadata__":{"a":"b","a":"c"}}'), "'a' twice"),
    "metadata of numbers": (safetensors_bytes({"__metadata__": {"a": 1}}), "not a map from strings to strings"),
    "metadata of maps": (safetensors_bytes({"__metadata__": {"a": {}}}), "not a map from strings to strings"),
    "metadata is null": (safetensors_bytes({"__metadata__": None}), "not a map from strings to strings"),
    "metadata with a surrogate": (raw('{"__metadata__":{"a":"\\udfff"}}'), "surrogate"),
    # descriptions
    "null for a tensor": (safetensors_bytes({"a": None}), "not described by dtype, shape and data_offsets"),
    "a field too few": (safetensors_bytes({"a": {"dtype": "F32", "shape": [4]}}), "not described by"),
    "a field too many": (one(extra=1), "not described by"),
    "an unknown dtype": (one(dtype="F33"), "unknown dtype 'F33'"),
    "a dtype in small letters": (one(dtype="f32"), "unknown dtype 'f32'"),
    "a number for a dtype": (one(dtype=32), "unknown dtype 32"),
    "a list for a dtype": (one(dtype=["F32"]), "unknown dtype a list"),
    "float8": (one(dtype="F8_E4M3", shape=[16]), "F8_E4M3, which NumPy does not have"),
    "float4": (one(dtype="F4", shape=[32]), "F4, which NumPy does not have"),
    "a number for a shape": (one(shape=4), "shape that is not a list"),
    "a negative size": (one(shape=[-4]), "shape that is not a list"),
    "a bool for a size": (one(shape=[True, 4]), "shape that is not a list"),
    "a float for a size": (one(shape=[4.0]), "holds the number 4.0"),
    "a power of ten for a size": (raw('{"a":{"dtype":"F32","shape":[4e0],"data_offsets":[0,16]}}'), "the number 4e0"),
    "NaN": (one(shape=[float("nan")]), "the number NaN"),
    "Infinity": (one(shape=[float("inf")]), "the number Infinity"),
    "5,000 digits": (raw('{"a":{"dtype":"F32","shape":[' + "1" * 5000 + '],"data_offsets":[0,16]}}'), "number|shape"),
    "65 dimensions": (one(shape=[1] * 64 + [4]), "at most 64 sizes"),
    "overflow": (one(shape=[2**40, 2**40]), "larger than an array"),
    "overflow to 16 bytes": (one(shape=[2**62, 4, 2**2 + 1]), "larger than an array"),
    "overflow beside 0": (safetensors_bytes({"a": entry(shape=[2**40, 2**40, 0], offsets=[0, 0])}), "larger than an"),
    "one offset": (one(offsets=[16]), "not a pair of byte offsets"),
    "three offsets": (one(offsets=[0, 8, 16]), "not a pair of byte offsets"),
    "a negative offset": (one(offsets=[-16, 0]), "not a pair of byte offsets"),
    "offsets of strings": (one(offsets=["0", "16"]), "not a pair of byte offsets"),
    "offsets in reverse": (one(offsets=[16, 0]), "lies in -16 bytes"),
    "too few bytes for the shape": (one(shape=[3]), "lies in 16 bytes of data, but its dtype and shape need 12"),
    # the data
    "no data": (safetensors_bytes({"a": entry()}), "truncated"),
    "data cut off": (one()[:-1], "truncated"),
    "data added": (one() + b"x", "bytes were added"),
    "a hole at the start": (safetensors_bytes({"a": entry(offsets=[4, 20])}, bytes(20)), "leaves a hole"),
    "a hole": (safetensors_bytes({"a": entry(), "b": entry(offsets=[20, 36])}, bytes(36)), "'b' leaves a hole"),
    "an overlap": (safetensors_bytes({"a": entry(), "b": entry(offsets=[12, 28])}, bytes(28)), "'b' overlaps"),
    "the same bytes twice": (safetensors_bytes({"a": entry(), "b": entry()}, bytes(16)), "'b' overlaps"),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED)
def test_is_refused_with_its_reason(row: str) -> None:
    data, reason = REFUSED[row]
    with pytest.raises(WeightsFormatError, match=reason):
        load(io.BytesIO(data))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (raw("{}"), {}),
        (raw("{}       "), {}),
        (one(), {"a": FOUR}),
        (safetensors_bytes({"": entry()}, FOUR.tobytes()), {"": FOUR}),
        (safetensors_bytes({"a": entry(shape=[], offsets=[0, 4])}, FOUR[1:2].tobytes()), {"a": np.array(1, "f4")}),
        (safetensors_bytes({"a": entry(shape=[2, 0, 3], offsets=[0, 0])}), {"a": np.empty((2, 0, 3), "f4")}),
        (safetensors_bytes({"b": entry(shape=[2], offsets=[8, 16]), "a": entry(shape=[2], offsets=[0, 8])},
                           FOUR.tobytes()), {"b": FOUR[2:], "a": FOUR[:2]}),
    ],
)  # fmt: skip
def test_is_read(data: bytes, expected: dict[str, np.ndarray]) -> None:
    result = load(io.BytesIO(data))
    assert list(result) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(result[name], array, strict=True)


def test_every_truncation_is_refused() -> None:
    for length in range(len(one())):
        with pytest.raises(WeightsFormatError):
            load(io.BytesIO(one()[:length]))


def test_unaligned_data_give_aligned_arrays() -> None:
    header = json.dumps({"a": entry()}).encode()
    for padding in range(8):
        array = load(io.BytesIO(safetensors_bytes(header + b" " * padding, FOUR.tobytes())))["a"]
        assert array.flags.aligned
        assert array.flags.writeable
        np.testing.assert_array_equal(array, FOUR)


def test_bfloat16_is_read_as_float32() -> None:
    names = []
    data = safetensors_bytes({"a": entry("BF16", [2], [0, 4])}, b"\x80\x3f\xc0\x7f")
    result = load(io.BytesIO(data), make_tensor=lambda array, name, grad: names.append((name, grad)) or array)
    np.testing.assert_array_equal(result["a"], np.array([1, np.nan], np.float32), strict=True)
    assert names == [("bfloat16", False)]


def examples() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    arrays = {f"{code} {shape}": np.asarray(random.random(shape) * 100).astype(code)
              for code in DTYPES for shape in ((), (0, 3), (2, 3))}  # fmt: skip
    arrays["transposed"] = random.random((3, 4)).T
    arrays["every second"] = random.random(10)[::2]
    arrays["big-endian"] = np.arange(3, dtype=">i4")
    arrays["äöü 数"] = np.array([True, False, True])
    return arrays


def test_what_is_saved_is_read_back() -> None:
    file = io.BytesIO()
    save(examples(), file, format="safetensors", metadata={"format": "np", "ä": "數"})
    file.seek(0)
    result = load(file)
    for name, array in examples().items():
        np.testing.assert_array_equal(result[name], array.astype(array.dtype.newbyteorder("=")), strict=True)
    file.seek(0)
    assert load_metadata(file) == {"format": "np", "ä": "數"}


def test_the_reference_reads_what_is_saved_and_writes_the_same_bytes() -> None:
    reference = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed: no cross-check with it")
    # The reference writes wrong data for arrays that are not contiguous, so it is given contiguous ones.
    arrays = {name: np.array(array, array.dtype.newbyteorder("="), order="C") for name, array in examples().items()}
    file = io.BytesIO()
    save(examples(), file, format="safetensors", metadata={"format": "np"})
    result = reference.load(file.getvalue())
    assert set(result) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(result[name], array, strict=True)
    assert reference.save(arrays, metadata={"format": "np"}) == file.getvalue()


@pytest.mark.parametrize(
    ("obj", "error", "reason"),
    [
        ([FOUR], TypeError, "a dict of tensors, not a list; save as .pth"),
        ({1: FOUR}, TypeError, "names are strings, not 1"),
        ({"a": {"b": FOUR}}, TypeError, "'a' is a dict; save as .pth"),
        ({"a": 1.5}, TypeError, "'a' is a float; save as .pth"),
        ({"a": FOUR.astype("c16")}, TypeError, "'a' has the dtype complex128"),
        ({"a": np.array(["b"])}, TypeError, "'a' has the dtype <U1"),
        ({"a": np.zeros(1, np.longdouble)}, TypeError, "'a' has the dtype"),
        ({"__metadata__": FOUR}, ValueError, "reserves the name"),
        ({"\ud800": FOUR}, TypeError, "lone surrogate"),
    ],
)
def test_what_the_format_cannot_hold_is_not_saved(obj: Any, error: type[Exception], reason: str) -> None:
    file = io.BytesIO()
    with pytest.raises(error, match=reason):
        save(obj, file, format="safetensors")
    assert file.getvalue() == b""


def test_metadata_are_strings() -> None:
    with pytest.raises(TypeError, match="strings to strings"):
        save({"a": FOUR}, io.BytesIO(), format="safetensors", metadata={"epoch": 3})  # type: ignore[dict-item]
