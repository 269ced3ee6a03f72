"""DLPack both ways with NumPy, torch and JAX: the same memory, for as long as somebody uses it; and what is refused."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import struct
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.runtime import capsules
from tests.runtime.processes import ROOT, environment

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")


class Library:
    """Another library: its arrays from DLPack, and their addresses."""

    def __init__(self, name: str) -> None:
        self.name = name
        if name == "numpy":
            self.from_dlpack: Any = np.from_dlpack
        elif name == "torch":
            self.from_dlpack = pytest.importorskip("torch").from_dlpack
        else:
            pytest.importorskip("jax")
            self.from_dlpack = importlib.import_module("jax.numpy").from_dlpack

    def address(self, array: Any) -> int:
        if self.name == "numpy":
            return int(array.ctypes.data)
        return int(array.data_ptr() if self.name == "torch" else array.unsafe_buffer_pointer())

    def elements(self, array: Any) -> Any:
        return array.float().tolist() if "bfloat16" in str(array.dtype) else array.tolist()


@pytest.fixture(params=["numpy", "torch", "jax"])
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    library = Library(request.param)
    with importlib.import_module("jax").enable_x64() if library.name == "jax" else contextlib.nullcontext():
        yield library


@pytest.fixture
def collected_often() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize("name", DTYPES)
def test_each_dtype_goes_out_and_comes_back_in_the_same_memory(library: Library, name: str) -> None:
    if (library.name, name) in (("numpy", "bfloat16"), ("jax", "bfloat16")):
        pytest.skip("NumPy has no bfloat16; JAX's is not read by tolist")
    x = ng.tensor([[0, 1, 3], [1, 0, 2]]).to(getattr(ng, name))
    array = library.from_dlpack(x)
    assert library.address(array) == x.data_ptr()
    assert str(array.dtype).removeprefix("torch.") == name
    assert library.elements(array) == x.tolist()
    back = ng.from_dlpack(array)
    assert back.data_ptr() == x.data_ptr()
    assert (back.dtype, back.shape, back.stride()) == (x.dtype, x.shape, x.stride())


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.t(),
        lambda x: x[1:, ::2],
        lambda x: x[2, 3],
        lambda x: x[:, :0],
        lambda x: x[:1].expand(5, 4),
        lambda x: x.reshape(1, 12)[:, 3:],
    ],
    ids=["transposed", "steps", "no dimensions", "empty", "expanded", "offset"],
)
def test_views_keep_their_strides(name: str, view: Any) -> None:
    library = Library(name)
    x = view(ng.arange(12, dtype=ng.float32).reshape(3, 4))
    array = library.from_dlpack(x)
    assert array.tolist() == x.tolist()
    back = ng.from_dlpack(array)
    assert back.tolist() == x.tolist()
    if x.numel():
        assert library.address(array) == back.data_ptr() == x.data_ptr()
        assert back.stride() == x.stride()


def test_changes_of_either_show_in_the_other(library: Library) -> None:
    if library.name == "jax":
        pytest.skip("its arrays do not change")
    x = ng.zeros(3)
    array = library.from_dlpack(x)
    array[0] = 5
    x[1] = 6
    assert x.tolist() == array.tolist() == [5, 6, 0]
    source = np.zeros(3) if library.name == "numpy" else importlib.import_module("torch").zeros(3)
    y = ng.from_dlpack(source)
    y += 1
    source[2] = 7
    assert y.tolist() == source.tolist() == [1, 1, 7]


# ---- lifetimes ---------------------------------------------------------------------------------------------------


def test_the_memory_lives_as_long_as_it_is_used(library: Library) -> None:
    x = ng.arange(1000)
    storage = weakref.ref(x._storage)
    array = library.from_dlpack(x)
    del x
    gc.collect()
    others = [ng.zeros(1000, dtype=ng.int64) for _ in range(4)]  # would be written to a free block
    assert storage() is not None
    assert int(array[999]) == 999
    again = ng.from_dlpack(array)
    del array, others
    gc.collect()
    assert again[999] == 999
    del again
    gc.collect()
    assert storage() is None


def test_the_other_librarys_memory_lives_as_long_as_the_tensor() -> None:
    source = np.arange(6.0)
    alive = weakref.ref(source)
    x = ng.from_dlpack(source)[1:3]
    del source
    gc.collect()
    assert alive() is not None
    assert x.tolist() == [1, 2]
    del x
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("max_version", [None, (0, 8), (1, 0), (2, 0)])
def test_a_capsule_that_nobody_takes_ends_it_all(max_version: Any) -> None:
    x = ng.ones(5)
    storage = weakref.ref(x._storage)
    capsule = x.__dlpack__(max_version=max_version)
    versioned = max_version is not None and max_version[0] >= 1
    assert ('"dltensor_versioned"' if versioned else '"dltensor"') in repr(capsule)
    del x
    assert storage() is not None
    del capsule
    assert storage() is None


def test_nothing_is_lost_under_stress(collected_often: None) -> None:
    errors: list[BaseException] = []

    def exchange() -> None:
        try:
            for n in range(60):
                x = ng.arange(n % 7 + 1)
                cycle: list[Any] = [x.__dlpack__(), ng.from_dlpack(np.from_dlpack(x)), ng.from_dlpack(x, copy=True)]
                cycle.append(cycle)
                assert cycle[1].tolist() == cycle[2].tolist() == list(range(n % 7 + 1))
                ng.from_dlpack(np.arange(4.0)[::-1])
                with pytest.raises(TypeError):
                    ng.from_dlpack(np.zeros(2, np.uint16))
        except BaseException as error:
            errors.append(error)

    exchange()
    gc.collect()
    before = _live()
    threads = [threading.Thread(target=exchange) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert not errors
    assert _live() == before


def _live() -> int:
    from numgrad.runtime import memory

    return memory.memory_stats()["live"]


def _managed(capsule: Any) -> tuple[int, int]:
    """The address of the structure in an older capsule, and its deleter's."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = get(capsule, b"dltensor")
    return address, struct.unpack("@P", ctypes.string_at(address + 56, 8))[0]


def test_a_deleter_may_be_called_without_the_gil() -> None:
    x = ng.ones(3)
    storage = weakref.ref(x._storage)
    capsule = x.__dlpack__()
    address, deleter = _managed(capsule)
    rename = ctypes.pythonapi.PyCapsule_SetName
    rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
    used = b"used_dltensor"
    assert rename(capsule, used) == 0  # as who takes it does
    del x
    assert storage() is not None
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(deleter)(address)  # ctypes lets go of the GIL
    assert storage() is None
    del capsule


def test_an_error_that_is_underway_stays() -> None:
    def fails() -> None:
        capsule = ng.ones(2).__dlpack__()  # dies with the frame
        raise KeyError(len([capsule]))

    with pytest.raises(KeyError):
        fails()


PROGRAM = """
    import builtins, ctypes, struct, sys
    import numpy as np
    import numgrad as ng

    x = ng.arange(3)
    builtins.kept = [np.from_dlpack(ng.ones(2)), ng.from_dlpack(np.ones(2)), ng.ones(2).__dlpack__(max_version=(1, 0))]
    sys.kept = builtins.kept
    try:
        import torch
        kept = torch.from_dlpack(x)
        torch.kept = ng.from_dlpack(torch.ones(3))
    except ImportError:
        pass
    capsule = ng.ones(2).__dlpack__()
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    deleter = struct.unpack("@P", ctypes.string_at(get(capsule, b"dltensor") + 56, 8))[0]
    if sys.platform == "linux":  # called when the interpreter has ended, with 0 for the structure's address
        ctypes.CDLL(None).on_exit(ctypes.c_void_p(deleter), None)
    print("ready", flush=True)
"""


def test_at_the_end_of_the_process_nothing_is_touched() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")


# ---- what is copied, and what is refused -------------------------------------------------------------------------


def _misaligned() -> np.ndarray:
    return np.frombuffer(bytearray(25), np.uint8)[1:].view(np.float64)


def _read_only() -> np.ndarray:
    array = np.zeros(3)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("array", "match"),
    [(np.zeros((2, 3))[:, ::-1], "negative"), (_read_only(), "read-only"), (_misaligned(), "no multiple of 8")],
    ids=["negative", "read-only", "misaligned"],
)
def test_what_cannot_be_shared_is_copied(array: np.ndarray, match: str) -> None:
    copied = ng.from_dlpack(array)
    copied += 1
    assert copied.tolist() == (array + 1).tolist()
    with pytest.raises(BufferError, match=match):
        ng.from_dlpack(array, copy=False)


def test_copies_are_asked_for() -> None:
    x = ng.arange(6).reshape(2, 3)
    array = np.arange(6).reshape(2, 3)[::-1, ::2]
    assert ng.from_dlpack(x.t(), copy=True).tolist() == x.t().tolist()
    assert ng.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()
    assert ng.from_dlpack(array, copy=True).tolist() == array.tolist()
    capsule = x.__dlpack__(copy=True, max_version=(1, 0))
    described = capsules.describe(capsule)
    assert described.address != x.data_ptr()
    assert described.shape == (2, 3)
    assert not described.read_only


def test_what_is_refused_to_go_out() -> None:
    x = ng.ones(2, requires_grad=True)
    for export in (x.__dlpack__, (x * 2).__dlpack__, lambda: ng.to_dlpack(x), lambda: x.__buffer__(0)):
        with pytest.raises(BufferError, match="grad"):
            export()
    with pytest.raises(RuntimeError, match="stream is 1, expected None"):
        ng.ones(2).__dlpack__(stream=1)
    with pytest.raises(BufferError, match=r"dl_device is \(2, 0\)"):
        ng.ones(2).__dlpack__(dl_device=(2, 0))
    with pytest.raises(RuntimeError, match="vmap"):
        ng.func.vmap(lambda x: np.from_dlpack(x) and x)(ng.ones(2, 3))
    with pytest.raises(TypeError, match="must be Tensor, not int"):
        ng.to_dlpack(3)


class Stranger:
    """An object with a capsule of another's, of the protocol without arguments."""

    def __init__(self, capsule: Any, device: int = 1) -> None:
        self.capsule, self.device = capsule, device

    def __dlpack__(self) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


def _changed(offset: int, format: str, *values: int) -> Any:
    """A capsule of DLPack 1 with some of the structure's bytes changed."""
    capsule = ng.ones(2).__dlpack__(max_version=(1, 0))
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = get(capsule, b"dltensor_versioned")
    data = struct.pack(format, *values)
    ctypes.memmove(address + offset, data, len(data))
    return capsule


def test_what_is_refused_to_come_in() -> None:
    capsule = ng.ones(2).__dlpack__()
    assert ng.from_dlpack(Stranger(capsule)).tolist() == [1, 1]
    with pytest.raises(TypeError, match="can be consumed once"):
        ng.from_dlpack(capsule)
    for other in (3, [1.0], object()):
        with pytest.raises(TypeError, match="expected an object with __dlpack__"):
            ng.from_dlpack(other)
    with pytest.raises(TypeError, match="got elements of uint16, expected one of bool"):
        ng.from_dlpack(np.zeros(2, np.uint16))
    with pytest.raises(TypeError, match="got elements of complex128"):
        ng.from_dlpack(np.zeros(2, complex))
    with pytest.raises(BufferError, match=r"DLPack 2\.0, expected 1"):
        ng.from_dlpack(_changed(0, "@II", 2, 0))
    with pytest.raises(BufferError, match="device of kind 2"):
        ng.from_dlpack(_changed(40, "@i", 2))
    with pytest.raises(TypeError, match="float32 in 4 lanes"):
        ng.from_dlpack(_changed(54, "@H", 4))
    with pytest.raises(RuntimeError, match="cuda"):
        ng.from_dlpack(np.zeros(2), device="cuda")


def test_a_structure_without_strides_is_row_major_and_its_offset_counts() -> None:
    assert ng.from_dlpack(_changed(64, "@P", 0)).tolist() == [1, 1]
    x = ng.from_dlpack(_changed(72, "@Q", 4))
    assert x.data_ptr() % 64 == 4


def test_a_capture_refuses_both_ways() -> None:
    array = np.ones(2, np.float32)
    for step in (lambda x: x + ng.from_dlpack(array), lambda x: x * float(np.from_dlpack(x)[0])):
        with pytest.raises(RuntimeError, match="jit"):
            ng.jit(step)(ng.ones(2))


def test_torchs_names() -> None:
    from numgrad.utils import dlpack

    assert dlpack.from_dlpack(dlpack.to_dlpack(ng.ones(2))).tolist() == [1, 1]
    assert ng.ones(2).__dlpack_device__() == (dlpack.DLDeviceType.kDLCPU, 0)


def test_buffers() -> None:
    x = ng.arange(6, dtype=ng.float32).reshape(2, 3)
    view = x.t().__buffer__(0)
    assert (view.shape, view.strides, view.format) == ((3, 2), (4, 12), "f")
    if sys.version_info >= (3, 12):
        memoryview(x)[0, 0] = 7.0
        assert x[0, 0] == 7
    with pytest.raises(BufferError, match="bfloat16"):
        ng.ones(2, dtype=ng.bfloat16).__buffer__(0)


def test_the_namespace_and_the_device() -> None:
    x = ng.ones(2)
    for version in (None, "2021.12", "2025.12"):
        assert x.__array_namespace__(api_version=version) is ng.array_api
    with pytest.raises(ValueError, match=r"expected one of 2021\.12"):
        x.__array_namespace__(api_version="1999.12")
    assert x.to_device("cpu") is x
    with pytest.raises(RuntimeError):
        x.to_device("cuda")
    assert complex(ng.tensor(2.5)) == 2.5
