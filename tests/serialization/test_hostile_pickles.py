"""What a hostile or damaged pickle can hold, in both of torch's formats: each row is refused with its reason."""

from __future__ import annotations

import contextlib
import io
import struct
import time
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
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
    Storage,
    old_zip,
    old_zip_entries,
    pickled,
    storage_of,
    tensor,
    zip_bytes,
)

SIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def rebuild(*arguments: Any, version: str = "_v2") -> Call:
    return Call(Name("torch._utils", f"_rebuild_tensor{version}"), arguments)


def six(**changed: Any) -> Any:
    return tensor(SIX, "7", **changed)


def call(name: str, *arguments: Any) -> Call:
    module, _, function = name.rpartition(".")
    return Call(Name(module, function), arguments)


def calling(value: bytes, arguments: bytes = b")") -> Raw:
    return Raw(value + arguments + b"R")


def as_bytes(raw: bytes) -> Call:
    return call("_codecs.encode", raw.decode("latin-1"), "latin1")


def numpy_dtype(code: str, state: Any = (3, "<", None, None, None, -1, -1, 0)) -> Call:
    return Call(Name("numpy", "dtype"), (code, False, True), state)


def reconstructed(cls: Any = None, shape: Any = (0,), state: Any = None) -> Call:
    arguments = (cls or Name("numpy", "ndarray"), shape, as_bytes(b"b"))
    return Call(Name("numpy._core.multiarray", "_reconstruct"), arguments, state)


def array(shape: Any = (2,), dtype: Any = None, fortran: Any = False, raw: Any = bytes(16)) -> Call:
    raw = as_bytes(raw) if isinstance(raw, bytes) else raw
    return reconstructed(state=(1, shape, numpy_dtype("f8") if dtype is None else dtype, fortran, raw))


def nested(depth: int) -> Raw:
    return Raw(b"]" * depth + b"a" * (depth - 1))


# Every level holds the one below twice: 2**40 visits from a kilobyte.
BILLION_LAUGHS = Raw(b"]" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(1, 41)))

NAMES = {
    "os.system": "nothing of it was executed",
    "builtins.eval": "nothing of it was executed",
    "_codecs.decode": "short list",
    "builtins.getattr": "nothing of it was executed",
    "torch.load": "nothing of it was executed",
    "torch.hub.load": "nothing of it was executed",
    "torch._utils._rebuild_tensor_v4": "nothing of it was executed",
    "torch._utils._rebuild_qtensor": "quantized",
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_meta_tensor_no_storage": "meta device",
    "torch._utils._rebuild_parameter_with_state": "attributes",
    "torch._tensor._rebuild_from_type_v2": "attributes",
    "torch._utils._rebuild_nested_tensor": "short list",
    "torch.nn.modules.linear.Linear": "state_dict",
    "numpy.random._pickle.__randomstate_ctor": "plain numbers",
    "numpy.core.multiarray.fromstring": "plain numbers",
    "numpy.load": "plain numbers",
    "codecs.encode": "short list",
    "copy_reg._reconstructor": "short list",
    "__builtin__.eval": "nothing of it was executed",
    "__builtin__.set": "short list",
    "collections.defaultdict": "short list",
    "argparse.Namespace": "plain numbers",
    "torch.device": "plain numbers",
}

OPCODES = {
    "EXT1": b"\x82", "EXT2": b"\x83", "EXT4": b"\x84", "PERSID": b"P", "NEXT_BUFFER": b"\x97",
    "READONLY_BUFFER": b"\x98", "DUP": b"2", "PROTO": b"\x80", "0xff": b"\xff",
}  # fmt: skip

ROWS: dict[str, tuple[Callable[[], Any], str]] = {
    # names and calls
    "a name of three parts": (lambda: Raw(b"ctorch\n_utils._rebuild_tensor\n"), "short list"),
    "a name without end": (lambda: Raw(b"c" + b"a" * 600), "does not end within"),
    "a name that is not ASCII": (lambda: Raw("ctörch\nload\n".encode()), "short list"),
    "a call of a type": (lambda: calling(b"ctorch\nFloatStorage\n"), "calls the name torch.FloatStorage"),
    "a call of a string": (lambda: calling(b"X\1\0\0\0a"), "calls a str"),
    "a call with a list": (lambda: calling(b"ccollections\nOrderedDict\n", b"]"), "with a list, expected a tuple"),
    "OrderedDict of a dict": (lambda: call("collections.OrderedDict", {"a": 1}), "one list of pairs"),
    "OrderedDict of triples": (lambda: call("collections.OrderedDict", [["a", 1, 2]]), "one list of pairs"),
    "OrderedDict of two lists": (lambda: call("collections.OrderedDict", [["a", 1]], [["b", 1]]), "one list of pairs"),
    "OrderedDict of one key twice": (lambda: call("collections.OrderedDict", [["a", 1], ["a", 2]]), "key 'a' twice"),
    "OrderedDict of a list for a key": (lambda: call("collections.OrderedDict", [[["a"], 1]]), "a list for a key"),
    "Counter of strings": (lambda: call("collections.Counter", {"a": "b"}), "dict of integers"),
    "Size of strings": (lambda: call("torch.Size", ("a",)), "tuple of integers"),
    # the stack machine
    "a list's item by key": (lambda: Raw(b"](K\1K\2u"), "sets an item of a list"),
    "a tensor's item by key": (lambda: [six(), Raw(b"K\1K\2s")], "sets an item of a"),
    "a name's item by key": (lambda: Raw(b"ctorch\nFloatStorage\nK\1K\2s"), "sets an item of the name"),
    "a key without value": (lambda: Raw(b"}(K\1u"), "key without a value"),
    "append to a dict": (lambda: Raw(b"}K\1a"), "appends to a dict"),
    "extend a tuple": (lambda: Raw(b")(K\1e"), "appends to a tuple"),
    "recall the unknown": (lambda: Raw(b"h\xfa"), "recalls value 250"),
    "empty stack": (lambda: Raw(b"\x85"), "empty stack"),
    "remember nothing": (lambda: Raw(b"q\0"), "empty stack"),
    "no mark": (lambda: Raw(b"t"), "never set"),
    "a mark left": (lambda: Raw(b"K\1(K\2"), "more than one value"),
    "a value left": (lambda: Raw(b"K\1K\2"), "more than one value"),
    "marks without end": (lambda: Raw(b"(" * 2000), "1000 marks"),
    "a string beyond the end": (lambda: Raw(b"X\xff\xff\xff\x7fab"), "truncated"),
    "a string that is not UTF-8": (lambda: Raw(b"X\1\0\0\0\xff"), "not utf-8"),
    "a surrogate": (lambda: Raw(b"X\3\0\0\0\xed\xa0\x80"), "not utf-8"),
    "a byte string beyond the end": (lambda: Raw(b"T\xff\xff\xff\x7fab"), "truncated"),
    "a line without end": (lambda: Raw(b"S'ab'"), "does not end"),
    "a string without quotes": (lambda: Raw(b"Sab\n"), "is not a quoted string"),
    "a string of two kinds of quotes": (lambda: Raw(b"S'ab\"\n"), "is not a quoted string"),
    "a string with half an escape": (lambda: Raw(b"S'\\x0'\n"), "is not a quoted string"),
    "a surrogate by its escape": (lambda: Raw(b"V\\ud800\n"), "is not valid text"),
    "an integer in underscores": (lambda: Raw(b"I1_0\n"), "is not a valid integer"),
    "an integer in spaces": (lambda: Raw(b"I 1\n"), "is not a valid integer"),
    "an integer of 3000 bits": (lambda: Raw(b"L" + b"9" * 690 + b"L\n"), "is not a valid integer"),
    "an integer of 5000 digits": (lambda: Raw(b"L" + b"9" * 5000 + b"L\n"), "does not end"),
    "a long integer of 256 bytes": (lambda: Raw(b"\x8b\0\1\0\0" + bytes(256)), "256 bytes, more than 255"),
    "a float in hexadecimal": (lambda: Raw(b"F0x1p3\n"), "is not a number"),
    "a float that is a name": (lambda: Raw(b"Finfinity\n"), "is not a number"),
    "a value under a name": (lambda: Raw(b"pabc\n"), "something other than a number"),
    "a mark that is dropped twice": (lambda: Raw(b"(11"), "never set"),
    "a dict of three": (lambda: Raw(b"(K\1K\2K\3d"), "key without a value"),
    "a list for a key": (lambda: Raw(b"(]K\1d"), "a list for a key"),
    "an empty set": (lambda: Raw(b"\x8f"), "names 'builtins.set'"),
    "a frozen set": (lambda: Raw(b"(K\1\x91"), "names 'builtins.frozenset'"),
    "an old instance": (lambda: Raw(b"(ios\nsystem\n"), "names 'os.system'"),
    "an old object": (lambda: Raw(b"(ctorch\nFloatStorage\no"), "makes an object of the name torch.FloatStorage"),
    "an old object of nothing": (lambda: Raw(b"(o"), "makes an object of None"),
    "an object of a function": (lambda: Raw(b"ccollections\nOrderedDict\n)\x81"), "makes an object of the name"),
    "an object of a class": (lambda: Raw(b"cnumpy\nndarray\n)\x81"), "makes an object of the name numpy.ndarray"),
    "an object of a number": (lambda: Raw(b"K\1)\x81"), "makes an object of an int"),
    "a name from numbers": (lambda: Raw(b"K\1K\2\x93"), "not two strings"),
    "a name from the stack": (lambda: Raw(b"X\2\0\0\0osX\6\0\0\0system\x93"), "names 'os.system'"),
    "a name of three parts from the stack": (
        lambda: Raw(b"X\5\0\0\0torchX\x16\0\0\0_utils._rebuild_tensor\x93"), "short list"),
    # NumPy
    "a dtype of objects": (lambda: array(dtype=numpy_dtype("O8")), "dtype 'O8' is not numeric"),
    "a dtype of text": (lambda: array(dtype=numpy_dtype("U5")), "dtype 'U5' is not numeric"),
    "a dtype of dates": (lambda: array(dtype=numpy_dtype("M8")), "dtype 'M8' is not numeric"),
    "a dtype of a list": (lambda: call("numpy.dtype", [("a", "f8")], False, True), "dtype a list is not numeric"),
    "a dtype of two arguments": (lambda: call("numpy.dtype", "f8", False), "\\(code, align, copy\\)"),
    "a dtype with fields": (lambda: array(dtype=numpy_dtype("f8", (3, "<", None, ("a",), {}, 8, 1, 0))), "has fields"),
    "a dtype of no order": (lambda: array(dtype=numpy_dtype("f8", (3, "x", None, None, None))), "byte order is 'x'"),
    "a dtype's state is a dict": (lambda: array(dtype=numpy_dtype("f8", {})), "tuple of 5 to 9"),
    "a dtype alone": (lambda: [numpy_dtype("f8")], "without contents stands"),
    "a dtype for an array's dtype": (lambda: array(dtype="f8"), "without a numeric dtype"),
    "a shape below 0": (lambda: array(shape=(-1,)), "shape is a tuple"),
    "a shape of floats": (lambda: array(shape=(1.0,)), "shape is a tuple"),
    "a shape of 65": (lambda: array(shape=(1,) * 65), "shape is a tuple"),
    "a shape without end": (lambda: array(shape=(0, 2**62)), "larger than an array"),
    "a shape beyond the bytes": (lambda: array(shape=(2**40,)), "comes with 16 bytes, expected 8796093022208"),
    "bytes beyond the shape": (lambda: array(raw=bytes(24)), "comes with 24 bytes, expected 16"),
    "bytes that are a list": (lambda: array(raw=[1, 2]), "a list where the bytes of an array"),
    "bytes beyond Latin-1": (lambda: array(raw="\u0100" * 16), "beyond the 255th"),
    "an order of 2": (lambda: array(fortran=2), "order is 2"),
    "an array without contents": (lambda: reconstructed(), "without contents stands"),
    "contents twice": (lambda: [array(), Raw(b"Nb")], "contents of a NumPy array come twice"),
    "an array of a class": (lambda: reconstructed(cls=Name("torch", "FloatStorage")), "expected numpy.ndarray"),
    "an array of another class": (lambda: reconstructed(cls=Name("numpy", "matrix")), "names 'numpy.matrix'"),
    "an array that is not empty at first": (lambda: reconstructed(shape=(2,)), "\\(ndarray, \\(0,\\), 'b'\\)"),
    "a scalar of 7 bytes": (lambda: call("numpy._core.multiarray.scalar", numpy_dtype("f8"), as_bytes(bytes(7))),
                            "7 bytes, expected 8"),
    "a scalar alone": (lambda: call("numpy._core.multiarray.scalar", numpy_dtype("f8")), "1 arguments"),
    "a scalar for a key": (
        lambda: [Raw(b"}"), call("numpy.core.multiarray.scalar", numpy_dtype("f8"), as_bytes(bytes(8))), Raw(b"K\1s")],
        "a float64 for a key"),
    "text encoded as UTF-16": (lambda: call("_codecs.encode", "ab", "utf-16"), "\\(text, 'latin1'\\)"),
    "text encoded by rot13": (lambda: call("_codecs.encode", "ab", "rot13"), "\\(text, 'latin1'\\)"),
    "bytes of a list": (lambda: call("__builtin__.bytes", [1]), "called with arguments"),
    "a complex number of text": (lambda: call("__builtin__.complex", "1j"), "two floats"),
    # dicts
    "a tuple for a key": (lambda: {(1, 2): 3}, "has a tuple for a key"),
    "a float for a key": (lambda: {1.5: 3}, "has a float for a key"),
    "a bool for a key": (lambda: {True: 3}, "has a bool for a key"),
    "None for a key": (lambda: {None: 3}, "has None for a key"),
    "a key of 65 bits": (lambda: {2**63: 3}, "has an int for a key"),
    "more wide keys than any optimizer": (lambda: {2**40 + i: 0 for i in range(10_001)}, "more than 10000 integers"),
    "wide keys in many dicts": (lambda: [{2**40 + i: 0} for i in range(10_001)], "more than 10000 integers"),
    "one key twice": (lambda: Raw(b"}(X\1\0\0\0aK\1X\1\0\0\0aK\2u"), "key 'a' twice"),
    # attributes
    "attributes of a dict": (lambda: Raw(b"}}b"), "attributes of a dict"),
    "attributes of a tensor": (lambda: [six(), Raw(b"}b")], "attributes of a"),
    "other attributes": (lambda: Call(Name("collections", "OrderedDict"), (), {"update": 1}), "expected _metadata"),
    "attributes of a tuple": (lambda: Call(Name("collections", "OrderedDict"), (), (None, {})), "expected _metadata"),
    "_metadata is a list": (lambda: Call(Name("collections", "OrderedDict"), (), {"_metadata": []}), "not a dict"),
    "_metadata twice": (
        lambda: Raw(b"ccollections\nOrderedDict\n)R" + b"}X\x09\0\0\0_metadata}sb" * 2),
        "comes twice",
    ),
    # storages
    "a string for a storage id": (lambda: Pid("storage"), "storage id is a str"),
    "a list for a storage id": (lambda: Pid(["storage"]), "storage id is a list"),
    "an empty storage id": (lambda: Pid(()), "storage id is a tuple"),
    "a short storage id": (lambda: Pid(("storage", Name("torch", "FloatStorage"), "0", "cpu")), "of 4, expected"),
    "another kind of id": (lambda: Pid(("tensor", 1, 2, 3, 4)), "expected \\('storage'"),
    "a module": (lambda: Pid(("module", Name("collections", "OrderedDict"), "a.py", "import os")), "whole module"),
    "no tensor but a storage": (lambda: storage_of(SIX, "7"), "a bare storage stands"),
    "no tensor but a name": (lambda: [Name("torch", "float32")], "torch.float32 stands"),
    "one storage of two sizes": (
        lambda: [six(), tensor(SIX, "7", storage=Storage("7", "FloatStorage", SIX.tobytes(), 5))],
        "two types or sizes",
    ),
    "one storage of two types": (
        lambda: [six(), tensor(SIX, "7", storage=Storage("7", "IntStorage", SIX.tobytes(), 6))],
        "two types or sizes",
    ),
    # tensors
    "offset below 0": (lambda: six(offset=-1), "offset is -1"),
    "offset is a bool": (lambda: six(offset=True), "offset is True"),
    "offset is None": (lambda: six(offset=None), "offset is None"),
    "offset beyond the end": (lambda: six(offset=1), "reaches element 6 of storage 7, which has 6"),
    "offset that overflows": (lambda: six(offset=2**63), "reaches element"),
    "offset of 2000 bits": (lambda: six(offset=2**2000), "an integer of 2001 bits"),
    "size is a list": (lambda: six(size=[2, 3]), "size is a list"),
    "size below 0": (lambda: six(size=(-2, -3)), "size is \\(-2, -3\\)"),
    "size has a bool": (lambda: six(size=(True, 3)), "size is \\(True, 3\\)"),
    "size has a float": (lambda: six(size=(2.0, 3)), "size is \\(a float, 3\\)"),
    "size that overflows": (lambda: six(size=(2**32, 2**32)), "reaches element"),
    "stride below 0": (lambda: six(stride=(-3, 1), offset=3), "stride is \\(-3, 1\\)"),
    "stride too large": (lambda: six(stride=(4, 1)), "reaches element 6"),
    "stride that overflows": (lambda: six(stride=(2**62, 1)), "reaches element"),
    "fewer strides than sizes": (lambda: six(stride=(1,)), "2 sizes and 1 strides"),
    "65 dimensions": (lambda: six(size=(1,) * 65, stride=(1,) * 65), "65 sizes"),
    "expanded to 4 GiB": (lambda: six(size=(2**30,), stride=(0,)), "repeats the elements"),
    "no elements of 2**62 rows": (lambda: six(size=(0, 2**62), stride=(1, 1)), "larger than an array"),
    "requires_grad is 1": (lambda: six(grad=1), "requires_grad is an int"),
    "hooks": (lambda: six(hooks=OrderedDict(a=1)), "backward hooks"),
    "hooks in a list": (lambda: six(hooks=[1]), "backward hooks"),
    "conjugated": (lambda: six(metadata={"conj": True}), "conjugated"),
    "too few arguments": (lambda: rebuild(storage_of(SIX, "7"), 0, (2, 3)), "3 arguments"),
    "too many arguments": (lambda: six(a=None, b=None), "8 arguments"),
    "no storage": (lambda: rebuild("7", 0, (2, 3), (3, 1), False, OrderedDict()), "storage is a str"),
    "untyped without a dtype": (
        lambda: tensor(SIX, "7", storage=Storage("7", "storage.UntypedStorage", SIX.tobytes(), 24)),
        "gives its tensor no dtype",
    ),
    "untyped of odd size": (
        lambda: rebuild(Storage("7", "storage.UntypedStorage", b"abc", 3), 0, (1,), (1,), False, OrderedDict(),
                        Name("torch", "float32"), version="_v3"),
        "not a whole number of float32",
    ),
    "a string for a dtype": (
        lambda: rebuild(storage_of(SIX, "7"), 0, (6,), (1,), False, OrderedDict(), "float32", version="_v3"),
        "dtype is a str",
    ),
    "float8": (
        lambda: rebuild(Storage("7", "storage.UntypedStorage", b"abc", 3), 0, (1,), (1,), False, OrderedDict(),
                        Name("torch", "float8_e4m3fn"), version="_v3"),
        "float8_e4m3fn.*NumPy has no such dtype",
    ),
    "quantized storage": (
        lambda: tensor(SIX, "7", storage=Storage("7", "QInt8Storage", SIX.tobytes(), 24)),
        "QInt8Storage.*quantized",
    ),
    "a parameter of a number": (lambda: call("torch._utils._rebuild_parameter", 1, True, OrderedDict()), "something"),
    "a parameter with hooks": (lambda: call("torch._utils._rebuild_parameter", six(), True, [1]), "backward hooks"),
    # the tree
    "a list in itself": (lambda: Raw(b"]q\1h\1a"), "list contains itself"),
    "a dict in its own _metadata": (
        lambda: Raw(b"ccollections\nOrderedDict\n)Rq\1}X\x09\0\0\0_metadatah\1sb"),
        "OrderedDict contains itself",
    ),
    "129 lists": (lambda: nested(129), "more than 128 deep"),
    "fifty thousand lists": (lambda: nested(50_000), "more than 128 deep"),
    "a billion laughs": (lambda: BILLION_LAUGHS, "more than 10000000 times"),
    "a hundred thousand lists": (lambda: Raw(b"](" + b"]" * 100_000 + b"e"), "more objects than fit its length"),
    "a hundred thousand dicts": (
        lambda: Raw(b"](ccollections\nOrderedDict\nq\1" + b"h\1)R" * 100_000 + b"e"),
        "more objects than fit its length",
    ),
    "values remembered without end": (
        lambda: Raw(b"N" + b"".join(struct.pack("<cI", b"r", i) for i in range(2_000))),
        "more values than it makes",
    ),
}  # fmt: skip
ROWS |= {f"names {name}": (lambda name=name: call(name, "id"), f"names '{name}'.*{why}") for name, why in NAMES.items()}
ROWS |= {f"opcode {name}": (lambda code=code: Raw(code), f"opcode {name},") for name, code in OPCODES.items()}
ROWS |= {
    f"a storage's {what} is {shown}": (
        lambda what=what, value=value: tensor(SIX, "7", storage=_storage(**{what: value})),
        reason,
    )
    for what, value, shown, reason in (
        ("key", "../version", "a path", "key is '../version'|not a plain relative path"),
        ("key", "", "empty", "key is ''|not a plain relative path"),
        ("key", "1" * 21, "21 digits", "expected 1 to 20 digits"),
        ("key", "\u0661", "an Arabic digit", "expected 1 to 20 digits"),
        ("key", "7\n", "a digit and a newline", "expected 1 to 20 digits"),
        ("location", 0, "a number", "location is an int"),
        ("numel", -1, "-1", "size of storage 7 is -1"),
        ("numel", True, "a bool", "size of storage 7 is True"),
        ("numel", 6.0, "a float", "size of storage 7 is a float"),
        ("numel", 2**63, "2**63", "size of storage 7 is 9223372036854775808"),
        ("numel", 7, "one too many", "28 in the pickle|truncated: storage 7 ends"),
        ("numel", 2**62, "2**62", "in the pickle|truncated: storage 7 ends"),
        ("type_name", "Size", "a function", "type is the name torch.Size"),
        ("type_name", "float32", "a dtype", "type is the name torch.float32"),
        ("type_name", "NoStorage", "unknown", "names 'torch.NoStorage'"),
    )
}


def _storage(**changed: Any) -> Storage:
    return Storage(**({"key": "7", "type_name": "FloatStorage", "data": SIX.tobytes(), "numel": 6} | changed))


@pytest.mark.parametrize("write", [old_zip, lambda obj: Legacy(obj).data()], ids=["zip", "legacy"])
@pytest.mark.parametrize("row", ROWS)
def test_is_refused_with_its_reason(row: str, write: Callable[[Any], bytes]) -> None:
    make, reason = ROWS[row]
    with pytest.raises(WeightsFormatError, match=reason) as caught:
        load(io.BytesIO(write(make())))
    assert caught.value.path == "<BytesIO>"
    assert len(str(caught.value)) < 500


def _with_pickle(data: bytes) -> bytes:
    entries = old_zip_entries({})
    entries[0].data = data
    return zip_bytes(entries)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\x80", "truncated"),
        (b"\x80\x02", "truncated"),
        (b"\x80\x01}.", "protocol 1, expected 2 to 5"),
        (b"\x80\x06}.", "protocol 6, expected 2 to 5"),
        (b"\x80\x04\x95\x02\0", "truncated"),
        (b"\x80\x02}.}.", "followed by 2 bytes"),
        (b"\x80\x02.", "empty stack"),
    ],
)
def test_pickle_frame_is_checked(data: bytes, reason: str) -> None:
    with pytest.raises(WeightsFormatError, match=reason):
        load(io.BytesIO(_with_pickle(data)))


def test_every_truncation_of_a_pickle_is_refused() -> None:
    whole, _ = pickled({"a": six(), "b": [1, 2.5, "c", None, 2**40]})
    for length in range(len(whole)):
        with pytest.raises(WeightsFormatError):
            load(io.BytesIO(_with_pickle(whole[:length])))


def test_every_truncation_of_a_legacy_stream_is_refused() -> None:
    whole = Legacy({"a": six(), "b": [1, 2.5, "c", None, 2**40]}).data()
    for length in range(len(whole)):
        with pytest.raises(WeightsFormatError):
            load(io.BytesIO(whole[:length]))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"magic": 1}, "a pickle that torch.save did not write"),
        ({"protocol": 1000}, "protocol version is not 1001"),
        ({"protocol": True}, "protocol version is not 1001"),
        ({"system": [1]}, "system is not a dict"),
        ({"system": storage_of(SIX, "8")}, "outside of the saved object"),
        ({"keys": ("7",)}, "not a list of strings"),
        ({"keys": [7]}, "not a list of strings"),
        ({"keys": ["7", "7"]}, "names one twice"),
        ({"keys": []}, "1 that tensors use are missing, and 0 are not used"),
        ({"keys": ["7", "8"]}, "0 that tensors use are missing, and 1 are not used"),
        ({"counts": {"7": 5}}, "5 elements in the data, but 6"),
        ({"counts": {"7": -6}}, "-6 elements in the data, but 6"),
        ({"tail": b"x"}, "followed by 1 bytes"),
    ],
)
def test_legacy_stream_is_refused_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(WeightsFormatError, match=reason):
        load(io.BytesIO(Legacy(six(), **changed).data()))


def test_views_of_untyped_storages_are_refused() -> None:
    pid = Pid(("storage", Name("torch.storage", "UntypedStorage"), "7", "cpu", 24, ("8", 0, 24)))
    with pytest.raises(WeightsFormatError, match="storage 7 is untyped, and comes with a view"):
        load(io.BytesIO(Legacy(pid).data()))


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (1, "a view of storage 7 is an int"),
        (("8", 0), "a view of storage 7 is a tuple"),
        ((8, 0, 6), "a view of storage 7 is a tuple"),
        (("8", -1, 6), "reaches outside of storage 7, which has 6"),
        (("8", 0, 7), "reaches outside of storage 7, which has 6"),
        (("8", 4, 3), "reaches outside of storage 7, which has 6"),
        (("8", 4, -1), "reaches outside of storage 7, which has 6"),
        (("8", 0.0, 6), "reaches outside of storage 7, which has 6"),
        (("8", 2, 2), "reaches element 3 of storage 8, which has 2"),
        (("8", 6, 0), "reaches element 3 of storage 8, which has 0"),
    ],
)
def test_views_of_storages_are_checked(view: Any, reason: str) -> None:
    """torch before 0.4 had storages that are parts of others."""
    pid = Pid(("storage", Name("torch", "FloatStorage"), "7", "cpu", 6, view))
    with pytest.raises(WeightsFormatError, match=reason):
        load(io.BytesIO(Legacy([six(), rebuild(pid, 0, (4,), (1,), False, OrderedDict())]).data()))


def test_many_overlapping_views_cannot_fill_the_memory() -> None:
    array = np.zeros(1 << 20, np.float32)
    storage = storage_of(array, "0")
    views = [tensor(array, "0", storage=storage, offset=i, size=(array.size - i,)) for i in range(1, 40)]
    with pytest.raises(WeightsFormatError, match="overlap so much"):
        load(io.BytesIO(old_zip(views)))


# A thing of many items is made once, and then copied or walked over once for each few bytes.
ITEMS = b"K\1" * 20_000
AMPLIFIED = {
    "Counter": (b"}(" + b"".join(struct.pack("<ciBB", b"J", i, 75, 1) for i in range(10_000)) + b"u",
                b"ccollections\nCounter\n", b"\x85R"),
    "OrderedDict": (b"](" + b"".join(struct.pack("<2scicc", b"](", b"J", i, b"N", b"e") for i in range(10_000)) + b"e",
                    b"ccollections\nOrderedDict\n", b"\x85R"),
    "Size": (b"(" + ITEMS + b"t", b"ctorch\nSize\n", b"\x85R"),
    "an object": (b"(" + ITEMS + b"t", b"cos\npath\n", b"\x81"),
    "an object with names": (b"(" + ITEMS + b"t", b"cos\npath\n", b"}\x92"),
    "a call": (b"(" + ITEMS + b"t", b"cos\nsystem\n", b"R"),
    "a call of what a call gave": (b"(" + ITEMS + b"t", b"cos\nsystem\n)R", b"R"),
    "a call by copyreg": (b"(cos\npath\n" + ITEMS + b"t", b"ccopyreg\n__newobj__\n", b"R"),
    "a call of a known function": (b"(cos\npath\n" + ITEMS + b"t", b"ctorch\nSize\n", b"R"),
    "odd keys": (b"(K\1t", b"}", b"Ns"),
}  # fmt: skip


@pytest.mark.parametrize("name", AMPLIFIED)
def test_a_small_pickle_cannot_ask_for_much(name: str) -> None:
    """3,000 times the same large thing: refused soon, or made without a copy."""
    items, function, use = AMPLIFIED[name]
    data = (
        b"\x80\x02]"
        + items
        + b"q\xc80"
        + b"".join([b"](" + function + b"h\xc8" + use + b"e0" for _ in range(3_000)])
        + b"."
    )
    tracemalloc.start()
    started = time.process_time()
    try:
        with contextlib.suppress(WeightsFormatError):
            load(io.BytesIO(_with_pickle(data)), unknown="skip")
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 10


def test_nothing_is_executed(tmp_path: Any) -> None:
    """The attack itself, in the form of every exploit: a pickle that calls os.system."""
    witness = tmp_path / "witness"
    attack = b"\x80\x02cos\nsystem\nX" + struct.pack("<I", len(f"touch {witness}")) + f"touch {witness}".encode()
    with pytest.raises(WeightsFormatError, match=r"names 'os\.system'"):
        load(io.BytesIO(_with_pickle(attack + b"\x85R.")))
    assert not witness.exists()
