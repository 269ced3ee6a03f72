"""``unknown="skip"``: what is beside the weights comes as inert placeholders, and nothing of it is run."""

from __future__ import annotations

import copy
import io
import pickle
import sys
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.serialization import Placeholder, WeightsFormatError, load
from tests.serialization.dialects import (
    Call,
    Legacy,
    Name,
    Pid,
    Raw,
    Storage,
    old_zip,
    old_zip_entries,
    tensor,
    zip_bytes,
)

SIX = np.arange(6, dtype=np.float32).reshape(2, 3)
WRITERS = {"zip": old_zip, "legacy": lambda obj: Legacy(obj).data()}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Any:
    return WRITERS[request.param]


def pickled_file(obj: Any, protocol: int) -> io.BytesIO:
    entries = old_zip_entries({})
    entries[0].data = pickle.dumps(obj, protocol)
    return io.BytesIO(zip_bytes(entries))


class New:
    """A class of the day."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class WithSlots:
    __slots__ = ("a",)


class Items(list):  # type: ignore[type-arg]
    pass


class Made(tuple):  # type: ignore[type-arg]
    def __new__(cls, *items: Any) -> Made:
        return super().__new__(cls, items)

    def __getnewargs_ex__(self) -> Any:
        return tuple(self), {"scale": 2}


def options(**state: Any) -> Call:
    return Call(Name("argparse", "Namespace"), (), state)


def test_a_namespace_beside_the_weights(write: Any) -> None:
    data = write({"args": options(lr=0.1, arch="resnet", mean=tensor(SIX, "1")), "model": {"weight": tensor(SIX, "0")}})
    with pytest.raises(WeightsFormatError, match=r"names 'argparse\.Namespace'.*load\(\.\.\., unknown='skip'\)"):
        load(io.BytesIO(data))
    result = load(io.BytesIO(data), unknown="skip")
    np.testing.assert_array_equal(result["model"]["weight"], SIX)
    args = result["args"]
    assert type(args) is Placeholder
    assert (args.name, args.arguments, args.items) == ("argparse.Namespace", (), [])
    assert args.state.keys() == {"lr", "arch", "mean"}
    np.testing.assert_array_equal(args.state["mean"], SIX)


def test_a_placeholder_says_what_it_is() -> None:
    result = load(io.BytesIO(old_zip(options(lr=0.1))), unknown="skip")
    assert repr(result) == "<placeholder of 'argparse.Namespace'>"
    with pytest.raises(
        AttributeError, match=r"'lr' is not known of this placeholder of 'argparse.Namespace'.*in \.arg"
    ):
        result.lr
    for twin in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert (twin.name, twin.state) == ("argparse.Namespace", {"lr": 0.1})
    long = load(io.BytesIO(old_zip(Call(Name("a" * 400, "b"), ()))), unknown="skip")
    assert len(repr(long)) < 100


@pytest.mark.parametrize("protocol", range(6))
def test_every_way_of_writing_an_object(protocol: int) -> None:
    """Python's own pickler writes them: by copyreg, NEWOBJ, NEWOBJ_EX, with items, with slots, with themselves inside."""
    circular = New(name="self")
    circular.itself = [circular, {"again": circular}]
    obj = {
        "new": New(a=1, b=[2, "three"]),
        "items": Items([1, 2]),
        "default": defaultdict(list, {"a": [1], 2.5: [2]}),
        "set": {1, 2},
        "frozen": frozenset([3]),
        "path": Path("a/b"),
        "class": New,
        "function": len,
        "circular": circular,
        "bytearray": bytearray(b"ab"),
        "weights": OrderedDict(a=1),
        (1, "tuple"): "key",
        1.5: "key",
    }
    if protocol >= 2:
        obj["slots"], obj["made"] = WithSlots(), Made(1, 2)
        obj["slots"].a = 3
    result = load(pickled_file(obj, protocol), unknown="skip")
    assert result["weights"] == OrderedDict(a=1)
    new = result["new"]
    assert (new.name, new.state) == (f"{__name__}.New", {"a": 1, "b": [2, "three"]})
    assert result["items"].items == [1, 2] or result["items"].arguments[1:] == ([1, 2],)
    assert result["default"].name == "collections.defaultdict"
    pairs = dict(result["default"].items)
    assert pairs == {"a": [1], 2.5: [2]}
    members = result["set"].items or list(result["set"].arguments[0])
    assert members == [1, 2]
    assert type(result["class"]) is Placeholder
    assert result["class"].arguments is None
    circle = result["circular"]
    assert circle.state["itself"][0] is circle
    assert circle.state["itself"][1]["again"] is circle
    odd = {(key.name, *key.arguments): value for key, value in result.items() if type(key) is Placeholder}
    assert odd == {("tuple", (1, "tuple")): "key", ("float", 1.5): "key"}
    if protocol >= 2:
        assert result["slots"].state == (None, {"a": 3})
        made = result["made"]
        name = f"{__name__}.Made" if protocol >= 4 else "functools.partial()"
        assert (made.name, made.arguments[1 - (protocol < 4)].__class__) == (
            name,
            int if protocol >= 4 else Placeholder,
        )


@pytest.mark.parametrize("opcodes", [b"(K\1iold\nClass\n}X\1\0\0\0aK\2sb", b"(cold\nClass\nK\1o}X\1\0\0\0aK\2sb"])
def test_objects_of_python_2_s_old_classes(opcodes: bytes, write: Any) -> None:
    result = load(io.BytesIO(write(Raw(opcodes))), unknown="skip")
    assert (result.name, result.arguments, result.state) == ("old.Class", (1,), {"a": 2})


def test_nothing_is_executed_or_imported(tmp_path: Path, write: Any) -> None:
    witness = tmp_path / "witness"
    calls = [
        Call(Name("os", "system"), (f"touch {witness}",)),
        Call(Name("builtins", "eval"), (f"open({str(witness)!r}, 'w')",)),
        Call(Name("__builtin__", "exec"), (f"open({str(witness)!r}, 'w')",)),
        Call(Name("subprocess", "Popen"), (["touch", str(witness)],)),
        Call(Name("pathlib", "Path.touch"), (Call(Name("pathlib", "Path"), (str(witness),)),)),
        Call(Call(Name("builtins", "getattr"), (Name("os", "path"), "join")).function, ("a",)),  # type: ignore[arg-type]
        Call(Name("torch._utils", "_rebuild_parameter"), (Call(Name("os", "system"), (f"touch {witness}",)), True, {})),
        Raw(b"X\2\0\0\0osX\6\0\0\0system\x93X\1\0\0\0a\x85R"),
        Raw(b"(X\1\0\0\0aios\nsystem\n"),
        Raw(b"cthis\ns\n)R"),
        Raw(b"cantigravity\nfly\n)\x81"),
    ]
    before = set(sys.modules)
    for call in calls:
        data = write({"attack": call, "weights": tensor(SIX, "0")})
        with pytest.raises(WeightsFormatError, match="short list|makes an object|calls"):
            load(io.BytesIO(data))
        result = load(io.BytesIO(data), unknown="skip")
        np.testing.assert_array_equal(result["weights"], SIX)
        assert type(result["attack"]) is Placeholder
    assert not witness.exists()
    assert not {"this", "antigravity"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: tensor(SIX, "7", offset=1), "reaches element"),
        (lambda: tensor(SIX, "7", size=(2**40,)), "reaches|strides"),
        (lambda: Raw(b"]q\1h\1a"), "contains itself"),
        (lambda: Raw(b"]" * 129 + b"a" * 128), "more than 128 deep"),
        (lambda: options(deep=Raw(b"]" * 129 + b"a" * 128)), "more than 128 deep"),
        (lambda: Raw(b"P1\n"), "opcode PERSID"),
        (lambda: Raw(b"ca\nb\nK\1R"), "with an int, expected a tuple"),
        (lambda: Raw(b"ca\nb\nK\1\x81"), "something other than a tuple of arguments"),
        (lambda: Raw(b"ca\nb\n})\x92"), "something other than a tuple of arguments"),
        (lambda: Raw(b"ca\nb\n}b"), "sets attributes of a Placeholder"),
        (lambda: Raw(b"ca\nb\n)R}b}b"), "sets attributes of a Placeholder"),
        (lambda: Raw(b"ca\nb\nK\1K\2s"), "sets an item of a Placeholder"),
        (lambda: Raw(b"ca\nb\n)RK\1a0K\1(K\1K\2u"), "sets an item of an int"),
        (lambda: Raw(b"](ca\nb\nq\xc8" + b"h\xc8)R" * 100_000 + b"e"), "more objects than fit its length"),
        (
            lambda: {"a": Raw(b"ca\nb\n)Rq\xc8K\1(h\xc8X\1\0\0\0bd")},
            "more than one value|without a value|a Placeholder|int",
        ),
    ],
)
def test_damage_is_refused_as_ever(make: Any, reason: str, write: Any) -> None:
    with pytest.raises(WeightsFormatError, match=reason):
        load(io.BytesIO(write(make())), unknown="skip")


def test_a_checksum_still_counts() -> None:
    data = bytearray(old_zip({"args": options(), "a": tensor(SIX, "0")}))
    at = bytes(data).index(SIX.tobytes())
    data[at] ^= 1
    with pytest.raises(WeightsFormatError, match="checksum"):
        load(io.BytesIO(bytes(data)), unknown="skip")


def test_storages_of_unknown_types() -> None:
    quantized = tensor(SIX, "7", storage=Storage("7", "QInt8Storage", bytes(6), 6))
    obj = {"quantized": quantized, "weights": tensor(SIX, "0")}
    result = load(io.BytesIO(old_zip(obj)), unknown="skip")
    assert result["quantized"].name == "torch._utils._rebuild_tensor_v2"
    assert result["quantized"].arguments[0].name == "torch.QInt8Storage"
    np.testing.assert_array_equal(result["weights"], SIX)
    # In the older format the storages follow each other, and nothing says where the next one is.
    with pytest.raises(WeightsFormatError, match=r"size of a 'torch\.QInt8Storage' is not known"):
        load(io.BytesIO(Legacy(obj).data()), unknown="skip")


def test_a_whole_module_of_the_older_format() -> None:
    module = Pid(("module", Name("my.models", "Net"), "net.py", "import os; os.system('ls')"))
    with pytest.raises(WeightsFormatError, match=r"names 'my.models.Net'.*unknown='skip'"):
        load(io.BytesIO(Legacy({"model": module}).data()))
    result = load(io.BytesIO(Legacy({"model": module}).data()), unknown="skip")
    assert result["model"].name == "my.models.Net"


def test_hooks_are_left_out(write: Any) -> None:
    hooks = OrderedDict([(1, Name("my.hooks", "print"))])
    data = write({"a": tensor(SIX, "0", hooks=hooks)})
    with pytest.raises(WeightsFormatError, match="names 'my.hooks.print'"):
        load(io.BytesIO(data))
    np.testing.assert_array_equal(load(io.BytesIO(data), unknown="skip")["a"], SIX)


def test_a_name_and_a_storage_alone(write: Any) -> None:
    result = load(io.BytesIO(write([Name("torch", "float32"), tensor(SIX, "0").arguments[0]])), unknown="skip")
    assert [part.name for part in result] == ["torch.float32", "a bare storage"]


def test_only_two_answers_to_unknown_names() -> None:
    with pytest.raises(ValueError, match="unknown is 'ignore', expected 'refuse' or 'skip'"):
        load(io.BytesIO(old_zip({})), unknown="ignore")  # type: ignore[arg-type]


def test_placeholders_are_not_saved(tmp_path: Path) -> None:
    result = load(io.BytesIO(old_zip({"args": options(), "epoch": 3})), unknown="skip")
    with pytest.raises(TypeError, match=r"\['args'\] is a placeholder of 'argparse.Namespace'.* leave it out"):
        ng.save(result, tmp_path / "a.pth")
    del result["args"]
    ng.save(result, tmp_path / "a.pth")
    assert ng.load(tmp_path / "a.pth") == {"epoch": 3}
