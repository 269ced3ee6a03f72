"""What the namespace says of itself."""

from __future__ import annotations

from typing import Any

from numgrad import dtypes as _dtypes
from numgrad.array_api import promotion
from numgrad.devices import CPU, device, on_cpu
from numgrad.dtypes import dtype as Dtype


class Info:
    """The utilities behind ``__array_namespace_info__()``.

    >>> from numgrad import array_api as xp
    >>> info = xp.__array_namespace_info__()
    >>> info.devices(), info.default_dtypes()["indexing"]
    ((device(type='cpu'),), numgrad.int64)
    """

    def capabilities(self) -> dict[str, Any]:
        """Indexing by masks and shapes that depend on values are supported, and as many dimensions as NumPy's arrays have."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> device:
        """The CPU."""
        return CPU

    def devices(self) -> tuple[device, ...]:
        """The CPU alone."""
        return (CPU,)

    def default_dtypes(self, *, device: Any = None) -> dict[str, Dtype]:
        """The dtypes of new arrays for which none is given, by kind. There is none of kind 'complex floating'.

        Raises
        ------
        RuntimeError
            The device is not the CPU.
        """
        on_cpu("default_dtypes", device)
        return {"real floating": _dtypes.get_default_dtype(), "integral": _dtypes.int64, "indexing": _dtypes.int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Dtype]:
        """The dtypes that the standard has as well, by name; with ``kind`` only those of a kind or of a tuple of kinds.

        numgrad has no complex dtypes: 'complex floating' is a kind without any.

        Raises
        ------
        RuntimeError
            The device is not the CPU.
        ValueError
            There is no such kind.

        >>> from numgrad import array_api as xp
        >>> xp.__array_namespace_info__().dtypes(kind="real floating")
        {'float32': numgrad.float32, 'float64': numgrad.float64}
        >>> xp.__array_namespace_info__().dtypes(kind="complex floating")
        {}
        """
        on_cpu("dtypes", device)
        return dict(promotion.DTYPES) if kind is None else promotion.of_kind("dtypes", kind)


def __array_namespace_info__() -> Info:  # noqa: N807 (the standard's name)
    """What the namespace has: capabilities, dtypes, devices.

    >>> from numgrad import array_api as xp
    >>> xp.__array_namespace_info__().capabilities()["boolean indexing"]
    True
    """
    return Info()
