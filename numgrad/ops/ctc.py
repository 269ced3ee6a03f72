"""The loss of connectionist temporal classification, whose gradient is the probability of each label at each step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import ShapeError
from numgrad.kernels.ctc import plan_ctc, plan_ctc_shares
from numgrad.ops import rules
from numgrad.ops.creation import arange, full
from numgrad.ops.elementwise import add, bitwise_and, bitwise_or, eq, exp, logaddexp, lt, mul, ne, neg, sub, where
from numgrad.ops.index import gather, scatter_add
from numgrad.ops.joining import cat, stack
from numgrad.ops.layouts import check_floating, contiguous
from numgrad.ops.proofs import prove_dtype, prove_shapes
from numgrad.ops.reduce import sum_
from numgrad.ops.view import expand, permute, reshape, slice_
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_SHAPES = "log_probs [T, N, C], labels [N, S] and lengths [N, 2]"

ctc_loss = Op(
    "ctc_loss",
    ("log_probs", "labels", "lengths"),
    outputs=("loss", "alpha"),
    public=1,
    saves=("log_probs", "labels", "lengths", "loss", "alpha"),
    graph_inputs=(0,),
    doc=f"The loss [N] of {_SHAPES}: of int64, labels with blanks around each, and the numbers of steps and of labels.",
)


def _checked(
    b: PlanBuilder, name: str, log_probs: Operand, labels: Operand, lengths: Operand
) -> tuple[int, int, int, int]:
    """T, N, C and S."""
    check_floating(name, log_probs)
    if log_probs.spec.ndim != 3 or labels.spec.ndim != 2 or not labels.spec.shape[1]:
        raise ShapeError(f"{name}: got {log_probs.spec} and {labels.spec}, expected {_SHAPES}")
    (t, n, c), s = log_probs.spec.shape, labels.spec.shape[1]
    prove_shapes(name, ("labels",), (labels,), (n, s))
    prove_shapes(name, ("lengths",), (lengths,), (n, 2))
    prove_dtype(name, "labels", labels, dtypes.int64)
    prove_dtype(name, "lengths", lengths, dtypes.int64)
    return t, n, c, s


@ctc_loss.plan
def _(b: PlanBuilder, log_probs: Operand, labels: Operand, lengths: Operand) -> None:
    t, n, _, s = _checked(b, "ctc_loss", log_probs, labels, lengths)
    loss, alpha = b.output(log_probs.spec.dtype, (n,)), b.output(log_probs.spec.dtype, (n, t, s))
    scores, labels, lengths = (contiguous(b, each) for each in (log_probs, labels, lengths))
    plan_ctc(b, scores, labels, lengths, loss, alpha)


@ctc_loss.on_status
def _(status, params):
    return IndexError(f"ctc_loss: sequence {status - 1} has a label that is no class, or a length beyond what there is")


@ctc_loss.backward
def _(ctx, grad):
    log_probs, labels, lengths, loss, alpha = ctx.saved
    if ctx.create_graph:
        shares = _shares(log_probs, labels, lengths, loss)
    else:
        shares = ctc_backward_shares(log_probs, labels, lengths, loss, alpha)
    return mul(neg(reshape(grad, (1, grad._spec.shape[0], 1))), shares), None, None


@ctc_loss.jvp
def _(ctx, tangent, *_):
    log_probs, labels, lengths = ctx.inputs
    shares = _shares(log_probs, labels, lengths, ctx.outputs[0])
    return neg(sum_(mul(tangent, shares), dims=(0, 2)))


@ctc_loss.batch
def _(batch, log_probs, labels, lengths):
    loss = ctc_loss(*_joined(batch, log_probs, labels, lengths))
    return rules.unfolded(loss, batch.size)


def _joined(batch: Any, log_probs: Any, *others: Any) -> Any:
    """The sequences of all examples side by side."""
    log_probs, *others = batch.all(log_probs, *others)
    examples, t, n, c = log_probs._spec.shape
    joined = reshape(permute(log_probs, dims=(1, 0, 2, 3)), (t, examples * n, c))
    return joined, *(rules.folded(each) for each in others)


@ctc_loss.oracle
def _(log_probs, labels, lengths):
    losses = np.zeros(labels.shape[0])
    for n, (steps, count) in enumerate(lengths):
        row = labels[n, : 2 * count + 1]
        chance = np.zeros(len(row))
        chance[0] = 1.0  # before the first step, and as if a blank had come before
        for t in range(steps):
            stay, on = chance, np.append(0, chance[:-1])
            skip = np.append([0, 0], chance[:-2])[: len(row)]
            skip = np.where(row != np.append([-1, -1], row[:-2])[: len(row)], skip, 0)
            chance = (stay + on + skip) * np.exp(log_probs[t, n, row])
        total = chance[-2:].sum() if steps or len(row) == 1 else 0.0
        with np.errstate(divide="ignore"):
            losses[n] = -np.log(total)
    return losses


ctc_backward_shares = Op(
    "ctc_backward_shares",
    ("log_probs", "labels", "lengths", "loss", "alpha"),
    graph_inputs=(0,),
    doc="The probability [T, N, C] that the path of a sequence has a label at a step, from what `ctc_loss` gave.",
)


@ctc_backward_shares.plan
def _(b: PlanBuilder, log_probs: Operand, labels: Operand, lengths: Operand, loss: Operand, alpha: Operand) -> None:
    name = "ctc_backward_shares"
    t, n, c, s = _checked(b, name, log_probs, labels, lengths)
    prove_shapes(name, ("loss",), (loss,), (n,))
    prove_shapes(name, ("alpha",), (alpha,), (n, t, s))
    prove_dtype(name, "loss", loss, log_probs.spec.dtype)
    prove_dtype(name, "alpha", alpha, log_probs.spec.dtype)
    scores, labels, lengths = (contiguous(b, each) for each in (log_probs, labels, lengths))
    shares = b.output(log_probs.spec.dtype, (t, n, c))
    plan_ctc_shares(b, scores, labels, lengths, contiguous(b, loss), contiguous(b, alpha), shares)


@ctc_backward_shares.on_status
def _(status, params):
    return IndexError(f"ctc_loss: sequence {status - 1} has a label that is no class, or a length beyond what there is")


@ctc_backward_shares.batch
def _(batch, log_probs, labels, lengths, loss, alpha):
    shares = ctc_backward_shares(*_joined(batch, log_probs, labels, lengths, loss, alpha))
    t, _, c = shares._spec.shape
    return permute(reshape(shares, (t, batch.size, shares._spec.shape[1] // batch.size, c)), dims=(1, 0, 2, 3))


@ctc_backward_shares.oracle
def _(log_probs, labels, lengths, loss, alpha):
    shares = np.zeros_like(log_probs)
    for n, (steps, count) in enumerate(lengths):
        row = labels[n, : 2 * count + 1]
        chance = np.zeros(len(row))  # of the steps to come, from each state
        chance[-2:] = 1.0
        for t in reversed(range(0 if loss[n] == math.inf else steps)):
            np.add.at(shares[t, n], row, np.exp(alpha[n, t, : len(row)] + loss[n]) * chance)
            chance = chance * np.exp(log_probs[t, n, row])
            skip = np.where(row[2:] != row[:-2], chance[2:], 0)
            chance = chance + np.append(chance[1:], 0) + np.append(skip, [0, 0])[: len(row)]
    return shares


# ---- the same by ops, which have derivatives --------------------------------------------------------------------

_LOW = -1e30  # for what is impossible: sums and differences of it are numbers


def _moved(x: Any, by: int, value: Any) -> Any:
    """The states moved by some places, with a value for those that come in."""
    n, s = x._spec.shape
    by = max(-s, min(s, by))
    margin = full(size=(n, abs(by)), value=value, dtype=x._spec.dtype)
    kept = slice_(x, starts=(0, max(0, -by)), steps=(1, 1), sizes=(n, s - abs(by)))
    return cat(margin, kept, dim=1) if by > 0 else cat(kept, margin, dim=1)


def _shares(log_probs: Any, labels: Any, lengths: Any, loss: Any) -> Any:
    """The probabilities of `ctc_backward_shares`, with one row of states after the other."""
    (t, n, c), s = log_probs._spec.shape, labels._spec.shape[1]
    dtype = log_probs._spec.dtype

    def number(value: float, kind: Any = dtype) -> Any:
        return full(size=(), value=value, dtype=kind)

    low = number(_LOW)
    index = expand(reshape(labels, (1, n, s)), size=(t, n, s))
    scores = gather(log_probs, index, dim=2)
    scores = where(eq(scores, number(-math.inf)), low, scores)
    rows = [reshape(row, (n, s)) for row in _steps(scores)]
    steps, counts = (slice_(lengths, starts=(0, k), steps=(1, 1), sizes=(n, 1)) for k in (0, 1))
    states = arange(start=0, step=1, count=s, dtype=dtypes.int64)
    skips = ne(labels, _moved(labels, 2, -1))
    last = mul(counts, number(2, dtypes.int64))
    is_first = lt(states, number(2, dtypes.int64))
    is_last = bitwise_or(eq(states, last), eq(states, sub(last, number(1, dtypes.int64))))

    def swept(before: Any, row: Any, way: int, may_skip: Any) -> Any:
        total = logaddexp(before, _moved(before, way, _LOW))
        total = logaddexp(total, where(may_skip, _moved(before, 2 * way, _LOW), low))
        return add(total, row)

    alphas = [where(is_first, rows[0], low)] if t else []
    for row in rows[1:]:
        alphas.append(swept(alphas[-1], row, 1, skips))
    skips_back = _moved(skips, -2, False)
    beta, shares = full(size=(n, s), value=_LOW, dtype=dtype), []
    for position in reversed(range(t)):
        row, at = rows[position], number(position + 1, dtypes.int64)
        beta = where(eq(steps, at), where(is_last, row, low), swept(beta, row, -1, skips_back))
        path = add(sub(add(alphas[position], beta), row), reshape(loss, (n, 1)))
        inside = bitwise_and(lt(sub(at, number(1, dtypes.int64)), steps), reshape(lt(loss, number(math.inf)), (n, 1)))
        shares.append(where(inside, exp(where(inside, path, low)), number(0.0)))
    if not shares:
        return full(size=(t, n, c), value=0.0, dtype=dtype)
    return scatter_add(full(size=(t, n, c), value=0.0, dtype=dtype), index, stack(*reversed(shares), dim=0), dim=2)


def _steps(scores: Any) -> list[Any]:
    t, n, s = scores._spec.shape
    return [slice_(scores, starts=(k, 0, 0), steps=(1, 1, 1), sizes=(1, n, s)) for k in range(t)]
