"""Rows of the loss of sequences whose alignment is not known."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.rows import bad, constant, good, normal, together

# Two sequences of five steps: one of three labels, two of them equal, and one of one label in four steps.
LABELS = constant([[0, 1, 0, 1, 0, 3, 0], [0, 2, 0, 0, 0, 0, 0]], "int64")
LENGTHS = constant([[5, 3], [4, 1]], "int64")


def _with_paths(rng: np.random.Generator) -> tuple[Any, ...]:
    """Scores, and what `ctc_loss` gives for them: by sums of probabilities."""
    scores, labels, lengths = rng.normal(size=(5, 2, 4)), LABELS(rng), LENGTHS(rng)
    alpha, loss = np.full((2, 5, 7), -np.inf), np.zeros(2)
    for n, (steps, count) in enumerate(lengths):
        row, states = labels[n], 2 * count + 1
        for t in range(steps):
            for s in range(states):
                skip = s > 1 and row[s] != row[s - 2]
                before = alpha[n, t - 1, max(0, s - 1 - skip) : s + 1] if t else [0.0 if s < 2 else -np.inf]
                alpha[n, t, s] = np.logaddexp.reduce(before) + scores[t, n, row[s]]
        loss[n] = -np.logaddexp.reduce(alpha[n, steps - 1, states - 2 : states])
    return scores, labels, lengths, loss, alpha


good("ctc_loss", "two sequences", normal(5, 2, 4), LABELS, LENGTHS)
good("ctc_loss", "no labels", normal(3, 1, 2), constant([[0]], "int64"), constant([[3, 0]], "int64"))
good(
    "ctc_loss",
    "impossible",
    normal(1, 1, 2),
    constant([[0, 1, 0, 1, 0]], "int64"),
    constant([[1, 2]], "int64"),
    smooth=False,
)
good("ctc_loss", "no steps", normal(0, 2, 4), LABELS, constant([[0, 0], [0, 0]], "int64"), smooth=False)
good(
    "ctc_loss",
    "no sequences",
    normal(3, 0, 2),
    constant(np.zeros((0, 3)), "int64"),
    constant(np.zeros((0, 2)), "int64"),
)
good("ctc_backward_shares", "two sequences", together(_with_paths), fixed=(3, 4))
for name, further in (("ctc_loss", ()), ("ctc_backward_shares", (normal(2), normal(2, 5, 7)))):
    bad(
        name,
        "shapes",
        normal(5, 2),
        LABELS,
        LENGTHS,
        *further,
        error=RuntimeError,
        match=r"expected log_probs \[T, N, C\]",
    )
    bad(
        name,
        "lengths",
        normal(5, 2, 4),
        LABELS,
        constant([[6, 3], [4, 1]], "int64"),
        *further,
        error=IndexError,
        match="beyond",
    )
    bad(name, "labels", normal(5, 2, 3), LABELS, LENGTHS, *further, error=IndexError, match="sequence 0 has a label")
