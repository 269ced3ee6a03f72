"""The functions of numgrad: torch's names and arguments, brought into the form that ops take.

Here live the parts of torch's behaviour that are about calling: Python numbers, type promotion, negative dimensions,
a shape given as one argument or as many.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import ShapeError
from numgrad.layout import channels_last_strides, contiguous_strides, product
from numgrad.ops import view as view_ops
from numgrad.registry import find

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

# ruff: noqa: A001

_e, _r = ops.elementwise, ops.reduce


# ---- arguments --------------------------------------------------------------------------------------------------


def wrap_dim(op: str, dim: int, ndim: int) -> int:
    """A dimension counted from the front.

    Raises
    ------
    IndexError
        There is no such dimension.
    """
    if isinstance(dim, builtins.bool) or not isinstance(dim, (int, np.integer)):
        raise TypeError(f"{op}(): argument 'dim' must be int, not {type(dim).__name__}")
    low, high = (-ndim, ndim - 1) if ndim else (-1, 0)
    if not low <= dim <= high:
        raise IndexError(f"{op}: Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})")
    return int(dim) % builtins.max(ndim, 1)


def _dims(op: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """Sorted dimensions of a reduction; all for None and for an empty list, as in torch."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    given = dim if isinstance(dim, (tuple, list)) else (dim,)
    wrapped = [wrap_dim(op, d, ndim) for d in given]
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(f"{op}: dim {wrapped[-1]} appears multiple times in the list of dims {tuple(given)}")
    return tuple(sorted(wrapped)) if ndim else ()


def size_of(op: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as ``f(2, 3)`` or ``f((2, 3))``.

    Raises
    ------
    TypeError
        An extent is not an int.
    """
    given = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    for extent in given:
        if isinstance(extent, (float, str)) or not hasattr(extent, "__index__"):
            raise TypeError(f"{op}(): argument 'size' must be tuple of ints, but found element of type {type(extent).__name__}")
    return tuple(int(extent) for extent in given)


def check_tensor(op: str, name: str, value: Any) -> Any:
    """``value``, if it is a tensor.

    Raises
    ------
    TypeError
        It is not.
    """
    if not isinstance(value, TensorBase):
        raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {type(value).__name__}")
    return value


def _category(value: Any) -> int:
    return 0 if isinstance(value, builtins.bool) else 1 if isinstance(value, builtins.int) else 2


def as_operand(value: Any, dtype: Dtype) -> Tensor:
    """A number, array or tensor as a tensor of this dtype."""
    if isinstance(value, TensorBase):
        return cast(value, dtype)
    if isinstance(value, (builtins.bool, builtins.int, builtins.float)):
        return constant(value, dtype)  # type: ignore[return-value]
    if isinstance(value, np.generic):
        return constant(value.item(), dtype)  # type: ignore[return-value]
    if isinstance(value, np.ndarray):
        from numgrad.tensor import creation

        return cast(creation.from_numpy(np.ascontiguousarray(value)), dtype)
    raise TypeError(f"expected a Tensor, a number or a NumPy array, got {type(value).__name__}")


def result_type(*values: Any) -> Dtype:
    """The dtype of an operation between tensors and numbers, by torch's rules.

    A tensor without dimensions, and a Python number still less, changes the dtype only if it is of a higher category
    (bool, integer, floating point).

    >>> import numgrad as ng
    >>> ng.result_type(ng.ones(2), 1.5), ng.result_type(ng.arange(2), 1.5)
    (numgrad.float32, numgrad.float32)
    """
    best: list[Dtype | None] = [None, None, None]  # tensors with dimensions, without, numbers
    for value in values:
        if isinstance(value, TensorBase):
            rank, found = (0 if value._spec.ndim else 1), value._spec.dtype
        elif isinstance(value, (np.ndarray, np.generic)) and value.ndim:
            rank, found = 0, dtypes.from_numpy_dtype(value.dtype)
        else:
            rank = 2
            found = (dtypes.bool_, dtypes.int64, dtypes.get_default_dtype())[_category(value)]
        before = best[rank]
        best[rank] = found if before is None else dtypes.promote_types(before, found)
    result: Dtype | None = None
    for found in best:  # type: ignore[assignment]
        if found is not None and (result is None or found.category > result.category):
            result = found
    assert result is not None
    return result


def _binary(op: Any, x: Any, y: Any) -> Tensor:
    try:
        if x._spec.dtype is y._spec.dtype:
            return op(x, y)  # type: ignore[no-any-return]
    except AttributeError:  # not both are tensors
        for value in (x, y):
            if not isinstance(value, (TensorBase, builtins.bool, builtins.int, builtins.float, np.generic, np.ndarray)):
                raise TypeError(
                    f"{op.name}: got an operand of type {type(value).__name__}, expected a Tensor, a number or a NumPy array"
                ) from None
    dtype = result_type(x, y)
    return op(as_operand(x, dtype), as_operand(y, dtype))  # type: ignore[no-any-return]


def _float_result(*values: Any) -> Dtype:
    dtype = result_type(*values)
    return dtype if dtype.is_floating_point else dtypes.get_default_dtype()


def _unary_float(op: Any, input: Tensor) -> Tensor:
    """An op of floating point on any tensor: integers are converted first, as in torch."""
    check_tensor(op.name, "input", input)
    return op(input if input._spec.dtype.is_floating_point else cast(input, dtypes.get_default_dtype()))  # type: ignore[no-any-return]


# ---- elementwise ------------------------------------------------------------------------------------------------


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input + alpha * other.

    >>> import numgrad as ng
    >>> ng.add(ng.tensor([1.0, 2.0]), 10, alpha=2)
    tensor([21., 22.])
    """
    return _binary(_e.add, input, other if alpha == 1 else mul(other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input - alpha * other."""
    for value in (input, other):
        if isinstance(value, builtins.bool) or (isinstance(value, TensorBase) and value._spec.dtype.is_bool):
            raise RuntimeError(
                "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
                "the `~` or `logical_not()` operator instead."
            )
    return _binary(_e.sub, input, other if alpha == 1 else mul(other, alpha))


def mul(input: Any, other: Any) -> Tensor:
    """input * other."""
    return _binary(_e.mul, input, other)


def div(input: Any, other: Any) -> Tensor:
    """input / other; of integers in floating point.

    >>> import numgrad as ng
    >>> ng.div(ng.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    dtype = _float_result(input, other)
    return _e.div(as_operand(input, dtype), as_operand(other, dtype))  # type: ignore[no-any-return]


def floor_divide(input: Any, other: Any) -> Tensor:
    """The floor of input / other."""
    return _binary(_e.floor_divide, input, other)


def remainder(input: Any, other: Any) -> Tensor:
    """input - other * floor(input / other)."""
    return _binary(_e.remainder, input, other)


def pow(input: Any, exponent: Any) -> Tensor:
    """input to the power exponent.

    Raises
    ------
    RuntimeError
        An integer tensor has a negative integer exponent.

    >>> import numgrad as ng
    >>> ng.pow(ng.tensor([2.0, 3.0]), 3)
    tensor([ 8., 27.])
    """
    if isinstance(exponent, (builtins.int, builtins.float)) and isinstance(input, TensorBase):
        if exponent == 2:
            return _e.square(input)  # type: ignore[no-any-return]
        if exponent == 3:
            return _e.cube(input)  # type: ignore[no-any-return]
        if exponent == 0.5 and input._spec.dtype.is_floating_point:
            return _e.sqrt(input)  # type: ignore[no-any-return]
        if exponent == -1 and input._spec.dtype.is_floating_point:
            return _e.reciprocal(input)  # type: ignore[no-any-return]
        if exponent < 0 and result_type(input, exponent).category == 1:
            raise RuntimeError("Integers to negative integer powers are not allowed; convert the base with .float()")
    return _binary(_e.pow, input, exponent)


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, elementwise; NaN if either is."""
    return _binary(_e.maximum, input, other)


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, elementwise; NaN if either is."""
    return _binary(_e.minimum, input, other)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input, at least min and at most max.

    Raises
    ------
    RuntimeError
        Neither bound is given.
    """
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    if min is not None:
        input = _binary(_e.clamp_min, input, min)
    if max is not None:
        input = _binary(_e.clamp_max, input, max)
    return input


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """input where the condition holds, else other."""
    check_tensor("where", "condition", condition)
    if not condition._spec.dtype.is_bool:
        raise RuntimeError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}")
    dtype = result_type(input, other)
    return _e.where(condition, as_operand(input, dtype), as_operand(other, dtype))  # type: ignore[no-any-return]


def _unary(op: Any, doc: str, floating: builtins.bool = False) -> Callable[[Tensor], Tensor]:
    def function(input: Tensor) -> Tensor:
        return _unary_float(op, input) if floating else op(check_tensor(op.name, "input", input))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc
    return function


neg = _unary(_e.neg, "-input.")
abs = _unary(_e.absolute, "Absolute value.")
sign = _unary(_e.sign, "-1, 0 or 1.")
square = _unary(_e.square, "input * input.")
relu = _unary(_e.relu, "max(0, input).")
clone = _unary(_e.clone, "A copy; gradients flow through it.")
isnan = _unary(_e.isnan, "True where input is NaN.")
logical_not = _unary(_e.logical_not, "True where input is 0.")
reciprocal = _unary(_e.reciprocal, "1 / input.", floating=True)
sqrt = _unary(_e.sqrt, "Square root.", floating=True)
rsqrt = _unary(_e.rsqrt, "1 / sqrt(input).", floating=True)
exp = _unary(_e.exp, "e to the power input.", floating=True)
expm1 = _unary(_e.expm1, "exp(input) - 1.", floating=True)
log = _unary(_e.log, "Natural logarithm.", floating=True)
log1p = _unary(_e.log1p, "log(1 + input).", floating=True)
sin = _unary(_e.sin, "Sine.", floating=True)
cos = _unary(_e.cos, "Cosine.", floating=True)
erf = _unary(_e.erf, "Error function.", floating=True)
tanh = _unary(_e.tanh, "Hyperbolic tangent.", floating=True)
sigmoid = _unary(_e.sigmoid, "1 / (1 + exp(-input)).", floating=True)
silu = _unary(_e.silu, "input * sigmoid(input).", floating=True)
softplus = _unary(_e.softplus, "log(1 + exp(input)).", floating=True)
floor = _unary(_e.floor, "Largest integer not above input.", floating=True)
ceil = _unary(_e.ceil, "Smallest integer not below input.", floating=True)
trunc = _unary(_e.trunc, "The integer part of input.", floating=True)
round = _unary(_e.round, "Nearest integer, halves to even.", floating=True)
isfinite = _unary(_e.isfinite, "True where input is neither NaN nor infinite.", floating=True)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """GELU: input * Phi(input), by erf, or by the tanh approximation.

    Raises
    ------
    RuntimeError
        ``approximate`` is neither 'none' nor 'tanh'.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    return _unary_float(_e.gelu if approximate == "none" else _e.gelu_tanh, input)


def _compare(op: Any, symbol: str) -> Callable[[Any, Any], Tensor]:
    def function(input: Any, other: Any) -> Tensor:
        return _binary(op, input, other)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"input {symbol} other, elementwise."
    return function


eq, ne = _compare(_e.eq, "=="), _compare(_e.ne, "!=")
lt, le = _compare(_e.lt, "<"), _compare(_e.le, "<=")
gt, ge = _compare(_e.gt, ">"), _compare(_e.ge, ">=")
bitwise_and, bitwise_or = _compare(_e.bitwise_and, "&"), _compare(_e.bitwise_or, "|")
bitwise_xor = _compare(_e.bitwise_xor, "^")


def equal(input: Tensor, other: Tensor) -> builtins.bool:
    """Whether two tensors have the same shape and the same elements."""
    return input.shape == other.shape and builtins.bool(eq(input, other).all())


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: builtins.bool = False
) -> builtins.bool:
    """Whether abs(input - other) <= atol + rtol * abs(other) everywhere."""
    return builtins.bool(np.allclose(input.detach().numpy(), other.detach().numpy(), rtol, atol, equal_nan))


# ---- in place ---------------------------------------------------------------------------------------------------


def in_place(name: str, target: Tensor, *others: Any) -> Tensor:
    """Apply an elementwise op and write its result over ``target``.

    Raises
    ------
    RuntimeError
        The change would make a gradient wrong: the target is a leaf that requires one, or a view that is part of a
        graph; or the result does not fit the target's dtype or shape. Nothing has been changed then.
    """
    op = find(name)
    dtype = target._spec.dtype
    for other in others:
        found = result_type(target, other)
        if found.category > dtype.category or (name == "div" and not dtype.is_floating_point):
            raise RuntimeError(
                f"{name}_: result type {(found if name != 'div' else dtypes.get_default_dtype()).torch_name} can't be cast to "
                f"the desired output type {dtype.torch_name}"
            )
    operands = [as_operand(other, dtype) for other in others]
    check_in_place(f"{name}_", target, operands)
    return finish_in_place(op.in_place(target, *operands))  # type: ignore[attr-defined]


def check_in_place(name: str, target: Tensor, others: Sequence[Tensor] = ()) -> None:
    """Refuse a change in place that autograd could not follow; before anything is changed."""
    if not modes.grad_enabled:
        return
    if target._requires_grad and target._node is None:
        raise RuntimeError(
            f"{name}: a leaf Variable that requires grad is being used in an in-place operation. Do it in no_grad(), or on a "
            "clone()"
        )
    tracked = target._node is not None or builtins.any(other.requires_grad for other in others)
    if tracked and target._view_version is not None:
        raise RuntimeError(
            f"{name}: a view is changed in place while gradients are tracked, which is not supported; change its base, or a "
            "clone() of the view, or do it in no_grad()"
        )


def finish_in_place(target: Tensor) -> Tensor:
    """A view that changed its memory itself still knows its gradient."""
    if target._view_version is not None:
        target._view_version = target._storage.version
    return target


def copy_(target: Tensor, src: Any) -> Tensor:
    """Copy ``src``, broadcast and converted, into ``target``'s memory."""
    check_tensor("copy_", "src", src)
    check_in_place("copy_", target, [src])
    if src._storage is target._storage and modes_overlap(target, src):
        src = clone(src)
    return finish_in_place(ops.creation.copy_(target, src))


def modes_overlap(target: Tensor, src: Tensor) -> builtins.bool:
    """Whether two views of one storage share elements but are not the same view."""
    return not (target._address == src._address and target._spec is src._spec)


# ---- reductions -------------------------------------------------------------------------------------------------


def sum(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """Sum of the elements, over all dimensions or those given; of integers in int64.

    >>> import numgrad as ng
    >>> ng.sum(ng.ones(2, 3), dim=1)
    tensor([3., 3.])
    """
    check_tensor("sum", "input", input)
    if dtype is not None:
        input = cast(input, dtype)
    return _r.sum_(input, dims=_dims("sum", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def mean(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Mean of the elements, over all dimensions or those given.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    """
    check_tensor("mean", "input", input)
    return _r.mean(input, dims=_dims("mean", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def prod(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Product of the elements."""
    return _r.prod(input, dims=_dims("prod", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def var(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, correction: int = 1) -> Tensor:
    """Variance: the squared distances from the mean, summed and divided by n - correction."""
    dims = _dims("var", dim, input._spec.ndim)
    count = product([input._spec.shape[d] for d in dims])
    centred = sub(input, mean(input, dims, keepdim=True)) if dims else sub(input, input)
    total = _r.sum_(square(centred), dims=dims, keepdim=keepdim)
    return div(total, float(builtins.max(count - correction, 0)))


def std(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, correction: int = 1) -> Tensor:
    """Standard deviation: the square root of `var`."""
    return sqrt(var(input, dim, keepdim, correction=correction))


def norm(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm of all elements.

    Raises
    ------
    ValueError
        p is not 1, 2 or inf.
    """
    if p == 2:
        return sqrt(sum(square(input)))
    if p == 1:
        return sum(abs(input))
    if p == math.inf:
        return amax(abs(input))
    raise ValueError(f"norm: p is {p}, expected 1, 2 or inf")


def amax(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """The largest element over the given dimensions."""
    return _r.amax(input, dims=_dims("amax", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def amin(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """The smallest element over the given dimensions."""
    return _r.amin(input, dims=_dims("amin", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


class _ValuesIndices(tuple["Tensor", "Tensor"]):
    """What `max` and `min` along a dimension return; the parts have names."""

    __slots__ = ()

    @property
    def values(self) -> Tensor:
        return self[0]

    @property
    def indices(self) -> Tensor:
        return self[1]

    def __repr__(self) -> str:
        return f"numgrad.return_types.max(\nvalues={self[0]!r},\nindices={self[1]!r})"


def _max_or_min(input: Tensor, dim: Any, keepdim: builtins.bool, name: str, whole: Any, along: Any) -> Any:
    check_tensor(name, "input", input)
    if dim is None:
        if input._spec.numel == 0:
            raise RuntimeError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        return whole(input)
    if isinstance(dim, TensorBase):
        return maximum(input, dim) if name == "max" else minimum(input, dim)
    if input._spec.ndim == 0:
        return _ValuesIndices((clone(input), cast(ops.creation.zeros_like(input), dtypes.int64)))
    return _ValuesIndices(along(input, dim=wrap_dim(name, dim, input._spec.ndim), keepdim=keepdim))


def max(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Any:
    """The largest element; along ``dim`` a pair (values, indices)."""
    return _max_or_min(input, dim, keepdim, "max", amax, _r.max_dim)


def min(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Any:
    """The smallest element; along ``dim`` a pair (values, indices)."""
    return _max_or_min(input, dim, keepdim, "min", amin, _r.min_dim)


def _arg(op: Any, input: Tensor, dim: int | None, keepdim: builtins.bool) -> Tensor:
    check_tensor(op.name, "input", input)
    if dim is None or input._spec.ndim == 0:
        if input._spec.numel == 0:
            raise IndexError(f"{op.name}(): Expected reduction dim to be specified for input.numel() == 0.")
        flat = op(reshape(input, -1), dim=0, keepdim=False)
        return reshape(flat, (1,) * input._spec.ndim) if keepdim else flat
    return op(input, dim=wrap_dim(op.name, dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def argmax(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Index of the largest element, of all or along ``dim``; the first of equal ones."""
    return _arg(_r.argmax, input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Index of the smallest element, of all or along ``dim``; the first of equal ones."""
    return _arg(_r.argmin, input, dim, keepdim)


def any(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Whether any element is not 0."""
    return _r.any_(input, dims=_dims("any", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def all(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Whether all elements are not 0."""
    return _r.all_(input, dims=_dims("all", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


# ---- shape ------------------------------------------------------------------------------------------------------


def _filled_size(op: str, size: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """A shape with its one -1 replaced."""
    if -1 not in size:
        return size
    known = product([extent for extent in size if extent != -1])
    if size.count(-1) > 1:
        raise RuntimeError(f"{op}: only one dimension can be inferred, got the shape {list(size)}")
    if known == 0 or numel % known:
        raise ShapeError(f"shape '{list(size)}' is invalid for input of size {numel}")
    return tuple(numel // known if extent == -1 else extent for extent in size)


def view(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, over the same memory; one extent may be -1."""
    return ops.view.view(input, size=_filled_size("view", size_of("view", shape), input._spec.numel))  # type: ignore[no-any-return]


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, over the same memory if that can be; one extent may be -1.

    >>> import numgrad as ng
    >>> ng.reshape(ng.arange(6), (2, -1)).shape
    numgrad.Size([2, 3])
    """
    return view_ops.reshape(input, _filled_size("reshape", size_of("reshape", shape), input._spec.numel))  # type: ignore[no-any-return]


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim made one."""
    ndim = input._spec.ndim
    first, last = wrap_dim("flatten", start_dim, ndim), wrap_dim("flatten", end_dim, ndim)
    if first > last:
        raise RuntimeError(f"flatten() has invalid args: start_dim {start_dim} cannot come after end_dim {end_dim}")
    shape = input._spec.shape
    return reshape(input, (*shape[:first], product(shape[first : last + 1]), *shape[last + 1 :]))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order."""
    given = size_of("permute", dims)
    ndim = input._spec.ndim
    if len(given) != ndim:
        raise RuntimeError(f"permute: {len(given)} dims are given, expected {ndim} (the input has {ndim} dimensions)")
    return ops.view.permute(input, dims=tuple(wrap_dim("permute", d, ndim) for d in given))  # type: ignore[no-any-return]


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    ndim = input._spec.ndim
    first, second = wrap_dim("transpose", dim0, ndim), wrap_dim("transpose", dim1, ndim)
    return ops.view.transpose(input, dim0=first, dim1=second) if ndim else input  # type: ignore[no-any-return]


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix."""
    if input._spec.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._spec.ndim}D")
    return transpose(input, 0, 1) if input._spec.ndim == 2 else input


def expand(input: Tensor, *size: Any) -> Tensor:
    """Extents of 1 repeated without a copy; -1 keeps an extent."""
    given = size_of("expand", size)
    shape = input._spec.shape
    missing = len(given) - len(shape)
    if missing < 0:
        raise ShapeError(
            f"expand: the number of sizes provided ({len(given)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(shape)})"
        )
    if -1 in given[:missing]:
        raise ShapeError(f"expand: -1 is not allowed in a leading, non-existing dimension; sizes are {list(given)}")
    filled = [shape[axis - missing] if extent == -1 else extent for axis, extent in enumerate(given)]
    return ops.view.expand(input, size=tuple(filled))  # type: ignore[no-any-return]


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the extents of 1, all or those given."""
    return ops.view.squeeze(input, dims=_dims("squeeze", dim, input._spec.ndim))  # type: ignore[no-any-return]


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new extent of 1 at ``dim``."""
    return ops.view.unsqueeze(input, dim=wrap_dim("unsqueeze", dim, input._spec.ndim + 1))  # type: ignore[no-any-return]


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements of one dimension, from ``start`` on."""
    axis = wrap_dim("narrow", dim, input._spec.ndim)
    extent = input._spec.shape[axis]
    if not -extent <= start <= extent:
        raise IndexError(f"narrow: start is {start}, expected in range of [{-extent}, {extent}]")
    start = start + extent if start < 0 else start
    if length < 0 or start + length > extent:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({extent}).")
    return view_ops.narrow(input, axis, start, length)  # type: ignore[no-any-return]


def split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of ``split_size`` along a dimension (the last may be smaller), or of the sizes given."""
    axis = wrap_dim("split", dim, input._spec.ndim)
    extent = input._spec.shape[axis]
    if isinstance(split_size, builtins.int):
        if split_size <= 0:
            raise RuntimeError(f"split: split_size is {split_size}, expected a positive int")
        sizes = [builtins.min(split_size, extent - begin) for begin in range(0, builtins.max(extent, 1), split_size)]
    else:
        sizes = list(split_size)
        if builtins.sum(sizes) != extent:
            raise RuntimeError(f"split: the sizes {sizes} sum to {builtins.sum(sizes)}, expected {extent} (dimension {dim})")
    pieces, begin = [], 0
    for size in sizes:
        pieces.append(view_ops.narrow(input, axis, begin, size))
        begin += size
    return tuple(pieces)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size along a dimension; the last may be smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk: chunks is {chunks}, expected a positive int")
    extent = input._spec.shape[wrap_dim("chunk", dim, input._spec.ndim)]
    return split(input, builtins.max(1, -(-extent // chunks)), dim)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension; dtypes are promoted.

    >>> import numgrad as ng
    >>> ng.cat([ng.ones(1, 2), ng.zeros(1, 2)])
    tensor([[1., 1.],
            [0., 0.]])
    """
    if not tensors:
        raise RuntimeError("cat: expected a non-empty list of Tensors")
    for position, tensor in enumerate(tensors):
        if check_tensor("cat", f"tensors[{position}]", tensor)._spec.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {position}) cannot be concatenated")
    dtype = result_type(*tensors)
    # An empty 1-D tensor is a neutral element, by torch's tradition.
    kept = [x for x in tensors if tuple(x._spec.shape) != (0,)] or list(tensors[:1])
    axis = wrap_dim("cat", dim, kept[0]._spec.ndim)
    return ops.creation.cat(*[cast(x, dtype) for x in kept], dim=axis)  # type: ignore[no-any-return]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0]._spec.shape
    for position, tensor in enumerate(tensors):
        if tensor._spec.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and {list(tensor.shape)} at "
                f"entry {position}"
            )
    axis = wrap_dim("stack", dim, len(first) + 1)
    return cat([unsqueeze(tensor, axis) for tensor in tensors], axis)


# ---- copies and conversions -------------------------------------------------------------------------------------


def cast(input: Tensor, dtype: Dtype) -> Tensor:
    """In another dtype; the tensor itself if it has that already."""
    return input if input._spec.dtype is dtype else ops.creation.cast(input, dtype=dtype)  # type: ignore[no-any-return]


def contiguous(input: Tensor, memory_format: str = "contiguous_format") -> Tensor:
    """In row-major order ('contiguous_format') or with the channels last in memory ('channels_last'); itself if it is so."""
    spec = input._spec
    if memory_format == "channels_last":
        if spec.ndim != 4:
            raise RuntimeError(f"required rank 4 tensor to use channels_last format, got {spec.ndim} dimensions")
        return input if spec.is_channels_last() else ops.creation.to_strides(input, strides=channels_last_strides(spec.shape))
    if memory_format != "contiguous_format":
        raise ValueError(f"contiguous: memory_format is {memory_format!r}, expected 'contiguous_format' or 'channels_last'")
    return input if spec.is_contiguous else ops.creation.to_strides(input, strides=contiguous_strides(spec.shape))
