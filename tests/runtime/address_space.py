"""Processes that run out of address space, one for each of many limits: what becomes of each.

``python -m tests.runtime.address_space --values 400`` starts a process under each of 400 limits (RLIMIT_AS). Each imports
numgrad, runs its first kernels from a full store, a training step on several threads, a backward, and loads a file. A
third of the limits lie evenly between too little for an import and plenty; the others are set at the beginning of one of
these stages and leave it between nothing and some megabytes, so that each comes to its end of memory at many places. What
fails must fail with an exception, and after it an operation that needs no memory has to work on operands that are as they
were. Two more stages need an empty store, and so more time: ``--stage compile``, and ``--stage helper``, in which a process
that compiles for this one is limited as well.
"""

from __future__ import annotations

import argparse
import collections
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from numgrad.runtime import store
from tests.runtime import processes

MB = 1 << 20
CHILD = '''
import json, os, sys

task = json.loads(sys.argv[1])

def size(name):
    """Bytes, or 0 where there is no memory left to read them."""
    try:
        return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith(name))
    except MemoryError:
        return 0

def limit(stage):
    if task["stage"] == stage:
        import resource
        room = task["room"] + (0 if stage == "start" else size("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, (room, room))

# Made in advance, so that telling takes no memory that is not there.
def tell(**facts):
    os.write(1, (json.dumps(facts) + "\\n").encode())

def attempt(stage, function):
    """Run a part; an exception that running out of memory may raise is told, and what was there must be whole after it."""
    limit(stage)
    tell(stage=stage)
    try:
        function()
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        tell(stage=stage, error=type(error).__name__, text=str(error)[:300])
        del error
        still_whole(stage)

def still_whole(stage):
    if ready:
        operand.mul_(1.0)
        np.equal(values, expected, out=equal)  # with bytecode at hand, little is left over from importing
        assert [operand.data_ptr() == address, equal.all()] == [True, True], f"{stage}: changed"

ready = False

def imports():
    global ng, np
    import numpy as np
    limit("import numgrad")
    tell(stage="import numgrad")
    import numgrad as ng

def kernels():
    global operand, values, expected, equal, address, ready
    operand = ng.arange(4096.0)
    operand.mul_(1.0)
    values, expected, address = operand.numpy(), np.arange(4096, dtype=np.float32), operand.data_ptr()
    equal = np.empty(4096, bool)
    ready = True
    assert (operand * 2 + operand).sum().item() == 3 * 4095 * 2048

def step():
    ng.manual_seed(0)
    nn = ng.nn
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(4096, 10))
    optimizer = ng.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images, labels = ng.randn(16, 3, 16, 16), ng.arange(16) % 10
    before = [p.detach().clone() for p in model.parameters()]
    copies = [p.numpy().copy() for p in before]
    try:
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    except MemoryError:
        for parameter, copy in zip(before, copies):
            assert np.array_equal(parameter.numpy(), copy), "step: changed"
        raise

def backward():
    x = ng.arange(300000.0, requires_grad=True)
    (x * x).sum().backward()
    assert np.array_equal(x.grad.numpy(), 2 * np.arange(300000, dtype=np.float32))

def load():
    state = ng.load(task["file"])
    assert [value.shape for value in state.values()] == [(500, 1000)] * 4
    assert all((value.numpy() == 1).all() for value in state.values())

def compiles():
    ng.arange(4096.0, dtype=ng.float64).mul_(3)

def helper():
    from numgrad.runtime import helpers
    with helpers.team("tests.runtime.recipes:small", {}, 1) as messages:
        errors = [message["error"] for message in messages if "error" in message]
    if errors:
        raise RuntimeError(errors[0])

def fill():
    from numgrad.runtime.fast import start as fast
    fast.load()
    ng.save({str(index): ng.ones(500, 1000) for index in range(4)}, task["file"])

limit("start")
attempt("import", imports)
if task["stage"] in ("compile", "helper"):
    attempt(task["stage"], {"compile": compiles, "helper": helper}[task["stage"]])
    tell(stage="exit", peak=size("VmPeak"))
elif "ng" in globals() and hasattr(ng, "arange"):
    attempt("kernels", kernels)
    attempt("step", step)
    attempt("backward", backward)
    if task["fill"]:
        fill()
    attempt("load", load)
    tell(stage="exit", peak=size("VmPeak"))
'''


STAGES = {"import numgrad": 64, "kernels": 200, "step": 64, "backward": 64, "load": 64}  # and megabytes that they take
COMPILING = {"compile": 400, "helper": 500}


@dataclass(frozen=True)
class Limit:
    """Where a process is limited, and to how many bytes: in all (``start``), or from that stage on."""

    stage: str
    room: int


@dataclass(frozen=True)
class End:
    """How a process ended: ``kind`` is ok, refused, wrong, hang or the name of a signal; ``where`` and ``text`` tell more."""

    limit: Limit
    kind: str
    where: str
    text: str

    @property
    def is_fatal(self) -> bool:
        """Whether that is an end which no limit may lead to.

        While NumPy is imported, its OpenBLAS ends the process ("Memory allocation still failed after 10 retries"), by
        ``exit(1)`` or SIGINT; and Python's own import may raise a SystemError.
        """
        is_foreign = self.where == "import" or (self.where == "import numgrad" and "SystemError" in self.text)
        return self.kind not in ("ok", "refused") and not is_foreign


class Trial:
    """A full store and a checkpoint in a folder of their own, and processes that use them under a limit."""

    def __init__(self, folder: Path, threads: int = 4) -> None:
        self._folder = folder
        self._settings = {
            "NUMGRAD_KERNEL_STORE": str(folder / "store"),
            "NUMGRAD_NUM_THREADS": str(threads),
            "NUMGRAD_COMPILE_JOBS": "2",
            "NUMGRAD_DEBUG": None,
        }
        live = store.folder()
        if live is not None:  # what this process's store has need not be compiled again
            unfinished = shutil.ignore_patterns(".claim-*", ".numgrad-new-*")
            shutil.copytree(live, folder / "store" / live.name, ignore=unfinished)
        filled = self.run(Limit("", 0), fill=True, timeout=600)
        if filled.kind != "ok":
            raise RuntimeError(f"without a limit: {filled}")

    def peak(self) -> int:
        """Bytes of address space that the whole takes."""
        return int(self.run(Limit("", 0), timeout=600).text)

    def run(self, limit: Limit, fill: bool = False, timeout: float = 120) -> End:
        """One process under a limit."""
        task = {"stage": limit.stage, "room": limit.room, "fill": fill, "file": str(self._folder / "state.pth")}
        settings = dict(self._settings)
        if limit.stage in COMPILING:
            settings["NUMGRAD_KERNEL_STORE"] = str(self._folder / f"empty-{limit.stage}-{limit.room}")
        try:
            done = processes.run(CHILD, json.dumps(task), timeout=timeout, **settings)
        except subprocess.TimeoutExpired as late:
            return End(limit, "hang", _told(late.stdout)[-1].get("stage", "start"), _last(late.stderr))
        told = _told(done.stdout)
        where = told[-1].get("stage", "start")
        if done.returncode < 0:
            return End(limit, signal.Signals(-done.returncode).name, where, _last(done.stderr))
        errors = [entry for entry in told if "error" in entry]
        if done.returncode or (where != "exit" and not errors):
            return End(limit, "wrong", where, _last(done.stderr))
        if errors:
            return End(limit, "refused", errors[0]["stage"], f"{errors[0]['error']}: {errors[0]['text']}")
        return End(limit, "ok", where, str(told[-1]["peak"]))


def _told(output: str | bytes | None) -> list[dict[str, str]]:
    text = output.decode() if isinstance(output, bytes) else output or ""
    return [json.loads(line) for line in text.splitlines()] or [{}]


def _last(output: str | bytes | None) -> str:
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    return " | ".join(text.splitlines()[-3:])


def limits(count: int, peak: int, stage: str | None = None) -> Iterator[Limit]:
    """So many limits: a third in all, up to 1.2 times the peak, and the others in each stage; or all in one; spread evenly."""
    shares = (
        {stage: count}
        if stage
        else {"start": count - 2 * count // 3, **{stage: 2 * count // 3 // len(STAGES) for stage in STAGES}}
    )
    shares[stage or "kernels"] += count - sum(shares.values())
    for name, share in shares.items():
        low, high = (30 * MB, peak * 6 // 5) if name == "start" else (0, (STAGES | COMPILING)[name] * MB)
        for index in range(share):
            yield Limit(name, low + (high - low) * index // max(share - 1, 1))


def table(ends: Sequence[End]) -> str:
    """How many ended in which way, where, and between which limits, with a message for each."""
    rows: dict[tuple[str, ...], list[End]] = collections.defaultdict(list)
    for end in ends:
        error = end.text.partition(":")[0] if end.kind == "refused" else ""
        rows[end.limit.stage, end.kind, end.where, error].append(end)
    lines = [f"{'':4} {'limited at':14} {'end':8} {'in':14} {'error':12} room, MB"]
    for (stage, kind, where, error), group in rows.items():
        span = f"{min(end.limit.room for end in group) // MB}-{max(end.limit.room for end in group) // MB}"
        example = "" if kind == "ok" else " ".join(group[0].text[:150].split())
        lines.append(f"{len(group):4} {stage:14} {kind:8} {where:14} {error:12} {span:9} {example}")
    return "\n".join(lines)


def main() -> None:
    """Run as many values as the command line says; exit code 1 if one ended as none may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=400)
    parser.add_argument("--stage", choices=("start", *STAGES, *COMPILING), help="limit this stage alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        peak = trial.peak()
        print(f"without a limit: {peak // MB} MB", flush=True)
        ends = []
        for limit in limits(args.values, peak, args.stage):
            ends.append(trial.run(limit))
            if ends[-1].is_fatal:
                print(ends[-1], flush=True)
        print(table(ends))
    sys.exit(any(end.is_fatal for end in ends))


if __name__ == "__main__":
    main()
