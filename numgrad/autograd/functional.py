"""Jacobians, Hessians and products with them at given inputs; `numgrad.func` has them as transforms of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad.autograd import batched, forward_ad
from numgrad.autograd.duals import detached
from numgrad.autograd.gradients import grad
from numgrad.autograd.modes import enable_grad, is_grad_enabled
from numgrad.tensor import creation
from numgrad.tensor.joining import cat
from numgrad.tensor.shaping import narrow, permute, reshape, squeeze, unsqueeze
from numgrad.tensor.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(*inputs), v^T J)``: the product of a cotangent with the Jacobian.

    Parameters
    ----------
    func
        Takes tensors, returns a tensor or a tuple of tensors.
    inputs
        A tensor or a tuple of tensors.
    v
        A cotangent of the shape of the output (or a tuple of them); may be left out for an output of one element.
    create_graph
        Whether the results can be differentiated.
    strict
        Raise an error, instead of returning zeros, where an output does not depend on an input.

    Raises
    ------
    RuntimeError
        ``v`` does not fit the outputs, or ``strict`` is set and an output does not depend on an input.

    >>> import numgrad as ng
    >>> ng.autograd.functional.vjp(lambda x: x * x, ng.tensor([1.0, 2.0]), ng.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        leaves, single_input = _leaves("vjp", inputs, create_graph)
        outputs, single_output = _outputs("vjp", func(*leaves))
        cotangents = _vectors("v", v, outputs)
        products = _gradients("vjp", outputs, leaves, cotangents, create_graph, strict)
    return _result(outputs, single_output, create_graph), _result(products, single_input, create_graph)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(*inputs), J v)``: the product of the Jacobian with a tangent, by forward mode.

    Arguments as for `vjp`; ``v`` has the shape of the inputs.

    >>> import numgrad as ng
    >>> ng.autograd.functional.jvp(lambda x: x * x, ng.tensor([1.0, 2.0]), ng.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        leaves, _ = _leaves("jvp", inputs, create_graph, tracked=create_graph)
        tangents = _vectors("v", v, leaves)
        primals, products, single = _pushed("jvp", func, leaves, tangents, strict)
    return _result(primals, single, create_graph), _result(products, single, create_graph)


def _pushed(
    name: str, func: Callable[..., Any], leaves: Sequence[Tensor], tangents: Sequence[Tensor], strict: bool
) -> tuple[list[Tensor], list[Tensor], bool]:
    """The outputs, their tangents (zeros for an output that does not depend on the leaves), and whether there is one output."""
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(leaf, tangent) for leaf, tangent in zip(leaves, tangents, strict=True)]
        outputs, single = _outputs(name, func(*duals))
        pairs = [forward_ad.unpack_dual(output) for output in outputs]
    if strict and any(pair.tangent is None for pair in pairs):
        raise RuntimeError(
            f"{name}: an output of the function is independent of the inputs; not allowed with strict=True."
        )
    tangents = [creation.zeros_like(pair.primal) if pair.tangent is None else pair.tangent for pair in pairs]
    return [pair.primal for pair in pairs], tangents, single


def tangents_of(
    outputs: Sequence[Tensor], leaves: Sequence[Tensor], create_graph: bool, strict: bool = False
) -> Callable[..., list[Tensor]]:
    """A function from tangents of the leaves to tangents of the outputs, for outputs that are already computed.

    The vjp is linear in its cotangent, so its own vjp with respect to the cotangent is the jvp.
    """
    dummies = [creation.zeros_like(output.detach()).requires_grad_() for output in outputs]
    back = _gradients("jvp", outputs, leaves, dummies, True, strict)

    def push(tangents: Sequence[Tensor], create_graph: bool = create_graph) -> list[Tensor]:
        pairs = [(b, t) for b, t in zip(back, tangents, strict=True) if b.requires_grad]
        if not pairs:
            return [creation.zeros_like(output.detach()) for output in outputs]
        with enable_grad():
            products = grad(
                [b for b, _ in pairs], dummies, [t for _, t in pairs], retain_graph=True, create_graph=create_graph,
                materialize_grads=True,
            )  # fmt: skip
        return list(products)

    return push


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(*inputs), v^T H)`` for a function with one number as its output. The Hessian is symmetric, so this is also `hvp`.

    Arguments as for `vjp`; ``v`` has the shape of the inputs.

    >>> import numgrad as ng
    >>> ng.autograd.functional.vhp(lambda x: (x**3).sum(), ng.tensor([1.0, 2.0]), ng.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        leaves, single = _leaves("vhp", inputs, create_graph)
        vectors = _vectors("v", v, leaves)
        outputs, _ = _outputs("vhp", func(*leaves))
        _one_number("vhp", outputs)
        first = _gradients("vhp", outputs, leaves, [None], True, strict)
        products = _gradients("vhp", first, leaves, vectors, create_graph, strict)
    return _result(outputs, True, create_graph), _result(products, single, create_graph)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(*inputs), H v)`` for a function with one number as its output.

    >>> import numgrad as ng
    >>> ng.autograd.functional.hvp(lambda x, y: (x * x * y).sum(), (ng.ones(1), ng.ones(1)), (ng.ones(1), ng.ones(1)))
    (tensor(1.), (tensor([4.]), tensor([2.])))
    """
    return vhp(func, inputs, v, create_graph, strict)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of a function, of shape (*output, *input), in tuples like the outputs and inputs.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As for `vjp`.
    vectorize
        Compute all rows together, by batching rules (`func.vmap`), instead of one after the other.
    strategy
        'reverse-mode': a backward for each element of the output; 'forward-mode': a tangent for each element of the inputs,
        always all together.

    Raises
    ------
    ValueError
        The strategy is unknown.

    >>> import numgrad as ng
    >>> ng.autograd.functional.jacobian(lambda x: x * x, ng.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f'jacobian: strategy is {strategy!r}, expected either "reverse-mode" or "forward-mode"')
    if strategy == "forward-mode":
        with enable_grad():
            leaves, single_input = _leaves("jacobian", inputs, create_graph, tracked=create_graph)
            blocks, _, single_output = columns_of("jacobian", func, leaves, strict)
    else:
        with enable_grad():
            leaves, single_input = _leaves("jacobian", inputs, create_graph)
            outputs, single_output = _outputs("jacobian", func(*leaves))
            blocks = rows_of(outputs, leaves, create_graph, strict, vectorize)
    rows = [_result(row, single_input, create_graph) for row in blocks]
    return rows[0] if single_output else tuple(rows)


def rows_of(
    outputs: Sequence[Tensor],
    leaves: Sequence[Tensor],
    create_graph: bool,
    strict: bool = False,
    vectorize: bool = True,
    chunk_size: int | None = None,
) -> list[list[Tensor]]:
    """The Jacobian of each output by each leaf, from a backward for each element of the output."""
    blocks = []
    for output in outputs:
        count = output.numel()
        basis = reshape(creation.eye(count, dtype=output.dtype), (count, *output.shape))
        step = max(1, count if chunk_size is None else chunk_size) if vectorize else 1
        rows = []
        for begin in range(0, count, step):
            seeds = narrow(basis, 0, begin, min(step, count - begin))
            rows.append(_row_gradients(output, leaves, seeds, create_graph, strict))
        blocks.append(
            [
                reshape(cat([row[position] for row in rows], 0), (*output.shape, *leaf.shape))
                if rows
                else creation.zeros(*output.shape, *leaf.shape, dtype=leaf.dtype)
                for position, leaf in enumerate(leaves)
            ]
        )
    return blocks


def _row_gradients(
    output: Tensor, leaves: Sequence[Tensor], seeds: Tensor, create_graph: bool, strict: bool
) -> list[Tensor]:
    """Gradients of one output for several cotangents, the rows of ``seeds``."""
    if strict and not output.requires_grad:
        raise RuntimeError(
            "jacobian: an output of the function is independent of the inputs; not allowed with strict=True."
        )
    gradients: Any = [None] * len(leaves)
    if output.requires_grad and len(seeds) == 1:
        single = grad(output, leaves, squeeze(seeds, 0), True, create_graph, allow_unused=True)
        gradients = [each if each is None else unsqueeze(each, 0) for each in single]
    elif output.requires_grad:
        gradients = grad(output, leaves, seeds, True, create_graph, allow_unused=True, is_grads_batched=True)
    if strict and any(each is None for each in gradients):
        position = [each is None for each in gradients].index(True)
        raise RuntimeError(f"jacobian: the outputs are independent of input {position}; not allowed with strict=True.")
    return [
        creation.zeros(len(seeds), *leaf.shape, dtype=leaf.dtype) if each is None else each
        for each, leaf in zip(gradients, leaves, strict=True)
    ]


def columns_of(
    name: str,
    func: Callable[..., Any],
    leaves: Sequence[Tensor],
    strict: bool = False,
    chunk_size: int | None = None,
) -> tuple[list[list[Tensor]], list[Tensor], bool]:
    """As `rows_of`, from a tangent for each element of the leaves. Also the outputs, and whether there is one output."""
    counts = [leaf.numel() for leaf in leaves]
    total = sum(counts)
    step = max(1, total if chunk_size is None else chunk_size)
    parts: list[list[Tensor]] = []
    primals: list[Tensor] = []
    single = False
    for begin in range(0, max(total, 1), step):
        size = min(step, total - begin)
        with batched.batch_level(size) as level:
            tangents, offset = [], begin
            for leaf, count in zip(leaves, counts, strict=True):
                unit = _diagonal(size, count, offset, leaf)
                tangents.append(batched.BatchedTensor(reshape(unit, (size, *leaf.shape)), level))
                offset -= count
            primals, pushed, single = _pushed(name, func, leaves, tangents, strict)
            parts.append([batched.examples_of(each, level) for each in pushed])
    blocks: list[list[Tensor]] = []
    for number, primal in enumerate(primals):
        columns, row, begin = cat([part[number] for part in parts], 0), [], 0
        for leaf, count in zip(leaves, counts, strict=True):
            block = narrow(columns, 0, begin, count)
            last = permute(block, *range(1, block.ndim), 0)
            row.append(reshape(last, (*primal.shape, *leaf.shape)))
            begin += count
        blocks.append(row)
    return blocks, primals, single


def _diagonal(rows: int, columns: int, offset: int, like: Tensor) -> Tensor:
    """Ones where the row's number plus ``offset`` is the column's number, zeros elsewhere."""
    numbers = unsqueeze(creation.arange(offset, offset + rows), 1)
    return (numbers == unsqueeze(creation.arange(columns), 0)).to(like.dtype)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a function with one number as its output, of shape (*input, *input); for several inputs in tuples of tuples.

    >>> import numgrad as ng
    >>> ng.autograd.functional.hessian(lambda x: (x**3).sum(), ng.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    single = isinstance(inputs, Tensor)

    def gradient(*args: Tensor) -> Any:
        leaves, _ = _leaves("hessian", args, create_graph=True)
        outputs, _ = _outputs("hessian", func(*leaves))
        _one_number("hessian", outputs)
        return tuple(_gradients("hessian", outputs, leaves, [None], True, strict))

    blocks = jacobian(
        gradient, (inputs,) if single else inputs, create_graph, strict, vectorize, outer_jacobian_strategy
    )
    return blocks[0][0] if single else blocks


# ---- inputs and outputs -----------------------------------------------------------------------------------------


def _leaves(name: str, inputs: Any, create_graph: bool, tracked: bool = True) -> tuple[list[Tensor], bool]:
    """Tensors to differentiate by: new leaves or, with ``create_graph``, views of the inputs.

    Forward mode needs no recording, so without ``tracked`` the leaves require no gradient.
    """
    single = isinstance(inputs, Tensor)
    values = [inputs] if single else list(inputs)
    for position, value in enumerate(values):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"The inputs given to {name} must be either a Tensor or a tuple of Tensors but the value at index {position} "
                f"has type {type(value).__name__}."
            )
    keep = create_graph and is_grad_enabled()
    return [
        v.view(v.shape) if keep and v.requires_grad else detached(v).requires_grad_(tracked) for v in values
    ], single


def _outputs(name: str, outputs: Any) -> tuple[list[Tensor], bool]:
    single = isinstance(outputs, Tensor)
    values = [outputs] if single else list(outputs)
    for position, value in enumerate(values):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"The outputs of the user-provided function given to {name} must be either a Tensor or a tuple of Tensors "
                f"but the value at index {position} has type {type(value).__name__}."
            )
    return values, single


def _vectors(name: str, value: Any, like: Sequence[Tensor]) -> list[Any]:
    if value is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"The vector {name} can only be None if the values that it goes with are one single element."
            )
        return [creation.ones_like(like[0].detach())]
    vectors = [value] if isinstance(value, Tensor) else list(value)
    if len(vectors) != len(like):
        raise RuntimeError(f"{name} has {len(vectors)} tensors, expected {len(like)}")
    for position, (vector, each) in enumerate(zip(vectors, like, strict=True)):
        if not isinstance(vector, Tensor):
            raise TypeError(f"{name} has {type(vector).__name__} at entry {position}, expected a Tensor")
        if vector.shape != each.shape:
            raise RuntimeError(
                f"{name} has invalid size: entry {position} should be {list(each.shape)} but is {list(vector.shape)}."
            )
    return vectors


def _one_number(name: str, outputs: Sequence[Tensor]) -> None:
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise RuntimeError(
            f"The function given to {name} should return a single Tensor with a single element, got "
            f"{[list(output.shape) for output in outputs]}"
        )


def _gradients(
    name: str,
    outputs: Sequence[Tensor],
    leaves: Sequence[Tensor],
    cotangents: Sequence[Any],
    create_graph: bool,
    strict: bool,
    retain: bool | None = None,
) -> list[Tensor]:
    """Gradients, with zeros for a leaf that the outputs do not depend on."""
    pairs = [(output, c) for output, c in zip(outputs, cotangents, strict=True) if output.requires_grad]
    if strict and len(pairs) < len(outputs):
        raise RuntimeError(
            f"{name}: an output of the function is independent of the inputs; not allowed with strict=True."
        )
    gradients: Any = [None] * len(leaves)
    if pairs:
        gradients = grad(
            [output for output, _ in pairs], leaves, [c for _, c in pairs], allow_unused=True, create_graph=create_graph,
            retain_graph=retain,
        )  # fmt: skip
    if strict and any(each is None for each in gradients):
        position = [each is None for each in gradients].index(True)
        raise RuntimeError(f"{name}: the outputs are independent of input {position}; not allowed with strict=True.")
    return [
        creation.zeros_like(leaf.detach()) if each is None else each
        for each, leaf in zip(gradients, leaves, strict=True)
    ]


def _result(values: Sequence[Tensor], single: bool, create_graph: bool) -> Any:
    kept = list(values) if create_graph else [detached(value) for value in values]
    return kept[0] if single else tuple(kept)
