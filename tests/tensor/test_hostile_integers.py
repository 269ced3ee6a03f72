"""Sizes, positions, steps, counts and seeds of every kind: what is no int, or too large a one, is refused or exact."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import numgrad as ng

# Calls that ended the process, or left it with tensors of wrong extents.
REPORTED = """
ng.arange(10.0).select(0, 10 / 2) + 1
ng.arange(10.0).narrow(0, 1.0, 3)
ng.arange(10.0).split([2.0, 8.0])
ng.arange(10.0).select(0, ng.tensor(5.0))
ng.arange(10.0).select(0, Fraction(4, 2))
ng.arange(10.0).select(0, np.float16(2))
ng.arange(16.0).narrow(0, 2, np.int64(2**63 - 1)).fill_(7)
ng.linspace(0, 1, np.int32(600_000_000))
ng.randperm(np.int64(2**61))
ng.nn.functional.adaptive_avg_pool2d(ng.ones(1, 1, 4, 4), (np.int64(2**31),) * 2)
ng.arange(17.0).narrow(0, 1, 13.0)
ng.ones(3).expand(-7, 3)
ng.zeros(0).view(-2, 0)
""".strip().splitlines()


def test_the_calls_of_the_report_are_refused() -> None:
    """One after the other in a process that may end, which then has said by which of them."""
    text = f"""
import resource, numpy as np, numgrad as ng
from fractions import Fraction
resource.setrlimit(resource.RLIMIT_AS, ({2 << 30}, {2 << 30}))  # less than the largest of them takes
for call in {REPORTED!r}:
    print(call, end=": ", flush=True)
    try:
        print("made", tuple(eval(call).shape), flush=True)
    except (TypeError, RuntimeError, IndexError, ValueError, MemoryError):
        print("refused", flush=True)
    sizes = ng.zeros(13).shape + ng.ones(2, 13).shape
    assert all(type(n) is int for n in sizes), sizes
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    ends = dict(line.rsplit(": ", 1) for line in done.stdout.splitlines())
    assert list(ends) == REPORTED
    assert set(ends.values()) == {"refused"}


class Two:
    """An int by ``__index__`` alone."""

    def __index__(self) -> int:
        return 2


INTS = (2, np.int64(2), np.int8(2), np.uint64(2), Two())
NO_INTS = (2.0, np.float16(2), np.float64(2), Fraction(4, 2), "2", b"2", 2j)

POSITIONS = {  # a function of one integer, and what it gives for 2
    "narrow start": lambda n: ng.arange(10.0).narrow(0, n, 3).tolist() == [2, 3, 4],
    "narrow length": lambda n: ng.arange(10.0).narrow(0, 1, n).tolist() == [1, 2],
    "select": lambda n: ng.arange(10.0).select(0, n).item() == 2,
    "split": lambda n: len(ng.arange(10.0).split(n)) == 5,
    "split sizes": lambda n: len(ng.arange(4.0).split([n, n])) == 2,
    "chunk": lambda n: len(ng.arange(10.0).chunk(n)) == 2,
    "dim": lambda n: ng.ones(2, 3, 4).sum(n).shape == (2, 3),
    "dims": lambda n: ng.ones(2, 3, 4).sum((0, n)).shape == (3,),
    "unsqueeze": lambda n: ng.ones(3, 4).unsqueeze(n).shape == (3, 4, 1),
    "transpose": lambda n: ng.ones(2, 3, 4).transpose(0, n).shape == (4, 3, 2),
    "permute": lambda n: ng.ones(2, 3, 4).permute(n, 0, 1).shape == (4, 2, 3),
    "flatten": lambda n: ng.ones(2, 3, 4).flatten(1, n).shape == (2, 12),
    "cat": lambda n: ng.cat([ng.ones(1, 1, 2)] * 2, n).shape == (1, 1, 4),
    "stack": lambda n: ng.stack([ng.ones(1, 3)] * 2, n).shape == (1, 3, 2),
    "unbind": lambda n: len(ng.ones(1, 2, 3).unbind(n)) == 3,
    "zeros": lambda n: ng.zeros(n, 3).shape == (2, 3),
    "zeros of a tuple": lambda n: ng.zeros((n, 3)).shape == (2, 3),
    "full": lambda n: ng.full((n,), 1.0).shape == (2,),
    "view": lambda n: ng.zeros(6).view(n, 3).shape == (2, 3),
    "reshape": lambda n: ng.zeros(6).reshape(n, -1).shape == (2, 3),
    "expand": lambda n: ng.zeros(1, 3).expand(n, 3).shape == (2, 3),
    "eye": lambda n: ng.eye(n).shape == (2, 2),
    "linspace": lambda n: ng.linspace(0, 1, n).tolist() == [0, 1],
    "randperm": lambda n: sorted(ng.randperm(n).tolist()) == [0, 1],
    "rand": lambda n: ng.rand(n, 2).shape == (2, 2),
    "randint": lambda n: ng.randint(0, 5, (n,)).shape == (2,),
    "index": lambda n: ng.arange(5.0)[n].item() == 2,
    "slice": lambda n: ng.arange(5.0)[n:].tolist() == [2, 3, 4],
    "slice step": lambda n: ng.arange(5.0)[::n].tolist() == [0, 2, 4],
    "pad": lambda n: ng.nn.functional.pad(ng.ones(1), (n, 0)).shape == (3,),
    "layer_norm": lambda n: ng.nn.functional.layer_norm(ng.ones(3, 2), (n,)).shape == (3, 2),
    "max_pool2d": lambda n: ng.nn.functional.max_pool2d(ng.ones(1, 1, 4, 4), n).shape == (1, 1, 2, 2),
    "adaptive_avg_pool2d": lambda n: ng.nn.functional.adaptive_avg_pool2d(ng.ones(1, 1, 4, 4), n).shape[2] == 2,
    "conv2d stride": lambda n: ng.conv2d(ng.ones(1, 1, 4, 4), ng.ones(1, 1, 1, 1), stride=n).shape[2] == 2,
    "conv2d padding": lambda n: ng.conv2d(ng.ones(1, 1, 4, 4), ng.ones(1, 1, 1, 1), padding=n).shape[2] == 8,
    "conv2d groups": lambda n: ng.conv2d(ng.ones(1, 2, 4, 4), ng.ones(2, 1, 1, 1), groups=n).shape[1] == 2,
    "seed": lambda n: ng.Generator().manual_seed(n).initial_seed() == 2,
}  # fmt: skip


@pytest.mark.parametrize("name", POSITIONS)
def test_what_is_an_int_by_its_index_is_one(name: str) -> None:
    for value in INTS if name != "seed" else INTS[:-1]:  # which is an int of Python or NumPy, as in torch
        assert POSITIONS[name](value), repr(value)


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("value", NO_INTS, ids=repr)
def test_what_is_no_int_is_refused(name: str, value: Any) -> None:
    with pytest.raises((TypeError, IndexError, RuntimeError)):
        POSITIONS[name](value)


ANY = ("chunk", "split", "conv2d stride", "slice step", "slice")  # more than there is of it is all of it


@pytest.mark.parametrize("name", sorted(POSITIONS.keys() - set(ANY)))
@pytest.mark.parametrize(
    "value", [2**62, 2**63 - 1, 2**63, 2**64, 2**70, -(2**63), -(2**70), np.int64(2**63 - 1)], ids=str
)
def test_what_is_out_of_range_is_refused(name: str, value: Any) -> None:
    if name == "seed" and -(2**63) <= value < 2**64:
        return  # any 64 bits are a seed
    with pytest.raises((TypeError, ValueError, IndexError, RuntimeError, MemoryError)):
        POSITIONS[name](value)
