"""Tensors cut into views along a dimension: `tensor_split`, `hsplit` and so on; torch's further names for `split`."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.engine.tape import TensorBase
from numgrad.tensor import joining
from numgrad.tensor.arguments import as_int, wrap_dim
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("function", "method", known=True)
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of so many sections of nearly one size, or of the parts between indices, along a dimension.

    Sections or indices may be given as a tensor of int64.

    Raises
    ------
    RuntimeError
        The number of sections is not positive, the input has no dimensions, or a tensor has the wrong dtype or rank.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.tensor_split(ng.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    >>> ng.tensor_split(ng.arange(5), (1, 3))
    (tensor([0]), tensor([1, 2]), tensor([3, 4]))
    """
    return _split_at("tensor_split", input, indices_or_sections, dim)


def _split_at(name: str, input: Tensor, sections: Any, dim: int) -> tuple[Tensor, ...]:
    if input._spec.ndim == 0:
        raise RuntimeError(
            f"{name} expected at least a 1-dimensional tensor, but got a tensor with {input._spec.ndim} dims"
        )
    axis = wrap_dim(name, dim, input._spec.ndim)
    extent = input._spec.shape[axis]
    if isinstance(sections, TensorBase):
        if sections._spec.dtype is not dtypes.int64 or sections._spec.ndim > 1:
            raise RuntimeError(
                f"{name} expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor of int64, but got "
                f"{list(sections._spec.shape)} of {sections._spec.dtype}"
            )
        sections = sections.tolist()  # type: ignore[attr-defined]
    if isinstance(sections, (tuple, list)):
        places = [as_int(name, "indices", each) for each in sections]
        # As slices, where negative indices count from the end and none is beyond it.
        ends = [builtins.max(0, builtins.min(extent, each + extent if each < 0 else each)) for each in places]
    else:
        count = as_int(name, "sections", sections)
        if count <= 0:
            raise RuntimeError(f"{name}: number of sections must be larger than 0, got {count}")
        each, more = divmod(extent, count)
        ends = [number * each + builtins.min(number, more) for number in range(1, count)]
    begins, ends = [0, *ends], [*ends, extent]
    return tuple(
        [
            ops.view.narrow(input, axis, begin, builtins.max(0, end - begin))
            for begin, end in zip(begins, ends, strict=True)
        ]
    )


def _divided(name: str, input: Tensor, sections: Any, axis: int, least: int) -> tuple[Tensor, ...]:
    if input._spec.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension{'s' * (least > 1)}, but got a tensor with "
            f"{input._spec.ndim} dimensions!"
        )
    if not isinstance(sections, (tuple, list)):
        count, extent = as_int(name, "sections", sections), input._spec.shape[axis]
        if count <= 0 or extent % count:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {axis}, but the size of the dimension {extent} is not divisible "
                f"by the split_size {count}!"
            )
    return _split_at(name, input, sections, axis)


@public("function", "method", known=True)
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the columns, dimension 1, of a vector along dimension 0, into sections of one size.

    Raises
    ------
    RuntimeError
        The input has no dimensions, or its columns cannot be divided so.

    >>> import numgrad as ng
    >>> ng.hsplit(ng.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return _divided("hsplit", input, indices_or_sections, 0 if input._spec.ndim == 1 else 1, 1)


@public("function", "method", known=True)
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the rows, dimension 0, into sections of one size.

    Raises
    ------
    RuntimeError
        There are fewer than two dimensions, or the rows cannot be divided so.

    >>> import numgrad as ng
    >>> ng.vsplit(ng.tensor([[1, 2], [3, 4]]), 2)
    (tensor([[1, 2]]), tensor([[3, 4]]))
    """
    return _divided("vsplit", input, indices_or_sections, 0, 2)


@public("function", "method", known=True)
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 2, into sections of one size.

    Raises
    ------
    RuntimeError
        There are fewer than three dimensions, or dimension 2 cannot be divided so.

    >>> import numgrad as ng
    >>> [part.shape for part in ng.dsplit(ng.zeros(1, 2, 4), [1])]
    [numgrad.Size([1, 2, 1]), numgrad.Size([1, 2, 3])]
    """
    return _divided("dsplit", input, indices_or_sections, 2, 3)


@public("function", "method", known=True)
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`split` into views of the sizes in a list.

    Raises
    ------
    RuntimeError
        A size is negative, or they do not sum to the extent.

    >>> import numgrad as ng
    >>> ng.split_with_sizes(ng.arange(3), [1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return joining.split(input, list(split_sizes), dim)


@public("function", "method", known=True)
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split`, whose views are safe here.

    Raises
    ------
    RuntimeError
        As `split`.

    >>> import numgrad as ng
    >>> ng.unsafe_split(ng.arange(3), 2)
    (tensor([0, 1]), tensor([2]))
    """
    return joining.split(input, split_size, dim)


@public("function", "method", known=True)
def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`split_with_sizes`, whose views are safe here.

    Raises
    ------
    RuntimeError
        As `split_with_sizes`.

    >>> import numgrad as ng
    >>> ng.unsafe_split_with_sizes(ng.arange(3), [1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return joining.split(input, list(split_sizes), dim)


@public("function", "method", known=True)
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk`, whose views are safe here.

    Raises
    ------
    RuntimeError
        As `chunk`.

    >>> import numgrad as ng
    >>> ng.unsafe_chunk(ng.arange(3), 2)
    (tensor([0, 1]), tensor([2]))
    """
    return joining.chunk(input, chunks, dim)
