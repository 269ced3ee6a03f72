"""Connectionist temporal classification: the probability of a sequence of labels over all its alignments with the steps.

The labels come spread, with blanks around them: S = 2 L + 1 states. All sums are of logarithms. A unit of work is a sequence.
"""

from __future__ import annotations

import math

from numgrad.kernels.vector_math import exp, log1p
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import STATUS, Operand, PlanBuilder

_COST = 60  # of a state, in elementary operations


@device
def add_logs(a, b):
    """log(exp(a) + exp(b))."""
    low, high = min(a, b), max(a, b)
    if low == -math.inf:
        return high
    return high + log1p(exp(low - high))


@device
def can_skip(labels, s):
    """Whether a path may come to state s from the one before the last: between different labels the blank may be left out."""
    return labels[s] != labels[s - 2]


@device
def is_sound(labels, steps, states, classes, most_steps):
    """Whether nothing out of bounds would be read."""
    if steps < 0 or steps > most_steps or states < 1 or states > labels.shape[0]:
        return False
    sound = True
    for s in range(states):
        sound = sound and 0 <= labels[s] < classes
    return sound


@kernel("T[:, :, :], i8[:, :], i8[:, :], T[:], T[:, :, :], i8[:]")
def ctc_forward(scores, labels, lengths, loss, alpha, status, start, stop):
    """alpha[n, t, s]: the logarithm of the probability of all paths that are in state s at step t."""
    for n in range(start, stop):
        steps, states = lengths[n, 0], 2 * lengths[n, 1] + 1
        if not is_sound(labels[n], steps, states, scores.shape[2], scores.shape[0]):
            status[0] = 1 + n
            continue
        own = labels[n, :states]
        for t in range(steps):
            now, row = alpha[n, t], scores[t, n]
            for s in range(states):
                if t == 0:
                    total = loss.dtype.type(0.0) if s < 2 else loss.dtype.type(-math.inf)
                else:
                    before = alpha[n, t - 1]
                    total = before[s]
                    if s > 0:
                        total = add_logs(total, before[s - 1])
                    if s > 1 and can_skip(own, s):
                        total = add_logs(total, before[s - 2])
                now[s] = total + row[own[s]]
        if steps == 0:
            loss[n] = 0.0 if states == 1 else math.inf
        else:
            last = alpha[n, steps - 1]
            total = last[states - 1]
            if states > 1:
                total = add_logs(total, last[states - 2])
            loss[n] = -total


@kernel("T[:, :, :], i8[:, :], i8[:, :], T[:], T[:, :, :], T[:], T[:, :, :], i8[:]")
def ctc_shares(scores, labels, lengths, loss, alpha, room, shares, status, start, stop, worker):
    """shares[t, n, c]: the probability that the path has label c at step t, given the sequence. ``room``: 2 S a worker."""
    count = labels.shape[1]
    beta = room[worker * 2 * count : worker * 2 * count + count]
    after = room[worker * 2 * count + count : (worker + 1) * 2 * count]
    for n in range(start, stop):
        steps, states = lengths[n, 0], 2 * lengths[n, 1] + 1
        for t in range(shares.shape[0]):
            for c in range(shares.shape[2]):
                shares[t, n, c] = 0.0
        if not is_sound(labels[n], steps, states, scores.shape[2], scores.shape[0]):
            status[0] = 1 + n
            continue
        own = labels[n, :states]
        if loss[n] == math.inf:  # no path is possible
            continue
        for back in range(steps):
            t = steps - 1 - back
            row, share = scores[t, n], shares[t, n]
            for s in range(states):
                after[s] = beta[s]
            for s in range(states):
                if back == 0:
                    total = loss.dtype.type(0.0) if s >= states - 2 else loss.dtype.type(-math.inf)
                else:
                    total = after[s]
                    if s + 1 < states:
                        total = add_logs(total, after[s + 1])
                    if s + 2 < states and can_skip(own, s + 2):
                        total = add_logs(total, after[s + 2])
                beta[s] = total + row[own[s]]
                if total > -math.inf and alpha[n, t, s] > -math.inf:
                    share[own[s]] += exp(alpha[n, t, s] + total + loss[n])


def plan_ctc(b: PlanBuilder, scores: Operand, labels: Operand, lengths: Operand, loss: Operand, alpha: Operand) -> None:
    """loss [N] and alpha [N, T, S] of scores [T, N, C], labels [N, S] and lengths [N, 2]: of steps and of labels; contiguous."""
    (t, n, c), s = scores.spec.shape, labels.spec.shape[1]
    b.launch(
        ctc_forward, scores.array(t, n, c), labels.array(n, s), lengths.array(n, 2), loss.array(n), alpha.array(n, t, s),
        STATUS, work=n, grain=1, cost=n * t * s * _COST,
    )  # fmt: skip


def plan_ctc_shares(
    b: PlanBuilder, scores: Operand, labels: Operand, lengths: Operand, loss: Operand, alpha: Operand, shares: Operand
) -> None:  # fmt: skip
    """shares [T, N, C] from what `plan_ctc` gave; all contiguous."""
    (t, n, c), s = scores.spec.shape, labels.spec.shape[1]
    room = b.scratch(scores.spec.dtype, 2 * s, per_worker=True)
    b.launch(
        ctc_shares, scores.array(t, n, c), labels.array(n, s), lengths.array(n, 2), loss.array(n),
        alpha.array(n, t, s), room.flat, shares.array(t, n, c), STATUS, work=n, grain=1, cost=n * t * (s * _COST + c),
    )  # fmt: skip
