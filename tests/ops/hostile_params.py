"""Every op, called by itself, with hostile parameters and operands: ``python -m tests.ops.hostile_params [OP ...]``.

Public functions check their arguments, but whoever has the registry can call an op without them, so each plan proves what
its kernels rely on. The calls are mutations of the samples: a parameter replaced, an operand of another shape, dtype or
layout, too few or too many of them. Each is named before it is made, so that a crash names its call.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

import numgrad as ng
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS, Op
from tests.ops.applying import tensors
from tests.ops.samples import SAMPLES
from tests.ops.samples_elementwise import EVERY_FORM

REFUSALS = (TypeError, ValueError, RuntimeError, IndexError, MemoryError)
MEMORY = 5 << 30  # bytes of address space: what asks for more gets a MemoryError
SECONDS = 20  # for one call; a kernel may have to be compiled
HOSTILE_INTS = (-1, -7, 0, 1, 2, 3, 7, 2**31, 2**40, 2**62, 2**63, -(2**63), 2**64)
OTHERS = (None, True, 1.0, 2.5, float("nan"), float("inf"), "2", Fraction(4, 2), np.int64(2), (), (0, 0), (1,) * 9, b"")
# Ops over tables of addresses: what is behind an address cannot be proved, and `tensor.updates` makes the tables.
ADDRESSES = tuple(name for name, op in OPS.items() if isinstance(op, ng.ops.update.Update))


def hostile_values(value: Any) -> Iterator[Any]:
    """What a parameter of this value is replaced by."""
    if isinstance(value, bool) or value is None or isinstance(value, (str, float, ng.dtype)):
        yield from OTHERS
        yield from (2**63, -1)
    elif isinstance(value, tuple):
        yield from OTHERS
        yield 3
        yield value[:-1]
        yield (*value, 1)
        yield value + value
        for place, item in enumerate(value):
            for other in hostile_values(item):
                yield (*value[:place], other, *value[place + 1 :])
    else:
        yield from HOSTILE_INTS
        yield from OTHERS
        if isinstance(value, int):
            yield from (value + 1, value - 1)


def hostile_operands(x: Any) -> Iterator[Any]:
    """What an operand is replaced by."""
    yield from (None, 3, 2.5, "x", object.__new__(ng.Tensor))
    if x is None:
        yield from (ng.ones(2, 3), ng.ones(3), ng.ones(()), ng.arange(4), ng.ones(0))
        return
    shape = tuple(x.shape)
    for dtype in (ng.float32, ng.float64, ng.int64, ng.int32, ng.uint8, ng.bool):
        if dtype is not x.dtype:
            yield x.to(dtype)
    for axis, extent in enumerate(shape):
        for other in {0, 1, extent - 1, extent + 1, 2 * extent}:
            if other >= 0 and other != extent:
                yield ng.ones((*shape[:axis], other, *shape[axis + 1 :]), dtype=x.dtype)
    yield ng.ones((1, *shape), dtype=x.dtype)
    yield ng.ones((*shape, 1), dtype=x.dtype)
    yield ng.ones((), dtype=x.dtype)
    yield ng.ones((0,), dtype=x.dtype)
    yield ng.ones((1,) * len(shape), dtype=x.dtype).expand(shape)
    if x.dtype in (ng.int64, ng.int32):
        yield x + 2**20
        yield x - 2**20
        yield ng.full(shape, np.iinfo(x.dtype.numpy).max, dtype=x.dtype)
        yield ng.full(shape, np.iinfo(x.dtype.numpy).min, dtype=x.dtype)


def calls(op: Op) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Mutated calls of an op: what is other than in the sample, the operands, the parameters."""
    seen = set()
    for sample in SAMPLES[op.name]:
        signature = tuple((x.shape, x.dtype.str) if x is not None else None for x in sample.arrays("float32"))
        if not sample.small or len(signature) > 8 or len(seen) >= 3 or (signature, str(sample.params)) in seen:
            continue
        seen.add((signature, str(sample.params)))
        inputs = tuple(tensors(sample.arrays("float32")))
        values = op.Params(**sample.params)._asdict()
        for name, value in values.items():
            for other in hostile_values(value):
                yield f"{sample} {name}={other!r}", inputs, {**values, name: other}
        for place, x in enumerate(inputs):
            for other in hostile_operands(x):
                what = (
                    f"{other.dtype} {list(other.shape)} {other.stride()}" if hasattr(other, "_spec") else repr_of(other)
                )
                yield f"{sample} input {place}: {what}", (*inputs[:place], other, *inputs[place + 1 :]), values
        for count in range(len(inputs)):
            yield f"{sample} {count} inputs", inputs[:count], values
        yield f"{sample} one more input", (*inputs, ng.ones(2, 3)), values


def planned_alone() -> list[str]:
    """All ops; of the elementwise ones, which have one plan for all and kernels of their own, those that show its every form."""
    ops = set(SAMPLES) & set(OPS) - set(ADDRESSES)
    return sorted(name for name in ops if not isinstance(OPS[name], Elementwise) or name in EVERY_FORM)


def repr_of(value: Any) -> str:
    """A text for what may be no working object."""
    return "a tensor without content" if isinstance(value, ng.Tensor) else repr(value)


def fault(op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> str | None:
    """What is wrong with a call, if something is: an exception of a class that is none of the documented ones."""
    inputs = tuple(x.clone() if hasattr(x, "_spec") and op.name.endswith("_") else x for x in inputs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            op(*inputs, **params)
    except REFUSALS as error:
        return f"{type(error).__name__}: {error}" if "out of bounds in one of" in str(error) else None
    except TimeoutError:
        return f"it takes more than {SECONDS} seconds"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _too_long(*_: Any) -> None:
    raise TimeoutError


def main(names: list[str], log: str | None = None) -> int:
    """Make all calls of these ops; prints what is wrong and returns how often that was."""
    faults, count, begin = 0, 0, time.monotonic()
    signal.signal(signal.SIGALRM, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    record = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if log else None
    for name in names or planned_alone():
        for text, inputs, params in calls(OPS[name]):
            if record is not None:
                os.pwrite(record, f"{text[:500]:<512}".encode(), 0)
            signal.alarm(SECONDS)
            wrong = fault(OPS[name], inputs, params)
            signal.alarm(0)
            count += 1
            if wrong is not None:
                faults += 1
                print(f"{text}: {wrong[:300]}", flush=True)
    print(f"{count} calls, {faults} faults, {time.monotonic() - begin:.0f} s", flush=True)
    return faults


if __name__ == "__main__":
    sys.exit(min(1, main([name for name in sys.argv[1:] if "=" not in name], os.environ.get("NUMGRAD_HOSTILE_LOG"))))
