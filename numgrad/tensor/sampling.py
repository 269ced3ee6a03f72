"""Random numbers of further distributions, `multinomial`, and tensors filled with them in place."""

from __future__ import annotations

import builtins
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase
from numgrad.errors import DtypeError
from numgrad.layout import preserve_format
from numgrad.tensor import (
    arguments,
    comparison,
    creation,
    grids,
    in_place,
    pointwise,
    random,
    reductions,
    shaping,
    sorting,
)
from numgrad.tensor.arguments import as_int, as_number, check_tensor
from numgrad.tensor.known import knowing
from numgrad.tensor.random import Generator
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_TINY = 2.0**-54
_NOTHING_DRAWN = np.zeros(4, np.uint64)
_streams = threading.local()  # NumPy's generator of each thread


def _uniform(state: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Numbers from [0, 1) in float64."""
    return ops.random.uniform(state, size=shape, dtype=dtypes.float64)  # type: ignore[no-any-return]


def _exponential(state: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Numbers of the exponential distribution of mean 1, in float64; none is 0."""
    drawn = _uniform(state, shape)
    return pointwise.add(pointwise.mul(ops.elementwise.log1p(pointwise.mul(drawn, -1.0)), -1.0), _TINY)


def _number(name: str, argument: str, value: Any) -> float:
    if value.__class__ is float:
        return value  # type: ignore[no-any-return]
    number = as_number(value.item() if isinstance(value, TensorBase) and value._spec.numel == 1 else value)  # type: ignore[attr-defined]
    if number is None:
        raise TypeError(f"{name}(): argument '{argument}' must be float, not {type(value).__name__}")
    return float(number)


def _floating(name: str, input: Tensor) -> None:
    if not input._spec.dtype.is_floating_point:
        raise DtypeError(
            f"\"{name}\" not implemented for '{input._spec.dtype.torch_name}'; convert with .float() first"
        )


# ---- drawn ------------------------------------------------------------------------------------------------------


@public("function")
def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """Normal random numbers; mean and standard deviation are numbers, or tensors that broadcast, of which there is one.

    For two numbers ``size`` says the shape. No gradient flows to mean and standard deviation.

    Raises
    ------
    RuntimeError
        A standard deviation is negative, the shapes do not broadcast, or the dtype is not floating point.
    TypeError
        There is a tensor and a size, or neither.

    >>> import numgrad as ng
    >>> ng.normal(ng.tensor([1.0, 2.0]), 0.0)
    tensor([1., 2.])
    >>> ng.normal(0.0, 1.0, (2, 3)).shape
    numgrad.Size([2, 3])
    """
    tensors = [each for each in (mean, std) if isinstance(each, TensorBase)]
    if (size is None) != bool(tensors):
        raise TypeError("normal(): expected a size for two numbers, and none where mean or std is a tensor")
    for word, value in (("mean", mean), ("std", std)):
        if not isinstance(value, TensorBase):
            _number("normal", word, value)
    if not tensors:
        shape = creation.checked_size("normal", (size if isinstance(size, (tuple, list)) else (size,),))
        chosen = creation.chosen_dtype("normal", dtype)
        drawn = ops.random.normal(
            random._state("normal", generator), size=shape, mean=float(mean), std=float(std), dtype=chosen
        )
        return creation.finished(drawn, requires_grad)
    if isinstance(std, TensorBase):
        if std._spec.numel and bool(_any_negative(std.detach())):  # type: ignore[attr-defined]
            raise RuntimeError("normal expects all elements of std >= 0.0")
    elif not float(std) >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    for tensor in tensors:
        _floating("normal", tensor)  # type: ignore[arg-type]
    mean, std = [each.detach() if isinstance(each, TensorBase) else float(each) for each in (mean, std)]  # type: ignore[attr-defined]
    return _of_moments(random._state("normal", generator), mean, std)


@knowing
def _any_negative(still: Tensor) -> Tensor:
    return reductions.any(comparison.lt(still, 0))


@knowing
def _of_moments(state: Tensor, mean: Any, std: Any) -> Tensor:
    tensors = [each for each in (mean, std) if isinstance(each, TensorBase)]
    shape = tuple(grids.broadcast_shapes(*[tuple(tensor._spec.shape) for tensor in tensors]))
    drawn = ops.random.normal(state, size=shape, dtype=arguments.result_type(*tensors))
    return pointwise.add(pointwise.mul(drawn, std), mean)


@public("function", "method")
def multinomial(
    input: Tensor, num_samples: int, replacement: builtins.bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn with probabilities in proportion to a row's elements: [num_samples], or [rows, num_samples] of int64.

    Without replacement no index comes twice in a row.

    Raises
    ------
    RuntimeError
        The input is neither a vector nor a matrix of floating point, an element is negative or not finite, a row sums to 0, or
        there are fewer positive elements than indices to draw without replacement.

    >>> import numgrad as ng
    >>> ng.multinomial(ng.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    check_tensor("multinomial", "input", input)
    count = as_int("multinomial", "num_samples", num_samples)
    if input._spec.ndim not in (1, 2):
        raise RuntimeError(f"multinomial: prob_dist must be 1 or 2 dim, got {input._spec.ndim}")
    if not input._spec.dtype.is_floating_point:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {input._spec.dtype.torch_name}; convert with .float()"
        )
    categories = input._spec.shape[-1]
    if count <= 0:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples, got {count}")
    if not replacement and count > categories:
        raise RuntimeError(
            f"multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement, got {count} of {categories}"
        )
    weights = input.detach()._array().astype(np.float64)
    if weights.size and not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise RuntimeError("multinomial: probability tensor contains either `inf`, `nan` or element < 0")
    if weights.size and not (weights.sum(-1) > 0).all():
        raise RuntimeError("multinomial: invalid multinomial distribution (sum of probabilities <= 0)")
    if not replacement and weights.size and ((weights > 0).sum(-1) < count).any():
        raise RuntimeError(
            "multinomial: invalid multinomial distribution (with replacement=False, not enough non-negative category to sample)"
        )
    shape = tuple(input._spec.shape)
    if count == 1 or not replacement:  # the smallest waiting times, each in proportion to 1 / weight
        times = _exponential(random._state("multinomial", generator), shape)
        rates = pointwise.div(arguments.cast(input.detach(), dtypes.float64), times)
        if count == 1:
            return reductions.argmax(rates, -1, True)
        return sorting.topk(rates, count)[1]
    drawn = _uniform(random._state("multinomial", generator), (*shape[:-1], count))._array()
    rows, sums = drawn.reshape(-1, count), np.cumsum(weights, -1).reshape(-1, categories)
    last = categories - 1 - np.argmax(weights.reshape(-1, categories)[:, ::-1] > 0, 1)  # that can be drawn at all
    low, high = np.zeros_like(rows, np.int64), np.broadcast_to(last[:, None], rows.shape)
    goals = rows * sums[:, -1:]
    for _ in range(categories.bit_length()):  # the first category whose sum is beyond the goal
        middle = (low + high) // 2
        is_before = np.take_along_axis(sums, middle, 1) <= goals
        low, high = np.where(is_before, np.minimum(middle + 1, high), low), np.where(is_before, high, middle)
    return creation.from_numpy(low.reshape(*shape[:-1], count))


@public("function")
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of the Poisson distributions whose rates are the elements, in their shape and dtype.

    Raises
    ------
    RuntimeError
        A rate is negative, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.poisson(ng.zeros(2))
    tensor([0., 0.])
    """
    check_tensor("poisson", "input", input)
    _floating("poisson", input)
    rates = input.detach()._array()
    if rates.size and not rates.min() >= 0:  # or NaN
        raise RuntimeError("poisson: invalid Poisson rate, expected rate to be non-negative")
    drawn = _of_numpy("poisson", generator).poisson(rates)
    return creation.from_numpy(np.asarray(drawn).astype(rates.dtype))


@public("function")
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of ``count`` trials succeed, each with probability ``prob``; both broadcast, the dtype is count's.

    Raises
    ------
    RuntimeError
        A count is negative, a probability is none, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.binomial(ng.tensor([3.0, 5.0]), ng.tensor([0.0, 1.0]))
    tensor([0., 5.])
    """
    for word, tensor in (("count", count), ("prob", prob)):
        _floating("binomial", check_tensor("binomial", word, tensor))
    trials, chances = count.detach()._array(), prob.detach()._array()
    # Of a NaN both are false.
    if (trials.size and not trials.min() >= 0) or (chances.size and not (chances.min() >= 0 and chances.max() <= 1)):
        raise RuntimeError("binomial: expected counts that are not negative, and probabilities from 0 to 1")
    drawn = _of_numpy("binomial", generator).binomial(trials.astype(np.int64), chances)
    return creation.from_numpy(np.asarray(drawn).astype(trials.dtype))


def _of_numpy(name: str, generator: Generator | None) -> np.random.Generator:
    """NumPy's stream, from a seed that is drawn: how many numbers these distributions need depends on their values."""
    seed = ops.random.randint(random._state(name, generator), size=(2,), low=-(1 << 62), high=1 << 62)
    key = seed._array().astype(np.uint64)
    stream: Any = getattr(_streams, "stream", None)
    if stream is None:
        stream = _streams.stream = np.random.Generator(np.random.Philox(key=key))
    # That of a new one, which takes three times as long to make.
    stream.bit_generator.state = {
        "bit_generator": "Philox", "state": {"counter": _NOTHING_DRAWN, "key": key}, "buffer": _NOTHING_DRAWN,
        "buffer_pos": 4, "has_uint32": 0, "uinteger": 0,
    }  # fmt: skip
    return stream


@public("function", known=True)
def randint_like(
    input: Tensor,
    low: Any,
    high: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: builtins.bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """As `randint`, with the shape of a tensor, and its dtype unless another is given.

    Raises
    ------
    RuntimeError
        The range is empty, or the dtype does not have all of its integers.

    >>> import numgrad as ng
    >>> ng.randint_like(ng.zeros(2), 3, 4)
    tensor([3., 3.])
    """
    check_tensor("randint_like", "input", input)
    first, end = (0, low) if high is None else (low, high)
    chosen = dtype or input._spec.dtype
    drawn = random.randint(first, end, tuple(input._spec.shape), generator=generator, dtype=chosen)
    return creation.finished(creation.laid_as(input, drawn), requires_grad, memory_format)


# ---- in place ---------------------------------------------------------------------------------------------------


def _filling(drawn: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that writes over a tensor what ``drawn`` draws for its shape from a generator's state."""

    @knowing
    def fill(input: Tensor, state: Tensor, *numbers: Any) -> Tensor:
        return in_place.copy_(input, drawn(state, tuple(input._spec.shape), *numbers))

    return fill


@public("method")
def bernoulli_(input: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor, which is returned, with 1 with probability p, a number or a tensor that broadcasts, otherwise 0.

    Raises
    ------
    RuntimeError
        A probability is none, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.zeros(3).bernoulli_(1.0)
    tensor([1., 1., 1.])
    """
    state = random._state("bernoulli_", generator)
    if isinstance(p, TensorBase):
        in_place.check_writable("bernoulli_", input)
        chances = arguments.cast(p.detach(), dtypes.float64)  # type: ignore[attr-defined]
        return in_place.copy_(input, _successes(state, tuple(input._spec.shape), chances))
    chance = _number("bernoulli_", "p", p)
    if not 0 <= chance <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    in_place.check_writable("bernoulli_", input)
    return _of_one_chance(input, state, chance)


def _successes(state: Tensor, shape: tuple[int, ...], chances: Tensor) -> Tensor:
    return ops.random.bernoulli(shaping.contiguous(shaping.expand(chances, shape)), state)  # type: ignore[no-any-return]


@_filling
def _of_one_chance(state: Tensor, shape: tuple[int, ...], chance: float) -> Tensor:
    return _successes(state, shape, constant(chance, dtypes.float64))  # type: ignore[arg-type]


@public("method")
def random_(input: Tensor, a: Any = None, b: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor, which is returned, with random integers: from 0 to a - 1, or from a to b - 1.

    Without bounds from 0 to the largest integer of the dtype, of floating point up to where it has all integers.

    Raises
    ------
    RuntimeError
        The range is empty, or beyond the dtype, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.zeros(3).random_(7, 8)
    tensor([7., 7., 7.])
    """
    dtype = input._spec.dtype
    if dtype.is_floating_point:
        largest = (1 << (24 if dtype is dtypes.float32 else 53)) + 1
    else:
        largest = 2 if dtype.is_bool else int(dtype.largest) + (dtype is not dtypes.int64)
    if a is None and b is None:
        low, high = 0, largest
    elif b is None:
        low, high = 0, as_int("random_", "to", a)
    else:
        low, high = as_int("random_", "from", 0 if a is None else a), as_int("random_", "to", b)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if not dtype.is_floating_point and not (dtype.smallest <= low and high - 1 <= dtype.largest):
        raise RuntimeError(f"random_: {low} to {high - 1} is out of bounds for {dtype}")
    state = random._state("random_", generator)
    in_place.check_writable("random_", input)
    return _integers(input, state, low, high)


@_filling
def _integers(state: Tensor, shape: tuple[int, ...], low: int, high: int) -> Tensor:
    return ops.random.randint(state, size=shape, low=low, high=high)  # type: ignore[no-any-return]


@public("method")
def exponential_(input: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor, which is returned, with numbers of the exponential distribution of mean 1 / lambd.

    Raises
    ------
    RuntimeError
        lambd is not positive, the dtype is not floating point, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> bool((ng.zeros(100).exponential_(2.0) > 0).all())
    True
    """
    rate = _number("exponential_", "lambd", lambd)
    if not rate > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    _floating("exponential_", input)
    in_place.check_writable("exponential_", input)
    return _waiting_times(input, random._state("exponential_", generator), rate)


@_filling
def _waiting_times(state: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
    return pointwise.div(_exponential(state, shape), rate)


@public("method")
def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor, which is returned, with the numbers of trials up to the first success, of probability p each.

    Raises
    ------
    RuntimeError
        p is not between 0 and 1, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> bool((ng.zeros(100).geometric_(0.5) >= 1).all())
    True
    """
    chance = _number("geometric_", "p", p)
    if not 0 < chance < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    in_place.check_writable("geometric_", input)
    return _trials(input, random._state("geometric_", generator), chance)


@_filling
def _trials(state: Tensor, shape: tuple[int, ...], chance: float) -> Tensor:
    trials = pointwise.div(_exponential(state, shape), -math.log1p(-chance))
    return ops.elementwise.clamp_min(ops.elementwise.ceil(trials), 1.0)  # type: ignore[no-any-return]


@public("method")
def cauchy_(input: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor, which is returned, with numbers of the Cauchy distribution.

    Raises
    ------
    RuntimeError
        sigma is not positive, the dtype is not floating point, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).cauchy_().shape
    numgrad.Size([2, 3])
    """
    center, width = _number("cauchy_", "median", median), _number("cauchy_", "sigma", sigma)
    if not width > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    _floating("cauchy_", input)
    in_place.check_writable("cauchy_", input)
    return _tangents(input, random._state("cauchy_", generator), center, width)


@_filling
def _tangents(state: Tensor, shape: tuple[int, ...], center: float, width: float) -> Tensor:
    angle = pointwise.mul(pointwise.add(_uniform(state, shape), _TINY), math.pi)
    slope = pointwise.div(ops.elementwise.cos(angle), ops.elementwise.sin(angle))
    return pointwise.add(pointwise.mul(slope, -width), center)


@public("method")
def log_normal_(input: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor, which is returned, with numbers whose logarithms are normal, of this mean and standard deviation.

    Raises
    ------
    RuntimeError
        std is not positive, the dtype is not floating point, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> bool((ng.zeros(100).log_normal_() > 0).all())
    True
    """
    center, width = _number("log_normal_", "mean", mean), _number("log_normal_", "std", std)
    if not width > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    _floating("log_normal_", input)
    in_place.check_writable("log_normal_", input)
    state = random._state("log_normal_", generator)
    return _powers_of_normal(input, state, center, width, input._spec.dtype)


@_filling
def _powers_of_normal(state: Tensor, shape: tuple[int, ...], center: float, width: float, dtype: Any) -> Tensor:
    drawn = ops.random.normal(state, size=shape, mean=center, std=width, dtype=dtype)
    return ops.elementwise.exp(drawn)  # type: ignore[no-any-return]
