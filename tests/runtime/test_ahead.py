"""The process that compiles ahead of a program: what it is told, when there is one, and that nothing depends on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from numgrad.runtime import helpers, store
from tests.runtime.processes import environment, output

pytestmark = pytest.mark.skipif(store.fcntl is None, reason="without locks every process compiles for itself")

TWO = {"NUMGRAD_COMPILE_JOBS": "2", "NUMGRAD_NUM_THREADS": "1", "WORLD_SIZE": None, "NUMGRAD_DEBUG": None}
PROGRAM = """
import time
import numgrad as ng
from numgrad.runtime import ahead, build, kernel, store
def miss(count=3):  # as where a kernel has to be compiled
    for _ in range(count):
        ahead.missed()
"""


def program(text: str, **settings: str | None) -> str:
    """What a program prints that begins with `PROGRAM`."""
    return output(PROGRAM + text, **{**TWO, **settings})


def test_it_compiles_what_will_be_needed_while_the_program_does_something_else(tmp_path: Path) -> None:
    """Of backwards and steps; then what all programs need; what it cannot read does not stop it."""
    text = """
compiled = []
build.listeners.append(lambda name, seconds: compiled.append(name))
def wait_for(name):
    end = time.monotonic() + 120
    while not list(store.folder().glob(name + "-*.o")):
        assert time.monotonic() < end, name
        time.sleep(0.02)
x = ng.ones(3, requires_grad=True)
kernel.foreseen("no.such.module:recipe")
kernel.foreseen("numgrad.autograd.foreseen:backward", op="mul", specs=(), params=(), needs=())
kernel.foreseen("numgrad.autograd.foreseen:backward", op=object())  # is not even told
kernel.foreseen("numgrad.autograd.foreseen:backward", op="x" * 5000)  # nor is this
y = x.tanh()
optimizer = ng.optim.RMSprop([x], lr=0.1)
wait_for("tanh_backward")
wait_for("rmsprop")
y.backward(ng.ones(3))
optimizer.step()
wait_for("apply")
print("tanh" in compiled, {"tanh_backward", "rmsprop", "apply"} & set(compiled), x.grad.tolist())
"""
    assert program(text, NUMGRAD_KERNEL_STORE=str(tmp_path)).startswith("True set() [0.41997")


@pytest.mark.parametrize("mode", ["foreseen", "needless"])
def test_what_is_told_of_a_call_is_what_its_backward_needs(mode: str) -> None:
    printed = output(f"from tests.runtime.foreseen import left_over; print(left_over({mode == 'foreseen'}))")
    compared, differences = json.loads(printed.splitlines()[-1])
    assert compared > 200
    # A gradient that is a view of another is copied into `.grad`.
    assert {name for _, names in differences for name in names} <= {"copy", "fill"}
    assert mode == "foreseen" or not differences


NOBODY: list[dict[str, str | None]] = [
    {"NUMGRAD_COMPILE_JOBS": "1"},
    {"NUMGRAD_KERNEL_STORE": "off"},
    {"WORLD_SIZE": "2"},
    {"PMI_SIZE": "2"},
]


@pytest.mark.parametrize("settings", NOBODY, ids=lambda settings: next(iter(settings)))
def test_nobody_compiles_ahead(settings: dict[str, str | None]) -> None:
    assert program("miss(); print(ahead._follower)", **settings) == "None\n"


@pytest.mark.parametrize("change", ["sys.frozen = True", "sys.executable = '/usr/bin/editor'", "sys.executable = ''"])
def test_a_program_that_has_python_in_it_does_not_start_itself(change: str) -> None:
    assert program(f"import sys; {change}; miss(); print(ahead._follower)") == "None\n"


def test_one_kernel_alone_is_not_worth_a_process() -> None:
    if store.is_empty():
        pytest.skip("in an empty store the first is worth it")
    assert program("miss(2); print(ahead._follower); miss(1); print(ahead._follower is None)") == "None\nFalse\n"


def test_a_worker_of_multiprocessing_and_the_child_of_a_fork_have_none() -> None:
    text = """
import multiprocessing
def work(queue):
    before = ahead._follower, kernel.foreseen is kernel.nobody
    miss()
    queue.put((before, ahead._follower))
miss()
process = ahead._follower._process
context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=work, args=(queue,))
child.start()
print(queue.get(timeout=120))
child.join()
print(child.exitcode, process.poll(), ahead._follower.tell("no.such.module:recipe", {}))
"""
    assert program(text) == "((None, True), None)\n0 None True\n"


def test_one_that_is_gone_is_forgotten_and_another_comes_when_kernels_are_missing() -> None:
    text = """
miss()
first = ahead._follower._process
first.kill()
first.wait()
x = ng.ones(3, requires_grad=True)
x.tanh().backward(ng.ones(3))
print(ahead._follower, kernel.foreseen is kernel.nobody, x.grad.tolist())
miss()
print(ahead._follower is not None, ahead._follower._process is not first)
"""
    assert program(text).startswith("None True [0.41997")


def test_one_that_does_not_listen_is_not_waited_for_and_ends_with_the_program() -> None:
    text = """
import os, signal
miss()
print(ahead._follower._process.pid)
os.kill(ahead._follower._process.pid, signal.SIGSTOP)
for _ in range(2000):  # half a megabyte, where a pipe takes 64 kilobytes
    kernel.foreseen("no.such.module:recipe", padding="x" * 200)
print(ahead._follower is not None)
"""
    number, still = program(text).splitlines()
    assert still == "True"
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)


def follower(tmp_path: Path, text: str, told: str | None) -> Any:
    """The end of a follower whose settings are changed; None: the program neither tells it anything nor ends."""
    with subprocess.Popen(
        [sys.executable, "-c", text, json.dumps({})],
        env=environment(NUMGRAD_KERNEL_STORE=str(tmp_path), **TWO),
        stdin=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        if told is not None:
            process.stdin.write(told)
            process.stdin.close()
        return process.wait(timeout=120)


def test_it_leaves_when_nothing_was_told_for_long_or_when_the_program_ends(tmp_path: Path) -> None:
    nothing = "from numgrad.runtime import ahead; ahead._jobs = lambda *_: []; "
    assert follower(tmp_path, nothing + "ahead._IDLE = 0.1; ahead.follow()", None) == 0
    assert follower(tmp_path, nothing + "ahead.follow()", "") == 1


def test_a_command_is_helped_by_its_own_helpers_alone() -> None:
    text = """
from numgrad.runtime import helpers
with helpers.on_demand("tests.runtime.recipes:refused", {}):
    listeners = build.missing_listeners
    listeners[0]()
    listeners[0]()
print(len(listeners), listeners[0].__qualname__, ahead._follower, build.missing_listeners[0].__name__)
"""
    assert program(text) == "1 on_demand.<locals>.missing None _missed\n"


def test_a_command_says_what_python_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(OSError, match="the interpreter does not know its own path"):
        helpers.command("module:function", {})
