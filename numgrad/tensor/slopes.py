"""`gradient`: derivatives of a function that is given by its values, estimated by differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad.dtypes import uint8
from numgrad.engine.tape import TensorBase
from numgrad.tensor.arguments import as_int, as_number, check_tensor, reduced_dims, wrap_dim
from numgrad.tensor.joining import cat
from numgrad.tensor.pointwise import add, div, mul, sub
from numgrad.tensor.shaping import narrow, reshape
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("function", known=True)
def gradient(input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Estimates of the partial derivatives of a function whose values are the elements, one tensor for each of ``dim``.

    They are central differences of second order, and at the edges one-sided ones of ``edge_order`` 1 or 2.

    spacing
        The distance of the points, 1 by default; one for each dimension; or for each a vector of coordinates.

    Raises
    ------
    RuntimeError
        A dimension has less than edge_order + 1 elements, there are not as many spacings as dimensions, or the input is of
        uint8 or bools.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.gradient(ng.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    >>> ng.gradient(ng.tensor([1.0, 1.0, 16.0]), spacing=(ng.tensor([-1.0, 1.0, 4.0]),))
    (tensor([0., 2., 5.]),)
    """
    ndim = check_tensor("gradient", "input", input)._spec.ndim
    if input._spec.dtype is uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    edge_order = as_int("gradient", "edge_order", edge_order)
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    dims = tuple(range(ndim)) if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    reduced_dims("gradient", dims, ndim, empty_means_all=False)
    axes = [wrap_dim("gradient", each, ndim) for each in dims]
    spacings = _spacings(spacing, len(dims))
    if any(input._spec.shape[axis] < edge_order + 1 for axis in axes):
        raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple(_slopes(input, axis, step, edge_order) for axis, step in zip(axes, spacings, strict=True))


def _spacings(spacing: Any, count: int) -> list[Any]:
    """A number or a vector of coordinates for each of ``count`` dimensions."""
    if isinstance(spacing, (tuple, list)):
        if len(spacing) != count:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the same "
                f"length, but got a spacing argument of length {len(spacing)} and a dim argument of length {count}."
            )
        return [each if isinstance(each, TensorBase) and each._spec.ndim else _number(each) for each in spacing]
    return [_number(1 if spacing is None else spacing)] * count


def _number(value: Any) -> float:
    number = as_number(value.item() if isinstance(value, TensorBase) and not value._spec.ndim else value)  # type: ignore[attr-defined]
    if number is None:
        raise TypeError(f"gradient(): argument 'spacing' must be Number, not {type(value).__name__}")
    return number


def _slopes(input: Tensor, axis: int, step: Any, edge_order: int) -> Tensor:
    """The estimates along one dimension, whose points have a distance or coordinates."""
    count, ndim = input._spec.shape[axis], input._spec.ndim
    differences = sub(narrow(input, axis, 1, count - 1), narrow(input, axis, 0, count - 1))
    gaps: Tensor | None = None
    if isinstance(step, TensorBase):
        coordinates: Any = step
        if step._spec.ndim != 1 or step._spec.numel != count:
            raise RuntimeError(
                f"torch.gradient expected coordinates of shape [{count}] for dimension {axis}, got {list(step._spec.shape)}"
            )
        gaps = sub(narrow(coordinates, 0, 1, count - 1), narrow(coordinates, 0, 0, count - 1))
        gaps = reshape(gaps, tuple(-1 if each == axis else 1 for each in range(ndim)))
        chords = div(differences, gaps)  # the slopes between neighbours
        before, after = narrow(gaps, axis, 0, count - 2), narrow(gaps, axis, 1, count - 2)
        near, far = div(after, add(before, after)), div(before, add(before, after))
        inner = add(mul(narrow(chords, axis, 0, count - 2), near), mul(narrow(chords, axis, 1, count - 2), far))
    else:
        chords = div(differences, step)
        # Not the mean of two chords: the point between them does not count, whatever it is.
        inner = div(sub(narrow(input, axis, 2, count - 2), narrow(input, axis, 0, count - 2)), 2 * step)
    edges = []
    for number, neighbour in ((0, 1), (count - 2, count - 3)):
        edge = narrow(chords, axis, number, 1)
        if edge_order == 2:
            # The chord beside it says how the slope changes.
            beside = narrow(chords, axis, neighbour, 1)
            if gaps is None:
                part: Any = 0.5
            else:
                own = narrow(gaps, axis, number, 1)
                part = div(own, add(own, narrow(gaps, axis, neighbour, 1)))
            edge = add(edge, mul(sub(edge, beside), part))
        edges.append(edge)
    return cat([edges[0], inner, edges[1]], axis)
