"""`flatiter`: the elements of an array in a row, to be read and written to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numgrad.numpy.array_type import ndarray


class flatiter:  # noqa: N801 (NumPy's name)
    """The elements of an array in a row, as `ndarray.flat` gives them; ``base`` is the array.

    >>> import numgrad.numpy as np
    >>> x = np.zeros((2, 2))
    >>> x.flat[::3] = 1
    >>> x
    array([[1., 0.],
           [0., 1.]])
    """

    def __init__(self, base: ndarray) -> None:
        self.base = base

    def __iter__(self) -> Iterator[ndarray]:
        return iter(self.base.reshape(-1))

    def __len__(self) -> int:
        return self.base.size

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.base.reshape(-1).__array__(dtype, copy)

    def __getitem__(self, index: Any) -> ndarray:
        return self.base[self._places(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.base[self._places(index)] = value

    def _places(self, index: Any) -> Any:
        positions = np.arange(self.base.size)[np.asarray(index) if hasattr(index, "__array__") else index]
        return tuple(
            each if each.ndim else int(each) for each in map(np.asarray, np.unravel_index(positions, self.base.shape))
        )
