"""Random tensors and the generator that they are drawn from.

A generator's numbers depend on its seed and on how many were drawn before, not on the number of threads. They are not
torch's numbers for the same seed.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from numgrad import dtypes, ops, registry
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase, modes
from numgrad.tensor import creation
from numgrad.tensor import functional as F
from numgrad.tensor.tensor import Tensor


class Generator:
    """A stream of random numbers.

    >>> import numgrad as ng
    >>> a = ng.rand(2, generator=ng.Generator().manual_seed(7))
    >>> b = ng.rand(2, generator=ng.Generator().manual_seed(7))
    >>> ng.equal(a, b)
    True
    """

    def __init__(self) -> None:
        self._state = creation.from_numpy(np.zeros(2, np.int64))  # seed, counter
        self.manual_seed(0)

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from a seed.

        Raises
        ------
        TypeError
            The seed is no int.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        wrapped = (int(seed) + (1 << 63)) % (1 << 64) - (1 << 63)
        self._state._array()[...] = (wrapped, 0)
        return self

    def seed(self) -> int:
        """Start anew from a seed that nobody can guess, and return it."""
        seed = int.from_bytes(os.urandom(8), "little") >> 1
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return int(self._state._array()[0])

    def get_state(self) -> Tensor:
        """A copy of the state, int64 (seed, counter)."""
        return creation.tensor(self._state._array())

    def set_state(self, state: Tensor) -> Generator:
        """Continue from a state that `get_state` gave."""
        if state.dtype is not dtypes.int64 or tuple(state.shape) != (2,):
            raise TypeError(f"set_state: got {list(state.shape)} of {state.dtype}, expected [2] of numgrad.int64")
        self._state._array()[...] = state._array()
        return self


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew from a seed.

    >>> import numgrad as ng
    >>> _ = ng.manual_seed(0)
    >>> a = ng.rand(3)
    >>> _ = ng.manual_seed(0)
    >>> ng.equal(a, ng.rand(3))
    True
    """
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def seed() -> int:
    """Start the default generator anew from a seed that nobody can guess, and return it."""
    return default_generator.seed()


def get_rng_state() -> Tensor:
    """State of the default generator."""
    return default_generator.get_state()


def set_rng_state(state: Tensor) -> None:
    """Continue the default generator from a state that `get_rng_state` gave."""
    default_generator.set_state(state)


def _state(generator: Generator | None) -> Tensor:
    return (generator or default_generator)._state


def rand(
    *size: Any, generator: Generator | None = None, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """Numbers drawn evenly from [0, 1).

    >>> import numgrad as ng
    >>> ng.rand(5, 5).shape, ng.rand((5, 5), requires_grad=True).requires_grad
    (numgrad.Size([5, 5]), True)
    """
    shape = creation.checked_size("rand", size)
    made = ops.random.uniform(_state(generator), size=shape, dtype=creation.chosen_dtype("rand", dtype))
    return creation.finished(made, requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """Numbers drawn from the standard normal distribution."""
    shape = creation.checked_size("randn", size)
    made = ops.random.normal(_state(generator), size=shape, dtype=creation.chosen_dtype("randn", dtype))
    return creation.finished(made, requires_grad)


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Dtype | None = None
) -> Tensor:
    """Integers drawn evenly from low (0 if it is left out) to high - 1.

    Raises
    ------
    RuntimeError
        There is no such integer.
    """
    if size is None:  # randint(high, size)
        low, high, size = 0, low, high
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    chosen = creation.chosen_dtype("randint", dtype, dtypes.int64)
    drawn = chosen if chosen.category == 1 else dtypes.int64
    made = ops.random.randint(
        _state(generator), size=creation.checked_size("randint", (size,)), low=int(low), high=int(high), dtype=drawn
    )
    return F.cast(made, chosen)


def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    if n < 0:
        raise RuntimeError(f"randperm: n must be non-negative, got {n}")
    return ops.random.randperm(_state(generator), n=n)  # type: ignore[no-any-return]


def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that the input gives, else 0."""
    F.check_tensor("bernoulli", "input", input)
    return ops.random.bernoulli(input.detach(), _state(generator))  # type: ignore[no-any-return]


def uniform_(target: Tensor, low: float, high: float) -> Tensor:
    """Fill a tensor with numbers drawn evenly from [low, high)."""
    F.check_writable("uniform_", target)
    if _takes_draws(target):
        return ops.random.uniform_(target, _state(None), low=float(low), high=float(high))  # type: ignore[no-any-return]
    return F.copy_(target, rand(target.shape, dtype=target.dtype) * (high - low) + low)


def normal_(target: Tensor, mean: float, std: float) -> Tensor:
    """Fill a tensor with numbers drawn from a normal distribution."""
    F.check_writable("normal_", target)
    if _takes_draws(target):
        return ops.random.normal_(target, _state(None), mean=float(mean), std=float(std))  # type: ignore[no-any-return]
    return F.copy_(target, randn(target.shape, dtype=target.dtype) * std + mean)


def _takes_draws(target: Tensor) -> bool:
    """Whether numbers may be drawn into the tensor's memory: nothing is to be recorded, and it is one block."""
    return not modes.grad_enabled and not registry.is_wrapped() and target._spec.is_dense


def rand_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """As `rand`, in the shape of a tensor."""
    return rand(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """As `randn`, in the shape of a tensor."""
    return randn(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """In training each element is 0 with probability p, else input / (1 - p).

    Raises
    ------
    ValueError
        p is no probability.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if isinstance(input, TensorBase) and (not training or p == 0.0):
        return input
    return ops.random.dropout(F.check_tensor("dropout", "input", input), _state(None), p=float(p))  # type: ignore[no-any-return]
