"""`Generator`, and the functions that draw random tensors from one: its numbers depend on its seed and the draws before,
not on the number of threads, and are others than torch's."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.devices import CPU, on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import DtypeError, warn
from numgrad.layout import preserve_format
from numgrad.tensor import arguments, creation, in_place
from numgrad.tensor.arguments import as_int
from numgrad.tensor.known import lasting
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


class Generator:
    """A stream of random numbers on the CPU, the only device.

    >>> import numgrad as ng
    >>> a = ng.rand(2, generator=ng.Generator().manual_seed(7))
    >>> b = ng.rand(2, generator=ng.Generator().manual_seed(7))
    >>> ng.equal(a, b)
    True
    """

    device = CPU

    def __init__(self, device: Any = None) -> None:
        on_cpu("Generator", device)
        self._state: Tensor = creation.from_numpy(np.zeros(2, np.int64))  # seed, counter
        self.manual_seed(0)

    def manual_seed(self, seed: int) -> Generator:
        """Restart from a seed, an int of 64 bits, and return the generator. Negative seeds count from the end.

        Raises
        ------
        TypeError
            The seed is not an int.
        ValueError
            The seed has more than 64 bits.

        >>> import numgrad as ng
        >>> ng.Generator().manual_seed(-1).initial_seed() == 2**64 - 1
        True
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError(f"manual_seed: seed is {seed}, expected an int of 64 bits: from -2**63 to 2**64 - 1")
        wrapped = (int(seed) + (1 << 63)) % (1 << 64) - (1 << 63)
        self._state._array()[...] = (wrapped, 0)
        return self

    def seed(self) -> int:
        """Restart from an unpredictable seed, and return it.

        >>> import numgrad as ng
        >>> generator = ng.Generator()
        >>> generator.seed() == generator.initial_seed()
        True
        """
        seed = int.from_bytes(os.urandom(8), "little") >> 1
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed that the stream started from; a negative seed is given modulo 2**64, as in torch.

        >>> import numgrad as ng
        >>> ng.Generator().manual_seed(7).initial_seed()
        7
        """
        return int(self._state._array()[0]) % (1 << 64)

    def words(self) -> np.ndarray:
        """The state itself as an int64 array (seed, counter); writing to it changes the numbers that are drawn next."""
        return self._state._array()  # type: ignore[no-any-return]

    def get_state(self) -> Tensor:
        """A copy of the state, int64 (seed, counter).

        >>> import numgrad as ng
        >>> ng.Generator().manual_seed(7).get_state()
        tensor([7, 0])
        """
        if modes.capture is not None:  # each replay makes it anew
            return self._state.clone()
        return creation.tensor(self._state._array())

    def set_state(self, state: Tensor) -> Generator:
        """Continue from a state returned by `get_state`, and return the generator.

        Raises
        ------
        TypeError
            ``state`` is not a tensor of this kind.

        >>> import numgrad as ng
        >>> one = ng.Generator().manual_seed(7)
        >>> drawn = ng.rand(3, generator=one)
        >>> two = ng.Generator().set_state(one.get_state())
        >>> ng.equal(ng.rand(3, generator=one), ng.rand(3, generator=two))
        True
        """
        arguments.check_tensor("set_state", "new_state", state)
        if state.dtype is not dtypes.int64 or tuple(state.shape) != (2,):
            raise TypeError(f"set_state: got {list(state.shape)} of {state.dtype}, expected [2] of numgrad.int64")
        if modes.capture is not None:
            self._state.copy_(state)
        else:
            self._state._array()[...] = state._array()
        return self


default_generator = Generator()
default_generator.seed()
lasting.append(default_generator._state)  # type: ignore[has-type]


@public("function")
def manual_seed(seed: int) -> Generator:
    """Restart the default generator from a seed, an int of 64 bits, and return it. Negative seeds count from the end.

    Raises
    ------
    TypeError
        The seed is not an int.
    ValueError
        The seed has more than 64 bits.

    >>> import numgrad as ng
    >>> _ = ng.manual_seed(0)
    >>> a = ng.rand(3)
    >>> _ = ng.manual_seed(0)
    >>> ng.equal(a, ng.rand(3))
    True
    """
    return default_generator.manual_seed(seed)


@public("function")
def initial_seed() -> int:
    """The seed that the default generator started from.

    >>> import numgrad as ng
    >>> _ = ng.manual_seed(7)
    >>> ng.initial_seed()
    7
    """
    return default_generator.initial_seed()


@public("function")
def seed() -> int:
    """Restart the default generator from an unpredictable seed, and return the seed.

    >>> import numgrad as ng
    >>> number = ng.seed()
    >>> ng.initial_seed() == number
    True
    """
    return default_generator.seed()


@public("function")
def get_rng_state() -> Tensor:
    """A copy of the default generator's state, of int64, for `set_rng_state`.

    >>> import numgrad as ng
    >>> state = ng.get_rng_state()
    >>> drawn = ng.rand(2)
    >>> ng.set_rng_state(state)
    >>> ng.equal(drawn, ng.rand(2))
    True
    """
    return default_generator.get_state()


@public("function")
def set_rng_state(new_state: Tensor) -> None:
    """Continue the default generator from a state returned by `get_rng_state`.

    Raises
    ------
    TypeError
        ``new_state`` is not a tensor of this kind.

    >>> import numgrad as ng
    >>> state = ng.get_rng_state()
    >>> drawn = ng.randperm(9)
    >>> ng.set_rng_state(state)
    >>> ng.equal(drawn, ng.randperm(9))
    True
    """
    default_generator.set_state(new_state)


def _state(name: str, generator: Generator | None) -> Tensor:
    if generator is None:
        return default_generator._state
    if not isinstance(generator, Generator):
        raise TypeError(f"{name}(): argument 'generator' must be numgrad.Generator, not {type(generator).__name__}")
    return generator._state


def _float(name: str, argument: str, value: Any) -> float:
    if value.__class__ is not float and (isinstance(value, str) or not hasattr(value, "__float__")):
        raise TypeError(f"{name}(): argument '{argument}' must be float, not {type(value).__name__}")
    return float(value)


def _floating(name: str, dtype: Dtype | None) -> Dtype:
    """The dtype chosen for a function that draws floating-point numbers."""
    chosen = creation.chosen_dtype(name, dtype)
    if not chosen.is_floating_point:
        raise DtypeError(f"\"{name}\" not implemented for '{chosen.torch_name}'; pass dtype=numgrad.float32")
    return chosen


@public("function", known=True)
def rand(
    *size: Any, generator: Generator | None = None, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """Uniform random numbers from [0, 1), in a tensor of this size, given as ints or one tuple of them.

    Raises
    ------
    RuntimeError
        An extent is negative, or the dtype is not floating point.
    TypeError
        An extent is not an int, or ``generator`` is not a generator.

    >>> import numgrad as ng
    >>> ng.rand(5, 5).shape, ng.rand((5, 5), requires_grad=True).requires_grad
    (numgrad.Size([5, 5]), True)
    """
    shape = creation.checked_size("rand", size)
    drawn = ops.random.uniform.apply((_state("rand", generator),), shape, 0.0, 1.0, _floating("rand", dtype))
    return creation.finished(drawn, requires_grad)


@public("function", known=True)
def randn(
    *size: Any, generator: Generator | None = None, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """Standard normal random numbers, in a tensor of this size, given as ints or one tuple of them.

    Raises
    ------
    RuntimeError
        An extent is negative, or the dtype is not floating point.
    TypeError
        An extent is not an int, or ``generator`` is not a generator.

    >>> import numgrad as ng
    >>> x = ng.randn(10000, generator=ng.Generator().manual_seed(0))
    >>> -0.05 < x.mean().item() < 0.05, 0.95 < x.std().item() < 1.05
    (True, True)
    """
    shape = creation.checked_size("randn", size)
    drawn = ops.random.normal.apply((_state("randn", generator),), shape, 0.0, 1.0, _floating("randn", dtype))
    return creation.finished(drawn, requires_grad)


@public("function", known=True)
def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random integers from low (by default 0) to high - 1, of int64 or another dtype.

    Raises
    ------
    RuntimeError
        The range is empty, or the dtype does not have all of its integers.
    TypeError
        ``low`` or ``high`` is not an int, or the size is not a tuple.

    >>> import numgrad as ng
    >>> drawn = ng.randint(3, (100,))
    >>> drawn.min().item() >= 0, drawn.max().item() < 3
    (True, True)
    """
    if size is None and isinstance(high, (tuple, list)):  # randint(high, size)
        low, high, size = 0, low, high
    elif high is None:  # randint(high, size=size)
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    chosen = creation.chosen_dtype("randint", dtype, dtypes.int64)
    first, end = as_int("randint", "low", 0 if low is None else low), as_int("randint", "high", high)
    if chosen.is_bool and (first < 0 or end > 2):
        raise RuntimeError(f"randint: {first} to {end - 1} is out of bounds for {chosen}, expected 0 to 1")
    if chosen.is_floating_point:
        exact = 1 << (24 if chosen is dtypes.float32 else 53)
        if first < -exact or end - 1 > exact:
            warn(
                f"randint: {first} to {end - 1} is out of bounds [-{exact}, {exact}]: {chosen} does not have all integers beyond"
            )
    direct = dtypes.int64 if chosen.is_bool or chosen.is_half else chosen
    shape = creation.checked_size("randint", (size,))
    drawn = ops.random.randint(_state("randint", generator), size=shape, low=first, high=end, dtype=direct)
    return creation.finished(arguments.cast(drawn, chosen), requires_grad)


@public("function", known=True)
def randperm(
    n: int, *, generator: Generator | None = None, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """The integers from 0 to n - 1 in random order, of int64 or another dtype.

    Raises
    ------
    RuntimeError
        n is negative, or the dtype does not have all of the integers.
    TypeError
        n is not an int, or ``generator`` is not a generator.

    >>> import numgrad as ng
    >>> order = ng.randperm(5)
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4]
    """
    count = as_int("randperm", "n", n)
    if count < 0:
        raise RuntimeError(f"randperm: n must be non-negative, got {count}")
    chosen = creation.chosen_dtype("randperm", dtype, dtypes.int64)
    if count and not chosen.is_bool:
        arguments.number_within("randperm", count - 1, chosen)
    drawn = ops.random.randperm(_state("randperm", generator), n=count)
    return creation.finished(arguments.cast(drawn, chosen), requires_grad)


@public("function", "method", known=True)
def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability given by the input, otherwise 0; in the input's shape and dtype.

    Raises
    ------
    RuntimeError
        An element of the input is not a probability (below 0, above 1, or NaN), or the dtype is not floating point.
    TypeError
        ``generator`` is not a generator.

    >>> import numgrad as ng
    >>> ng.bernoulli(ng.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    arguments.check_tensor("bernoulli", "input", input)
    return ops.random.bernoulli(input.detach(), _state("bernoulli", generator))  # type: ignore[no-any-return]


@public("method")
def uniform_(input: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor, which is returned, with uniform random numbers from [a, b).

    Raises
    ------
    RuntimeError
        a is above b, a or b is not a finite number of the tensor's dtype, the dtype is not floating point, or autograd cannot
        follow the change.
    TypeError
        a or b is not a number.

    >>> import numgrad as ng
    >>> x = ng.zeros(100).uniform_(-1, 1)
    >>> x.min().item() >= -1, x.max().item() < 1
    (True, True)
    """
    in_place.check_writable("uniform_", input)
    low, high, state = _float("uniform_", "from", a), _float("uniform_", "to", b), _state("uniform_", generator)
    if in_place.takes_draws(input):
        return ops.random.uniform_.apply((input, state), low, high)  # type: ignore[no-any-return]
    drawn = ops.random.uniform(state, size=tuple(input.shape), low=low, high=high, dtype=input.dtype)
    return in_place.copy_(input, drawn)


@public("method")
def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor, which is returned, with normal random numbers.

    Raises
    ------
    RuntimeError
        std is negative or NaN, the tensor's dtype is not floating point, or autograd cannot follow the change.
    TypeError
        mean or std is not a number.

    >>> import numgrad as ng
    >>> ng.zeros(3).normal_(mean=5, std=0)
    tensor([5., 5., 5.])
    """
    in_place.check_writable("normal_", input)
    mean, std, state = _float("normal_", "mean", mean), _float("normal_", "std", std), _state("normal_", generator)
    if in_place.takes_draws(input):
        return ops.random.normal_.apply((input, state), mean, std)  # type: ignore[no-any-return]
    drawn = ops.random.normal(state, size=tuple(input.shape), mean=mean, std=std, dtype=input.dtype)
    return in_place.copy_(input, drawn)


@public("function", known=True)
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """As `rand`, with the shape of a tensor, and its dtype unless another is given.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    TypeError
        ``input`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.rand_like(ng.zeros(2, 3, dtype=ng.int64), dtype=ng.float64).dtype
    numgrad.float64
    """
    arguments.check_tensor("rand_like", "input", input)
    drawn = rand(input.shape, generator=generator, dtype=dtype or input.dtype)
    return creation.finished(creation.laid_as(input, drawn), requires_grad, memory_format)


@public("function", known=True)
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """As `randn`, with the shape of a tensor, and its dtype unless another is given.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    TypeError
        ``input`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.randn_like(ng.zeros(2, 3)).shape
    numgrad.Size([2, 3])
    """
    arguments.check_tensor("randn_like", "input", input)
    drawn = randn(input.shape, generator=generator, dtype=dtype or input.dtype)
    return creation.finished(creation.laid_as(input, drawn), requires_grad, memory_format)


@public("function")
def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, zero each element with probability p and divide the others by 1 - p; otherwise return the input.

    Raises
    ------
    RuntimeError
        p is not a probability, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> x = ng.dropout(ng.ones(100), 0.5)
    >>> ((x == 0) | (x == 2)).all()
    tensor(True)
    """
    p = _float("dropout", "p", p)
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    if isinstance(input, TensorBase) and (not training or p == 0.0):
        return input
    return ops.random.dropout(arguments.check_tensor("dropout", "input", input), default_generator._state, p=p)  # type: ignore[no-any-return]
