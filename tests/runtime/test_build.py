"""What a kernel's key depends on, what does not compile, the debug mode, and loading into one engine."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

from numgrad.errors import KernelError
from numgrad.runtime import build, loader
from numgrad.runtime.kernel import building, device, fingerprint, kernel

from . import processes, stress_pool
from .direct import call

MAIN = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from numgrad.runtime import build
from numgrad.runtime.kernel import kernel
from tests.runtime.direct import call
from callee import change
compiled = []
build.listeners.append(lambda name, seconds: compiled.append(name))
@kernel("f8[:]")
def apply(x, start, stop):
    for i in range(start, stop):
        x[i] = change(x[i])
x = np.ones(1)
call(apply, x)
print(x[0], "apply" in compiled)
"""
CALLEE = """
from numgrad.runtime.kernel import device
from deeper import FACTOR
@device
def change(x, offset={offset}):
    return FACTOR * x + offset
"""


def test_an_edit_in_another_file_is_seen(tmp_path):
    settings = {"NUMGRAD_KERNEL_STORE": str(tmp_path / "store"), "PYTHONDONTWRITEBYTECODE": "1"}

    def result(factor: float, offset: float) -> str:
        (tmp_path / "deeper.py").write_text(f"FACTOR = {factor}\n")
        (tmp_path / "callee.py").write_text(CALLEE.format(offset=offset))
        return processes.output(MAIN, str(tmp_path), **settings)

    assert result(2.0, 0.0) == "2.0 True\n"
    assert result(2.0, 0.0) == "2.0 False\n"
    assert result(3.0, 0.0) == "3.0 True\n"
    assert result(3.0, 1.0) == "4.0 True\n"


def _made(constant, default=1.0, table=((1, 2), (3, 4))):
    values = np.array(table)

    def function(x, scale=default):
        return constant * x * scale + values[0, 0]

    return function


def test_fingerprints_differ_where_code_differs():
    prints = [
        fingerprint(_made(1)),
        fingerprint(_made(1.0)),
        fingerprint(_made(True)),
        fingerprint(_made(1, default=2.0)),
        fingerprint(_made(1, table=((1, 2, 3, 4),))),
        fingerprint(_made(1, table=((1, 2), (3, 5)))),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(_made(1)) == prints[0]


def _of_class(slope: float) -> object:
    """A function that reads a class, of whose base one method has another constant."""

    class Base:
        def rule(self):
            return slope

    class Derived(Base):
        pass

    def function(x):
        return Derived

    return function


def test_fingerprints_differ_where_a_base_class_differs():
    assert fingerprint(_of_class(1.0)) == fingerprint(_of_class(1.0))
    assert fingerprint(_of_class(1.0)) != fingerprint(_of_class(2.0))


def test_what_cannot_be_hashed_has_no_fingerprint():
    with pytest.raises(KernelError, match="cannot become part"):
        fingerprint(_made(object()))
    with pytest.raises(KernelError, match="import the names that it needs instead"):
        fingerprint(_made(processes))


@kernel("i8[:]")
def reads_a_module(x, start, stop):
    x[start] = stress_pool.LENGTH


def test_a_kernel_without_a_fingerprint_still_runs(caplog):
    x = np.zeros(1, np.int64)
    with caplog.at_level(logging.INFO, "numgrad.build"):
        assert call(reads_a_module, x) == 0
    assert x[0] == stress_pool.LENGTH
    assert "reads_a_module: compiled in every process, since" in caplog.text


@kernel("f8[:]")
def allocates(x, start, stop):
    y = np.empty(stop - start)
    y[:] = x[start:stop]
    x[start] = y.sum()


@kernel("f8[:]")
def raises(x, start, stop):
    if x[start] < 0:
        raise ValueError("negative")


@device
def asserts(x):
    assert x > 0
    return x


@kernel("f8[:]")
def raises_in_a_helper(x, start, stop):
    x[start] = asserts(x[start])


@kernel("f8[:]")
def calls_python(x, start, stop):
    print(x[start])  # noqa: T201


@kernel("f8[:]")
def has_a_type_error(x, start, stop):
    x[start] = "text"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (allocates, "kernel allocates"),
        (raises, "kernel raises has a raise"),
        (raises_in_a_helper, "kernel asserts has a raise or an assert"),
        (calls_python, "kernel calls_python"),
        (has_a_type_error, "kernel has_a_type_error does not compile"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_a_kernel_may_not_do(bad, message):
    for _ in range(2):  # nothing is left behind by the first
        with pytest.raises(KernelError, match=message):
            bad.entry()


def test_an_index_out_of_bounds_in_the_debug_mode(tmp_path):
    script = """
import numpy as np
from numgrad.errors import KernelError
from numgrad.runtime import program
from numgrad.runtime.kernel import kernel
from numgrad.runtime.program import Address, Array, Launch, Program
@kernel("f8[:]")
def beyond(x, start, stop):
    for i in range(start, stop):
        x[i + 1] = 1
x = np.zeros(100)
def run(work, grain):
    program.launch(Program([Launch(beyond, (), (Array(Address(0), (64,)),), work, grain, 1, 4)], 1), x.ctypes.data)
run(63, 63)
try:
    run(64, 64)
except KernelError as error:
    print(error)
print(x[:64].sum(), x[64:].sum())
"""
    message = "an index is out of bounds in one of the kernels: beyond\n"
    printed = processes.output(script, NUMGRAD_DEBUG="1", NUMGRAD_KERNEL_STORE=str(tmp_path / "store"))
    assert printed == message + "63.0 0.0\n"


def test_listeners_that_fail_do_no_harm(caplog):
    seen = []

    def bad(name, seconds):
        build.listeners.remove(bad)
        raise ZeroDivisionError

    def good(name, seconds):
        seen.append((name, seconds > 0))

    build.listeners += [bad, good]
    try:
        with caplog.at_level(logging.ERROR, "numgrad.build"):
            assert build._compile("name", "symbol", lambda symbol: symbol.encode()) == b"symbol"
    finally:
        build.listeners.remove(good)
    assert seen == [("name", True)]
    assert "a listener" in caplog.text


def _object(symbol: str, value: int) -> bytes:
    """Object code whose entry calls a local function; the local one has the same name in every object."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(f"""
        @table = internal constant [2 x i64] [i64 {value}, i64 {value + 1}]
        define internal i64 @helper(i64 %i) noinline optnone {{
            %p = getelementptr [2 x i64], ptr @table, i64 0, i64 %i
            %v = load volatile i64, ptr %p
            ret i64 %v
        }}
        define i64 @{symbol}(i64 %i) {{
            %v = call i64 @helper(i64 %i)
            ret i64 %v
        }}""")
    return bytes(llvm.Target.from_default_triple().create_target_machine(jit=True).emit_object(module))


def test_objects_in_one_engine_do_not_mix():
    import ctypes

    functions = []
    with building:
        for value in (10, 20, 30):
            symbol = f"numgrad_test_mix_{value}"
            address = loader.load(_object(symbol, value), symbol)
            assert loader.loaded(symbol) == address
            functions.append(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address))
    assert [function(index) for function in functions for index in (0, 1)] == [10, 11, 20, 21, 30, 31]


def _kernel_with_helper(constant):
    @device
    def helper(x):
        for _ in range(100):
            x = x * 3 + constant
        return x

    @kernel("i8[:]")
    def same_name(x, start, stop):
        x[start] = helper(x[start]) + helper(x[start] + 1)

    return same_name


def test_kernels_of_one_name_do_not_mix():
    results = []
    for constant in (1, 2, 1):
        x = np.ones(1, np.int64)
        call(_kernel_with_helper(constant), x)
        expected = [1, 2]
        for _ in range(100):
            expected = [value * 3 + constant for value in expected]
        assert x[0] == np.array([sum(expected) % 2**64], np.uint64).astype(np.int64)[0]
        results.append(int(x[0]))
    assert results[0] == results[2] != results[1]


def test_names_that_are_not_ascii():
    @kernel("f8[:]")
    def größe(x, start, stop):
        x[start] = x[start] + 1.5

    x = np.zeros(1)
    call(größe, x)
    assert x[0] == 1.5


@pytest.mark.skipif(sys.byteorder != "little", reason="the pool's futex words are little-endian")
@pytest.mark.parametrize(
    ("triple", "spin"), [("aarch64-unknown-linux-gnu", "isb"), ("x86_64-unknown-linux-gnu", "pause")]
)
def test_words_on_other_machines(triple, spin, monkeypatch):
    """The pool's vocabulary becomes instructions, not library calls, on machines that the tests do not run on."""
    import llvmlite.binding as llvm
    from llvmlite import ir

    from numgrad.runtime import target as machine
    from numgrad.runtime import words

    monkeypatch.setattr(machine, "triple", lambda: triple)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip("LLVM was built without this machine")

    class Context:
        def get_dummy_value(self):
            return None

    word = ir.IntType(64)
    module = ir.Module(name="words")
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(word, [word] * 3), "words")
    builder = ir.IRBuilder(function.append_basic_block())
    place, value, other = function.args

    def emit(name, *arguments):
        return getattr(words, name).py_func(None, *arguments)[1](Context(), builder, None, arguments)

    emit("pause")
    emit("atomic_store", place, value)
    emit("release_store", place, other)
    emit("atomic_add", place, value)
    emit("compare_and_swap", place, value, other)
    emit("call_system", value, place, value, other, place, place, place)
    builder.ret(emit("atomic_load", place))
    parsed = llvm.parse_assembly(str(module))
    text = target.create_target_machine(opt=2).emit_assembly(parsed)
    assert spin in text
    assert "__atomic" not in text
    assert "__sync" not in text
