"""``*_copy``: the functions that give views, with the elements in memory of their own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numgrad.layout import contiguous_format
from numgrad.tensor import diagonals, joining, outputs, reshaping, shaping, splitting
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def _copied(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(_copied(part) for part in result)
    return shaping.clone(result, memory_format=contiguous_format)


def _copying(name: str, view: Callable[..., Any], example: str, said: str) -> None:
    """Make the function that copies what ``view``, a function of this package, gives."""

    def function(input: Tensor, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        # Here and not by `keywords`, which reads the signature: Python binds whatever it is given to this one.
        if out is not None:
            return outputs.written(name, function, (input, *args), kwargs, out)
        return _copied(view(check_tensor(name, "input", input), *args, **kwargs))

    function.__name__ = function.__qualname__ = name
    function.__signature__ = inspect.signature(view)  # type: ignore[attr-defined]
    function.__doc__ = f"""`{name.removesuffix("_copy")}` with the elements in memory of their own, row-major.

    Raises
    ------
    IndexError, RuntimeError, TypeError
        As `{name.removesuffix("_copy")}`.

    >>> import numgrad as ng
    >>> ng.{example}
    {said}
    """
    public("function")(function)


def _alias(input: Tensor) -> Tensor:
    return input


def _detach(input: Tensor) -> Tensor:
    return input.detach()


def _slice(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    return input[reshaping.cut("slice_copy", input, dim, start, end, step)]


def _view(input: Tensor, size: Any) -> Tensor:
    return shaping.view(input, size)


_copying("alias_copy", _alias, "alias_copy(ng.ones(2))", "tensor([1., 1.])")
_copying("as_strided_copy", reshaping.as_strided, "as_strided_copy(ng.arange(4), (2,), (3,))", "tensor([0, 3])")
_copying("detach_copy", _detach, "detach_copy(ng.ones(2, requires_grad=True))", "tensor([1., 1.])")
_copying("diagonal_copy", diagonals.diagonal, "diagonal_copy(ng.eye(2))", "tensor([1., 1.])")
_copying("expand_copy", shaping.expand, "expand_copy(ng.ones(1), (2,))", "tensor([1., 1.])")
_copying("permute_copy", shaping.permute, "permute_copy(ng.zeros(2, 3), (1, 0)).stride()", "(2, 1)")
_copying("select_copy", shaping.select, "select_copy(ng.eye(2), 0, 1)", "tensor([0., 1.])")
_copying("slice_copy", _slice, "slice_copy(ng.arange(4), 0, 1, 3)", "tensor([1, 2])")
_copying("split_copy", joining.split, "split_copy(ng.arange(3), 2)", "(tensor([0, 1]), tensor([2]))")
_copying(
    "split_with_sizes_copy",
    splitting.split_with_sizes,
    "split_with_sizes_copy(ng.arange(3), (1, 2))",
    "(tensor([0]), tensor([1, 2]))",
)
_copying("squeeze_copy", shaping.squeeze, "squeeze_copy(ng.ones(1, 2))", "tensor([1., 1.])")
_copying("t_copy", shaping.t, "t_copy(ng.zeros(2, 3)).stride()", "(2, 1)")
_copying("transpose_copy", shaping.transpose, "transpose_copy(ng.zeros(2, 3), 0, 1).stride()", "(2, 1)")
_copying("unbind_copy", joining.unbind, "unbind_copy(ng.eye(2))", "(tensor([1., 0.]), tensor([0., 1.]))")
_copying(
    "unfold_copy",
    diagonals.sliding_windows,
    "unfold_copy(ng.arange(3), 0, 2, 1)",
    "tensor([[0, 1],\n            [1, 2]])",
)
_copying("unsqueeze_copy", shaping.unsqueeze, "unsqueeze_copy(ng.ones(2), 0)", "tensor([[1., 1.]])")
_copying("view_copy", _view, "view_copy(ng.arange(4), (2, 2))", "tensor([[0, 1],\n            [2, 3]])")
