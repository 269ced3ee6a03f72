"""Convolutions in one and three dimensions, and transposed ones: all by the ops of two dimensions."""

from __future__ import annotations

from typing import Any

from numgrad import ops
from numgrad.errors import ShapeError
from numgrad.tensor import arguments, creation, joining, layers, margins, pointwise, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import several
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


def _checked(name: str, input: Tensor, weight: Tensor, ndim: int) -> tuple[Tensor, bool]:
    """The input with a batch, and whether it came without; ``ndim`` extents follow the channels."""
    arguments.check_tensor(name, "input", input)
    arguments.check_tensor(name, "weight", weight)
    if weight.ndim != ndim + 2:
        raise ShapeError(f"{name}: weight has shape {list(weight.shape)}, expected {ndim + 2} dimensions")
    if input.ndim not in (ndim + 1, ndim + 2):
        raise ShapeError(
            f"Expected {ndim + 1}D (unbatched) or {ndim + 2}D (batched) input to {name}, but got input of size: "
            f"{list(input.shape)}"
        )
    unbatched = input.ndim == ndim + 1
    return (shaping.unsqueeze(input, 0) if unbatched else input), unbatched


def _named_padding(
    name: str, input: Tensor, weight: Tensor, padding: str, stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Tensor, tuple[int, ...]]:
    """The input, with what has to be added on one side alone, and the padding of both, of 'valid' and 'same'."""
    if padding == "valid":
        return input, (0,) * len(stride)
    if padding != "same":
        raise RuntimeError(f"{name}: Invalid padding string: {padding!r}, expected 'valid', 'same' or ints")
    if set(stride) != {1}:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [spread * (extent - 1) for spread, extent in zip(dilation, weight.shape[2:], strict=True)]
    if any(amount % 2 for amount in total):  # the extra zero goes to the far side
        input = margins.pad(input, tuple(amount for each in reversed(total) for amount in (0, each % 2)))
    return input, tuple(amount // 2 for amount in total)


@public("function", "functional", known=True)
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of input [N, C, L] (or [C, L]) with weight [K, C/groups, R].

    ``padding`` is a number of zeros, 'valid' (none), or 'same' (as many as keep the extent, for stride 1).

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.conv1d(ng.tensor([[[1.0, 2.0, 4.0]]]), ng.tensor([[[1.0, 1.0]]]))
    tensor([[[3., 6.]]])
    """
    batched, unbatched = _checked("conv1d", input, weight, 1)
    (step,), (spread,) = several("conv1d", "stride", stride, 1), several("conv1d", "dilation", dilation, 1)
    if isinstance(padding, str):
        batched, (amount,) = _named_padding("conv1d", batched, weight, padding, (step,), (spread,))
    else:
        (amount,) = several("conv1d", "padding", padding, 1)
    row, filters = shaping.unsqueeze(batched, 2), shaping.unsqueeze(weight, 2)
    out = shaping.squeeze(layers.conv2d(row, filters, bias, (1, step), (0, amount), (1, spread), groups), 2)
    return shaping.drop_base_of_copy(shaping.squeeze(out, 0) if unbatched else out, input)


@public("function", "functional", known=True)
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of input [N, C, D, H, W] (or [C, D, H, W]) with weight [K, C/groups, T, R, S].

    ``padding`` is a number of zeros, three numbers, 'valid' (none), or 'same' (as many as keep the extents, for stride 1).

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.conv3d(ng.ones(1, 1, 2, 2, 2), ng.ones(1, 1, 2, 2, 2))
    tensor([[[[[8.]]]]])
    """
    batched, unbatched = _checked("conv3d", input, weight, 3)
    steps, spread = several("conv3d", "stride", stride, 3), several("conv3d", "dilation", dilation, 3)
    if isinstance(padding, str):
        batched, pads = _named_padding("conv3d", batched, weight, padding, steps, spread)
    else:
        pads = several("conv3d", "padding", padding, 3)
    if min(steps) < 1 or min(spread) < 1 or min(pads) < 0:
        raise ShapeError(f"conv3d: stride {steps} and dilation {spread} must be positive, padding {pads} not negative")
    k, channels, taps, *filters = weight.shape
    n, c, depth = batched.shape[:3]
    planes = (depth + 2 * pads[0] - spread[0] * (taps - 1) - 1) // steps[0] + 1
    if planes < 1 or taps < 1:
        raise ShapeError(
            f"conv3d: Calculated padded input size per channel: ({depth + 2 * pads[0]} x ...). Kernel size: ({taps} x ...). "
            "Kernel size can't be greater than actual input size"
        )
    # The planes under the taps in depth stand beside each other as channels of one image for each plane of the output.
    deep = margins.pad(batched, (0, 0, 0, 0, pads[0], pads[0])) if pads[0] else batched
    window = [
        deep[:, :, tap * spread[0] : tap * spread[0] + steps[0] * (planes - 1) + 1 : steps[0]] for tap in range(taps)
    ]
    under = joining.stack(window, 3) if taps > 1 else shaping.unsqueeze(window[0], 3)  # [N, C, P, T, H, W]
    images = shaping.reshape(shaping.permute(under, 0, 2, 1, 3, 4, 5), (n * planes, c * taps, *batched.shape[3:]))
    flat = shaping.reshape(weight, (k, channels * taps, *filters))
    out = layers.conv2d(images, flat, bias, steps[1:], pads[1:], spread[1:], groups)
    out = shaping.contiguous(shaping.permute(shaping.reshape(out, (n, planes, k, *out.shape[2:])), 0, 2, 1, 3, 4))
    return shaping.drop_base_of_copy(shaping.squeeze(out, 0) if unbatched else out, input)


# ---- transposed -------------------------------------------------------------------------------------------------


def _transposed(
    name: str,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    groups: int,
    dilation: tuple[int, ...],
) -> Tensor:
    """The gradient of a convolution by its input, for [N, C, H, W], plus a bias."""
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0 or min(output_padding) < 0 or groups < 1:
        raise ShapeError(
            f"{name}: stride {stride}, dilation {dilation} and groups {groups} must be positive, padding {padding} and "
            f"output_padding {output_padding} not negative"
        )
    for extra, step, spread in zip(output_padding, stride, dilation, strict=True):
        if extra >= max(step, spread):
            raise RuntimeError(
                f"output padding must be smaller than either stride or dilation, but got output_padding: {output_padding}, "
                f"stride: {stride}, dilation: {dilation}"
            )
    n, c, *image = input.shape
    if c != weight.shape[0] or c % groups:
        raise ShapeError(
            f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(input.shape)} to have "
            f"{weight.shape[0]} channels, but got {c} channels instead (in {groups} groups)"
        )
    filters = weight.shape[2:]
    full = [
        (extent - 1) * step + spread * (taps - 1) + 1
        for extent, step, spread, taps in zip(image, stride, dilation, filters, strict=True)
    ]
    size = [whole - 2 * pad + extra for whole, pad, extra in zip(full, padding, output_padding, strict=True)]
    if min(size) < 1 or min(filters) < 1:
        raise ShapeError(
            f"Given input size per channel: {image}. Calculated output size per channel: {size}. Output size is too small"
        )
    k = weight.shape[1] * groups
    apply = ops.conv.conv2d_backward_input
    if all(extra < step for extra, step in zip(output_padding, stride, strict=True)):
        out = apply(input, weight, size=(n, k, *size), stride=stride, padding=padding, dilation=dilation, groups=groups)
    else:  # there is no convolution of that stride between the extents: the whole result, and a cut of it
        out = apply(input, weight, size=(n, k, *full), stride=stride, dilation=dilation, groups=groups)
        (top, left), (extra_h, extra_w) = padding, output_padding
        out = margins.pad(out, (-left, extra_w - left, -top, extra_h - top))
    if bias is None:
        return out  # type: ignore[no-any-return]
    if tuple(bias.shape) != (k,) or bias.dtype is not input.dtype:
        raise ShapeError(
            f"Given transposed=1, weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {k} elements of "
            f"{input.dtype}, but got bias of size {list(bias.shape)} of {bias.dtype} instead"
        )
    return pointwise.add(out, shaping.reshape(bias, (k, 1, 1)))


@public("function", "functional", known=True)
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of `conv1d` (its gradient by the input) of input [N, C, L] (or [C, L]) with weight [C, K/groups, R].

    ``output_padding`` lengthens the result, of whose possible lengths a stride leaves several.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.conv_transpose1d(ng.tensor([[[1.0, 2.0]]]), ng.tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    name = "conv_transpose1d"
    batched, unbatched = _checked(name, input, weight, 1)
    (step,), (amount,) = several(name, "stride", stride, 1), several(name, "padding", padding, 1)
    (extra,), (spread,) = several(name, "output_padding", output_padding, 1), several(name, "dilation", dilation, 1)
    row, filters = shaping.unsqueeze(batched, 2), shaping.unsqueeze(weight, 2)
    groups = as_int(name, "groups", groups)
    out = _transposed(name, row, filters, bias, (1, step), (0, amount), (0, extra), groups, (1, spread))
    out = shaping.squeeze(out, 2)
    return shaping.drop_base_of_copy(shaping.squeeze(out, 0) if unbatched else out, input)


@public("function", "functional", known=True)
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of `conv2d` (its gradient by the input) of input [N, C, H, W] (or [C, H, W]), weight [C, K/groups, R, S].

    ``output_padding`` enlarges the result, of whose possible extents a stride leaves several.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.conv_transpose2d(ng.ones(1, 1, 1, 2), ng.ones(1, 1, 2, 2))
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    name = "conv_transpose2d"
    batched, unbatched = _checked(name, input, weight, 2)
    out = _transposed(
        name, batched, weight, bias, several(name, "stride", stride, 2), several(name, "padding", padding, 2),
        several(name, "output_padding", output_padding, 2), as_int(name, "groups", groups),
        several(name, "dilation", dilation, 2),
    )  # fmt: skip
    return shaping.drop_base_of_copy(shaping.squeeze(out, 0) if unbatched else out, input)


@public("function", "functional", known=True)
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of `conv3d` (its gradient by the input), of input [N, C, D, H, W] and weight [C, K/groups, T, R, S].

    ``output_padding`` enlarges the result, of whose possible extents a stride leaves several.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.conv_transpose3d(ng.ones(1, 1, 2, 1, 1), ng.ones(1, 1, 2, 1, 1)).flatten()
    tensor([1., 2., 1.])
    """
    name = "conv_transpose3d"
    batched, unbatched = _checked(name, input, weight, 3)
    steps, pads = several(name, "stride", stride, 3), several(name, "padding", padding, 3)
    extra, spread = several(name, "output_padding", output_padding, 3), several(name, "dilation", dilation, 3)
    groups = as_int(name, "groups", groups)
    n, c, depth, *image = batched.shape
    taps, filters = weight.shape[2], weight.shape[3:]
    if min(steps[0], spread[0], taps) < 1 or min(pads[0], extra[0]) < 0 or extra[0] >= max(steps[0], spread[0]):
        raise ShapeError(
            f"{name}: stride {steps} and dilation {spread} must be positive, padding {pads} not negative, output_padding "
            f"{extra} smaller than either stride or dilation"
        )
    whole = (depth - 1) * steps[0] + spread[0] * (taps - 1) + 1
    if whole - 2 * pads[0] + extra[0] < 1:
        raise ShapeError(f"{name}: the padding {pads} takes away all of the {whole} planes of the result")
    # One image of all taps in depth for each plane; then each tap's planes are added where they belong.
    flat = shaping.reshape(weight, (weight.shape[0], weight.shape[1] * taps, *filters))
    images = shaping.reshape(shaping.permute(batched, 0, 2, 1, 3, 4), (n * depth, c, *image))
    out = _transposed(name, images, flat, None, steps[1:], pads[1:], extra[1:], groups, spread[1:])
    k, size = weight.shape[1] * groups, out.shape[2:]
    out = shaping.permute(shaping.reshape(out, (n, depth, k, taps, *size)), 0, 2, 1, 3, 4, 5)
    places = [tap * spread[0] + steps[0] * plane for plane in range(depth) for tap in range(taps)]
    out = ops.index.index_select_backward(
        shaping.reshape(out, (n, k, depth * taps, *size)),
        creation.tensor(places),
        size=(n, k, whole, *size),
        dim=2,
    )
    if pads[0] or extra[0]:
        out = shaping.contiguous(margins.pad(out, (0, 0, 0, 0, -pads[0], extra[0] - pads[0])))
    if bias is not None:
        out = pointwise.add(out, shaping.reshape(bias, (k, 1, 1, 1)))
    return shaping.drop_base_of_copy(shaping.squeeze(out, 0) if unbatched else out, input)
