"""How graphs show the ops whose nodes in torch have other names, or list other inputs, than a spec says.

torch lists the inputs that a gradient could be of, in the order of its own function, and numbers the variants of one.
"""

from __future__ import annotations

from typing import Any

from numgrad.ops import elementwise, index, linalg, loss, norm, pool, random, reduce, view
from numgrad.registry import Op

for op, inputs in {
    elementwise.where: (1, 2),
    elementwise.leaky_relu: (0,),
    random.dropout: (0,),
    index.gather: (0,),
    index.index_select: (0,),
    index.index_select_backward: (0,),
    index.scatter_add: (0, 2),
    index.index_put: (0, 2),
    loss.nll_loss: (0,),
    loss.nll_loss_backward: (0,),
    pool.max_pool2d_backward: (0,),
    norm.batch_norm_training: (0, 1, 2),
    norm.batch_norm_eval: (0, 1, 2),
    norm.batch_norm_relu_training: (0, 1, 2, 5),
    norm.batch_norm_relu_eval: (0, 1, 2, 5),
}.items():
    op.graph_inputs = inputs

elementwise.log1p.grad_name = "Log1PBackward0"
pool.avg_pool2d.grad_name = "AvgPool2DBackward0"
pool.adaptive_avg_pool2d.grad_name = "AdaptiveAvgPool2DBackward0"

elementwise.add.commutes = elementwise.mul.commutes = True


def _is_number(specs: Any, needs: Any, place: int) -> bool:
    """Whether an input may be a Python number, which is a 0-d tensor without a gradient."""
    return specs[place].ndim == 0 and not needs[place]


@elementwise.sub.shown_as
def _(specs: Any, needs: Any, params: Any) -> Any:
    return ("RsubBackward1", (1,)) if _is_number(specs, needs, 0) else ("SubBackward0", None)


@elementwise.pow.shown_as
def _(specs: Any, needs: Any, params: Any) -> Any:
    if _is_number(specs, needs, 1):
        return "PowBackward0", (0,)
    return ("PowBackward2", (1,)) if _is_number(specs, needs, 0) else ("PowBackward1", None)


@elementwise.remainder.shown_as
def _(specs: Any, needs: Any, params: Any) -> Any:
    return ("RemainderBackward0", (0,)) if _is_number(specs, needs, 1) else ("RemainderBackward1", None)


@elementwise.clamp_min.shown_as
def _(specs: Any, needs: Any, params: Any) -> Any:
    return ("ClampBackward1", (0,)) if _is_number(specs, needs, 1) else ("ClampBackward0", (0, 1, None))


@elementwise.clamp_max.shown_as
def _(specs: Any, needs: Any, params: Any) -> Any:
    return ("ClampBackward1", (0,)) if _is_number(specs, needs, 1) else ("ClampBackward0", (0, None, 1))


@linalg.linear.shown_as
def _(specs: Any, needs: Any, params: Any) -> Any:
    return ("MmBackward0", (0, 1)) if specs[2] is None else ("AddmmBackward0", (2, 0, 1))


@view.squeeze.shown_as
def _(specs: Any, needs: Any, params: Any) -> Any:
    return f"SqueezeBackward{0 if len(params.dims) == specs[0].ndim else 1}", None


def _reduction(reduction: Op) -> None:
    """One without dims, and one with."""
    stem = reduction.grad_name.removesuffix("0")

    @reduction.shown_as
    def _(specs: Any, needs: Any, params: Any) -> Any:
        return f"{stem}{0 if len(params.dims) == specs[0].ndim and not params.keepdim else 1}", None


for each in (reduce.sum_, reduce.mean, reduce.prod):
    _reduction(each)
