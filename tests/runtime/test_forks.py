"""Forks beside threads that are at work: no child hangs, finds a thing half-done, or takes what is its parent's."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from numgrad.runtime import locks
from tests.runtime import forks, processes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# Python 3.12 and later say that forking beside threads may not go well: it is what is tested here.
HEAD = """
import importlib, os, signal, sys, threading, time, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
import numgrad as ng
from numgrad.runtime import locks
from tests.runtime.forks import child_of, fresh_kernel
def beside(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread
"""


def printed(script: str, *arguments: str, **settings: str | None) -> str:
    return processes.output(HEAD + script, *arguments, **settings)


# ---- what hung ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", ["0", "0.001", "0.005"])
def test_while_another_thread_calls_its_first_kernel(delay):
    script = """
from numgrad.runtime.kernel import kernel
@kernel("f4[:]")
def one(x, start, stop):
    x[start] = x[start] + x[start]
thread = beside(one.entry)
time.sleep(float(sys.argv[1]))
print(child_of(lambda: one.entry() or 1 / 0, seconds=30))
thread.join()
"""
    assert printed(script, delay, NUMGRAD_KERNEL_STORE="off") == "0\n"


def test_while_another_thread_accumulates_into_the_same_leaf():
    script = """
from numgrad import registry
leaf = ng.ones(3, requires_grad=True)
(leaf * 2).sum().backward()
inside, go_on = threading.Event(), threading.Event()
def wait_within_add(inner, op, inputs, params):
    if op.name.startswith("add") and threading.current_thread() is not threading.main_thread():
        inside.set()
        go_on.wait()
    return inner(op, inputs, params)
registry.wrap_dispatch(5, wait_within_add)
thread = beside(lambda: (leaf * 2).sum().backward())
assert inside.wait(20)
registry.unwrap_dispatch(wait_within_add)
def in_child():
    (leaf * 2).sum().backward()
    assert leaf.grad.tolist() == [4, 4, 4], leaf.grad
print(child_of(in_child, seconds=20))
go_on.set()
thread.join()
print(leaf.grad.tolist())
"""
    assert printed(script) == "0\n[4.0, 4.0, 4.0]\n"


@pytest.mark.parametrize("name", ["numgrad.func", "numba", "wave"])
def test_while_another_thread_imports(name):
    """Its module is looked for, or half-imported: the child would wait for a thread that it does not have."""
    script = """
import importlib.abc
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            looking.set()
            time.sleep(0.3)
looking = threading.Event()
sys.meta_path.insert(0, Slow())
thread = beside(lambda: importlib.import_module(sys.argv[1]))
assert looking.wait(20)
print(child_of(lambda: importlib.import_module(sys.argv[1]), seconds=30))
thread.join()
"""
    assert printed(script, name) == "0\n"


def test_while_another_thread_compiles_by_numba_alone():
    script = """
from numba import njit
from numba.core.compiler_lock import global_compiler_lock
from llvmlite.binding import ffi
def hold():
    with global_compiler_lock, ffi.lib._lock:
        held.set()
        time.sleep(0.5)
held = threading.Event()
thread = beside(hold)
assert held.wait(20)
begin = time.monotonic()
print(child_of(lambda: fresh_kernel(3).entry(), seconds=30))
thread.join()
"""
    assert printed(script, NUMGRAD_KERNEL_STORE="off") == "0\n"


# ---- locks --------------------------------------------------------------------------------------------------------


def test_each_lock_is_free_in_the_child_and_awaited_ones_are_awaited():
    script = """
import numgrad.cli, numgrad.profiler, numgrad.autograd, numgrad.compile, numgrad.func, numgrad.viz
hook = ng.autograd.graph.register_multi_grad_hook([ng.ones(1, requires_grad=True)], print)
every = list(locks._every)
renewed = [lock for lock in every if lock not in locks._awaited]
assert len(locks._awaited) >= 12 and len(renewed) >= 68, (len(locks._awaited), len(renewed))
def hold():
    for lock in every:
        lock.acquire()
    held.set()
    time.sleep(0.3)
    for lock in locks._awaited:
        released.append(lock)
        lock.release()
    done.wait()
    for lock in renewed:
        lock.release()
held, done, released = threading.Event(), threading.Event(), []
thread = beside(hold)
assert held.wait(20)
def in_child():
    assert len(released) == len(locks._awaited)
    for lock in every:
        assert lock.acquire(blocking=False)
        lock.release()
print(child_of(in_child, seconds=20))
print([lock.acquire(blocking=False) for lock in locks._awaited].count(False), any(l.acquire(False) for l in renewed))
done.set()
thread.join()
"""
    assert printed(script) == "0\n0 False\n"


def test_who_forks_with_a_lock_keeps_it_on_both_sides():
    """As a finalizer or the handler of a signal may, wherever it runs."""
    script = """
from numgrad.runtime import kernel, memory
from numgrad.engine import backward
def is_free(lock):
    free = []
    beside(lambda: free.append(lock.acquire(blocking=False) and not lock.release())).join()
    return free[0]
mine = kernel.building, memory._lock, backward._leaf_locks[5]
def in_child():
    assert not any(map(is_free, mine))
    for lock in mine:
        lock.release()
    assert all(map(is_free, mine))
    ng.ones(10_000).sum()
for lock in mine:
    lock.acquire()
print(child_of(in_child, seconds=20))
print(*map(is_free, mine))
for lock in mine:
    lock.release()
print(*map(is_free, mine))
"""
    assert printed(script) == "0\nFalse False False\nTrue True True\n"


def test_two_threads_that_need_each_others_lock_are_no_deadlock():
    """The thread that forks has one; the holder of another waits for it: the fork does not wait for ever."""
    script = """
import logging
logging.basicConfig(format="%(message)s", stream=sys.stdout)
from numgrad.runtime import kernel, memory
locks._PATIENCE = 0.5
def other():
    with memory._lock:
        held.set()
        with kernel.building:
            pass
held = threading.Event()
with kernel.building:
    thread = beside(other)
    held.wait()
    print(child_of(lambda: ng.zeros(12_345_678), seconds=20), flush=True)
thread.join()
print(child_of(lambda: ng.zeros(12_345_678), seconds=20))
"""
    assert printed(script) == "a fork goes ahead, though 1 locks were not free for 0 s\n0\n0\n"


def test_forks_from_several_threads_at_once():
    script = """
def many():
    for _ in range(5):
        codes.append(child_of(lambda: ng.ones(100_000).sum().item(), seconds=30))
codes = []
running = [beside(many) for _ in range(4)]
for thread in running:
    thread.join()
print(codes)
print(all(lock.acquire(blocking=False) for lock in locks._awaited), locks._forking.forks)
"""
    assert printed(script) == f"{[0] * 20}\nTrue []\n"


def test_ctrl_c_while_a_fork_waits_comes_after_it():
    script = """
from numgrad.runtime import kernel
def hold():
    with kernel.building:
        held.set()
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGINT)
        done.wait(2)
held, done = threading.Event(), threading.Event()
thread = beside(hold)
held.wait()
try:
    child = os.fork()
    for _ in range(1000):
        if not child:
            os._exit(0)
        time.sleep(0.001)
except KeyboardInterrupt:
    print("interrupted")
done.set()
thread.join()
print(os.wait()[1], all(lock.acquire(blocking=False) for lock in locks._awaited))
"""
    assert printed(script) == "interrupted\n0 True\n"


# ---- what is switched on ------------------------------------------------------------------------------------------


def test_a_switch_counts_who_needs_it():
    events: list[str] = []
    switch = locks.Switch(lambda: events.append("on"), lambda: events.append("off"))
    tokens = [switch.token()]
    thread = threading.Thread(target=lambda: tokens.append(switch.token()))
    thread.start()
    thread.join()
    tokens.pop()
    switch.settle()
    assert events == ["on"]
    tokens.pop()
    switch.settle()
    assert events == ["on", "off"]
    token = switch.token()
    assert events == ["on", "off", "on"]
    del token
    switch.settle()


def test_modes_of_threads_that_are_not_there_are_off_in_the_child_and_the_own_ones_on():
    script = """
from numgrad import profiler
from numgrad.autograd import batched, duals, graph, mutation
from numgrad.engine import dispatch
from numgrad.registry import chain
from numgrad.runtime import memory, program
def contexts(stack):
    stack.enter_context(ng.inference_mode())
    stack.enter_context(ng.compile.Recording())
    stack.enter_context(profiler.profile())
    stack.enter_context(graph.saved_tensors_hooks(lambda t: t, lambda t: t))
    stack.enter_context(ng.autograd.graph.allow_mutation_on_saved_tensors())
    stack.enter_context(batched.batch_level(3, "error"))
    duals.open_level()
    stack.callback(duals.close_level)
import contextlib
def other():
    with contextlib.ExitStack() as stack:
        contexts(stack)
        inside.set()
        done.wait()
inside, done = threading.Event(), threading.Event()
thread = beside(other)
inside.wait()
def nothing_is_on():
    assert not (chain.wrappers or dispatch.recorders or dispatch.node_watchers or program.observers), chain.wrappers
    assert not (profiler._active or memory._keepers) and mutation._save not in dispatch.guards
def all_is_on():
    assert len(chain.wrappers) == 3 and len(dispatch.node_watchers) == 2 and len(program.observers) == 2
def in_child():
    nothing_is_on()
    x = ng.ones(2, requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 2] and not x.is_inference()
    with contextlib.ExitStack() as stack:
        contexts(stack)
        all_is_on()
        assert (x * 2).is_inference()
    nothing_is_on()
print(child_of(in_child, seconds=20))
with contextlib.ExitStack() as stack:
    contexts(stack)
    print(child_of(all_is_on, seconds=20))
all_is_on()
done.set()
thread.join()
nothing_is_on()
"""
    assert printed(script) == "0\n0\n"


def test_a_child_may_fork_from_within_whatever_is_going_on():
    script = """
codes = []
def fork(*_):
    def work():
        with ng.enable_grad():
            x = ng.ones(300_000, requires_grad=True)
            (x * x).sum().backward()
            assert x.grad.sum().item() == 600_000
    codes.append(child_of(work, seconds=30))
x = ng.ones(300_000, requires_grad=True)
with ng.no_grad():
    fork()
with ng.inference_mode():
    codes.append(child_of(lambda: (x * 2).is_inference() or 1 / 0, seconds=30))
handles = [x.register_hook(fork), x.register_post_accumulate_grad_hook(fork)]
with ng.compile.Recording() as recording:
    y = (x * 2).sum()
    fork()
    codes.append(child_of(lambda: (x * 2).sum().item(), seconds=30))
y.backward()
for handle in handles:
    handle.remove()
z = (x * 3).sum()
z.grad_fn.register_hook(fork)
z.backward()
class Forking(ng.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        fork()
        return x * 2
    @staticmethod
    def backward(ctx, g):
        fork()
        return g * 2
Forking.apply(x).sum().backward()
print(len(codes), set(codes), x.grad.sum().item())
child_of(lambda: codes.append(child_of(fork)) or codes[-1] == 0 or 1 / 0)
recording.replay()
print(y.item())
"""
    assert printed(script) == "9 {0} 2100000.0\n600000.0\n"


@pytest.mark.parametrize("how", ["recorder", "guard", "watcher", "observer"])
def test_who_goes_while_others_are_told_takes_nobody_s_turn(how):
    """One that leaves a list while it is gone through, as in another thread: the next one is told all the same."""
    import numgrad as ng
    from numgrad.engine import dispatch
    from numgrad.runtime import program

    told = []

    class Listener:
        def __init__(self, leaves: bool) -> None:
            self.leaves = leaves

        def __call__(self, *_: object) -> None:
            told.append(self.leaves)
            if self.leaves:
                entries[:] = [entry for entry in entries if entry is not first]

        applied = launched = __call__

    first, second = Listener(True), Listener(False)
    entries: list = {"recorder": dispatch.recorders, "guard": dispatch.guards, "watcher": dispatch.node_watchers}.get(
        how, program.observers
    )
    before = list(entries)
    x = ng.ones(3, requires_grad=True)
    if how == "observer":
        first, second = ((threading.get_ident(), listener) for listener in (first, second))  # type: ignore[assignment]
    try:
        entries[:] = [first, second]
        x * 2
    finally:
        entries[:] = before
    assert told == [True, False]


# ---- ways to make processes -----------------------------------------------------------------------------------------


def test_a_child_that_ends_in_the_usual_way():
    script = """
x = ng.ones(300_000, requires_grad=True)
(x * x).sum().backward()
thread = beside(lambda: [(x * 2).sum().item() for _ in range(300)])
child = os.fork()
(x * x).sum().backward()
if not child and not os.fork():
    print("grandchild", x.grad.sum().item())
    sys.exit(3)
if child:
    thread.join()
code = os.waitstatus_to_exitcode(os.wait()[1])
print("parent" if child else "child", code, x.grad.sum().item())
"""
    done = printed(script)
    assert sorted(done.splitlines()) == ["child 3 1200000.0", "grandchild 1200000.0", "parent 0 1200000.0"]


def test_a_child_of_another_thread_than_the_main_one():
    script = """
x = ng.ones(300_000, requires_grad=True)
(x * x).sum().backward()
def fork():
    child = os.fork()
    if not child:
        (x * x).sum().backward()  # this is the child's main thread now
        print(threading.current_thread() is threading.main_thread(), x.grad.sum().item(), flush=True)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
beside(fork).join()
"""
    assert printed(script) == "True 1200000.0\n0\n"


MULTIPROCESSING = """
import multiprocessing, os, sys, threading
import numgrad as ng
def task(n):
    x = ng.full((300_000,), float(n), requires_grad=True)
    (x * x).sum().backward()
    return x.grad[0].item(), x.grad[-1].item()
if __name__ == "__main__":
    task(1)
    stop = threading.Event()
    def train():
        while not stop.is_set():
            task(2)
    running = [threading.Thread(target=train) for _ in range(2)]
    for thread in running:
        thread.start()
    context = multiprocessing.get_context(sys.argv[1])
    if sys.argv[1] == "forkserver":
        context.set_forkserver_preload(["numgrad"])
    with context.Pool(2) as pool:
        print(pool.map(task, range(6)) == [(2.0 * n, 2.0 * n) for n in range(6)])
    stop.set()
    for thread in running:
        thread.join()
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_beside_training(method: str, tmp_path: Path):
    (tmp_path / "program.py").write_text(MULTIPROCESSING)
    script = (
        "import os, sys; os.execv(sys.executable, [sys.executable, '-W', 'ignore::DeprecationWarning', *sys.argv[1:]])"
    )
    assert processes.output(script, str(tmp_path / "program.py"), method) == "True\n"


def test_subprocesses_beside_training():
    """Without ``preexec_fn`` nothing of ours runs in the child; with it, what a fork needs is done."""
    script = """
import subprocess
x = ng.ones(300_000, requires_grad=True)
stop = threading.Event()
def train():
    while not stop.is_set():
        (x * x).sum().backward()
thread = beside(train)
command = [sys.executable, "-c", "print(7)"]
def compute():
    y = ng.ones(300_000, requires_grad=True)
    (y * y).sum().backward()
    os.write(1, b"%d " % y.grad.sum().item())
for _ in range(3):
    print(subprocess.run(command, preexec_fn=compute, capture_output=True, timeout=60).stdout)
    print(subprocess.run(command, capture_output=True, timeout=60).stdout)
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], os.environ)
    print(os.waitpid(child, 0)[1])
stop.set()
thread.join()
"""
    assert printed(script) == "b'600000 7\\n'\nb'7\\n'\n0\n" * 3


def test_helpers_stay_with_the_parent(tmp_path: Path):
    """The child of a fork neither ends nor waits for them, and they see the parent's end, though the child lives on."""
    script = """
from numgrad.runtime import helpers
helper = helpers.Helper("time:sleep", {}, 0, 1, tells=True)
helper._process.kill()
helper._process.wait()
helpers._START = "import sys; sys.stdin.read()"
helper = helpers.Helper("none:none", {}, 0, 1, tells=True)
child = os.fork()
if not child:
    helper.stop()
    time.sleep(1.5)
    os._exit(0)
time.sleep(0.3)
assert helper._process.poll() is None  # nobody has ended it
helper._process.stdin.close()
helper._process.wait(timeout=1.0)  # it has seen that
print(helper._process.returncode, os.waitpid(child, 0)[1])
helper.stop()
"""
    assert printed(script, NUMGRAD_KERNEL_STORE=str(tmp_path)) == "0 0\n"


# ---- under load -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_under_load():
    done = processes.run("from tests.runtime.forks import main; main()", "--forks", "15", timeout=290)
    assert done.returncode == 0, done.stderr
    assert "forks 15" in done.stdout


@pytest.mark.parametrize("seed", range(3))
def test_a_process_that_ends_while_daemon_threads_train(seed: int):
    forks.end_busy(seed)


def test_a_child_that_hangs_is_noticed():
    with pytest.raises(AssertionError, match="a forked child hangs"):
        forks.child_of(lambda: time.sleep(60), seconds=0.5)
    assert forks.child_of(sys.exit, seconds=20) == 1
