"""Indexing. Ints, slices, ``...`` and None give views; index tensors and masks give copies."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.engine.tape import TensorBase
from numgrad.engine.views import check_in_place
from numgrad.errors import NegativeStepError, warn
from numgrad.layout import Spec
from numgrad.tensor import arguments, in_place, index_arrays, shaping
from numgrad.tensor.known import knowing
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_ONE_EACH = frozenset({int, slice})  # classes of items for one dimension each
_NUMBERS = frozenset({dtypes.int64, dtypes.int32})  # dtypes of tensors that name elements by numbers
_SINGLE = frozenset({int, slice, type(None), type(Ellipsis)})  # classes of items that are no sequence


def get_item(tensor: Tensor, index: Any) -> Tensor:
    """``tensor[index]``: a view, or a copy where an index is a tensor of several elements, a list or a mask."""
    spec, kind = tensor._spec, index.__class__
    if kind is int and spec.ndim:  # the commonest
        count, zeros, rest = _of_rows(spec)
        if -count <= index < count:
            return ops.view.slice_.apply_moved(tensor, (index % count, *zeros), *rest)  # type: ignore[no-any-return]
    if kind is slice and spec.ndim:
        count, zeros, (ones, row, _) = _of_rows(spec)
        start, stop, step = index.indices(count)
        size = (stop - start + step - 1) // step if step > 0 and start < stop else 0
        if 0 < size < count:
            steps, sizes = (step, *ones[1:]), (size, *row[1:])
            return ops.view.slice_.apply_moved(tensor, (start, *zeros), steps, sizes, ())  # type: ignore[no-any-return]
    if index is None:
        return ops.view.unsqueeze.apply((tensor,), 0)  # type: ignore[no-any-return]
    if kind not in _SINGLE and (kind is not tuple or not _SINGLE.issuperset([item.__class__ for item in index])):
        arrays = _only_tensors(tensor, index)
        if arrays is not None:
            return index_arrays.take(tensor, arrays)
        index = _as_torch_reads(index)
        if _is_advanced(index):
            return index_arrays.take(*_split(tensor, index))
    result, (starts, steps, sizes, dropped, new) = tensor, _parse(tensor, index)
    if dropped or sizes != spec.shape or max(steps, default=1) > 1:
        result = ops.view.slice_.apply_moved(tensor, starts, steps, sizes, dropped)
    for position in new:
        result = ops.view.unsqueeze.apply((result,), position)
    return shaping.permute(result, *range(result.ndim)) if result is tensor else result


def names_by_numbers(index: Any) -> builtins.bool:
    """Whether an index has no mask and nothing else of which values are read: tensors of ints, and parts of views."""
    for each in index if index.__class__ in (tuple, list) else (index,):
        if isinstance(each, TensorBase):
            if not each._spec.ndim or each._spec.dtype not in _NUMBERS:
                return False
        elif each.__class__ not in _SINGLE:
            return False
    return True


@functools.lru_cache(1 << 12)
def _of_rows(spec: Spec) -> tuple[int, tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """How many rows a tensor has, and what they have in common as slices: the further starts; steps, sizes and dropped."""
    return spec.shape[0], (0,) * (spec.ndim - 1), ((1,) * spec.ndim, (1, *spec.shape[1:]), (0,))


def set_item(tensor: Tensor, index: Any, value: Any) -> None:
    """``tensor[index] = value``: copies into the view or, for index tensors and masks, into the elements that they name."""
    value = arguments.as_element("__setitem__", value, tensor.dtype)
    index = _as_torch_reads(index)
    if _is_advanced(index):
        view, arrays = _split(tensor, index)
        check_in_place("__setitem__", view, (value,))
        index_arrays.put(tensor, view, arrays, value)
    else:
        window = get_item(tensor, index)
        in_place.copy_(window, index_arrays.without_leading_ones(value, window.ndim))


# ---- index tensors and masks ------------------------------------------------------------------------------------


def _as_torch_reads(index: Any) -> Any:
    """The index with lists for all sequences in it; a sequence is a tuple if something in it is more than a number.

    That is torch's rule, which takes ``x[[[0, 1], [1, 2]]]`` for ``x[[0, 1], [1, 2]]`` and warns; 32 items and more are a list.
    """
    if not _is_sequence(index):
        return index
    if not isinstance(index, tuple) and (len(index) >= 32 or not builtins.any(map(_is_more_than_a_number, index))):
        return list(index)
    if not isinstance(index, tuple):
        warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] instead of x[seq], or "
            "x[numgrad.tensor(seq)], as which it will be read one day"
        )
    return tuple([list(item) if _is_sequence(item) else item for item in index])


def _is_sequence(item: Any) -> bool:
    # To ask `Sequence` takes as long as a view; the usual items are told by their class.
    if item.__class__ in _SINGLE or isinstance(item, TensorBase):
        return False
    return isinstance(item, Sequence) and not isinstance(item, (str, bytes))


def _is_more_than_a_number(item: Any) -> bool:
    return item is None or item is Ellipsis or isinstance(item, (slice, TensorBase, np.ndarray, Sequence))


def _is_advanced(index: Any) -> bool:
    return builtins.any(map(index_arrays.is_array, index if isinstance(index, tuple) else (index,)))


def _only_tensors(tensor: Tensor, index: Any) -> list[index_arrays.Array] | None:
    """The arrays of an index of the usual kind, one mask or tensors of ints; None for others, which `_split` reads."""
    indices = index if index.__class__ is tuple else (index,)
    if len(indices) > tensor._spec.ndim or False in [index_arrays.is_usual(each) for each in indices]:
        return None
    if dtypes.bool_ not in [each._spec.dtype for each in indices]:
        return [index_arrays.Array(axis, 1, each) for axis, each in enumerate(indices)]
    ndim = indices[0]._spec.ndim
    if len(indices) == 1 and indices[0]._spec.shape == tensor._spec.shape[:ndim]:
        return [index_arrays.Array(0, ndim, indices[0])]
    return None


def _split(tensor: Tensor, index: Any) -> tuple[Tensor, list[index_arrays.Array]]:
    """The tensor after the basic parts of the index, and the arrays of the index."""
    usual = _only_tensors(tensor, index)
    if usual is not None:
        return tensor, usual
    basic: list[Any] = []  # the index without its arrays
    arrays: list[index_arrays.Array] = []
    items = _with_ellipsis(tensor, index)
    axis = 0  # of the view
    for item in items:
        if not index_arrays.is_array(item):
            basic.append(item)
            axis += item is None or isinstance(item, slice)
            continue
        array, dims = index_arrays.as_index(item), 1
        shape = tuple(array._spec.shape)
        if array._spec.dtype.is_bool:
            used = builtins.sum(each is not None for each in basic)
            if shape != tuple(tensor.shape[used : used + len(shape)]):
                raise IndexError(
                    f"The shape of the mask {list(shape)} at index {used} does not match the shape of the indexed tensor "
                    f"{list(tensor.shape)} at index {used}"
                )
            dims = max(len(shape), 1)
            basic += [slice(None)] * len(shape) if shape else [None]
            array = array if shape else shaping.view(array, 1)  # of a new dimension
        else:
            basic.append(slice(None))
        arrays.append(index_arrays.Array(axis, dims, array))
        axis += dims
    is_whole = builtins.all(isinstance(item, slice) and item == slice(None) for item in basic)
    return tensor if is_whole else get_item(tensor, tuple(basic)), arrays


@public("function", "method")
def index_put_(input: Tensor, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Tensor:
    """Write ``values`` to, or add them to, the elements that the index tensors or masks name, in place.

    Raises
    ------
    IndexError
        An index is out of range, or the index tensors do not broadcast.
    RuntimeError
        ``values`` do not broadcast to the elements, are of another dtype, or autograd cannot follow the change.
    TypeError
        ``indices`` is not a tuple or list, or ``values`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.zeros(3).index_put_((ng.tensor([0, 0]),), ng.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put_(): argument 'indices' must be tuple of Tensors, not {type(indices).__name__}")
    arguments.check_tensor("index_put_", "values", values)
    for index in indices:  # whose dtypes torch refuses before that of the values
        if isinstance(index, TensorBase) and index._spec.ndim:
            index_arrays.refuse_index_dtype(index._spec.dtype.numpy, of_tensor=True)
    if values.dtype is not input.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {input.dtype} for the destination and "
            f"{values.dtype} for the source."
        )
    check_in_place("index_put_", input, (values,))
    where = tuple(slice(None) if each is None else each for each in indices)
    view, arrays = _split(input, where)
    if view is not input:
        check_in_place("index_put_", view, (values,))
    index_arrays.put(input, view, arrays, values, accumulate)
    return input


@public("function", "method")
def index_put(input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of the input with ``values`` written to, or added to, the elements that the index tensors or masks name.

    Raises
    ------
    IndexError, RuntimeError, TypeError
        As `index_put_`.

    >>> import numgrad as ng
    >>> ng.index_put(ng.zeros(3), (ng.tensor([0, 2]),), ng.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    if indices.__class__ in (tuple, list) and accumulate.__class__ is builtins.bool and names_by_numbers(indices):
        return _known_put(input, indices, values, accumulate)
    return _with_put(input, indices, values, accumulate)


def _with_put(input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool) -> Tensor:
    return index_put_(ops.elementwise.clone(input), indices, values, accumulate)


_known_put = knowing(_with_put)


def _checked(name: str, input: Tensor, dim: int, index: Tensor) -> int:
    arguments.check_tensor(name, "input", input)
    arguments.check_tensor(name, "index", index)
    return arguments.wrap_dim(name, dim, input.ndim)


@public("function", "method", known=True)
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along a dimension that ``index`` (int64 or int32, one dimension) selects, in its order; a copy.

    A tensor without dimensions has one slice, itself. An index without dimensions counts as one of one element.

    Raises
    ------
    IndexError
        An index is out of range (negative ones are), or ``index`` is not a vector.
    RuntimeError
        The index has the wrong dtype, or selects more or less than one slice of a tensor without dimensions.

    >>> import numgrad as ng
    >>> ng.index_select(ng.tensor([[1, 2], [3, 4]]), 1, ng.tensor([1, 0, 1]))
    tensor([[2, 1, 2],
            [4, 3, 4]])
    """
    axis = _checked("index_select", input, dim, index)
    if index.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, got shape {list(index.shape)}")
    if input.ndim == 0 and index.numel() != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {index.numel()} value(s)")
    result = ops.index.index_select(_at_least_1d(input), _at_least_1d(index), dim=axis)
    return result if input.ndim else shaping.reshape(result, ())


def _at_least_1d(tensor: Tensor) -> Tensor:
    return tensor if tensor.ndim else shaping.view(tensor, 1)


@public("function", "method", known=True)
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i][j][k] = input[i][index[i][j][k]][k] for dim 1, and so on. The result has index's shape.

    Raises
    ------
    IndexError
        An index is out of range (negative ones are).
    RuntimeError
        The index is neither int64 nor int32, or is larger than the input in a dimension other than ``dim``.

    >>> import numgrad as ng
    >>> ng.gather(ng.tensor([[1, 2], [3, 4]]), 1, ng.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    axis = _checked("gather", input, dim, index)
    if not index._spec.numel:  # it need not fit, as in torch
        return shaping.reshape(shaping.narrow(shaping.flatten(input), 0, 0, 0), tuple(index._spec.shape))
    result = ops.index.gather(_at_least_1d(input), _at_least_1d(index), dim=axis)
    return result if index.ndim else shaping.reshape(result, ())


@public("function", "method", "in_place", known=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of input with src[i][j][k] added at [i][index[i][j][k]][k] for dim 1, and so on.

    Raises
    ------
    IndexError
        An index is out of range (negative ones are).
    RuntimeError
        The index is neither int64 nor int32, ``src`` is not of the input's dtype, or the index is larger than one of them.

    >>> import numgrad as ng
    >>> ng.scatter_add(ng.zeros(3), 0, ng.tensor([0, 2, 2]), ng.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 5.])
    """
    axis = _checked("scatter_add", input, dim, index)
    arguments.check_tensor("scatter_add", "src", src)
    result = ops.index.scatter_add(_at_least_1d(input), _at_least_1d(index), _at_least_1d(src), dim=axis)
    return result if input.ndim else shaping.reshape(result, ())


def _parse(tensor: Tensor, index: Any) -> tuple[tuple[int, ...], ...]:
    """Starts, steps and sizes of each dimension, the dimensions that go, and where in the result new ones come."""
    shape = tuple(tensor._spec.shape)
    items: Any = index if index.__class__ is tuple else (index,)
    if len(items) > len(shape) or not _ONE_EACH.issuperset([item.__class__ for item in items]):
        items = _with_ellipsis(tensor, index)
    starts: list[int] = []
    steps: list[int] = []
    sizes: list[int] = []
    dropped: list[int] = []
    new: list[int] = []
    axis = 0
    for item in items:
        if item is None:
            new.append(axis - len(dropped) + len(new))
            continue
        extent = shape[axis]
        if isinstance(item, slice):
            start, stop, step = item.indices(extent)
            if step < 1:
                raise NegativeStepError("step must be greater than zero")
            size = (stop - start + step - 1) // step if start < stop else 0
            starts.append(start if size else 0)
            steps.append(step)
            sizes.append(size)
        else:
            starts.append(_position(item, axis, extent))
            steps.append(1)
            sizes.append(1)
            dropped.append(axis)
        axis += 1
    for rest in range(axis, len(shape)):
        starts.append(0)
        steps.append(1)
        sizes.append(shape[rest])
    return tuple(starts), tuple(steps), tuple(sizes), tuple(dropped), tuple(new)


def _with_ellipsis(tensor: Tensor, index: Any) -> list[Any]:
    """The index as a list with an item for each dimension, and None for each new one."""
    items = list(index) if isinstance(index, tuple) else [index]
    ndim = tensor._spec.ndim
    used = 0
    ellipses: list[int] = []
    for position, item in enumerate(items):
        if item is Ellipsis:
            ellipses.append(position)
        elif item is not None:
            used += index_arrays.mask_ndim(item) if item.__class__ not in _SINGLE and index_arrays.is_array(item) else 1
    if used > ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim}: got {used}")
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    position = ellipses[0] if ellipses else len(items)
    items[position : position + 1] = [slice(None)] * (ndim - used)
    return items


def _position(item: Any, axis: int, extent: int) -> int:
    position = item if item.__class__ is int else _as_position(item, axis)
    if not -extent <= position < extent:
        raise IndexError(f"index {position} is out of bounds for dimension {axis} with size {extent}")
    return position % extent


def _as_position(item: Any, axis: int) -> int:
    """The int that an index of one element is.

    Raises
    ------
    IndexError, TypeError
        It is none.
    """
    single = isinstance(item, TensorBase) and item._spec.ndim == 0 and item._spec.dtype.category == 1
    single = single or (isinstance(item, np.ndarray) and item.dtype.kind in "iu")
    single = single or (not isinstance(item, (TensorBase, np.ndarray)) and hasattr(item, "__index__"))
    single = single and not (hasattr(item, "tensor") and item.ndim)
    if isinstance(item, (bool, np.bool_)) or not (isinstance(item, (int, np.integer)) or single):
        raise (TypeError if isinstance(item, str) else IndexError)(
            f"tensors are indexed by ints, slices, ..., None, index tensors and masks; got {arguments.kind_of(item)} for "
            f"dimension {axis}"
        )
    return int(item)
