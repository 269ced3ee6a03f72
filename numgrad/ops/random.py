"""Random numbers. The generator's state, int64 (seed, counter), is an input that the op advances."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DtypeError
from numgrad.kernels.random import (
    plan_bernoulli,
    plan_dropout,
    plan_dropout_again,
    plan_normal,
    plan_randint,
    plan_randperm,
    plan_uniform,
)
from numgrad.layout import output_strides
from numgrad.ops import rules
from numgrad.ops.creation import cast, zeros_like
from numgrad.ops.elementwise import add, lt, mul
from numgrad.ops.joining import cat
from numgrad.ops.layouts import with_strides
from numgrad.ops.view import narrow, reshape, unsqueeze
from numgrad.registry import Op, SavedCall, saved_calls
from numgrad.runtime.plan import Operand, PlanBuilder

# Oracles know the distribution, not the numbers: they return the expected (mean, standard deviation).


def _floating(name: str, dtype: Dtype) -> Dtype:
    if not dtype.is_floating_point:
        raise DtypeError(f"{name}: dtype is {dtype}, expected numgrad.float32 or numgrad.float64")
    return dtype


def _check_bounds(name: str, dtype: Dtype, low: float, high: float) -> None:
    """Refuse bounds without a number between them."""
    largest = float(np.finfo(_floating(name, dtype).numpy).max)
    for word, bound in (("from", low), ("to", high)):
        if not abs(bound) <= largest:
            raise RuntimeError(
                f"{name}: {word} is out of bounds for {dtype}, got {bound}, expected a finite number of it"
            )
    if low > high:
        raise RuntimeError(f"{name} expects to return a [from, to) range, but found from={low} > to={high}")
    if high - low > largest:
        raise RuntimeError(f"{name} expects to-from <= {largest} ({dtype}), but found from={low} and to={high}")


def _check_moments(name: str, dtype: Dtype, mean: float, std: float) -> None:
    largest = float(np.finfo(_floating(name, dtype).numpy).max)
    if not std >= 0:
        raise RuntimeError(f"{name}: normal expects std >= 0.0, but found std {std}")
    for word, number in (("mean", mean), ("std", std)):
        if largest < abs(number) < float("inf"):
            raise RuntimeError(f"{name}: {word} is out of bounds for {dtype}, got {number}")


# ---- draws for a batch of examples ------------------------------------------------------------------------------


def _by_size(draw: rules.Draw, state: Any, size: Any, **params: Any) -> Any:
    return draw.op(state, size=(draw.size, *size), **params)


def _of_examples(draw: rules.Draw, input: Any, state: Any, **params: Any) -> Any:
    """Numbers for the elements of an input, which holds the examples, or is the same for all."""
    return draw.op(rules.repeated(input, draw.size) if draw.examples is None else draw.examples, state, **params)


# ---- ops --------------------------------------------------------------------------------------------------------

uniform = Op(
    "uniform",
    ("state",),
    {"size": (), "low": 0.0, "high": 1.0, "dtype": dtypes.float32},
    differentiable=False,
    random=True,
    doc="Numbers drawn evenly from [low, high).",
)


@uniform.plan
def _(b: PlanBuilder, state: Operand, size: Any, low: float, high: float, dtype: Dtype) -> None:
    _check_bounds("uniform", dtype, low, high)
    plan_uniform(b, b.output(dtype, size), b.changes(state), low, high)


uniform.draw(_by_size)


@uniform.oracle
def _(state, size, low, high, dtype):
    return (low + high) / 2, (high - low) / np.sqrt(12)


normal = Op(
    "normal",
    ("state",),
    {"size": (), "mean": 0.0, "std": 1.0, "dtype": dtypes.float32},
    differentiable=False,
    random=True,
    doc="Numbers drawn from a normal distribution.",
)


@normal.plan
def _(b: PlanBuilder, state: Operand, size: Any, mean: float, std: float, dtype: Dtype) -> None:
    _check_moments("normal", dtype, mean, std)
    plan_normal(b, b.output(dtype, size), b.changes(state), mean, std)


normal.draw(_by_size)


@normal.oracle
def _(state, size, mean, std, dtype):
    return mean, std


uniform_ = Op(
    "uniform_",
    ("input", "state"),
    {"low": 0.0, "high": 1.0},
    differentiable=False,
    random=True,
    overwrites=True,
    doc="Fill the input, whose memory is dense, with numbers drawn evenly from [low, high), in the order of its memory.",
)


@uniform_.plan
def _(b: PlanBuilder, input: Operand, state: Operand, low: float, high: float) -> None:
    _check_bounds("uniform_", input.spec.dtype, low, high)
    plan_uniform(b, b.in_place(input), b.changes(state), low, high)


@uniform_.oracle
def _(x, state, low, high):
    return (low + high) / 2, (high - low) / np.sqrt(12)


normal_ = Op(
    "normal_",
    ("input", "state"),
    {"mean": 0.0, "std": 1.0},
    differentiable=False,
    random=True,
    overwrites=True,
    doc="Fill the input, whose memory is dense, with numbers drawn from a normal distribution, in the order of its memory.",
)


@normal_.plan
def _(b: PlanBuilder, input: Operand, state: Operand, mean: float, std: float) -> None:
    _check_moments("normal_", input.spec.dtype, mean, std)
    plan_normal(b, b.in_place(input), b.changes(state), mean, std)


@normal_.oracle
def _(x, state, mean, std):
    return mean, std


randint = Op(
    "randint",
    ("state",),
    {"size": (), "low": 0, "high": 1, "dtype": dtypes.int64},
    differentiable=False,
    random=True,
    doc="Integers drawn evenly from low to high - 1, of any dtype but bool; floating point has them rounded.",
)


@randint.plan
def _(b: PlanBuilder, state: Operand, size: Any, low: int, high: int, dtype: Dtype) -> None:
    if dtype.is_bool:
        raise DtypeError(f"randint: dtype is {dtype}, expected integers or floating point; convert with .to(dtype)")
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    within = dtypes.int64 if dtype.is_floating_point else dtype
    smallest, largest = int(within.smallest), int(within.largest)
    for word, number in (("from", low), ("to - 1", high - 1)):
        if not smallest <= number <= largest:
            raise RuntimeError(
                f"randint: {word} is out of bounds for {dtype}, got {number}, expected {smallest} to {largest}"
            )
    plan_randint(b, b.output(dtype, size), b.changes(state), low, high)


randint.draw(_by_size)


@randint.oracle
def _(state, size, low, high, dtype):
    return (low + high - 1) / 2, np.sqrt(((high - low) ** 2 - 1) / 12)


randperm = Op(
    "randperm",
    ("state",),
    {"n": 0},
    differentiable=False,
    random=True,
    doc="The integers from 0 to n - 1 in random order.",
)


@randperm.plan
def _(b: PlanBuilder, state: Operand, n: int) -> None:
    plan_randperm(b, b.output(dtypes.int64, (n,)), b.changes(state))


@randperm.draw
def _(draw, state, n):
    return cat(*[unsqueeze(randperm(state, n=n), dim=0) for _ in range(draw.size)], dim=0)


@randperm.oracle
def _(state, n):
    return (n - 1) / 2, np.sqrt((n**2 - 1) / 12)


bernoulli = Op(
    "bernoulli",
    ("input", "state"),
    differentiable=False,
    random=True,
    doc="1 with the probability that input gives, else 0.",
)


@bernoulli.on_status
def _(status: int, params: Any) -> Exception:
    return RuntimeError("bernoulli: Expected p_in >= 0 && p_in <= 1: an element of input is below 0, above 1, or NaN")


@bernoulli.plan
def _(b: PlanBuilder, input: Operand, state: Operand) -> None:
    shape = tuple(input.spec.shape)
    strides = output_strides(shape, [input.spec])
    out = b.output(_floating("bernoulli", input.spec.dtype), shape, strides)
    plan_bernoulli(b, out, b.changes(state), with_strides(b, input, strides))


bernoulli.draw(_of_examples)


@bernoulli.draw_once
def _(draw, input, state):
    spec = draw.examples._spec
    drawn = uniform(state, size=tuple(spec.shape[1:]), low=0.0, high=1.0, dtype=spec.dtype)
    return cast(lt(drawn, draw.examples), dtype=spec.dtype)


@bernoulli.oracle
def _(x, state):
    return x.mean(), np.sqrt(x.mean() * (1 - x.mean()))


dropout = Op(
    "dropout",
    ("input", "state"),
    {"p": 0.5},
    outputs=("out", "mask"),
    saves=("mask",),
    graph_inputs=(0,),
    random=True,
    doc="Each element is 0 with probability p, else input / (1 - p).",
)


@dropout.plan
def _(b: PlanBuilder, input: Operand, state: Operand, p: float) -> None:
    shape = tuple(input.spec.shape)
    strides = output_strides(shape, [input.spec])
    out = b.output(_floating("dropout", input.spec.dtype), shape, strides)
    mask = b.output(dtypes.bool_, shape, strides)
    plan_dropout(b, with_strides(b, input, strides), out, mask, b.changes(state), p)


dropout_again = Op(
    "dropout_again",
    ("input", "mask"),
    {"p": 0.5},
    differentiable=False,
    register=False,
    doc="The output of dropout once more, from its input and the mask that it drew; or its gradient.",
)


@dropout_again.plan
def _(b: PlanBuilder, input: Operand, mask: Operand, p: float) -> None:
    strides = tuple(mask.spec.strides)
    out = b.output(input.spec.dtype, tuple(input.spec.shape), strides)
    plan_dropout_again(b, with_strides(b, input, strides), mask, out, p)


dropout.adopt(dropout_again, "again")
dropout.cheap(by=dropout_again, reads=("input", "mask"))


@dropout.backward
def _(ctx, grad):
    (mask,) = ctx.saved
    p = ctx.params.p
    kept = mul(cast(mask, dtype=grad.dtype), 0.0 if p == 1 else 1 / (1 - p))
    return mul(grad, kept), None


@dropout.prepares
def _(record):
    return saved_calls(2, (SavedCall(dropout_again, (-1, 0), dropout_again.Params(p=record.params.p)), 0))


dropout.draw(_of_examples)


@dropout.draw_once
def _(draw, input, state, p):
    ones = add(zeros_like(narrow(draw.examples, 0, 0, 1)), 1.0)
    return mul(draw.examples, dropout(reshape(ones, tuple(draw.examples._spec.shape[1:])), state, p=p))


@dropout.composite
def _(x, state, p):
    """The input times the mask, which only the derivative needs."""
    return mul(x, dropout(add(zeros_like(x), 1.0), state, p=p))


@dropout.oracle
def _(x, state, p):
    return x.mean(), None
