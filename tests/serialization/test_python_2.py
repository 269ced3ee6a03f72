"""Checkpoints that Python 2 wrote, and protocols 0 and 1: no torch of today makes them, and people have them."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from numgrad.serialization import WeightsFormatError, load
from tests.serialization.dialects import (
    Call,
    Legacy,
    Name,
    Pid,
    Raw,
    Str2,
    numpy_array,
    numpy_scalar,
    old_zip_entries,
    tensor,
    zip_bytes,
)

SIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def oldest(array: np.ndarray, key: str) -> Call:
    """A tensor of torch before 0.4, whose function had four arguments."""
    return Call(Name("torch._utils", "_rebuild_tensor"), tensor(array, key).arguments[:4])


def read(obj: Any, **options: Any) -> Any:
    return load(io.BytesIO(Legacy(obj, python_2=True).data()), **options)


def with_pickle(data: bytes) -> bytes:
    entries = old_zip_entries({})
    entries[0].data = data
    return zip_bytes(entries)


def test_a_state_dict_that_python_2_wrote() -> None:
    """An ordered dict is called with a list of pairs, all strings are bytes."""
    state = OrderedDict((f"features.{index}.weight", oldest(SIX + index, str(index))) for index in range(3))
    result = read(state)
    assert type(result) is OrderedDict
    assert list(result) == [f"features.{index}.weight" for index in range(3)]
    for index, array in enumerate(result.values()):
        np.testing.assert_array_equal(array, SIX + index, strict=True)


def test_pairs_may_be_tuples_and_are_dicts_in_dicts() -> None:
    inner = Call(Name("collections", "OrderedDict"), ([("b", 1), ("c", [2])],))
    assert read({"a": inner}) == {"a": OrderedDict(b=1, c=[2])}
    assert read(Call(Name("collections", "OrderedDict"), ([],))) == OrderedDict()


def test_a_storage_that_is_a_part_of_another() -> None:
    """torch before 0.4 wrote it with the other's key, and where in it the part lies."""

    def part(offset: int, count: int, *arguments: Any) -> Call:
        pid = Pid(("storage", Name("torch", "FloatStorage"), "7", "cpu", 6, (f"8{offset}", offset, count)))
        return Call(Name("torch._utils", "_rebuild_tensor"), (pid, *arguments))

    whole = tensor(SIX, "7")
    result = read({"whole": whole, "part": part(2, 4, 0, (4,), (1,)), "end": part(3, 3, 1, (2,), (1,))})
    np.testing.assert_array_equal(result["whole"], SIX)
    np.testing.assert_array_equal(result["part"], [2, 3, 4, 5])
    np.testing.assert_array_equal(result["end"], [4, 5])


def test_an_optimizer_s_state_by_the_addresses_of_its_parameters() -> None:
    """Python 2 writes integers of 64 bits as text."""
    addresses = [140_230_418_563_216 + 72 * index for index in range(50)]
    state = {
        "state": {address: {"step": 7, "exp_avg": oldest(SIX, str(place))} for place, address in enumerate(addresses)},
        "param_groups": [{"lr": 0.1, "params": addresses}],
    }
    result = read(state)
    assert list(result["state"]) == addresses
    assert result["param_groups"][0]["params"] == addresses
    np.testing.assert_array_equal(result["state"][addresses[-1]]["exp_avg"], SIX)
    # Python 3 writes them with LONG1.
    assert list(load(io.BytesIO(Legacy(state).data()))["state"]) == addresses
    assert load(io.BytesIO(Legacy({-(2**63): 1, 2**63 - 1: 2}).data())) == {-(2**63): 1, 2**63 - 1: 2}


@pytest.mark.parametrize(
    ("raw", "encoding", "text"),
    [
        (b"plain", None, "plain"),
        ("naïve ☃".encode(), None, "naïve ☃"),
        (b"caf\xe9", None, "café"),
        (b"caf\xe9", "latin1", "café"),
        ("é".encode(), "latin1", "Ã©"),
        ("é".encode(), "utf-8", "é"),
        (b"\xe9" * 300, None, "é" * 300),
    ],
)
def test_strings_beyond_ascii(raw: bytes, encoding: str | None, text: str) -> None:
    result = read({"value": Str2(raw), "list": [Str2(raw)], "key": {Str2(raw): 1}}, encoding=encoding)
    assert result == {"value": text, "list": [text], "key": {text: 1}}


def test_an_encoding_that_does_not_fit_is_refused() -> None:
    for obj in ({"a": Str2(b"\xe9")}, {Str2(b"\xe9"): 1}):
        for encoding in ("ascii", "utf-8"):
            with pytest.raises(WeightsFormatError, match=f"a string of Python 2 is not {encoding}"):
                read(obj, encoding=encoding)
    with pytest.raises(ValueError, match="encoding is 'bytes', expected 'utf-8', 'latin1', 'ascii' or None"):
        read({}, encoding="bytes")


@pytest.mark.parametrize("kind", ["?", "i1", "i8", "u4", "f2", "f4", "f8", "c16", ">f8", ">i2"])
@pytest.mark.parametrize("core", ["core", "_core"])
@pytest.mark.parametrize("python_2", [True, False])
def test_numpy_s_arrays_and_scalars(kind: str, core: str, python_2: bool) -> None:
    array = (SIX - 1).astype(kind)
    obj = {
        "array": numpy_array(array, core, python_2),
        "fortran": numpy_array(np.asfortranarray(array), core, python_2),
        "scalar": numpy_scalar(array[1, 2], core, python_2),
        "none": numpy_array(array[:0], core, python_2),
    }
    result = load(io.BytesIO(Legacy(obj, python_2=python_2).data()))
    native = array.astype(array.dtype.newbyteorder("="))
    np.testing.assert_array_equal(result["array"], native, strict=True)
    np.testing.assert_array_equal(result["fortran"], native, strict=True)
    np.testing.assert_array_equal(result["none"], native[:0], strict=True)
    assert result["scalar"] == native[1, 2]
    assert type(result["scalar"]) is type(native[1, 2])
    for name in ("array", "fortran"):
        assert result[name].flags.c_contiguous
        assert result[name].flags.writeable


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_of_python_s_own_pickler(protocol: int) -> None:
    obj = {
        "numbers": [0, 255, -1, 2**31, -(2**63), 2**100, -(2**2000), 1.5, float("-inf"), 1e-300, True, False, None],
        "text": ["", "plain", "naïve ☃ \U0001f600", "line\nbreak", "quote'\"\\", "x" * 70_000],
        "bytes": [b"", b"\x00\xff", bytes(300)],
        "containers": [(), (1,), (1, 2, 3, 4), [], {}, OrderedDict(a=OrderedDict()), {2**40: 1}],
        "complex": 1.5 - 2j,
        "array": np.arange(12.0).reshape(3, 4),
        "slice": np.arange(12.0).reshape(3, 4)[:, ::2],
        "scalar": np.float32(0.1),
        1: "an integer for a key",
    }
    result = load(io.BytesIO(with_pickle(pickle.dumps(obj, protocol))))
    for name in ("array", "slice"):
        np.testing.assert_array_equal(result.pop(name), obj.pop(name), strict=True)
    assert type(result["scalar"]) is np.float32
    assert result == obj
    assert [type(number) for number in result["numbers"]] == [type(number) for number in obj["numbers"]]


def test_text_of_protocol_0_that_python_2_wrote() -> None:
    lines = b"(lp0\nS'plain'\np1\naS\"it's\"\np2\naS'caf\\xc3\\xa9\\n'\np3\nag1\naI01\naI7\naL12345678901L\naF0.5\na"
    lines += b"Vna\\u00efve\np4\na."
    assert load(io.BytesIO(with_pickle(lines))) == [
        "plain", "it's", "café\n", "plain", True, 7, 12345678901, 0.5, "naïve",
    ]  # fmt: skip


def test_a_value_that_a_pickler_drops() -> None:
    assert load(io.BytesIO(Legacy([1, Raw(b"K\2" + b"K\3" + b"0"), Raw(b"(K\4" + b"1K\5")]).data())) == [1, 2, 5]


def test_one_string_cannot_fill_the_memory_with_arrays() -> None:
    """A thousand arrays of one string of a megabyte, each of which would be a copy."""
    raw = Raw(b"T" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20) + b"q\xc8")
    first = numpy_array(np.zeros(1 << 20, np.int8), python_2=True)
    first.state = (*first.state[:4], raw)
    others = []
    for _ in range(1000):
        other = numpy_array(np.zeros(1 << 20, np.int8), python_2=True)
        other.state = (*other.state[:4], Raw(b"h\xc8"))
        others.append(other)
    with pytest.raises(WeightsFormatError, match="would take more than 4 times its size"):
        read([first, others])
