"""Transforms that turn a function of tensors (or trees of them) into functions that compute its derivatives."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from numgrad.autograd import batched, forward_ad, functional, gradients
from numgrad.autograd.duals import detached
from numgrad.autograd.graph import nodes_behind
from numgrad.autograd.modes import enable_grad, is_grad_enabled
from numgrad.engine.tape import AccumulateGrad
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.trees import Build, flatten

ArgNums = int | tuple[int, ...]
_numbers = itertools.count()


class _Level:
    """One call of a transform, with fresh tensors for the values that it differentiates by.

    The graph shows whether the result will be differentiated further: then the outputs depend on tensors other than the
    fresh ones.
    """

    def __init__(self, values: Any, name: str) -> None:
        leaves, self.build = flatten(values)
        self.number = next(_numbers)
        self.recording = is_grad_enabled()
        with enable_grad():
            self.leaves = [self._fresh(leaf, name) for leaf in leaves]

    def _fresh(self, leaf: Any, name: str) -> Tensor:
        if not isinstance(leaf, Tensor):
            raise TypeError(f"{name}: expected tensors in the arguments to differentiate by, got {type(leaf).__name__}")
        if not leaf.is_floating_point():
            raise RuntimeError(
                f"{name}: only Tensors of floating point dtype can be differentiated by, got {leaf.dtype}"
            )
        leaf = batched.for_each_example(leaf)
        if self.recording and leaf.requires_grad:
            return leaf.view(leaf.shape)
        fresh: Tensor = detached(leaf).requires_grad_()
        batched.bottom(fresh)._level = self.number
        return fresh

    def values(self) -> Any:
        """The fresh tensors in the form of the values."""
        return self.build(self.leaves)

    def depends_on_others(self, outputs: list[Tensor]) -> bool:
        """Whether the outputs depend on leaves other than the fresh tensors, and those of transforms inside of this one."""
        if not self.recording:
            return False
        fresh = {id(batched.bottom(leaf)) for leaf in self.leaves}
        others = (node.variable for node in nodes_behind(outputs) if isinstance(node, AccumulateGrad))
        return any(id(leaf) not in fresh and getattr(leaf, "_level", -1) <= self.number for leaf in others)


def _tensors(name: str, tree: Any) -> tuple[list[Tensor], Build]:
    leaves, build = flatten(tree)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise TypeError(f"{name}: expected the function to return tensors, got {type(leaf).__name__}")
    return leaves, build


def _leaves(name: str, what: str, tree: Any) -> list[Tensor]:
    """The leaves of an argument of the function that a transform returned; each has to be a tensor."""
    leaves, _ = flatten(tree)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise TypeError(f"{name}: expected each {what} to be a Tensor, got {type(leaf).__name__}")
    return leaves


def _chosen(args: tuple[Any, ...], argnums: ArgNums, name: str) -> Any:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not numbers or any(not -len(args) <= number < len(args) for number in numbers):
        raise RuntimeError(f"{name}: Got argnum={argnums}, but only {len(args)} positional inputs")
    return args[argnums] if isinstance(argnums, int) else tuple(args[number] for number in numbers)


def _replaced(args: tuple[Any, ...], argnums: ArgNums, values: Any) -> list[Any]:
    changed = list(args)
    pairs = [(argnums, values)] if isinstance(argnums, int) else zip(argnums, values, strict=True)
    for number, value in pairs:
        changed[number] = value
    return changed


def _split(name: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(
            f"{name}: with has_aux=True the function has to return (output, aux), got {type(result).__name__}"
        )
    return result


def _detached(tree: Any) -> Any:
    leaves, build = flatten(tree)
    return build([detached(leaf) if isinstance(leaf, Tensor) else leaf for leaf in leaves])


def grad(func: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that computes the gradient of ``func``, which returns one number, by some of its arguments.

    Parameters
    ----------
    func
        Returns a tensor of one element or, with ``has_aux``, a pair of such a tensor and anything else.
    argnums
        The position of the argument, or a tuple of positions; arguments may be trees of tensors.
    has_aux
        Return (gradient, aux).

    Raises
    ------
    RuntimeError
        The output is not one number, or an argument does not exist.

    >>> import numgrad as ng
    >>> ng.func.grad(ng.func.grad(lambda x: x**3))(ng.tensor(2.0))
    tensor(12.)
    """
    with_value = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        gradient, value = with_value(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def grad_and_value(func: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`, but with the value: returns (gradient, value) or (gradient, (value, aux)).

    >>> import numgrad as ng
    >>> ng.func.grad_and_value(lambda x: (x * x).sum())(ng.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        level = _Level(_chosen(args, argnums, "grad"), "grad")
        with enable_grad():
            value, aux = _split("grad", func(*_replaced(args, argnums, level.values()), **kwargs), has_aux)
            if not isinstance(value, Tensor) or value.numel() != 1:
                shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise RuntimeError(f"grad: Expected function to return a tensor of one element, got {shape}")
            further = level.depends_on_others([value])
            leaf_gradients: Any = [None] * len(level.leaves)
            if value.requires_grad:
                leaf_gradients = gradients.grad(value, level.leaves, create_graph=further, materialize_grads=True)
            else:
                leaf_gradients = [creation.zeros_like(leaf) for leaf in level.leaves]
        value, aux = (value, aux) if further else (detached(value), _detached(aux))
        return level.build(list(leaf_gradients)), ((value, aux) if has_aux else value)

    return wrapped


def value_and_grad(func: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad_and_value`, with the value first.

    >>> import numgrad as ng
    >>> ng.func.value_and_grad(lambda x: (x * x).sum())(ng.tensor([1.0, 2.0]))
    (tensor(5.), tensor([2., 4.]))
    """
    gradient_first = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        gradient, value = gradient_first(*args, **kwargs)
        return value, gradient

    return wrapped


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``(output, vjp_fn)``, or ``(output, vjp_fn, aux)``; ``vjp_fn(cotangents)`` returns a tuple, one entry for each primal.

    >>> import numgrad as ng
    >>> output, back = ng.func.vjp(lambda x: x * x, ng.tensor([1.0, 2.0]))
    >>> back(ng.tensor([1.0, 10.0]))
    (tensor([ 2., 40.]),)
    """
    level = _Level(primals, "vjp")
    with enable_grad():
        output, aux = _split("vjp", func(*level.values()), has_aux)
        outputs, _ = _tensors("vjp", output)
        further = level.depends_on_others(outputs)

    def vjp_fn(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        vectors = _leaves("vjp", "cotangent", cotangents)
        if len(vectors) != len(outputs):
            raise RuntimeError(f"vjp: got {len(vectors)} cotangents, expected {len(outputs)}, one for each output")
        tracked = is_grad_enabled() and any(cotangent.requires_grad for cotangent in vectors)
        create = further or tracked if create_graph is None else create_graph
        with enable_grad():
            products = functional._gradients("vjp", outputs, level.leaves, vectors, create, False, retain_graph)
        return level.build(products)

    shown = output if further else _detached(output)
    return (shown, vjp_fn, aux if further else _detached(aux)) if has_aux else (shown, vjp_fn)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``(output, jvp_fn)``: the function's value and its derivative at the primals, a linear function of tangents.

    >>> import numgrad as ng
    >>> output, push = ng.func.linearize(lambda x: x * x, ng.tensor([1.0, 2.0]))
    >>> push(ng.tensor([1.0, 10.0]))
    tensor([ 2., 40.])
    """
    level = _Level(primals, "linearize")
    with enable_grad():
        output = func(*level.values())
        outputs, build = _tensors("linearize", output)
        further = level.depends_on_others(outputs)
        push = functional.tangents_of(outputs, level.leaves, further)

    def jvp_fn(*tangents: Any) -> Any:
        vectors = _leaves("jvp", "tangent", tangents)
        if [tuple(t.shape) for t in vectors] != [tuple(leaf.shape) for leaf in level.leaves]:
            raise RuntimeError(
                f"jvp: the tangents have the shapes {[list(t.shape) for t in vectors]}, expected those of the primals, "
                f"{[list(leaf.shape) for leaf in level.leaves]}"
            )
        tracked = is_grad_enabled() and any(tangent.requires_grad for tangent in vectors)
        return build(push(vectors, further or tracked))

    return (output if further else _detached(output)), jvp_fn


def jvp(
    func: Callable[..., Any],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """``(output, tangent)``, or ``(output, tangent, aux)``: the derivative of ``func`` along ``tangents``, by forward mode.

    The tangent of an output that does not depend on the primals is 0; with ``strict`` it is an error.

    Raises
    ------
    RuntimeError
        Primals and tangents do not have the same form.

    >>> import numgrad as ng
    >>> ng.func.jvp(lambda x: x * x, (ng.tensor([1.0, 2.0]),), (ng.tensor([1.0, 10.0]),))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    leaves, build = flatten(primals)
    directions, _ = flatten(tangents)
    if not isinstance(tangents, tuple) or len(leaves) != len(directions) or len(primals) != len(tangents):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure, tuples of the same length"
        )
    if not leaves:
        raise RuntimeError("jvp(f, primals, tangents): Expected at least one Tensor to differentiate by")
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(leaf, tangent) for leaf, tangent in zip(leaves, directions, strict=True)]
        output, aux = _split("jvp", func(*build(duals)), has_aux)
        outputs, build_output = _tensors("jvp", output)
        pairs = [forward_ad.unpack_dual(each) for each in outputs]
        extras, build_aux = flatten(aux)
        extras = [forward_ad.unpack_dual(each).primal if isinstance(each, Tensor) else each for each in extras]
    if strict and any(pair.tangent is None for pair in pairs):
        raise RuntimeError(
            "jvp(f, primals, tangents): an output is independent of the primals; not allowed with strict=True"
        )
    values = build_output([pair.primal for pair in pairs])
    pushed = build_output(
        [creation.zeros_like(pair.primal) if pair.tangent is None else pair.tangent for pair in pairs]
    )
    return (values, pushed, build_aux(extras)) if has_aux else (values, pushed)


def jacrev(
    func: Callable[..., Any], argnums: ArgNums = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Callable[..., Any]:
    """The function that computes the Jacobian, by a backward for each element of the output: best for few outputs.

    Batching rules run the backwards together; ``chunk_size`` bounds their number, and so the memory.

    >>> import numgrad as ng
    >>> ng.func.jacrev(lambda x: x * x)(ng.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_chunk("jacrev", chunk_size)

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        level = _Level(_chosen(args, argnums, "jacrev"), "jacrev")
        with enable_grad():
            output, aux = _split("jacrev", func(*_replaced(args, argnums, level.values()), **kwargs), has_aux)
            outputs, build = _tensors("jacrev", output)
            further = level.depends_on_others(outputs)
            blocks = functional.rows_of(outputs, level.leaves, further, chunk_size=chunk_size)
        jacobian = build([level.build(row) for row in blocks])
        jacobian = jacobian if further else _detached(jacobian)
        return (jacobian, aux if further else _detached(aux)) if has_aux else jacobian

    return wrapped


def jacfwd(
    func: Callable[..., Any],
    argnums: ArgNums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that computes the Jacobian, by a tangent for each element of the arguments: best for few inputs.

    The function runs once for all tangents together, by forward mode and batching rules; ``chunk_size`` bounds their number.
    All tangents see the same random numbers, so ``randomness`` has no effect.

    >>> import numgrad as ng
    >>> ng.func.jacfwd(lambda x: ng.stack([x, x * x]))(ng.tensor(3.0))
    tensor([1., 6.])
    """
    _check_chunk("jacfwd", chunk_size)

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, build = flatten(_chosen(args, argnums, "jacfwd"))
        for leaf in leaves:
            if not isinstance(leaf, Tensor):
                raise TypeError(
                    f"jacfwd: expected tensors in the arguments to differentiate by, got {type(leaf).__name__}"
                )
        kept: list[Any] = []

        def flat(*values: Any) -> Any:
            output, aux = _split("jacfwd", func(*_replaced(args, argnums, build(list(values))), **kwargs), has_aux)
            outputs, build_output = _tensors("jacfwd", output)
            extras, build_aux = flatten(aux)
            extras = [forward_ad.unpack_dual(each).primal if isinstance(each, Tensor) else each for each in extras]
            kept[:] = [build_output, build_aux(extras)]
            return tuple(outputs)

        blocks, _, _ = functional.columns_of("jacfwd", flat, leaves, chunk_size=chunk_size)
        jacobian = kept[0]([build(row) for row in blocks])
        return (jacobian, kept[1]) if has_aux else jacobian

    return wrapped


def _check_chunk(name: str, chunk_size: int | None) -> None:
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"{name}: `chunk_size` should be greater than 0, got {chunk_size}.")


def hessian(func: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]:
    """The function that computes the Hessian by forward mode over reverse mode, the cheapest way.

    >>> import numgrad as ng
    >>> ng.func.hessian(lambda x: (x**3).sum())(ng.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
