"""Small blocks are cut from large pieces; a returned block joins the free memory beside it, and serves any size again.

Free memory is a set of spans. Spans whose pages the system has given (touched) are apart from the others, and the smallest
that fits is cut. ``_at`` holds the free spans; popping a span from it takes the span, in one step that nothing can interrupt.
So a signal, a finalizer or another thread in the middle of a change can lose a span, which only costs its bytes, but no
memory is ever handed out twice.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from numgrad.runtime.pages import Mapping

PIECE = 16 << 20  # bytes


class _Span:
    """``size`` free bytes from ``address``; ``touched`` if the system may have given pages to them."""

    __slots__ = ("address", "piece", "size", "touched")

    def __init__(self, piece: Mapping, address: int, size: int, touched: bool) -> None:
        self.piece = piece
        self.address = address
        self.size = size
        self.touched = touched


_at: dict[int, _Span] = {}  # free spans by first address
_until: dict[int, _Span] = {}  # by end; may hold spans that are no longer free, as the next
_by_size: dict[bool, list[tuple[int, int]]] = {True: [], False: []}  # by touched: (size, address) in order


def cut(size: int, fresh: bool) -> tuple[int, Mapping] | None:
    """Address and piece of ``size`` free bytes, or None; from untouched pages only if ``fresh``."""
    for touched in (True, False) if fresh else (True,):
        order = _by_size[touched]
        while (index := bisect_left(order, (size, 0))) < len(order):
            length, address = order.pop(index)
            span = _at.get(address)
            if span is None or span.size != length or span.touched is not touched or not _take_out(span):
                continue
            if length > size:
                _add(span.piece, address + size, length - size, touched)
            return address, span.piece
    return None


def add_piece() -> None:
    """Map another piece."""
    piece = Mapping(PIECE)
    _add(piece, piece.address, PIECE, False)


def put_back(address: int, size: int, piece: Mapping) -> None:
    """Take a block back."""
    _add(piece, address, size, True)


def touched_bytes() -> int:
    """Free bytes that the system may have given pages to."""
    return sum([span.size for span in list(_at.values()) if span.touched])


def give_back(excess: int) -> None:
    """Give at least ``excess`` touched bytes back to the system, if there are so many.

    It gives whole pages of the largest spans first, then every piece that is free as a whole.
    """
    for size, address in _by_size[True][::-1]:
        if excess <= 0:
            break
        span = _at.get(address)
        if span is not None and span.size == size and span.touched and _take_out(span):
            excess -= size
            _add(span.piece, address, size, touched=not span.piece.discard(address, size))
    for span in list(_at.values()):
        if span.size == PIECE:
            _take_out(span)


def _add(piece: Mapping, address: int, size: int, touched: bool) -> None:
    """Make bytes free, joined with the free spans beside them."""
    left, right = _until.get(address), _at.get(address + size)
    if left is not None and left.piece is piece and left.touched is touched and _take_out(left):
        address, size = left.address, left.size + size
    if right is not None and right.piece is piece and right.touched is touched and _take_out(right):
        size += right.size
    span = _Span(piece, address, size, touched)
    insort(_by_size[touched], (size, address))
    _until[address + size] = span
    _at[address] = span


def _take_out(span: _Span) -> bool:
    """Take a span; whether it was still free."""
    if _at.get(span.address) is not span or _at.pop(span.address, None) is not span:
        return False
    _until.pop(span.address + span.size, None)
    order, entry = _by_size[span.touched], (span.size, span.address)
    index = bisect_left(order, entry)
    if index < len(order) and order[index] == entry:
        del order[index]
    return True
