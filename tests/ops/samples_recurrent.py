"""Rows of recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.registry import find
from tests.ops.rows import Arrays, Rng, bad, good, normal, together

GATES = {"lstm_layer": 4, "gru_layer": 3, "rnn_layer": 1}


def shapes(
    op: str, sizes: tuple[int, ...], features: int, width: int, bias: bool = True
) -> list[tuple[int, ...] | None]:
    """Shapes of the inputs."""
    rows, states = GATES[op] * width, 1 + (op == "lstm_layer")
    biases: list[tuple[int, ...] | None] = [(rows,), (width,)] if op == "gru_layer" else [(rows,)]
    return [
        (sum(sizes), features), (rows, features), (rows, width), *(biases if bias else [None] * len(biases)),
        *([(sizes[0], width)] * states),
    ]  # fmt: skip


def inputs(op: str, *args: Any, **kwargs: Any) -> list[Any]:
    """Factories of the inputs."""
    return [None if shape is None else normal(*shape, scale=0.5) for shape in shapes(op, *args, **kwargs)]


for op in GATES:
    for label, sizes, reverse, more in (
        ("packed", (3, 2, 2, 1), False, {}),
        ("packed backwards", (3, 2, 2, 1), True, {}),
        ("no bias", (2, 2), False, {"bias": False}),
        ("one step", (2,), False, {}),
        ("no rows", (0, 0), False, {}),
    ):
        params = {"batch_sizes": sizes, "reverse": reverse}
        good(op, label, *inputs(op, sizes, 2, 3, **more), params=params)
    params = {"batch_sizes": (19, 19, 11), "reverse": True}
    good(op, "blocks", *inputs(op, (19, 19, 11), 7, 270), params=params, small=False, tolerance=20)
good("rnn_layer", "relu", *inputs("rnn_layer", (3, 2), 2, 3), params={"nonlinearity": "relu", "batch_sizes": (3, 2)})


def saved(op: str, sizes: tuple[int, ...], reverse: bool) -> together:
    """Gradients, and what the forward saves for the backward: outputs by the oracle, gates anyhow between 0 and 1."""

    def make(rng: Rng) -> Arrays:
        given = [None if s is None else rng.normal(size=s) / 2 for s in shapes(op, sizes, 2, 3)]
        params = {**find(op).defaults._asdict(), "batch_sizes": sizes, "reverse": reverse}
        results = find(op).oracle_function(*given, **params)
        outs = list(results) if isinstance(results, tuple) else [results]
        gates = [] if op == "rnn_layer" else [rng.uniform(0.1, 0.9, (sum(sizes), 12))]
        grads = [rng.normal(size=out.shape) for out in outs]
        return (*grads, given[2], *given[-len(outs) :], *outs, *gates)

    return together(make)


for op in GATES:
    for label, sizes, reverse in (
        ("packed", (3, 2, 2, 1), False),
        ("backwards", (3, 2, 1), True),
        ("alike", (2, 2), False),
    ):
        params = {"batch_sizes": sizes, "reverse": reverse}
        good(f"{op}_backward", label, saved(op, sizes, reverse), params=params)
good(
    "lstm_layer_backward", "no cells",
    together(lambda rng: tuple(None if n == 1 else x for n, x in enumerate(saved("lstm_layer", (2, 2), False).function(rng)))),
    params={"batch_sizes": (2, 2)},
)  # fmt: skip

for op in GATES:
    bad(
        op, "batch_sizes", *inputs(op, (3, 2), 2, 3), params={"batch_sizes": (2, 3)},
        error=RuntimeError, match=f"{op}: batch_sizes are .2, 3., expected at least one, in decreasing order",
    )  # fmt: skip
    bad(
        op, "rows", *inputs(op, (3, 2), 2, 3), params={"batch_sizes": (3, 1)},
        error=RuntimeError, match=f"{op}: input has shape .5, 2., expected .4, 2.",
    )  # fmt: skip
    bad(
        op, "dtypes", lambda rng: np.ones((5, 2), np.float32), *inputs(op, (3, 2), 2, 3)[1:], params={"batch_sizes": (3, 2)},
        error=NotImplementedError, match=f"{op}: input is of numgrad.float32, expected numgrad.float64",
    )  # fmt: skip
    bad(
        op, "no width", *inputs(op, (3, 2), 2, 0), params={"batch_sizes": (3, 2)},
        error=RuntimeError, match=f"{op}: hidden is .*expected shape",
    )  # fmt: skip
bad(
    "rnn_layer", "nonlinearity", *inputs("rnn_layer", (3, 2), 2, 3), params={"nonlinearity": "sin", "batch_sizes": (3, 2)},
    error=ValueError, match="rnn_layer: nonlinearity is 'sin', expected 'tanh' or 'relu'",
)  # fmt: skip
