"""`einsum`: sums of products by torch's notation, pair by pair in a cheap order, each pair by one matrix product.

An equation is read once, and so is the order of contraction for operands of the same extents. Subscripts are numbers: letters
0 to 51, as torch sorts them, then the dimensions of an ellipsis.
"""

from __future__ import annotations

import builtins
import functools
import itertools
import string
from typing import TYPE_CHECKING, Any, NamedTuple

from numgrad import ops
from numgrad.layout import product
from numgrad.tensor import layers, pointwise, reductions, shaping
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.diagonals import diagonal
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_LETTERS = string.ascii_uppercase + string.ascii_lowercase
_DOTS = len(_LETTERS)  # the first subscript of an ellipsis
_MOST_SEARCHED = 6  # operands for which the cheapest of all orders is found
Labels = tuple[int, ...]


class _Equation(NamedTuple):
    operands: tuple[Labels, ...]
    output: Labels


@public("function", known=True)
def einsum(*args: Any) -> Tensor:
    """The sum of products of tensors that an equation such as ``'bij,bjk->bik'`` says.

    Each letter is a dimension; those that the output lacks are summed over. A letter twice in one operand takes its diagonal.
    ``...`` stands for the dimensions in front that have no letter, which broadcast. Without ``->`` the output has those, then
    all letters that occur once, in alphabetical order. Also torch's form with lists of numbers:
    ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.

    Several operands are contracted in the order that costs least, by matrix products.

    Raises
    ------
    RuntimeError
        The equation is not well-formed, or does not fit the operands or their extents.
    ValueError
        There is no operand, or a number is no subscript.
    TypeError
        An operand is not a tensor.

    >>> import numgrad as ng
    >>> a, b = ng.tensor([[1.0, 2.0], [3.0, 4.0]]), ng.tensor([[1.0, 0.0], [1.0, 1.0]])
    >>> ng.einsum("ij,jk->ik", a, b)
    tensor([[3., 2.],
            [7., 4.]])
    >>> ng.einsum("ii", a)
    tensor(5.)
    """
    equation, operands = _arguments(args)
    for position, tensor in enumerate(operands):
        check_tensor("einsum", f"operands[{position}]", tensor)
    ranks = tuple([tensor._spec.ndim for tensor in operands])
    terms, output = _read(equation, ranks) if isinstance(equation, str) else _labelled(equation[0], equation[1], ranks)
    taken = [
        _diagonals(tensor, labels, position)
        for position, (tensor, labels) in enumerate(zip(operands, terms, strict=True))
    ]
    extents, squeezed = _fitted(tuple([labels for _, labels in taken]), tuple([part._spec.shape for part, _ in taken]))
    parts = [
        (shaping.squeeze(tensor, dims) if dims else tensor, labels)
        for (tensor, _), (dims, labels) in zip(taken, squeezed, strict=True)
    ]
    for first, second in _path(tuple([labels for _, labels in squeezed]), output, tuple(sorted(extents.items()))):
        one, other = parts[first], parts[second]
        parts = [part for position, part in enumerate(parts) if position not in (first, second)]
        kept = frozenset(output).union(*[labels for _, labels in parts])
        parts.append(_contracted(*one, *other, kept))
    return _finished(*parts[0], output, extents, len(operands) > 1)


# ---- reading ----------------------------------------------------------------------------------------------------


def _arguments(args: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """The equation, as text or as lists of numbers, and the operands."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts"
        )
    if isinstance(args[0], str):
        rest = args[1:]
        operands = list(rest[0]) if len(rest) == 1 and isinstance(rest[0], (list, tuple)) else list(rest)
        if not operands:
            raise RuntimeError("einsum(): must provide at least one operand")
        return args[0], operands
    operands, lists = list(args[::2]), list(args[1::2])
    output = operands.pop() if len(args) % 2 else None
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand and its subscripts list")
    return (tuple(_sublist(each) for each in lists), None if output is None else _sublist(output)), operands


def _sublist(subscripts: Any) -> tuple[Any, ...]:
    if not isinstance(subscripts, (list, tuple)):
        raise TypeError(f"einsum(): subscripts must be a list of ints, not {type(subscripts).__name__}")
    labels = tuple(each if each is Ellipsis else as_int("einsum", "subscripts", each) for each in subscripts)
    for label in labels:
        if label is not Ellipsis and not 0 <= label < _DOTS:
            raise ValueError(f"einsum(): not a valid subscript {label}, expected in range of [0, {_DOTS - 1}]")
    return labels


@functools.lru_cache(maxsize=512)
def _read(equation: str, ranks: tuple[int, ...]) -> _Equation:
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = tuple(_letters(term, f"operand {position}") for position, term in enumerate(left.split(",")))
    return _labelled(terms, _letters(right, "the output") if arrow else None, ranks)


def _letters(term: str, of: str) -> tuple[Any, ...]:
    labels: list[Any] = []
    rest = term
    while rest:
        if rest.startswith("..."):
            labels.append(Ellipsis)
            rest = rest[3:]
            continue
        if rest[0] == ".":
            raise RuntimeError(f"einsum(): found '.' for {of} that is not part of any ellipsis")
        if rest[0] not in _LETTERS:
            raise RuntimeError(
                f"einsum(): invalid subscript given at {of} in the equation string, {rest[0]!r}; subscripts must be in [a-zA-Z]"
            )
        labels.append(_LETTERS.index(rest[0]))
        rest = rest[1:]
    if labels.count(Ellipsis) > 1:
        raise RuntimeError(f"einsum(): found '.' for {of} for which an ellipsis was already found")
    return tuple(labels)


def _labelled(terms: tuple[Any, ...], output: Any, ranks: tuple[int, ...]) -> _Equation:
    """The subscripts of operands of these ranks, with numbers for ellipses."""
    if len(terms) != len(ranks):
        more = "fewer" if len(terms) > len(ranks) else "more"
        raise RuntimeError(f"einsum(): {more} operands were provided than specified in the equation")
    dots = []
    for position, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        named, has_dots = builtins.sum(each is not Ellipsis for each in term), Ellipsis in term
        if named > rank or (named < rank and not has_dots):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) "
                f"{'is more than' if has_dots else 'does not match'} the number of dimensions ({rank}) for operand {position}"
                f"{'' if has_dots else ' and no ellipsis was given'}"
            )
        dots.append(rank - named)
    most = builtins.max((count for count, term in zip(dots, terms, strict=True) if Ellipsis in term), default=0)
    operands = tuple(
        tuple(
            label
            for each in term
            for label in (range(_DOTS + most - count, _DOTS + most) if each is Ellipsis else (each,))
        )
        for term, count in zip(terms, dots, strict=True)
    )
    every = tuple(range(_DOTS, _DOTS + most))
    letters = [label for labels in operands for label in labels if label < _DOTS]
    if output is None:
        return _Equation(operands, (*every, *sorted(label for label in letters if letters.count(label) == 1)))
    expanded = tuple(label for each in output for label in (every if each is Ellipsis else (each,)))
    for label in expanded:
        name = _LETTERS[label] if label < _DOTS else "..."
        if expanded.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {name} appears more than once in the output")
        if label < _DOTS and label not in letters:
            raise RuntimeError(
                f"einsum(): output subscript {name} does not appear in the equation for any input operand"
            )
    return _Equation(operands, expanded)


# ---- operands ---------------------------------------------------------------------------------------------------


def _diagonals(tensor: Tensor, labels: Labels, position: int) -> tuple[Tensor, Labels]:
    """The operand with each subscript once: of one that is there twice the diagonal."""
    while len(set(labels)) < len(labels):
        label = next(each for each in labels if labels.count(each) > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        sizes = tensor._spec.shape[first], tensor._spec.shape[second]
        if sizes[0] != sizes[1]:
            raise RuntimeError(
                f"einsum(): subscript {_LETTERS[label]} is repeated for operand {position} but the sizes don't match, "
                f"{sizes[1]} != {sizes[0]}"
            )
        tensor = diagonal(tensor, 0, first, second)
        labels = (*(each for axis, each in enumerate(labels) if axis not in (first, second)), label)
    return tensor, labels


@functools.lru_cache(maxsize=512)
def _fitted(
    terms: tuple[Labels, ...], shapes: tuple[tuple[int, ...], ...]
) -> tuple[dict[int, int], tuple[tuple[Labels, Labels], ...]]:
    """The extent of each subscript, to which extents of 1 broadcast.

    And for each operand the dimensions that broadcast, and the subscripts of the others.
    """
    extents: dict[int, int] = {}
    for shape, labels in zip(shapes, terms, strict=True):
        for label, extent in zip(labels, shape, strict=True):
            before = extents.setdefault(label, extent)
            if before != extent and 1 not in (before, extent):
                raise RuntimeError(
                    "einsum(): operands do not broadcast with remapped shapes: subscript "
                    f"{_LETTERS[label] if label < _DOTS else '...'} has size {extent} for one operand, and {before} for another"
                )
            extents[label] = extent if before == 1 else before
    squeezed = []
    for shape, labels in zip(shapes, terms, strict=True):
        dims = tuple(axis for axis, label in enumerate(labels) if shape[axis] == 1 != extents[label])
        squeezed.append((dims, tuple(label for axis, label in enumerate(labels) if axis not in dims)))
    return extents, tuple(squeezed)


# ---- the order --------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def _path(
    operands: tuple[Labels, ...], output: Labels, sizes: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """The pairs to contract: positions in the list of operands, from which a pair is taken and to which the result is added."""
    extents = dict(sizes)
    if len(operands) > _MOST_SEARCHED:
        return _greedy(operands, output, extents)
    if len(operands) < 3:
        return ((0, 1),) if len(operands) == 2 else ()
    everything = (1 << len(operands)) - 1
    terms = [frozenset(labels) for labels in operands]

    def kept_of(chosen: int) -> frozenset[int]:
        inside = frozenset().union(*[term for k, term in enumerate(terms) if chosen >> k & 1])
        outside = frozenset(output).union(*[term for k, term in enumerate(terms) if not chosen >> k & 1])
        return inside & outside

    # For each set of operands the least cost of contracting it, and its last pair of sets.
    best: dict[int, tuple[int, int]] = {1 << k: (0, 0) for k in range(len(operands))}
    kept = {chosen: kept_of(chosen) for chosen in range(1, everything + 1)}
    for chosen in sorted(range(1, everything + 1), key=int.bit_count):
        if chosen in best:
            continue
        part, options = (chosen - 1) & chosen, []
        while part:
            rest = chosen ^ part
            if part < rest:
                work = product([extents[label] for label in kept[part] | kept[rest]])
                options.append((best[part][0] + best[rest][0] + work, part))
            part = (part - 1) & chosen
        best[chosen] = builtins.min(options)
    pairs: list[tuple[int, int]] = []
    order: list[int] = [1 << k for k in range(len(operands))]

    def contract(chosen: int) -> None:
        if chosen in order:
            return
        part = best[chosen][1]
        contract(part)
        contract(chosen ^ part)
        first, second = sorted((order.index(part), order.index(chosen ^ part)))
        pairs.append((first, second))
        del order[second], order[first]
        order.append(chosen)

    contract(everything)
    return tuple(pairs)


def _greedy(operands: tuple[Labels, ...], output: Labels, extents: dict[int, int]) -> tuple[tuple[int, int], ...]:
    """Always the pair next that costs least."""
    terms, pairs = [frozenset(labels) for labels in operands], []
    while len(terms) > 1:
        first, second = builtins.min(
            itertools.combinations(range(len(terms)), 2),
            key=lambda pair: product([extents[label] for label in terms[pair[0]] | terms[pair[1]]]),
        )
        union = terms[first] | terms[second]
        terms = [term for position, term in enumerate(terms) if position not in (first, second)]
        terms.append(union & frozenset(output).union(*terms))
        pairs.append((first, second))
    return tuple(pairs)


# ---- contracting ------------------------------------------------------------------------------------------------


class _Factor(NamedTuple):
    """What becomes of an operand before it is multiplied: a sum, a permutation and a reshape, or None for none."""

    summed: Labels
    order: Labels | None
    shape: tuple[int, ...] | None

    def of(self, tensor: Tensor) -> Tensor:
        if self.summed:
            tensor = reductions.sum(tensor, self.summed, dtype=tensor._spec.dtype)
        if self.order is not None:
            tensor = shaping.permute(tensor, *self.order)
        return tensor if self.shape is None else shaping.reshape(tensor, self.shape)


class _Pair(NamedTuple):
    """The product of two operands, its shape in the end (None: its own), and its subscripts."""

    left: _Factor
    right: _Factor
    multiply: Any
    shape: tuple[int, ...] | None
    labels: Labels


def _contracted(
    left: Tensor, left_labels: Labels, right: Tensor, right_labels: Labels, kept: frozenset[int]
) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over the subscripts that nobody else has."""
    pair = _pair(left_labels, left._spec.shape, right_labels, right._spec.shape, kept)
    multiplied = pair.multiply(pair.left.of(left), pair.right.of(right))
    return multiplied if pair.shape is None else shaping.reshape(multiplied, pair.shape), pair.labels


@functools.lru_cache(maxsize=512)
def _pair(
    left: Labels, left_shape: tuple[int, ...], right: Labels, right_shape: tuple[int, ...], kept: frozenset[int]
) -> _Pair:
    extents = {**dict(zip(left, left_shape, strict=True)), **dict(zip(right, right_shape, strict=True))}
    needed = kept.union(right), kept.union(left)
    terms = [
        tuple([label for label in labels if label in used]) for labels, used in zip((left, right), needed, strict=True)
    ]
    numels = [product([extents[label] for label in labels]) for labels in terms]
    larger = terms[0] if numels[0] >= numels[1] else terms[1]
    shared = [label for label in larger if label in terms[0] and label in terms[1]]
    batch = [label for label in shared if label in kept]
    inner = [label for label in shared if label not in kept]
    rows = [label for label in terms[0] if label not in shared]
    columns = [label for label in terms[1] if label not in shared]
    labels = (*batch, *rows, *columns)
    shape = tuple([extents[label] for label in labels])

    def factor(labels: Labels, order: list[int], shape: list[int]) -> _Factor:
        """The operand with its dimensions in this order, then in this shape."""
        summed = tuple([axis for axis, label in enumerate(labels) if label not in order])
        rest = [label for label in labels if label in order]
        moved = None if rest == order else tuple([rest.index(label) for label in order])
        return _Factor(summed, moved, None if shape == [extents[label] for label in order] else tuple(shape))

    def merged(*groups: list[int]) -> list[int]:
        return [product([extents[label] for label in group]) for group in groups]

    if not inner:  # factors that broadcast
        first, second = ([extents[label] for label in each] for each in ([*batch, *rows], columns))
        one = factor(left, [*batch, *rows], [*first, *[1] * len(columns)])
        other = factor(right, [*batch, *columns], [*first[: len(batch)], *[1] * len(rows), *second])
        return _Pair(one, other, pointwise.mul, None, labels)
    if not batch and not columns:
        vector = factor(right, inner, merged(inner))
        if not rows:
            return _Pair(factor(left, inner, merged(inner)), vector, ops.vectors.dot, None, ())
        matrix = factor(left, [*rows, *inner], merged(rows, inner))
        return _Pair(matrix, vector, ops.vectors.mv, None if len(rows) == 1 else shape, labels)
    groups = [batch] if batch else []
    one = factor(left, [*batch, *rows, *inner], merged(*groups, rows, inner))
    other = factor(right, [*batch, *inner, *columns], merged(*groups, inner, columns))
    is_matrix = len(batch) < 2 and len(rows) == len(columns) == 1
    return _Pair(one, other, layers.bmm if batch else layers.mm, None if is_matrix else shape, labels)


def _finished(tensor: Tensor, labels: Labels, output: Labels, extents: dict[int, int], is_new: builtins.bool) -> Tensor:
    """The last operand, summed and in the output's order; ``is_new`` says that it is none of the caller's."""
    if (
        labels == output
        and is_new
        and all(extents[label] == n for label, n in zip(labels, tensor._spec.shape, strict=True))
    ):
        return tensor
    dims = tuple(axis for axis, label in enumerate(labels) if label not in output)
    if dims:
        tensor, labels = reductions.sum(tensor, dims), tuple(label for label in labels if label in output)
    missing = [label for label in output if label not in labels]  # of extent 1, or of an ellipsis that no operand has
    for label in missing:
        tensor, labels = shaping.unsqueeze(tensor, -1), (*labels, label)
    tensor = shaping.permute(tensor, *[labels.index(label) for label in output])
    if any(extents[label] != tensor._spec.shape[axis] for axis, label in enumerate(output)):
        tensor = shaping.expand(tensor, tuple(extents[label] for label in output))
    return tensor


# ---- over given dimensions --------------------------------------------------------------------------------------


@public("function", known=True)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over dimensions of both: the last ``dims`` of a and the first of b, or two lists of dimensions.

    Raises
    ------
    RuntimeError
        The dimensions do not have the same extents, or there are not as many of both.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.tensordot(ng.ones(2, 3), ng.ones(3, 4), 1).shape
    numgrad.Size([2, 4])
    """
    from numgrad.tensor.arguments import wrap_dim

    if hasattr(dims, "tolist"):
        dims = dims.tolist()
    if isinstance(dims, (list, tuple)):
        if len(dims) != 2:
            raise RuntimeError(f"tensordot: expected two lists of dims, got {len(dims)}")
        first, second = ([*each] if isinstance(each, (list, tuple)) else [each] for each in dims)
    else:
        count = as_int("tensordot", "dims", dims)
        if count < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={count}")
        if count > builtins.min(a._spec.ndim, b._spec.ndim):
            raise RuntimeError(
                f"tensordot expects dims < ndim_a or ndim_b, but got dims={count} for {a._spec.ndim} and {b._spec.ndim} dimensions"
            )
        first, second = list(range(a._spec.ndim - count, a._spec.ndim)), list(range(count))
    if len(first) != len(second):
        raise RuntimeError(f"tensordot: both dimension lists should have the same length, got {first} and {second}")
    left = [wrap_dim("tensordot", dim, a._spec.ndim) for dim in first]
    right = [wrap_dim("tensordot", dim, b._spec.ndim) for dim in second]
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        raise RuntimeError(f"tensordot: a dim appears multiple times in the list of dims, got {first} and {second}")
    for one, other in zip(left, right, strict=True):
        if a._spec.shape[one] != b._spec.shape[other] and 1 not in (a._spec.shape[one], b._spec.shape[other]):
            raise RuntimeError(
                f"tensordot: contracted dimensions need to match, but first has size {a._spec.shape[one]} in dim {one} and second "
                f"has size {b._spec.shape[other]} in dim {other}"
            )
    here = list(range(a._spec.ndim))
    there = [here[left[right.index(axis)]] if axis in right else a._spec.ndim + axis for axis in range(b._spec.ndim)]
    output = [label for label in (*here, *there) if not (label in here and label in there)]
    return einsum(a, here, b, there, output)
