"""Where the optimizers' arithmetic is done: one launch changes all parameters of a group in place."""

from __future__ import annotations

from typing import Any

from numgrad.tensor import updates
from numgrad.tensor.tensor import Tensor


def sgd(params: list[Tensor], grads: list[Tensor], buffers: list[Tensor | None], **options: Any) -> None:
    """A step of `SGD`; a buffer that is None is made, if there is momentum, as the first gradient."""
    updates.sgd_(params, grads, buffers, **options)


def adam(
    params: list[Tensor],
    grads: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    largest: list[Tensor],
    steps: list[int],
    **options: Any,
) -> None:
    """A step of `Adam` after ``steps`` steps of each parameter; ``largest`` is empty without amsgrad."""
    for step in sorted(set(steps)):
        chosen = [place for place, count in enumerate(steps) if count == step]
        updates.adam_(
            [params[place] for place in chosen],
            [grads[place] for place in chosen],
            [means[place] for place in chosen],
            [squares[place] for place in chosen],
            [largest[place] for place in chosen] if largest else [],
            step=step,
            **options,
        )
