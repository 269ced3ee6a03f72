"""Forks of a process that is busy in all its threads, by hand: ``python -m tests.runtime.forks --forks 1000``.

Threads train with gradients of more than a megabyte on several workers, accumulate into one leaf, make plans, call kernels
for the first time, compile, and go in and out of modes and transforms, while forks come from the main thread and from others,
from hooks, recordings and transforms. Each child trains the same as its parent and has to get the same bits, with
workers of its own; some compile, some fork again. A child that hangs is made to say where, and ends with its process group.
The parent's own results are checked all the time.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np

import numgrad as ng
from numgrad.runtime import threads
from numgrad.runtime.kernel import Kernel

MOST_SECONDS = 60.0  # for one child
SHARED = 1 << 21  # elements of the leaf that threads accumulate into, 8 MB


# ---- one fork -----------------------------------------------------------------------------------------------------


def child_of(work: Callable[[], None], seconds: float = MOST_SECONDS) -> int:
    """Fork; the exit code of a child that does ``work``. One that takes too long says where it is, and is killed.

    Raises
    ------
    AssertionError
        The child hangs.
    """
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setpgid(0, 0)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGABRT)  # with faulthandler: where it hangs
    time.sleep(0.5)
    for end in (os.killpg, os.kill):  # its group, if it came to make one
        try:
            end(child, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os.waitpid(child, 0)
    raise AssertionError("a forked child hangs")


# ---- what threads and children do -----------------------------------------------------------------------------------


class Training:
    """Some steps of a network, always from the same beginning: the bits that they lead to."""

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng(seed)
        shapes = ((32, 16, 3, 3), (32 * 64, 256), (256, 10))  # the second has 2 MB
        self.beginning = [(draw.standard_normal(shape) / 16).astype(np.float32) for shape in shapes]
        self.images = draw.standard_normal((12, 16, 8, 8)).astype(np.float32)

    @ng.enable_grad()  # a hook runs without
    def run(self) -> bytes:
        conv, wide, last = parameters = [ng.tensor(array, requires_grad=True) for array in self.beginning]
        optimizer = ng.optim.SGD(parameters, lr=0.05, momentum=0.9)
        for step in range(3):
            images = ng.tensor(self.images[: 4 + 3 * step])
            hidden = ng.nn.functional.conv2d(images, conv, padding=1).relu().flatten(1)
            loss = ((hidden @ wide).tanh() @ last).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return b"".join(parameter.detach().numpy().tobytes() for parameter in parameters)


SCALE = 1.0  # `fresh_kernel` has others


def scaled(x, start, stop):
    for i in range(start, stop):
        x[i] = x[i] * SCALE


def fresh_kernel(constant: int) -> Kernel:
    """A kernel with a constant of its own, and so to be compiled, unless the same was asked for before."""
    function = type(scaled)(scaled.__code__, {"SCALE": float(constant)}, f"scaled{constant}")
    return Kernel(function, "f4[:]")


@ng.enable_grad()
def modes(x: ng.Tensor) -> None:
    """In and out of what hooks into all threads' ops."""
    with ng.inference_mode():
        x + 1
    with ng.profiler.profile():
        x * 2
    ng.func.vmap(lambda row: row * 2)(x)
    ng.func.jvp(ng.tanh, (x,), (x,))
    with ng.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        (x.clone().requires_grad_() * 3).sum().backward()
    with ng.autograd.graph.allow_mutation_on_saved_tensors():
        y = x.clone().requires_grad_() * 2
        z = (y * y).sum()
        y.zero_()
        z.backward()


class Load:
    """The process that forks."""

    def __init__(self, seed: int, trainers: int = 3) -> None:
        self.trainings = [Training(seed + number) for number in range(trainers)]
        self.bits = [training.run() for training in self.trainings]  # alone, in one thread
        self.shared = ng.ones(SHARED, requires_grad=True)
        self.added = [0, 0]
        self.stopping = False
        self.errors: list[BaseException] = []
        self.counts: Counter[str] = Counter()
        self.chance = random.Random(seed)
        self.plain = ng.tensor(np.arange(12, dtype=np.float32).reshape(3, 4))

    # ---- threads --------------------------------------------------------------------------------------------------

    def train(self, number: int) -> None:
        assert self.trainings[number].run() == self.bits[number], f"training {number} has other bits"
        self.counts["trainings"] += 1

    def accumulate(self, number: int) -> None:
        if self.added[number] < 1_000_000:  # so that sums are exact
            (self.shared * float(number + 1)).sum().backward()
            self.added[number] += number + 1

    def compile(self) -> None:
        self.counts["kernels"] += 1
        fresh_kernel(self.counts["kernels"]).entry()
        for _ in range(20):
            fresh_kernel(1).entry()
        time.sleep(0.1)

    def plan(self) -> None:
        size = 1 + self.counts["plans"] % 300
        self.counts["plans"] += 1
        (ng.ones(size, 3) * 2).sum(0)
        time.sleep(0.001)

    def count_threads(self) -> None:
        time.sleep(0.05)
        ng.set_num_threads(2 + self.counts["changes"] % 3)
        self.counts["changes"] += 1

    def change_modes(self) -> None:
        modes(self.plain)
        self.counts["modes"] += 1
        time.sleep(0.001)

    def _forever(self, work: Callable[..., None], *arguments: int) -> None:
        try:
            while not (self.stopping or self.errors):
                work(*arguments)
        except BaseException as error:
            traceback.print_exc()
            self.errors.append(error)

    # ---- forks ----------------------------------------------------------------------------------------------------

    def in_child(self) -> None:
        """What each child does."""
        number = self.chance.randrange(len(self.trainings))
        assert self.trainings[number].run() == self.bits[number], f"training {number} has other bits in a child"
        assert threads.get_num_threads() == 1 or threads.ready, "no workers in a child"
        with ng.enable_grad():
            mine = ng.ones(SHARED, requires_grad=True)
            for _ in range(2):
                (mine * 3.0).sum().backward()
            (self.shared * 1.0).sum().backward()  # whose lock may have been another thread's
        assert mine.grad is not None
        assert (mine.grad == 6).all(), "a leaf of a child has another gradient"
        fresh_kernel(1).entry()
        if self.chance.random() < 0.2:
            modes(self.plain)
        if self.chance.random() < 0.05:
            assert fresh_kernel(1_000_000 + os.getpid()).entry()
        if self.chance.random() < 0.05:
            assert child_of(lambda: self.train(number)) == 0, "a grandchild failed"
        if self.chance.random() < 0.1:
            threads.stop()

    def fork(self) -> None:
        """Fork from one place or another."""
        places: tuple[Callable[[], None], ...] = (
            self._fork_here,
            self._fork_from_a_hook,
            self._fork_in_contexts,
            self._fork_from_a_thread,
        )
        chosen = self.chance.choice(places)
        self.counts[chosen.__name__] += 1
        chosen()

    def _fork_here(self) -> None:
        assert child_of(self.in_child) == 0, "a child failed"

    def _fork_from_a_hook(self) -> None:
        x = ng.ones(1 << 18, requires_grad=True)
        x.register_hook(lambda grad: self._fork_here())
        (x * 2.0).sum().backward()
        assert (x.grad == 2).all()

    def _fork_in_contexts(self) -> None:
        with ng.no_grad(), ng.profiler.profile():
            assert child_of(lambda: self.plain.sum().item()) == 0
        # A mode that is on where the child begins is on in the child.
        assert ng.func.vmap(lambda row: self._in_transform(row))(self.plain).tolist() == (self.plain * 2).tolist()
        ng.func.jvp(self._in_transform, (self.plain,), (self.plain,))

    def _in_transform(self, x: ng.Tensor) -> ng.Tensor:
        y = x * 2
        assert child_of(lambda: (x * 2).sum()) == 0
        return y

    def _fork_from_a_thread(self) -> None:
        thread = threading.Thread(target=self._guarded, args=(self._fork_here,))
        thread.start()
        thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            traceback.print_exc()
            self.errors.append(error)

    def run(self, forks: int) -> None:
        works: list[tuple[Callable[..., None], *tuple[int, ...]]] = [
            *[(self.train, number) for number in range(len(self.trainings))],
            (self.accumulate, 0), (self.accumulate, 1), (self.compile,), (self.plan,), (self.change_modes,),
            (self.count_threads,),
        ]  # fmt: skip
        running = [threading.Thread(target=self._forever, args=work) for work in works]
        for thread in running:
            thread.start()
        try:
            for _ in range(forks):
                if self.errors:
                    break
                self.fork()
                self.counts["forks"] += 1
                time.sleep(self.chance.random() * 0.02)
        finally:
            self.stopping = True
            for thread in running:
                thread.join()
        if self.errors:
            raise self.errors[0]
        assert self.shared.grad is not None
        assert (self.shared.grad == float(sum(self.added))).all(), "the leaf of several threads has another gradient"


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    faulthandler.enable()
    # Python 3.12 and later: forking beside threads is what is tested.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    ng.set_num_threads(3)
    begin = time.monotonic()
    load = Load(options.seed)
    load.run(options.forks)
    counts = ", ".join(f"{name.removeprefix('_')} {count}" for name, count in sorted(load.counts.items()))
    sys.stdout.write(f"{time.monotonic() - begin:.0f} s: {counts}\n")


if __name__ == "__main__":
    main()
