"""``ng.load`` as programs call torch's: map_location, weights_only and their like."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.serialization import Placeholder, WeightsFormatError
from tests.serialization.dialects import Call, Legacy, Name, Storage, numpy_array, numpy_scalar, old_zip, tensor

SIX = np.arange(6, dtype=np.float32).reshape(2, 3)
ON_CUDA = Storage("0", "FloatStorage", SIX.tobytes(), 6, "cuda:0")
CHECKPOINT = {"model": {"weight": tensor(SIX, "0", storage=ON_CUDA)}, "epoch": 3}
WRITERS = {"zip": old_zip, "legacy": lambda obj: Legacy(obj).data()}


class Device:
    """Stands for torch's or anybody's device."""

    def __init__(self, kind: str) -> None:
        self.type = kind

    def __str__(self) -> str:
        return self.type


@pytest.fixture(params=WRITERS)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(WRITERS[request.param](CHECKPOINT))
    return path


@pytest.mark.parametrize(
    "location",
    [
        None, "cpu", "cpu:0", Device("cpu"), {"cuda:0": "cpu"}, {"cuda:1": Device("cpu")}, {}, lambda storage, location: storage,
        lambda storage, location: storage.cpu(), lambda storage, location: None,
    ],
)  # fmt: skip
def test_all_tensors_come_to_the_cpu(file: Path, location: Any) -> None:
    for result in (ng.load(file, location), ng.load(file, map_location=location)):
        np.testing.assert_array_equal(result["model"]["weight"].numpy(), SIX)


@pytest.mark.parametrize(
    "location",
    ["cuda", "cuda:0", "meta", Device("cuda"), {"cuda:0": "cuda:1"}, lambda storage, location: storage.cuda(0)],
)
def test_other_devices_are_refused(file: Path, location: Any) -> None:
    with pytest.raises(RuntimeError, match="map_location asks for the device '.*', expected 'cpu', the only one"):
        ng.load(file, map_location=location)


@pytest.mark.parametrize("location", [3, ["cpu"], {"cuda:0": 1}, lambda storage, location: location])
def test_what_is_no_location_is_refused(file: Path, location: Any) -> None:
    with pytest.raises(TypeError, match="map_location (has|returned) (int|list|str).*expected"):
        ng.load(file, map_location=location)


def test_a_function_is_told_where_each_storage_was(file: Path) -> None:
    told = []
    ng.load(file, map_location=lambda storage, location: told.append(location))
    assert told == ["cuda:0"]


@pytest.mark.parametrize("weights_only", [None, True, False])
def test_weights_are_read_whatever_weights_only_says(file: Path, weights_only: bool | None) -> None:
    result = ng.load(file, map_location="cpu", weights_only=weights_only, mmap=True)
    assert result["epoch"] == 3
    np.testing.assert_array_equal(result["model"]["weight"].numpy(), SIX)


def test_weights_only_says_what_becomes_of_other_classes(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(old_zip({**CHECKPOINT, "args": Call(Name("argparse", "Namespace"), (), {"lr": 0.1})}))
    for arguments in ({}, {"weights_only": True}, {"weights_only": None}, {"unknown": "refuse", "weights_only": False}):
        with pytest.raises(WeightsFormatError, match=r"names 'argparse\.Namespace'"):
            ng.load(path, **arguments)
    for arguments in ({"weights_only": False}, {"unknown": "skip"}, {"unknown": "skip", "weights_only": False}):
        result = ng.load(path, **arguments)
        assert type(result["args"]) is Placeholder
        assert result["args"].state == {"lr": 0.1}
        np.testing.assert_array_equal(result["model"]["weight"].numpy(), SIX)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"unknown": "skip", "weights_only": True}, ValueError, "unknown is 'skip' with weights_only=True"),
        ({"unknown": "drop"}, ValueError, "unknown is 'drop', expected 'refuse' or 'skip'"),
        ({"weights_only": 1}, TypeError, "weights_only is int"),
        ({"mmap": "r"}, TypeError, "mmap is str"),
        ({"pickle_module": io}, TypeError, "pickle_module has to be None"),
        ({"encoding": "bytes"}, ValueError, "encoding is 'bytes'"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    file: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ng.load(file, **arguments)


def test_numpy_s_values_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(
        old_zip({"best": numpy_scalar(np.float64(0.75)), "history": numpy_array(SIX), "w": tensor(SIX, "0")})
    )
    result = ng.load(path)
    assert type(result["best"]) is np.float64
    assert result["best"] == 0.75
    assert type(result["history"]) is np.ndarray
    assert type(result["w"]) is ng.Tensor


@pytest.mark.parametrize(
    "array",
    [
        SIX, SIX.T, SIX[:, ::-1], SIX.astype(">f8"), np.array(3.5), np.zeros((0, 3)), np.arange(3) > 1, SIX.astype("c8"),
        SIX.astype("f2"), SIX.astype("u2"),
    ],
)  # fmt: skip
def test_an_array_that_was_saved_comes_back_as_one(array: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "array.pth"
    native = array.astype(array.dtype.newbyteorder("="))
    ng.save(array, path)
    np.testing.assert_array_equal(ng.load(path), native, strict=True)
    assert type(ng.load(path)) is np.ndarray
    ng.save({"a": array, "again": array, "tensor": ng.ones(2)}, path)
    result = ng.load(path)
    np.testing.assert_array_equal(result["a"], native, strict=True)
    assert result["again"] is result["a"]
    assert type(result["tensor"]) is ng.Tensor
    result["a"][...] = 0


@pytest.mark.torch
def test_torch_reads_the_arrays_that_are_saved(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    ng.save({"a": SIX, "b": b"\x00\xff", "c": 1j, 2**40: [SIX.astype(">i8")]}, tmp_path / "array.pth")
    theirs = torch.load(tmp_path / "array.pth", weights_only=False)
    np.testing.assert_array_equal(theirs["a"], SIX, strict=True)
    np.testing.assert_array_equal(theirs[2**40][0], SIX.astype("i8"), strict=True)
    assert (theirs["b"], theirs["c"]) == (b"\x00\xff", 1j)
    ng.save({"b": b"\x00\xff", "c": 1j, 2**40: 1}, tmp_path / "plain.pth")
    assert torch.load(tmp_path / "plain.pth", weights_only=True) == {"b": b"\x00\xff", "c": 1j, 2**40: 1}


def test_arrays_are_tensors_in_safetensors(tmp_path: Path) -> None:
    ng.save({"a": SIX}, tmp_path / "a.safetensors")
    assert type(ng.load(tmp_path / "a.safetensors")["a"]) is ng.Tensor


def test_equal_arrays_are_no_attack(tmp_path: Path) -> None:
    """A reader bounds what one string of a file may grow to, so each array has bytes of its own."""
    ng.save([np.zeros(1 << 20) for _ in range(8)], tmp_path / "a.pth")
    assert len(ng.load(tmp_path / "a.pth")) == 8


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no devices among its files")
def test_devices() -> None:
    """One that never ends is refused at once, and not read until memory is full."""
    with pytest.raises(WeightsFormatError, match="this is a device, which may never end"):
        ng.load("/dev/zero")
    with pytest.raises(WeightsFormatError, match="the file is empty"):
        ng.load("/dev/null")
