"""What numgrad changes of Numba: each row may be missing, and Numba is left as it was."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import warnings

import numba
import numpy as np
import pytest

from numgrad.errors import KernelError
from numgrad.kernels.pool_backward import max_pool_backward
from numgrad.kernels.random import normal_float64
from numgrad.runtime import build, codegen, loader, numba_changes, numba_ir
from numgrad.runtime.kernel import Kernel, building, device, kernel
from numgrad.runtime.numba_changes import CHANGES, NEEDED, NumbaChangeWarning

_symbols = itertools.count()


def _forget():
    numba_changes.require.cache_clear()
    numba_changes._stand_ins.cache_clear()
    codegen._Converter._kept.clear()  # functions that were compiled as Numba was


@pytest.fixture(autouse=True)
def _anew():
    """Each test looks at Numba for itself, and so does who comes after it."""
    _forget()
    yield
    _forget()


@device
def scaled(value, factor):
    return value * max(factor, 2)


@kernel("f8[:]")
def sums_in_place(x, start, stop):
    for i in range(start, stop):
        total, pair = 0.0, (x[i], abs(x[i]))
        for k in range(3):
            total += scaled(pair[k % 2], k)
        x[i] = total + min(x[i], 1.0)


@kernel("T[:], T[:]", reassociate=True)
def sums_of_squares(x, out, start, stop):
    for i in range(start, min(stop, out.shape[0])):
        row = x[i * 8 : (i + 1) * 8]
        total = row[0] * 0
        for k in range(row.shape[0]):
            total += abs(row[k]) * max(row[k], 1)
        out[i] = total


@kernel("f8[:]")
def allocates(x, start, stop):
    x[0] = np.empty(stop - start).sum()


@kernel("f8[:]")
def takes_constants(x, start, stop):
    for i in range(start, stop):
        x[i] = scaled(x[i], 1) + scaled(x[i], 5)


def _check(checked=sums_in_place, right=lambda x: x * 2 + np.abs(x) * 2 + x * 2 + np.minimum(x, 1.0)):
    """A kernel that is compiled now does what it says."""
    symbol = f"numba_changes_{next(_symbols)}"
    with building:
        address = loader.load(codegen.compile_kernel(checked, (), symbol), symbol)
    x = np.linspace(-3.0, 4.0, 11)
    wanted = right(x)
    status = np.zeros(1, np.int64)
    slots = np.array([status.ctypes.data, x.ctypes.data, x.size], np.int64)
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(address)(slots.ctypes.data, 0, x.size, 0)
    assert status[0] == 0
    np.testing.assert_allclose(x, wanted, rtol=1e-15)


def _renamed(change, number):
    places = list(change.places)
    places[number] = places[number]._replace(path=f"{places[number].path}_of_old")
    return change._replace(places=tuple(places))


def test_this_version_has_all_that_is_changed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = numba_changes._stand_ins()
    assert list(rows) == [change.what for change in CHANGES]


@pytest.mark.parametrize(
    ("row", "number"),
    [(row, number) for row, change in enumerate(CHANGES) for number in range(len(change.places))],
    ids=lambda value: str(value),
)
def test_a_version_without_something_that_is_changed(row, number, monkeypatch):
    change = CHANGES[row]
    monkeypatch.setattr(numba_changes, "CHANGES", (*CHANGES[:row], _renamed(change, number), *CHANGES[row + 1 :]))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        _check()
        _check()
    assert [each.category for each in seen] == [NumbaChangeWarning]
    (message,) = [str(each.message) for each in seen]  # once for all that is compiled
    assert f"numba {numba.__version__} is not as numgrad expects it: kernels are right, but take longer" in message
    assert repr(change.what) in message
    assert f"{change.places[number].path.rpartition('.')[2]}_of_old" in message
    assert set(numba_changes._stand_ins()) == {each.what for each in CHANGES} - {change.what}


def test_a_version_without_any_of_it(monkeypatch):
    elsewhere = [[place._replace(module=f"{place.module}_of_old") for place in change.places] for change in CHANGES]
    made = tuple(change._replace(places=tuple(places)) for change, places in zip(CHANGES, elsewhere, strict=True))
    monkeypatch.setattr(numba_changes, "CHANGES", made)
    with pytest.warns(NumbaChangeWarning) as seen:
        _check()
    assert len(seen) == 1
    assert all(repr(change.what) in str(seen[0].message) for change in CHANGES)


def test_a_version_whose_method_takes_something_else(monkeypatch):
    from numba.core.postproc import PostProcessor

    own = PostProcessor.run

    def run(self, emit_dels=False, extend_lifetimes=False, more=None):
        own(self, emit_dels, extend_lifetimes)

    monkeypatch.setattr(PostProcessor, "run", run)
    with pytest.warns(
        NumbaChangeWarning, match=r"run takes self, emit_dels, extend_lifetimes, more, expected self, emit"
    ):
        _check()
    assert PostProcessor.run is run


@pytest.mark.parametrize("module_is_there", [True, False])
@pytest.mark.parametrize("row", range(len(NEEDED)), ids=lambda row: NEEDED[row][1])
def test_a_version_without_something_that_is_needed(row, module_is_there, monkeypatch):
    module, path, what_for = NEEDED[row]
    other = (module, f"{path}_of_old", what_for) if module_is_there else (f"{module}_of_old", path, what_for)
    monkeypatch.setattr(numba_changes, "NEEDED", (*NEEDED[:row], other, *NEEDED[row + 1 :]))
    with pytest.raises(KernelError, match=rf"numba {numba.__version__} has no {other[0]}\.{other[1]}, .*{what_for}"):
        build._codegen("sums_in_place")
    with pytest.raises(KernelError, match=rf"numba {numba.__version__} has no {other[0]}\.{other[1]}, "):
        codegen.compile_kernel(sums_in_place, (), "symbol")


def test_a_version_that_keeps_its_modules_elsewhere():
    with pytest.raises(KernelError, match=r"has no numba\.core\.codegen\.CPUCodeLibrary\._final_module"):
        numba_ir.module_of(object())


@pytest.mark.parametrize(
    ("made", "binding"),
    [(sums_of_squares, ("f4",)), (sums_of_squares, ("i8",)), (max_pool_backward, ("f4",)), (normal_float64, ())],
    ids=lambda value: value.name if isinstance(value, Kernel) else "".join(value),
)
def test_what_numba_is_spared_changes_no_machine_code(monkeypatch, made, binding):
    spared = codegen.compile_kernel(made, binding, "symbol")
    # Without the first three Numba optimises before `codegen` does, to other code; shorter text is optimised another way.
    others = [*CHANGES[:3], *(change for change in CHANGES if change.until == numba_changes.SHORTER)]
    monkeypatch.setattr(
        numba_changes, "CHANGES", tuple(each if each in others else _renamed(each, 0) for each in CHANGES)
    )
    _forget()
    with pytest.warns(NumbaChangeWarning):
        assert codegen.compile_kernel(made, binding, "symbol") == spared


def _length(monkeypatch, counted, binding):
    """Instructions of a kernel's LLVM IR before it is optimised."""
    modules = []
    with monkeypatch.context() as patch:
        patch.setattr(codegen, "_object_code", lambda name, compiled, *_: modules.append(numba_ir.module_of(compiled)))
        codegen.compile_kernel(counted, binding, "symbol")
    return sum(1 for each in modules[0].functions for block in each.blocks for _ in block.instructions)


@pytest.mark.parametrize(("counted", "binding"), [(sums_of_squares, ("f4",)), (max_pool_backward, ("f4",))])
def test_the_text_for_llvm_is_short(monkeypatch, counted, binding):
    short = _length(monkeypatch, counted, binding)
    longer = tuple(each for each in CHANGES if each.until != numba_changes.SHORTER)
    monkeypatch.setattr(numba_changes, "CHANGES", longer)
    _forget()
    assert short < 0.6 * _length(monkeypatch, counted, binding)


def test_numba_and_the_garbage_collector_are_left_as_they_were():
    def state():
        owners = [(numba_changes._at(place.module, place.path), place) for change in CHANGES for place in change.places]
        return {place.path: vars(owner).get(name, "of a base class") for (owner, name), place in owners}

    before = state()
    for bad in (allocates, sums_of_squares):
        with pytest.raises(KernelError) if bad is allocates else contextlib.nullcontext():
            codegen.compile_kernel(bad, ("f8",) if bad.variables else (), "symbol")
        assert gc.isenabled()
        after = state()
        assert all(after[path] is own for path, own in before.items())


def test_constants_do_not_make_another_function_of_each_value(monkeypatch):
    from numba.core.dispatcher import _FunctionCompiler

    compiled, original = [], _FunctionCompiler._compile_core

    def noting(self, args, return_type):
        result = original(self, args, return_type)
        compiled.append((self.py_func.__name__, args))
        return result

    monkeypatch.setattr(_FunctionCompiler, "_compile_core", noting)
    _check(takes_constants, lambda x: x * 7)
    assert [args[1] for name, args in compiled if name == "scaled"] == [numba.types.int64]
