"""Random numbers by counter: Philox4x32-10 (Salmon and others, "Parallel random numbers: as easy as 1, 2, 3", 2011).

A generator's state is two int64, (seed, counter), and is data: a first tiny launch advances the counter, by one atomic
addition, and passes its old value to the kernels that draw. So a recorded launch gives new numbers each time it runs, and
threads that draw from one generator never get the same numbers. Word ``i`` of a stream depends on (seed, counter, i) alone, so
the bits are the same for any split of the work.

Work comes in groups of `BLOCKS` Philox blocks, 4 words of 32 bits each, stored word by word rather than block by block,
so that everything vectorises: word ``l`` of the group's block ``k`` is at ``l * BLOCKS + k``.
"""

from __future__ import annotations

import math

import numpy as np

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels.elementwise import plan_check
from numgrad.kernels.vector_math import log
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder
from numgrad.runtime.words import fetch_add

BLOCKS = 16
WORDS = 4 * BLOCKS
HALF, QUARTER = WORDS // 2, WORDS // 4
GRAIN = 64  # groups: some 10 us
DRAWN = 256  # places of a permutation that are drawn at once: they stay in the first cache
_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_2_PI = 2 * math.pi
_STEP = np.float32(2.0**-24)
# Sine (over the angle) and cosine in powers of the squared angle, in turns up to 1/8: least squares at Chebyshev's nodes.
_SINE = tuple(map(np.float32, (6.283185297338077, -41.341668283901846, 81.59331461941339, -75.43057148845833)))
_COSINE = tuple(
    map(np.float32, (0.9999999999744131, -19.739208666571557, 64.93931923220107, -85.4430579025524, 59.225042012084444))
)


@device
def philox(seed, block):
    """The four 32-bit words of one block, as uint64."""
    return philox_of(seed, block, np.uint64(0))


@device
def philox_of(seed, block, turn):
    """Those of the block's turn, for who needs more than four words and cannot say how many: the first turn is 0."""
    k0, k1 = seed & _LOW, seed >> _SHIFT
    c0, c1, c2, c3 = block & _LOW, block >> _SHIFT, turn, np.uint64(0)
    for _ in range(10):
        p0, p1 = _MULTIPLIER_0 * c0, _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@device
def fill_words(words, state, group):
    """The words of one group."""
    seed, first = np.uint64(state[0]), np.uint64(state[1]) + np.uint64(group * BLOCKS)
    w0, w1, w2, w3 = words[:QUARTER], words[QUARTER:HALF], words[HALF : HALF + QUARTER], words[HALF + QUARTER :]
    for k in range(BLOCKS):
        a, b, c, d = philox(seed, first + np.uint64(k))
        w0[k] = np.int64(a)
        w1[k] = np.int64(b)
        w2[k] = np.int64(c)
        w3[k] = np.int64(d)


@device
def unit_float64(high, low):
    """A multiple of 2**-53 in [0, 1) from two words."""
    return np.float64(((high >> 5) << 26) | (low >> 6)) * 2.0**-53


@kernel("f4[:], i8[:], i8[:], f4, f4, f4")
def uniform_float32(out, words, state, low, span, step, start, stop, worker):
    """``step`` is 2**-24: 24 bits of one word."""
    words = words[worker * WORDS : (worker + 1) * WORDS]
    for group in range(start, stop):
        fill_words(words, state, group)
        y = out[group * WORDS : (group + 1) * WORDS]
        for i in range(y.shape[0]):
            y[i] = low + span * (np.float32(words[i] >> 8) * step)


@kernel("f8[:], i8[:], i8[:], f8, f8")
def uniform_float64(out, words, state, low, span, start, stop, worker):
    words = words[worker * WORDS : (worker + 1) * WORDS]
    for group in range(start, stop):
        fill_words(words, state, group)
        y = out[group * HALF : (group + 1) * HALF]
        for i in range(y.shape[0]):
            y[i] = low + span * unit_float64(words[i], words[HALF + i])


@device
def radius_of(word):
    """The distance from 0 of a pair of normal numbers: Box and Muller's, of 24 bits of a word."""
    return np.float32(math.sqrt(np.float32(-2) * log(np.float32(np.int32(word >> 8) + 1) * _STEP)))


@device
def direction_of(word):
    """Cosine and sine of an angle, 24 bits of a word as a part of a whole turn.

    The rest after whole quarter turns is exact, and two short polynomials suffice, with errors of 1e-7. The C library's
    functions, which LLVM calls one by one, would take three times as long as the whole kernel.
    """
    bits = np.int32(word >> 8)
    quarter = (bits + np.int32(1 << 21)) >> 22
    rest = np.float32(bits - (quarter << 22)) * _STEP
    square = rest * rest
    sine = rest * (_SINE[0] + square * (_SINE[1] + square * (_SINE[2] + square * _SINE[3])))
    cosine = _COSINE[0] + square * (_COSINE[1] + square * (_COSINE[2] + square * (_COSINE[3] + square * _COSINE[4])))
    x = sine if quarter & 1 else cosine
    y = cosine if quarter & 1 else sine
    return -x if (quarter + 1) & 2 else x, -y if quarter & 2 else y


@kernel("f4[:], i8[:], i8[:], f4, f4")
def normal_float32(out, words, state, mean, std, start, stop, worker):
    """Box and Muller's pairs, the cosines first."""
    words = words[worker * WORDS : (worker + 1) * WORDS]
    for group in range(start, stop):
        fill_words(words, state, group)
        radii, angles = words[:HALF], words[HALF:]
        y = out[group * WORDS : (group + 1) * WORDS]
        if y.shape[0] == WORDS:
            first, second = y[:HALF], y[HALF:]
            for i in range(HALF):
                radius = std * radius_of(radii[i])
                x, z = direction_of(angles[i])
                first[i] = mean + radius * x
                second[i] = mean + radius * z
        else:  # the last group
            for i in range(y.shape[0]):
                x, z = direction_of(angles[i % HALF])
                y[i] = mean + std * radius_of(radii[i % HALF]) * (x if i < HALF else z)


@kernel("f8[:], i8[:], i8[:], f8, f8")
def normal_float64(out, words, state, mean, std, start, stop, worker):
    words = words[worker * WORDS : (worker + 1) * WORDS]
    for group in range(start, stop):
        fill_words(words, state, group)
        y = out[group * HALF : (group + 1) * HALF]
        n = y.shape[0]
        for i in range(min(n, QUARTER)):
            above_zero = unit_float64(words[i], words[QUARTER + i]) + 2.0**-53
            radius = std * math.sqrt(-2.0 * math.log(above_zero))
            angle = _2_PI * unit_float64(words[HALF + i], words[HALF + QUARTER + i])
            y[i] = mean + radius * math.cos(angle)
            if QUARTER + i < n:
                y[QUARTER + i] = mean + radius * math.sin(angle)


@kernel("T[:], i8[:], i8[:], i8, i8")
def random_integers(out, words, state, low, span, start, stop, worker):
    """low + a 64-bit number modulo span; span 0 stands for 2**64."""
    words = words[worker * WORDS : (worker + 1) * WORDS]
    for group in range(start, stop):
        fill_words(words, state, group)
        y = out[group * HALF : (group + 1) * HALF]
        for i in range(y.shape[0]):
            number = (np.uint64(words[i]) << _SHIFT) | np.uint64(words[HALF + i])
            y[i] = low + np.int64(number % np.uint64(span) if span else number)


@kernel("O[:], i8[:], i8[:], i8")
def bernoulli(out, words, state, threshold, start, stop, worker):
    """1 with probability threshold / 2**32."""
    words = words[worker * WORDS : (worker + 1) * WORDS]
    for group in range(start, stop):
        fill_words(words, state, group)
        y = out[group * WORDS : (group + 1) * WORDS]
        for i in range(y.shape[0]):
            y[i] = words[i] < threshold


@kernel("T[:], O[:], i8[:], i8[:]")
def bernoulli_each(probability, out, words, state, start, stop, worker):
    """1 with each element's own probability."""
    words = words[worker * WORDS : (worker + 1) * WORDS]
    for group in range(start, stop):
        fill_words(words, state, group)
        p, y = probability[group * WORDS : (group + 1) * WORDS], out[group * WORDS : (group + 1) * WORDS]
        for i in range(y.shape[0]):
            y[i] = words[i] * 2.0**-32 < p[i]


@kernel("T[:], T[:], b1[:], i8[:], i8[:], i8, T")
def dropout(x, out, mask, words, state, threshold, scale, start, stop, worker):
    """mask is 1 with probability threshold / 2**32; out = x * scale where it is, 0 elsewhere."""
    words = words[worker * WORDS : (worker + 1) * WORDS]
    zero = x.dtype.type(0)
    for group in range(start, stop):
        fill_words(words, state, group)
        v, y = x[group * WORDS : (group + 1) * WORDS], out[group * WORDS : (group + 1) * WORDS]
        m = mask[group * WORDS : (group + 1) * WORDS]
        for i in range(y.shape[0]):
            keep = words[i] < threshold
            m[i] = keep
            y[i] = v[i] * scale if keep else zero


@kernel("T[:], b1[:], T[:], T")
def dropout_again(x, mask, out, scale, start, stop):
    """What `dropout` computed, from the mask that it left."""
    x, mask, out = x[start:stop], mask[start:stop], out[start:stop]
    zero = x.dtype.type(0)
    for i in range(out.shape[0]):
        out[i] = x[i] * scale if mask[i] else zero


@kernel("i8[:], i8[:]")
def draw_places(out, state, start, stop):
    """For each position one up to it, by a Philox block for each; in blocks, so that words are drawn in vectors."""
    seed, first = np.uint64(state[0]), np.uint64(state[1])
    for begin in range(start, stop, DRAWN):
        y = out[begin : min(stop, begin + DRAWN)]
        for k in range(y.shape[0]):
            a, b, _, _ = philox(seed, first + np.uint64(begin + k))
            y[k] = np.int64((a << _SHIFT) | b)
        for k in range(y.shape[0]):
            y[k] = np.int64(np.uint64(y[k]) % np.uint64(begin + k + 1))


@kernel("i8[:]")
def exchange(out, start, stop):
    """Fisher and Yates's shuffle, by one thread: position i holds where i goes, and what was there comes to i. Work: 1."""
    for i in range(out.shape[0]):
        j = out[i]
        out[i] = out[j]
        out[j] = i


@kernel("i8[:], i8[:], i8[:], i8")
def reserve(state, reserved, status, blocks, start, stop):
    """``reserved`` is the state from which so many blocks may be used; nothing is reserved if a status was left."""
    if status[0] == 0:
        reserved[0] = state[0]
        reserved[1] = fetch_add(state, 1, blocks)


# ---- planning ---------------------------------------------------------------------------------------------------
# ``state`` is int64 [2], (seed, counter), and is changed in place: each plan moves the counter behind its numbers.


def _launch(
    b: PlanBuilder,
    drawn: Kernel,
    operands: tuple[Operand, ...],
    state: Operand,
    scalars: tuple[float, ...],
    per_group: int,
) -> None:
    for operand in operands:
        if not operand.spec.is_dense:
            raise ProofError(f"{drawn.name}: an operand is {operand.spec}, expected dense")
    numel = operands[-1].spec.numel
    if numel == 0:
        return
    groups = -(-numel // per_group)
    reserved = reserved_of(b, state, groups * BLOCKS)
    words = b.scratch(dtypes.int64, WORDS, per_worker=True)
    b.launch(
        drawn, *[operand.flat for operand in operands], words.flat, reserved.array(2), *scalars,
        work=groups, grain=GRAIN, cost=groups * WORDS * 8,
    )  # fmt: skip


def reserved_of(b: PlanBuilder, state: Operand, blocks: int) -> Operand:
    """The state to draw from; the generator's own counter moves behind it."""
    reserved = b.scratch(dtypes.int64, 2)
    b.launch(reserve, state.array(2), reserved.array(2), STATUS, blocks, work=1, grain=1)
    return reserved


def plan_uniform(b: PlanBuilder, out: Operand, state: Operand, low: float = 0.0, high: float = 1.0) -> None:
    """Uniform in [low, high): float32 from 24 random bits, float64 from 53. out is dense, filled in memory order."""
    if out.spec.dtype is dtypes.float32:
        _launch(b, uniform_float32, (out,), state, (low, high - low, 2.0**-24), WORDS)
    else:
        _launch(b, uniform_float64, (out,), state, (low, high - low), HALF)


def plan_normal(b: PlanBuilder, out: Operand, state: Operand, mean: float = 0.0, std: float = 1.0) -> None:
    """Normal with this mean and standard deviation, float32 or float64; out is dense, filled in memory order."""
    if out.spec.dtype is dtypes.float32:
        _launch(b, normal_float32, (out,), state, (mean, std), WORDS)
    else:
        _launch(b, normal_float64, (out,), state, (mean, std), HALF)


def plan_randint(b: PlanBuilder, out: Operand, state: Operand, low: int, high: int) -> None:
    """Integers in [low, high), of any dtype but bool; out is dense, filled in memory order."""
    span = high - low
    _launch(b, random_integers, (out,), state, (low, span - (1 << 64) if span >= 1 << 63 else span), HALF)


def threshold_of(probability: float) -> int:
    """The threshold below which a share of ``probability`` of all 32-bit words lies."""
    return round(probability * (1 << 32))


def _is_no_probability(p):
    return (p < 0) | (p > 1) | (p != p)


def plan_bernoulli(b: PlanBuilder, out: Operand, state: Operand, probability: float | Operand) -> None:
    """1 with the given probability, else 0; out has any dtype and is dense.

    ``probability`` may be an operand of out's shape and strides, float32 or float64. If an element of it is not a
    probability, the status is 1, and nothing is drawn.
    """
    if isinstance(probability, Operand):
        plan_check(b, "bernoulli_check", _is_no_probability, probability.code, [probability])
        _launch(b, bernoulli_each, (probability, out), state, (), WORDS)
    else:
        _launch(b, bernoulli, (out,), state, (threshold_of(probability),), WORDS)


def plan_dropout(b: PlanBuilder, x: Operand, out: Operand, mask: Operand, state: Operand, p: float) -> None:
    """Each element is 0 with probability ``p``, else x / (1 - p); mask (bool) tells which are kept.

    All three dense, of the same shape and strides; x and out float32 or float64.
    """
    scale = 0.0 if p == 1 else 1 / (1 - p)
    _launch(b, dropout, (x, out, mask), state, (threshold_of(1 - p), scale), WORDS)


def plan_dropout_again(b: PlanBuilder, x: Operand, mask: Operand, out: Operand, p: float) -> None:
    """The output of `plan_dropout` once more, from its input and its mask."""
    n = out.spec.numel
    b.launch(
        dropout_again, x.array(n), mask.array(n), out.array(n), 0.0 if p == 1 else 1 / (1 - p), work=n, grain=GRAIN_COST
    )


def plan_randperm(b: PlanBuilder, out: Operand, state: Operand) -> None:
    """A random permutation of range(n); out is int64 [n], contiguous."""
    n = out.spec.numel
    if n:
        places, reserved = out.array(n), reserved_of(b, state, n).array(2)
        b.launch(draw_places, places, reserved, work=n, grain=max(DRAWN, GRAIN_COST // 16), cost=16 * n)
        b.launch(exchange, places, work=1, grain=1, cost=16 * n)
