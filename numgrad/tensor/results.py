"""Results of several tensors: tuples whose parts have names, as torch's ``return_types``."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, ClassVar


class Result(tuple[Any, ...]):
    """A tuple with a name for each of its parts; made from a tuple of them."""

    __slots__ = ()
    parts: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = ",\n".join(f"{name}={part!r}" for name, part in zip(self.parts, self, strict=True))
        return f"numgrad.return_types.{type(self).__name__.removesuffix('Result').lower()}(\n{shown})"


def _named(name: str, *parts: str) -> Any:
    fields = {part: property(itemgetter(position)) for position, part in enumerate(parts)}
    return type(name, (Result,), {"__slots__": (), "__module__": __name__, "parts": parts, **fields})


MaxResult = _named("MaxResult", "values", "indices")
MinResult = _named("MinResult", "values", "indices")
CummaxResult = _named("CummaxResult", "values", "indices")
CumminResult = _named("CumminResult", "values", "indices")
SortResult = _named("SortResult", "values", "indices")
TopkResult = _named("TopkResult", "values", "indices")
KthvalueResult = _named("KthvalueResult", "values", "indices")
MedianResult = _named("MedianResult", "values", "indices")
NanmedianResult = _named("NanmedianResult", "values", "indices")
ModeResult = _named("ModeResult", "values", "indices")
AminmaxResult = _named("AminmaxResult", "min", "max")
HistogramResult = _named("HistogramResult", "hist", "bin_edges")
HistogramddResult = _named("HistogramddResult", "hist", "bin_edges")
