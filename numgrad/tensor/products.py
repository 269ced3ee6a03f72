"""Products of vectors and matrices, and sums with them: `outer`, `mv`, `kron`, `inner`, `addmm` and its kin."""

from __future__ import annotations

import builtins
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.errors import DtypeError, ShapeError, warn
from numgrad.tensor import combinations, layers, pointwise, reductions, shaping
from numgrad.tensor import einsum as sums
from numgrad.tensor.arguments import as_number, cast, check_tensor, result_type
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def _check_ranks(name: str, **tensors: tuple[Any, int]) -> None:
    for word, (tensor, ndim) in tensors.items():
        if check_tensor(name, word, tensor)._spec.ndim != ndim:
            raise ShapeError(
                f"{name}: Expected {ndim}-D argument {word}, but got {tensor._spec.ndim}-D, of shape {list(tensor._spec.shape)}"
            )


@public("function", "method", known=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of all elements of two vectors, [n] and [m], as a matrix [n, m]; dtypes are promoted.

    Raises
    ------
    RuntimeError
        An argument is no vector.

    >>> import numgrad as ng
    >>> ng.outer(ng.tensor([1, 2]), ng.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _check_ranks("outer", self=(input, 1), vec2=(vec2, 1))
    return pointwise.mul(shaping.unsqueeze(input, 1), vec2)


public("function", "method", name="ger")(outer)


@public("function", "method", known=True)
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix [n, m] and a vector [m].

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.mv(ng.tensor([[1, 2], [3, 4]]), ng.tensor([1, 1]))
    tensor([3, 7])
    """
    _check_ranks("mv", self=(input, 2), vec=(vec, 1))
    if input._spec.shape[1] != vec._spec.shape[0]:
        raise ShapeError(
            f"mv: size mismatch, got input ({input._spec.shape[0]}x{input._spec.shape[1]}), vec ({vec._spec.shape[0]})"
        )
    return ops.vectors.mv(input, vec)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """`dot`, of which it is the same for real numbers.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.vdot(ng.tensor([1, 2]), ng.tensor([3, 4]))
    tensor(11)
    """
    return layers.dot(input, other)


@public("function", "method", known=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products over the last dimension of both; of a scalar and a tensor the product.

    Raises
    ------
    RuntimeError
        The last dimensions have different extents.

    >>> import numgrad as ng
    >>> ng.inner(ng.tensor([1, 2]), ng.tensor([[1, 1], [0, 3]]))
    tensor([3, 6])
    """
    check_tensor("inner", "other", other)
    if input._spec.ndim == 0 or other._spec.ndim == 0:
        return pointwise.mul(input, other)
    if input._spec.shape[-1] != other._spec.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input._spec.shape)} and "
            f"{list(other._spec.shape)}"
        )
    if input._spec.ndim == other._spec.ndim == 1:
        return layers.dot(input, other)
    return sums.tensordot(input, other, ([-1], [-1]))


@public("function", "method", known=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product: each element of the input times all of the other tensor, in its place; dtypes are promoted.

    >>> import numgrad as ng
    >>> ng.kron(ng.tensor([1, 2]), ng.tensor([1, 10]))
    tensor([ 1, 10,  2, 20])
    """
    check_tensor("kron", "other", other)
    ndim = builtins.max(input._spec.ndim, other._spec.ndim)
    shapes = [(1,) * (ndim - each._spec.ndim) + tuple(each._spec.shape) for each in (input, other)]
    left = shaping.reshape(input, tuple(extent for n in shapes[0] for extent in (n, 1)))
    right = shaping.reshape(other, tuple(extent for n in shapes[1] for extent in (1, n)))
    multiplied = pointwise.mul(left, right)
    joined = shaping.reshape(multiplied, tuple(n * m for n, m in zip(*shapes, strict=True)))
    return shaping.drop_base_of_copy(joined, input)


@public("function", known=True)
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, in the order that costs least. torch warns of it: `linalg.multi_dot` is its new name.

    Raises
    ------
    RuntimeError
        An argument is no matrix, or the shapes do not fit.

    >>> import warnings
    >>> import numgrad as ng
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     ng.chain_matmul(ng.ones(2, 3), ng.ones(3, 4), ng.ones(4, 1))
    tensor([[12.],
            [12.]])
    """
    warn("chain_matmul is deprecated and will be removed in a future release; use linalg.multi_dot, or einsum")
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for position, matrix in enumerate(matrices):
        _check_ranks("chain_matmul", **{f"matrices[{position}]": (matrix, 2)})
    for before, after in itertools.pairwise(matrices):
        if before._spec.shape[1] != after._spec.shape[0]:
            (m, k), (rows, n) = before._spec.shape, after._spec.shape
            raise ShapeError(f"mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {rows}x{n})")
    if len(matrices) == 1:
        return matrices[0]
    sides = [matrices[0]._spec.shape[0], *(matrix._spec.shape[1] for matrix in matrices)]
    return multiplied_in_order(matrices, sides, layers.mm)


def multiplied_in_order(matrices: Sequence[Tensor], sides: Sequence[int], multiply: Callable[..., Tensor]) -> Tensor:
    """The product of a chain, in the order of the fewest multiplications; ``sides`` are its rows, and columns of each."""

    @functools.cache
    def cheapest(first: int, last: int) -> tuple[int, int]:
        """The cost of a part of the chain, and where it is cut last."""
        if last - first == 1:
            return 0, first
        return builtins.min(
            (cheapest(first, cut)[0] + cheapest(cut, last)[0] + sides[first] * sides[cut] * sides[last], cut)
            for cut in range(first + 1, last)
        )

    def multiplied(first: int, last: int) -> Tensor:
        if last - first == 1:
            return matrices[first]
        cut = cheapest(first, last)[1]
        return multiply(multiplied(first, cut), multiplied(cut, last))

    return multiplied(0, len(matrices))


# ---- beta * input + alpha * product -----------------------------------------------------------------------------


def _plus(name: str, input: Tensor, multiplied: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * a product, of the product's shape. What beta 0 multiplies counts for nothing, be it NaN."""
    dtype = multiplied._spec.dtype
    if input._spec.dtype is not dtype:
        raise DtypeError(
            f"{name}: self and mat2 must have the same dtype, but got {input._spec.dtype.torch_name} and {dtype.torch_name}; "
            "convert one with .to(dtype)"
        )
    numbers = []
    for word, value in (("beta", beta), ("alpha", alpha)):
        number = as_number(value.item() if hasattr(value, "_spec") else value)
        if number is None:
            raise TypeError(f"{name}(): argument '{word}' must be Number, not {type(value).__name__}")
        if isinstance(number, float) and not dtype.is_floating_point:
            raise RuntimeError(
                f"{name}: For integral input tensors, argument {word} must not be a floating point number."
            )
        numbers.append(number)
    shape = multiplied._spec.shape
    spread = input if input._spec.shape == shape else shaping.expand(input, tuple(shape))
    scaled = multiplied if numbers[1] == 1 else pointwise.mul(multiplied, numbers[1])
    if numbers[0] == 0:
        return scaled
    return pointwise.add(spread if numbers[0] == 1 else pointwise.mul(spread, numbers[0]), scaled)


@public("function", "method", "in_place", known=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2), for matrices [n, k] and [k, m]; the input broadcasts to [n, m].

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit, or beta or alpha is a float and the tensors are of integers.

    >>> import numgrad as ng
    >>> ng.addmm(ng.tensor([1.0, 2.0]), ng.ones(1, 3), ng.ones(3, 2), beta=10)
    tensor([[13., 23.]])
    """
    _check_ranks("addmm", mat1=(mat1, 2), mat2=(mat2, 2))
    return _plus("addmm", input, layers.mm(mat1, mat2), beta, alpha)


@public("function", "method", "in_place", "in_place_function", known=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec), for a matrix [n, m] and a vector [m]; the input broadcasts to [n].

    Raises
    ------
    RuntimeError
        As `addmm`.

    >>> import numgrad as ng
    >>> ng.addmv(ng.tensor([1.0, 2.0]), ng.ones(2, 3), ng.ones(3), alpha=2)
    tensor([7., 8.])
    """
    return _plus("addmv", input, mv(mat, vec), beta, alpha)


@public("function", "method", "in_place", known=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2); the input broadcasts to [n, m], and dtypes are promoted.

    Raises
    ------
    RuntimeError
        As `addmm`.

    >>> import numgrad as ng
    >>> ng.addr(ng.zeros(2, 2), ng.tensor([1.0, 2.0]), ng.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    _check_ranks("outer", self=(vec1, 1), vec2=(vec2, 1))
    spec, first, second = check_tensor("addr", "input", input)._spec, vec1._spec, vec2._spec
    is_whole = tuple(spec.shape) == (first.numel, second.numel) and spec.dtype is first.dtype is second.dtype
    if is_whole and spec.dtype.is_floating_point and beta == 1 and as_number(alpha) is not None:
        return combinations.addcmul(input, shaping.unsqueeze(vec1, 1), vec2, value=alpha)  # one pass over memory
    multiplied = outer(vec1, vec2)
    dtype = result_type(input, multiplied)
    return _plus("addr", cast(input, dtype), cast(multiplied, dtype), beta, alpha)


@public("function", "method", "in_place", known=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2); the input broadcasts to [b, n, m].

    Raises
    ------
    RuntimeError
        As `addmm`.

    >>> import numgrad as ng
    >>> ng.baddbmm(ng.ones(1), ng.ones(1, 1, 2), ng.ones(1, 2, 1))
    tensor([[[3.]]])
    """
    _check_ranks("baddbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return _plus("baddbmm", input, layers.bmm(batch1, batch2), beta, alpha)


@public("function", "method", "in_place", known=True)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * the sum of the products bmm(batch1, batch2) over the batch; the input broadcasts to [n, m].

    Raises
    ------
    RuntimeError
        As `addmm`.

    >>> import numgrad as ng
    >>> ng.addbmm(ng.ones(1), ng.ones(4, 1, 2), ng.ones(4, 2, 1))
    tensor([[9.]])
    """
    _check_ranks("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    (batch, n, k), (batches, rows, m) = batch1._spec.shape, batch2._spec.shape
    if batch != batches or k != rows:
        layers.bmm(batch1, batch2)  # which refuses it
    left = shaping.reshape(shaping.permute(batch1, 1, 0, 2), (n, batch * k))
    return _plus("addbmm", input, layers.mm(left, shaping.reshape(batch2, (batch * k, m))), beta, alpha)


# ---- distances --------------------------------------------------------------------------------------------------

_MOST_ROWS = 25  # of either; for more the distances come out of one matrix product, as in torch
_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)


@public("function", known=True)
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norms of the differences of all pairs of rows of x1 [..., P, M] and x2 [..., R, M]: [..., P, R].

    The dimensions in front broadcast. Where a distance is 0 its slope is 0. Many Euclidean distances are computed by a matrix
    product, which loses digits where rows are close to each other; ``compute_mode`` can forbid or demand it.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit, the dtype is not floating point, or p is negative.
    ValueError
        ``compute_mode`` is not one of torch's.

    >>> import numgrad as ng
    >>> ng.cdist(ng.tensor([[0.0, 0.0]]), ng.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    check_tensor("cdist", "x2", x2)
    for word, tensor in (("X1", x1), ("X2", x2)):
        if tensor._spec.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {word} got: {tensor._spec.ndim}D")
        if not tensor._spec.dtype.is_floating_point:
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {word} got: {tensor._spec.dtype.torch_name}"
            )
    if x1._spec.dtype is not x2._spec.dtype:
        raise RuntimeError(f"cdist: X1 is of {x1._spec.dtype} and X2 of {x2._spec.dtype}; convert one with .to(dtype)")
    if x1._spec.shape[-1] != x2._spec.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1._spec.shape[-1]} X2: {x2._spec.shape[-1]}"
        )
    if compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    power = float(p)
    if not power >= 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    (rows, width), columns = x1._spec.shape[-2:], x2._spec.shape[-2]
    many = rows > _MOST_ROWS or columns > _MOST_ROWS
    if power == 2 and compute_mode != _MODES[2] and (many or compute_mode == _MODES[1]):
        return _euclidean(x1, x2)
    differences = pointwise.sub(shaping.unsqueeze(x1, -2), shaping.unsqueeze(x2, -3))
    if not width:
        return reductions.sum(differences, -1)
    return reductions.norm(differences, power, -1)


def _euclidean(x1: Tensor, x2: Tensor) -> Tensor:
    """|x|^2 + |y|^2 - 2 x y, of numbers around the mean of x1, which costs fewer digits."""
    mean = reductions.mean(x1.detach(), -2, True) if x1._spec.shape[-2] else 0.0
    left, right = pointwise.sub(x1, mean), pointwise.sub(x2, mean)
    squares = [reductions.sum(pointwise.mul(x, x), -1, True) for x in (left, right)]
    twice = layers.matmul(pointwise.mul(left, -2.0), shaping.transpose(right, -2, -1))
    total = pointwise.add(pointwise.add(twice, squares[0]), shaping.transpose(squares[1], -2, -1))
    is_apart = total.detach() > 0
    length = pointwise.where(is_apart, total, 1.0)
    return pointwise.where(is_apart, length.sqrt(), 0.0)
