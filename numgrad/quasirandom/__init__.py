"""Sequences that fill a cube evenly: `SobolEngine`, after ``torch.quasirandom``.

The direction numbers in ``directions.bin`` are those of S. Joe and F. Y. Kuo ("Constructing Sobol sequences with better
two-dimensional projections", SIAM J. Sci. Comput. 30, 2008; their file new-joe-kuo-6.21201), which torch has as well, of the
first 1111 of 21201 dimensions; all of them take 640 KB. Their licence is the BSD one, copyright 2008 Frances Y. Kuo and
Stephen Joe.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.tensor import creation, random
from numgrad.tensor.arguments import as_int
from numgrad.tensor.tensor import Tensor

__all__ = ["SobolEngine"]


@functools.cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    """The primitive polynomials of all dimensions, and the first direction numbers of one after the other."""
    packed = Path(__file__).with_name("directions.bin").read_bytes()
    numbers = np.frombuffer(zlib.decompress(packed), "<u2").astype(np.int64)
    return numbers[: SobolEngine.MAXDIM], numbers[SobolEngine.MAXDIM :]


def _directions(dimension: int) -> np.ndarray:
    """Direction numbers [dimension, MAXBIT] as binary fractions of MAXBIT digits."""
    bits = SobolEngine.MAXBIT
    polynomials, firsts = _table()
    numbers = np.ones((dimension, bits), np.int64)
    begin = 0
    for d in range(1, dimension):
        polynomial = int(polynomials[d])
        degree = polynomial.bit_length() - 1
        row = [int(first) for first in firsts[begin : begin + degree]]
        begin += degree
        for m in range(degree, bits):
            value = row[m - degree]
            for k in range(1, degree + 1):
                if polynomial >> (degree - k) & 1:
                    value ^= row[m - k] << k
            row.append(value)
        numbers[d] = row[:bits]
    return numbers << np.arange(bits - 1, -1, -1)


class SobolEngine:
    """Sobol's sequence in up to 1111 dimensions: points in the unit cube that fill it more evenly than random ones.

    Parameters
    ----------
    dimension
        The number of coordinates.
    scramble
        Whether the digits are mixed at random (Owen's scrambling): the points then have no fixed place, and fill as evenly.
    seed
        Of the scrambling; without it, it draws from the default generator. The points of a seed are not torch's.

    Raises
    ------
    ValueError
        The dimension is out of range.

    >>> import numgrad as ng
    >>> engine = ng.quasirandom.SobolEngine(2)
    >>> engine.draw(3)
    tensor([[0.0000, 0.0000],
            [0.5000, 0.5000],
            [0.7500, 0.2500]])
    """

    MAXBIT = 30
    MAXDIM = 1111

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        dimension = as_int("SobolEngine", "dimension", dimension)
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        self.dimension, self.scramble, self.seed = dimension, bool(scramble), seed
        self.num_generated = 0
        self._numbers = _directions(dimension)
        self._shift = np.zeros(dimension, np.int64)
        if self.scramble:
            self._scramble()

    def _scramble(self) -> None:
        """Lower triangular matrices of random digits applied to those of the directions, and a random shift of the points."""
        generator = None if self.seed is None else random.Generator().manual_seed(self.seed)
        bits = self.MAXBIT
        shift = random.randint(0, 2, (self.dimension, bits), generator=generator).numpy()
        mixing = np.tril(random.randint(0, 2, (self.dimension, bits, bits), generator=generator).numpy(), -1)
        mixing += np.eye(bits, dtype=np.int64)
        weights = 1 << np.arange(bits - 1, -1, -1)  # of the digits, the first after the point first
        digits = (self._numbers[:, None, :] // weights[:, None]) % 2
        self._numbers = ((mixing @ digits % 2) * weights[:, None]).sum(1)
        self._shift = (shift * weights).sum(1)

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: Dtype | None = None) -> Tensor:
        """The next n points, [n, dimension]; by default of the default dtype.

        Raises
        ------
        ValueError
            n is negative, or the sequence has not so many points.

        >>> SobolEngine(1).draw(4).tolist()
        [[0.0], [0.5], [0.75], [0.25]]
        """
        n = self._checked(n)
        chosen = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype("draw", dtype)
        numbers = np.arange(self.num_generated, self.num_generated + n)
        code = numbers ^ (numbers >> 1)  # Gray's: from point to point one digit changes
        points = np.repeat(self._shift[None], n, 0)
        for bit in range(int(code.max(initial=0)).bit_length()):
            points ^= np.where(code[:, None] >> bit & 1, self._numbers[:, bit], 0)
        result = creation.tensor(points / (1 << self.MAXBIT), dtype=chosen)
        self.num_generated += n
        return result if out is None else out.resize_(result.shape).copy_(result)

    def _checked(self, n: Any) -> int:
        n = as_int("SobolEngine", "n", n)
        if n < 0 or self.num_generated + n > 1 << self.MAXBIT:
            raise ValueError(
                f"SobolEngine: n is {n} after {self.num_generated} points, expected from 0 to {1 << self.MAXBIT} in all"
            )
        return n

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: Dtype | None = None) -> Tensor:
        """The next 2**m points, after which their number has to be a power of 2, for the sake of balance.

        Raises
        ------
        ValueError
            It would be none.

        >>> SobolEngine(3).draw_base2(4).shape
        numgrad.Size([16, 3])
        """
        n = 1 << as_int("SobolEngine", "m", m)
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                f"The balance properties of Sobol' points require n to be a power of 2. {self.num_generated} points have been "
                f"previously generated, then: n={self.num_generated}+2**{m}={total}. If you still want to do this, please use "
                "'SobolEngine.draw()' instead."
            )
        return self.draw(n, out, dtype)

    def reset(self) -> SobolEngine:
        """Begin again with the first point.

        >>> engine = SobolEngine(1)
        >>> _ = engine.draw(5)
        >>> engine.reset().draw()
        tensor([[0.]])
        """
        self.num_generated = 0
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Leave out the next n points.

        Raises
        ------
        ValueError
            n is negative, or the sequence has not so many points.

        >>> SobolEngine(1).fast_forward(2).draw()
        tensor([[0.7500]])
        """
        self.num_generated += self._checked(n)
        return self

    def __repr__(self) -> str:
        further = (", scramble=True" if self.scramble else "") + (
            f", seed={self.seed}" if self.seed is not None else ""
        )
        return f"SobolEngine(dimension={self.dimension}{further})"
