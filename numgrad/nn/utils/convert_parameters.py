"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from numgrad.autograd import no_grad
from numgrad.tensor import joining, shaping
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import plan_copy


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one after the other; gradients flow through it.

    >>> import numgrad as ng
    >>> parameters_to_vector([ng.ones(1, 2), ng.zeros(1)])
    tensor([1., 1., 0.])
    """
    return joining.cat(
        [shaping.reshape(check_tensor("parameters_to_vector", "parameters", each), -1) for each in parameters]
    )


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the pieces of a vector into the parameters.

    Raises
    ------
    RuntimeError
        The vector has the wrong number of elements; nothing has been changed.

    >>> import numgrad as ng
    >>> x, y = ng.zeros(2), ng.zeros(1)
    >>> vector_to_parameters(ng.tensor([1.0, 2.0, 3.0]), [x, y])
    >>> x, y
    (tensor([1., 2.]), tensor([3.]))
    """
    chosen = [check_tensor("vector_to_parameters", "parameters", each) for each in parameters]
    count = sum(parameter.numel() for parameter in chosen)
    if check_tensor("vector_to_parameters", "vec", vec).ndim != 1 or vec.numel() != count:
        raise RuntimeError(f"vector_to_parameters: vec has shape {list(vec.shape)}, expected [{count}]")
    begin = 0
    with no_grad():
        changes = Changes()
        for parameter in chosen:
            piece = shaping.narrow(vec, 0, begin, parameter.numel())
            plan_copy(changes, parameter, shaping.reshape(piece, parameter.shape))
            begin += parameter.numel()
        changes.make()


__all__ = ["parameters_to_vector", "vector_to_parameters"]
