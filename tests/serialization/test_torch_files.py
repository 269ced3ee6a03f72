"""Files that torch writes, read bit for bit as torch reads them; and files that numgrad writes, read by torch."""

from __future__ import annotations

import io
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgrad.serialization import Unpacked, WeightsFormatError, load, save

torch = pytest.importorskip("torch", reason="torch is not installed: its files cannot be compared with")
pytestmark = pytest.mark.torch

DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128", "uint16", "uint32", "uint64",
)  # fmt: skip
REFUSED_DTYPES = (
    "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2",
    "complex32", "bits8",
)  # fmt: skip


def written(obj: Any, new_format: bool) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(obj, file, _use_new_zipfile_serialization=new_format)
    file.seek(0)
    return file


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    """The same containers, types, shapes and bits; NaNs compare by their bits."""
    if isinstance(theirs, torch.Tensor):
        theirs = theirs.detach()
        expected = (theirs.float() if theirs.dtype == torch.bfloat16 else theirs).contiguous().numpy()
        assert isinstance(ours, np.ndarray), where
        assert ours.dtype == expected.dtype, where
        assert ours.shape == expected.shape, where
        assert ours.tobytes() == expected.tobytes(), where
        assert ours.flags.c_contiguous, where
        assert ours.flags.aligned, where
        assert ours.flags.writeable, where
    elif isinstance(theirs, dict):
        assert type(ours) is type(theirs), where
        assert list(ours) == list(theirs), where
        assert getattr(ours, "_metadata", None) == getattr(theirs, "_metadata", None), where
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{where}[{key!r}]")
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is (tuple if isinstance(theirs, tuple) else list), where
        assert len(ours) == len(theirs), where
        for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(our, their, f"{where}[{index}]")
    else:
        assert type(ours) is type(theirs), where
        assert ours == theirs, where


def random_tensor(dtype: str, *shape: int) -> Any:
    """All bit patterns, NaNs and infinities too, where the dtype has no invalid ones."""
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(0)
    if kind == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    count = int(np.prod(shape)) * kind.itemsize
    return torch.randint(0, 256, (count,), dtype=torch.uint8, generator=generator).view(kind).view(shape)


def state_dict() -> Any:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Linear(8, 4))
    return layers.state_dict()


def training_checkpoint() -> dict[str, Any]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2))
    optimizers = {
        "sgd": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        "adam": torch.optim.Adam(model.parameters(), betas=(0.9, 0.99)),
    }
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizers["sgd"], [30, 60, 60])
    for optimizer in optimizers.values():
        model(torch.randn(5, 4)).square().mean().backward()
        optimizer.step()
    return {
        "model": model.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "scheduler": scheduler.state_dict(),
        "epoch": 3,
        "best": (0.7512345, None, True, False, -1, 2**31, -(2**31), 2**63, -(2**70), 255, 256, 65536),
        "history": [1.5, [], (), {}, OrderedDict(), float("inf"), "naïve ☃", ""],
        3: torch.Size([2, 3]),
    }


def overlapping() -> dict[str, Any]:
    base = torch.arange(24.0)
    parameter = torch.nn.Parameter(torch.arange(3.0))
    return {
        "base": base, "slice": base[3:7], "every second": base[::2], "matrix": base.view(4, 6),
        "transposed": base.view(4, 6).t(), "column": base.view(4, 6)[:, 2], "element": base[5],
        "same": base, "same again": base.view(24), "parameter": parameter, "its data": parameter.data,
        "diagonal": base[:16].view(4, 4).diagonal(), "empty slice": base[4:4],
    }  # fmt: skip


OBJECTS: dict[str, Any] = {
    **{f"{dtype}": lambda dtype=dtype: random_tensor(dtype, 5, 7) for dtype in DTYPES},
    **{f"{dtype}, transposed": lambda dtype=dtype: random_tensor(dtype, 5, 7).t() for dtype in DTYPES},
    **{f"{dtype}, a slice": lambda dtype=dtype: random_tensor(dtype, 5, 7)[1:3, 2:] for dtype in DTYPES},
    **{f"{dtype}, 0-d": lambda dtype=dtype: random_tensor(dtype, 1)[0] for dtype in DTYPES},
    **{f"{dtype}, empty": lambda dtype=dtype: random_tensor(dtype, 0, 3) for dtype in DTYPES},
    "channels_last": lambda: torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "channels_last 3-d": lambda: torch.randn(2, 3, 4, 5, 6).to(memory_format=torch.channels_last_3d),
    "permuted": lambda: torch.randn(2, 3, 4).permute(2, 0, 1),
    "0-d of its own": lambda: torch.tensor(3.5),
    "no elements in three dimensions": lambda: torch.empty(2, 0, 3),
    "sizes of 1 with odd strides": lambda: torch.randn(3, 4)[1:2].t()[:1],
    "a parameter": lambda: torch.nn.Parameter(torch.randn(2, 3)),
    "requires a gradient": lambda: torch.randn(2, 3, requires_grad=True),
    "overlapping": overlapping,
    "shared in two dtypes": lambda: (lambda x: {"a": x, "b": x[1:]})(torch.arange(4)),
    "state_dict": state_dict,
    "training checkpoint": training_checkpoint,
    "resnet-like names": lambda: OrderedDict((f"layer{i}.weight", torch.randn(i)) for i in range(300)),
    "one list twice": lambda: (lambda x: {"a": x, "b": x})([1, 2]),
    "Counter": lambda: Counter("abracadabra"),
    "None": lambda: None,
    "a number": lambda: 3,
    "a string": lambda: "text",
}


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", OBJECTS)
def test_reads_what_torch_writes(name: str, new_format: bool) -> None:
    obj = OBJECTS[name]()
    file = written(obj, new_format)
    # torch fails to read the unsigned types that it writes in the legacy format, so what it wrote has to do.
    unreadable = name.startswith(("uint16", "uint32", "uint64")) and not new_format
    theirs = obj if unreadable else torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    assert_same(load(file), theirs)


@pytest.mark.parametrize("name", OBJECTS)
def test_torch_reads_what_is_saved(name: str, tmp_path: Path) -> None:
    ours = load(written(OBJECTS[name](), True))
    save(ours, tmp_path / "saved.pth")
    assert_same(ours, torch.load(tmp_path / "saved.pth", weights_only=True))
    assert_same(ours, torch.load(tmp_path / "saved.pth", weights_only=True, mmap=True))
    assert_same(load(tmp_path / "saved.pth"), torch.load(tmp_path / "saved.pth", weights_only=False))


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
def test_the_maker_of_tensors_gets_dtype_and_requires_grad(new_format: bool) -> None:
    obj = [torch.nn.Parameter(torch.ones(1)), torch.ones(1, dtype=torch.bfloat16), torch.ones(1, requires_grad=True)]
    result = load(written(obj, new_format), make_tensor=lambda array, name, grad: (array.dtype.name, name, grad))
    assert result == [("float32", "float32", True), ("float32", "bfloat16", False), ("float32", "float32", True)]


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", REFUSED_DTYPES)
def test_dtypes_that_numpy_does_not_have_are_refused_by_name(dtype: str, new_format: bool) -> None:
    tensor = torch.zeros(8, dtype=torch.uint8).view(getattr(torch, dtype))
    with pytest.raises(WeightsFormatError, match=r"names '[\w.]+'.*NumPy has no such dtype"):
        load(written({"x": tensor}, new_format))


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
def test_tensors_with_attributes_are_read_without_them(new_format: bool) -> None:
    parameter, tensor = torch.nn.Parameter(torch.arange(3.0)), torch.arange(4.0)[1:]
    parameter.role, tensor.role = "scale", {"of": torch.device("cpu")}
    obj = {"parameter": parameter, "tensor": tensor}
    with pytest.raises(WeightsFormatError, match="tensors with attributes are not read; load.*unknown='skip'"):
        load(written(obj, new_format))
    result = load(
        written(obj, new_format), unknown="skip", make_tensor=lambda array, name, grad: (array.tolist(), grad)
    )
    assert result == {"parameter": ([0, 1, 2], True), "tensor": ([1, 2, 3], False)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "quantized"),
        (lambda: torch.ones(3).to_sparse(), "sparse"),
        (lambda: torch.ones(3, 3).to_sparse_csr(), "sparse"),
        (lambda: torch.empty(3, device="meta"), "meta device"),
        (lambda: torch.ones(3, dtype=torch.complex64).conj(), "conjugated or negated"),
        (lambda: torch.ones(3).expand(4, 3), "repeats the elements"),
        (lambda: torch.ones(3).untyped_storage(), "a bare storage stands"),
        (lambda: torch.nn.Linear(2, 2), "state_dict"),
        (lambda: torch.float32, "torch.float32 stands"),
        (lambda: torch.device("cpu"), "names 'torch.device'"),
        (lambda: {1, 2}, "short list"),
        (lambda: np.array(["text"]), "not numeric"),
        (lambda: np.array([None]), "not numeric"),
    ],
)
def test_what_torch_saves_beyond_plain_tensors_is_refused(make: Any, reason: str, new_format: bool) -> None:
    with pytest.raises(WeightsFormatError, match=reason):
        load(written(make(), new_format))


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_every_pickle_protocol_that_holds_tensors_is_read(protocol: int, new_format: bool) -> None:
    obj = {**training_checkpoint(), "bytes": b"\x00\xff", "empty": b"", "complex": 1.5 - 2j}
    file = io.BytesIO()
    torch.save(obj, file, pickle_protocol=protocol, _use_new_zipfile_serialization=new_format)
    assert_same(load(io.BytesIO(file.getvalue())), torch.load(io.BytesIO(file.getvalue()), weights_only=False))


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_numpy_s_arrays_and_scalars_that_torch_saved(protocol: int, new_format: bool) -> None:
    six = np.arange(6).reshape(2, 3)
    kinds = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", ">f4", ">i8")
    obj = {
        "arrays": {kind: six.astype(kind) for kind in kinds},
        "fortran": [np.asfortranarray(six.astype(kind)) for kind in ("f4", ">f4", "?")],
        "layouts": [six.T, six[:, ::-1], six[1], np.zeros((2, 0, 3), "f4"), np.array(3.5), np.zeros(0)],
        "scalars": [np.dtype(kind).type(1) for kind in kinds],
        "twice": [six, six],
    }
    file = io.BytesIO()
    torch.save(obj, file, pickle_protocol=protocol, _use_new_zipfile_serialization=new_format)
    ours = load(io.BytesIO(file.getvalue()), make_tensor=lambda *_: None)
    theirs = torch.load(io.BytesIO(file.getvalue()), weights_only=False)
    for ours_part, theirs_part in ((ours[name], theirs[name]) for name in obj):
        pairs = zip(ours_part, theirs_part, strict=True) if isinstance(theirs_part, list) else [
            (ours_part[kind], theirs_part[kind]) for kind in kinds]  # fmt: skip
        for our, their in pairs:
            assert type(our) is type(their)
            assert (our.dtype, our.shape) == (their.dtype.newbyteorder("="), their.shape)
            np.testing.assert_array_equal(our, their)
            if isinstance(our, np.ndarray):
                assert our.flags.c_contiguous
                assert our.flags.writeable
    assert ours["twice"][0] is ours["twice"][1]


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "a.pt")
    with pytest.raises(WeightsFormatError, match="TorchScript"):
        load(tmp_path / "a.pt")


def test_tied_weights_stay_tied() -> None:
    weight = torch.randn(3, 3)
    ours = load(written({"a": weight, "b": weight.detach(), "c": weight.t()}, True))
    assert ours["a"] is ours["b"]
    assert not np.shares_memory(ours["a"], ours["c"])
    file = io.BytesIO()
    save({"a": ours["a"], "b": ours["a"].view()}, file)
    theirs = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    assert theirs["a"].data_ptr() == theirs["b"].data_ptr()


def test_saved_parameters_require_a_gradient() -> None:
    file = io.BytesIO()
    save({"a": {"x"}}, file, unpack_tensor=lambda leaf: Unpacked(np.ones(2), True) if isinstance(leaf, set) else None)
    assert torch.load(io.BytesIO(file.getvalue()), weights_only=True)["a"].requires_grad
