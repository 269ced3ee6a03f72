"""Fold batch norm with running statistics into the convolution or linear layer before it.

With s = weight / sqrt(running_var + eps), the norm of ``conv(x, w, b)`` is ``conv(x, s * w, bias + s * (b - running_mean))``: the
same numbers but for rounding. The new weight and bias are computed by ops, which `freeze` runs once. A norm with a residual stays,
since it is one pass over memory with the addition and the ReLU, and so does one whose folding would take more launches than before.
"""

from __future__ import annotations

from typing import Any

from numgrad.compile.passes.graph import Graph, is_whole
from numgrad.compile.steps import Applied, Block, Place
from numgrad.engine.constants import constant
from numgrad.errors import CaptureError
from numgrad.layout import Spec, spec_of
from numgrad.ops.conv import conv2d
from numgrad.ops.elementwise import add, mul, neg, relu, rsqrt, sub
from numgrad.ops.linalg import linear
from numgrad.ops.norm import (
    batch_norm_eval,
    batch_norm_relu_eval,
    batch_norm_relu_training,
    batch_norm_training,
)
from numgrad.registry import Op
from numgrad.tensor.changes import planned

_Tensor = tuple[Place, Spec]


def fold_norms(graph: Graph) -> None:
    """Fold the norms.

    Raises
    ------
    CaptureError
        A norm takes the statistics of its batch, as in train mode.
    """
    changed = {block for step in graph.steps if isinstance(step, Applied) for block in step.changes}
    readers = graph.readers()
    makers = {block: step for step in graph.steps if isinstance(step, Applied) for block in step.makes}
    replaced: dict[int, list[Applied]] = {}  # by the id of a step, those in its place
    for number, step in enumerate(graph.steps):
        if not isinstance(step, Applied):
            continue
        if step.op in (batch_norm_training, batch_norm_relu_training):
            raise CaptureError(
                "jit: fold=True, and a batch norm is in train mode, where it takes the statistics of each batch; call eval() "
                f"before (at {step.line})"
            )
        if step.op not in (batch_norm_eval, batch_norm_relu_eval):
            continue
        product = makers.get(step.places[0][0])  # type: ignore[index]
        if product is None or product.op not in (conv2d, linear) or id(product) in replaced:
            continue
        constants = [*product.places[1:3], *step.places[1 : len(step.specs[0])]]
        is_alone = readers[step.places[0][0]] == [number] and graph.is_temporary(step.places[0][0])  # type: ignore[index]
        is_constant = all(where is None or (where[0].kind == "held" and where[0] not in changed) for where in constants)
        has_residual = len(step.specs[0]) > 5 and step.places[5] is not None
        if is_alone and is_constant and not has_residual and (steps := _folded(graph, product, step)):
            replaced[id(product)], replaced[id(step)] = [], steps
    graph.steps = [new for step in graph.steps for new in replaced.get(id(step), [step])]  # type: ignore[misc]
    graph.note("fold", norms=len(replaced) // 2)


def _folded(graph: Graph, product: Applied, norm: Applied) -> list[Applied]:
    """The steps in the place of both; none if it would not pay, or the result would lie in another way."""
    steps: list[Applied] = []

    def tensor(step: Applied, position: int) -> _Tensor | None:
        where, spec = step.places[position], step.specs[0][position]
        return None if where is None or spec is None else (where, spec)

    def applied(op: Op, *inputs: _Tensor | None, params: Any = None) -> _Tensor:
        specs = tuple([None if each is None else each[1] for each in inputs])
        values = op.defaults if params is None else params
        steps.append(graph.applied(op, planned(op, specs, values), values, inputs, norm.line))
        return (steps[-1].makes[0], 0), steps[-1].specs[1][0]

    gamma, beta, mean, variance = (tensor(norm, position) for position in range(1, 5))
    weight, bias = tensor(product, 1), tensor(product, 2)
    assert mean is not None
    assert variance is not None
    assert weight is not None
    eps = constant(norm.params.eps, variance[1].dtype)
    root = eps._storage.root
    scale = applied(rsqrt, applied(add, variance, ((Block(-1, "held", root.nbytes, root), 0), eps._spec)))
    if gamma is not None:
        scale = applied(mul, scale, gamma)
    shift = applied(mul, scale, mean if bias is None else applied(sub, mean, bias))
    shift = applied(neg, shift) if beta is None else applied(sub, beta, shift)
    channels = spec_of(weight[1].dtype, (weight[1].shape[0], *[1] * (weight[1].ndim - 1)), (1,) * weight[1].ndim)
    scaled = applied(mul, weight, (scale[0], channels))
    before = len(steps)
    result = applied(product.op, tensor(product, 0), scaled, shift, params=product.params)
    if norm.op is batch_norm_relu_eval:
        result = applied(relu, result)
    out, (spec,) = norm.makes[0], norm.specs[1]
    launches = sum(len(step.program.names()) for step in steps[before:])
    is_same = result[1] is spec and is_whole(result[0], spec) and out.nbytes == result[0][0].nbytes
    if not is_same or launches > len(product.program.names()) + 1:
        return []
    last = steps[-1]
    last.makes = [out if block is result[0][0] else block for block in last.makes]
    last.places = [(out, 0) if where is not None and where[0] is result[0][0] else where for where in last.places]
    return steps
