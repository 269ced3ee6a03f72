"""`pad`: margins of a constant, of the edge, of the mirrored or of the repeated input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numgrad import ops
from numgrad.layout import product
from numgrad.tensor import arguments, joining, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_LAST = (0, 2, 3, 1)  # the dimensions of images in memory that has the channels last; the result has them last, too
_MODES = ("constant", "reflect", "replicate", "circular")


@public("functional", known=True)
def pad(input: Tensor, pad: tuple[int, ...], mode: str = "constant", value: float | None = None) -> Tensor:
    """The input with margins: (left, right) of the last dimension, then of the one before, …; negative amounts cut.

    'constant': of ``value``, by default 0. The other modes pad the last one to three dimensions, behind one or two that stay:
    'reflect' mirrors the input without its edge, 'replicate' repeats the edge, 'circular' goes on from the other side.

    Raises
    ------
    NotImplementedError
        There is no such mode, or not for this number of dimensions.
    RuntimeError
        The number of amounts is odd or too large, the amounts cut more than a dimension has, or the margins of 'reflect' or
        'circular' are too large for the input; a value is given for another mode than 'constant'.
    TypeError
        ``pad`` is not a tuple of ints.

    >>> import numgrad as ng
    >>> pad(ng.tensor([[1.0, 2.0]]), (0, 1, 1, 0), value=9)
    tensor([[9., 9., 9.],
            [1., 2., 9.]])
    >>> pad(ng.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    spec = arguments.check_tensor("pad", "input", input)._spec
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad(): argument 'pad' must be tuple of ints, not {type(pad).__name__}")
    if mode not in _MODES:
        raise NotImplementedError(f"pad: mode is {mode!r}, expected one of {_MODES}")
    ndim = spec.ndim
    if len(pad) % 2 or len(pad) > 2 * ndim:
        raise RuntimeError(f"pad: {len(pad)} amounts for {ndim} dimensions, expected at most two for each")
    amounts = [amount if amount.__class__ is int else as_int("pad", "pad", amount) for amount in pad]
    if mode == "constant" and not value and amounts and min(amounts) >= 0 and max(amounts) > 0:
        return _window_of_zeros(input, spec.shape, amounts)
    sides = {
        input.ndim - number: (before, after)
        for number, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True), 1)
    }
    if mode != "constant":
        return _continued(input, sides, mode, value)
    for axis, (before, after) in sides.items():
        if (kept := input.shape[axis] + min(0, before) + min(0, after)) < 0:
            raise RuntimeError(f"pad: {amounts} takes more away than dimension {axis} of {list(input.shape)} has")
        input = input if kept == input.shape[axis] else shaping.narrow(input, axis, max(0, -before), kept)
    return _framed(input, {a: (max(0, b), max(0, c)) for a, (b, c) in sides.items()}, value or 0)


def _window_of_zeros(input: Tensor, shape: tuple[int, ...], amounts: list[int]) -> Tensor:
    """The input in zeros, in one pass, with amounts as `pad` takes them."""
    size, starts = list(shape), [0] * len(shape)
    for number in range(0, len(amounts), 2):
        axis = len(shape) - 1 - number // 2
        starts[axis] = amounts[number]
        size[axis] += amounts[number] + amounts[number + 1]
    whole = (1,) * len(shape)
    if not input._spec.shows_channels_last():
        return ops.view.slice_backward(input, size=tuple(size), starts=tuple(starts), steps=whole)  # type: ignore[no-any-return]
    size, starts = [size[axis] for axis in _LAST], [starts[axis] for axis in _LAST]
    rows = shaping.permute(input, _LAST)
    return shaping.permute(
        ops.view.slice_backward(rows, size=tuple(size), starts=tuple(starts), steps=whole), 0, 3, 1, 2
    )


def _framed(input: Tensor, sides: dict[int, tuple[int, int]], value: float) -> Tensor:
    from numgrad.tensor import creation

    if value == 0 and any(before or after for before, after in sides.values()):
        around = [sides.get(axis, (0, 0)) for axis in range(input.ndim)][::-1]
        return _window_of_zeros(input, input._spec.shape, [amount for pair in around for amount in pair])
    for axis, margins in sides.items():
        pieces = [
            creation.full((*input.shape[:axis], amount, *input.shape[axis + 1 :]), value, dtype=input.dtype)
            if amount
            else None
            for amount in margins
        ]
        joined = [piece for piece in (pieces[0], input, pieces[1]) if piece is not None]
        input = joining.cat(joined, axis) if len(joined) > 1 else input
    return input


def _continued(input: Tensor, sides: dict[int, tuple[int, int]], mode: str, value: float | None) -> Tensor:
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if not 1 <= len(sides) <= 3 or input.ndim - len(sides) not in (1, 2):
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: one to three padded dimensions behind "
            f"one or two others; got {2 * len(sides)} amounts for {input.ndim} dimensions"
        )
    for axis, (before, after) in sides.items():
        extent = input.shape[axis]
        most = max(before, after)
        if extent == 0 or (mode == "reflect" and most >= extent) or (mode == "circular" and most > extent):
            limit = {"reflect": "less than", "circular": "at most", "replicate": "of a dimension of more than 0, not"}[
                mode
            ]
            raise RuntimeError(
                f"pad: Padding size should be {limit} the corresponding input dimension, but got: padding ({before}, {after}) "
                f"at dimension {axis} of input {list(input.shape)}"
            )
        if before + after + extent < 1:
            raise RuntimeError(f"pad: ({before}, {after}) leaves nothing of dimension {axis} of {list(input.shape)}")
    for axis, (before, after) in sides.items():
        cut = input.shape[axis] + min(before, 0) + min(after, 0)
        if mode == "circular" and cut < 1 and max(before, after) > 0:
            raise RuntimeError(f"pad: ({before}, {after}) leaves nothing to go on with of {list(input.shape)}")
    if len(sides) == 2 and input._spec.shows_channels_last():
        (top, bottom), (left, right) = sides[2], sides[3]
        rows = shaping.permute(input, _LAST)
        out = ops.margins.continued(rows, mode=mode, before=(top, left, 0), after=(bottom, right, 0))
        return shaping.permute(out, 0, 3, 1, 2)
    shape = tuple(input.shape)
    still, moved = shape[: input.ndim - len(sides)], shape[input.ndim - len(sides) :]
    around = [(0, 0)] * (3 - len(sides)) + [sides[axis] for axis in sorted(sides)]
    flat = shaping.reshape(input, (product(still), *(1,) * (3 - len(sides)), *moved))
    out = ops.margins.continued(
        flat, mode=mode, before=tuple(first for first, _ in around), after=tuple(last for _, last in around)
    )
    return shaping.drop_base_of_copy(shaping.reshape(out, (*still, *out.shape[4 - len(sides) :])), input)


_pad = pad  # what is an argument's name below


@public("function", known=True)
def constant_pad_nd(input: Tensor, pad: tuple[int, ...], value: float = 0) -> Tensor:
    """`nn.functional.pad` with margins of one value.

    Raises
    ------
    RuntimeError, TypeError
        As `nn.functional.pad`.

    >>> import numgrad as ng
    >>> ng.constant_pad_nd(ng.tensor([1.0, 2.0]), (1, 0), 9)
    tensor([9., 1., 2.])
    """
    return _pad(input, pad, value=value)
