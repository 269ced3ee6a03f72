"""What an expression of Python may be while a function is read: a number, elements of an array, an array not yet made, a tuple."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numgrad.loops.language import ONE, ZERO, Expr, Load, op


@dataclass(frozen=True)
class Span:
    """An axis of an array that a view leaves free: ``extent`` elements from ``start`` on, ``step`` apart."""

    start: Expr
    step: Expr
    extent: Expr

    def at(self, index: Expr) -> Expr:
        """The array's index for one of the view."""
        return op("+", self.start, op("*", self.step, index))


@dataclass(frozen=True)
class View:
    """Another name for elements of one array: for each of its axes a fixed index or a `Span`; ``order`` names the free axes."""

    array: str
    axes: tuple[Expr | Span, ...]
    order: tuple[int, ...]

    @property
    def shape(self) -> tuple[Expr, ...]:
        """Extents of the view."""
        return tuple(self.span(k).extent for k in range(len(self.order)))

    def span(self, axis: int) -> Span:
        """The free axis of this number."""
        free = self.axes[self.order[axis]]
        assert isinstance(free, Span)
        return free

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the array, in its own order."""
        return self.order == tuple(range(len(self.axes))) and all(
            isinstance(a, Span) and a.start == ZERO and a.step == ONE for a in self.axes
        )

    def index(self, given: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """Indices of the array for those of the view."""
        table = dict(zip(self.order, given, strict=True))
        return tuple(a.at(table[k]) if isinstance(a, Span) else a for k, a in enumerate(self.axes))

    def element(self, given: tuple[Expr, ...], out: list[Any]) -> Expr:
        """One element."""
        return Load(self.array, self.index(given))


def whole(array: str, shape: tuple[Expr, ...]) -> View:
    """All of an array."""
    return View(array, tuple(Span(ZERO, ONE, e) for e in shape), tuple(range(len(shape))))


@dataclass(frozen=True)
class Lazy:
    """An array that is not in memory: how to compute an element, given its indices and where statements go.

    Attributes
    ----------
    shape, dtype
        Of the array.
    element
        ``(index, out) -> Expr``.
    reads
        Arrays whose elements it reads.
    """

    shape: tuple[Expr, ...]
    dtype: str
    element: Callable[[tuple[Expr, ...], list[Any]], Expr]
    reads: frozenset[str]


@dataclass(frozen=True)
class Static:
    """An object of Python that is known before anything runs: a module, a function, a dtype, a text."""

    value: Any


@dataclass(frozen=True)
class Row:
    """A tuple."""

    items: tuple[Any, ...]


Arrayed = View | Lazy
