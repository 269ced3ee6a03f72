"""Run plan functions over NumPy arrays, with no Tensor in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.layout import Spec, spec_of
from numgrad.runtime import threads
from numgrad.runtime.plan import PlanBuilder

MANY = 16  # threads: more than work is cut into pieces for where few would do


def spec_of_array(array: np.ndarray) -> Spec:
    """The spec of an array (strides of extents of 1 are taken as NumPy gives them)."""
    strides = tuple(stride // array.itemsize for stride in array.strides)
    return spec_of(dtypes.from_numpy_dtype(array.dtype), array.shape, strides)


def run(
    planner: Callable[..., Any], *inputs: np.ndarray | None, counts: Sequence[int] = (0,), status: int = 0
) -> list[np.ndarray]:
    """Plan with ``planner(builder, *operands)``, run, and give the outputs (views and in-place outputs left out).

    The plan runs once for each number of threads in ``counts`` (0: as it is), and with `MANY` where there are several; the
    bits must agree.
    """
    counts = (*counts, MANY) if len(counts) > 1 else counts
    specs = tuple(None if x is None else spec_of_array(x) for x in inputs)
    before = threads.get_num_threads()
    saved = [None if x is None else x.copy() for x in inputs]
    first: list[np.ndarray] | None = None
    try:
        for count in counts:
            if count:
                threads.set_num_threads(count)
            if first is not None:
                for x, old in zip(inputs, saved, strict=True):
                    if x is not None and x.flags.writeable:
                        x[...] = old
            builder = PlanBuilder(specs)
            planner(builder, *builder.inputs)
            plan = builder.finish()
            results = [np.full(o.spec.extent, 77).astype(o.spec.dtype.numpy) for o in plan.outputs if o.source is None]
            addresses = [0 if x is None else x.ctypes.data for x in inputs] + [r.ctypes.data for r in results]
            got = plan.run(addresses) if plan.program else 0
            assert got == status
            arrays = [
                np.lib.stride_tricks.as_strided(r, o.spec.shape, [s * r.itemsize for s in o.spec.strides])
                for r, o in zip(results, [o for o in plan.outputs if o.source is None], strict=True)
            ]
            everything = arrays + [x.copy() for x in inputs if x is not None]
            if first is None:
                first, kept = arrays, everything
            else:
                for a, b in zip(kept, everything, strict=True):
                    assert a.tobytes() == b.tobytes(), f"other bits with {count} threads"
    finally:
        threads.set_num_threads(before)
    assert first is not None
    return first
