"""Are the gradients right? `gradcheck` asks finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor


class GradcheckError(RuntimeError):
    """An analytical gradient disagrees with finite differences."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare each Jacobian that `backward` gives with central differences.

    Use float64: in float32 the differences themselves are too rough.

    Parameters
    ----------
    func
        Takes the inputs, returns a tensor or a tuple of tensors.
    inputs
        Tensors, of which those that require a gradient are checked, and other values.
    eps, atol, rtol
        Step of the differences, and the tolerances of the comparison.

    Raises
    ------
    GradcheckError
        They disagree (with ``raise_exception=False`` the result is False instead).
    ValueError
        No input requires a gradient.

    >>> import numgrad as ng
    >>> x = ng.randn(3, dtype=ng.float64, requires_grad=True)
    >>> ng.autograd.gradcheck(ng.tanh, x)
    True
    """
    values = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [position for position, value in enumerate(values) if isinstance(value, Tensor) and value.requires_grad]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    outputs = _outputs(func, values)
    for number, output in enumerate(outputs):
        if not output.requires_grad:
            continue
        for position in checked:
            analytical = _analytical(func, values, number, position)
            numerical = _numerical(func, values, number, position, eps)
            if not np.allclose(analytical, numerical, rtol, atol, equal_nan=True):
                if not raise_exception:
                    return False
                raise GradcheckError(
                    f"Jacobian mismatch for output {number} with respect to input {position},\n"
                    f"numerical:{numerical}\nanalytical:{analytical}\n"
                    f"largest difference: {np.nanmax(np.abs(numerical - analytical)):.3g}"
                )
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """As `gradcheck`, for the gradients of the gradients, with respect to the inputs and to random cotangents."""
    from numgrad import autograd

    values = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = [output for output in _outputs(func, values) if output.requires_grad]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        cotangents = [creation.tensor(rng.normal(size=o.shape), dtype=o.dtype, requires_grad=True) for o in outputs]
    else:
        given = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
        cotangents = [g.detach().clone().requires_grad_() for g in given]

    def first_order(*args: Any) -> Any:
        inner, weights = args[: len(values)], args[len(values) :]
        made = [output for output in _outputs(func, inner) if output.requires_grad]
        wanted = [value for value in inner if isinstance(value, Tensor) and value.requires_grad]
        found = autograd.grad(made, wanted, weights, create_graph=True, allow_unused=True)
        return tuple(gradient for gradient in found if gradient is not None and gradient.requires_grad)

    if not first_order(*values, *cotangents):
        return True
    return gradcheck(
        first_order, (*values, *cotangents), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception
    )


def _outputs(func: Callable[..., Any], values: Sequence[Any]) -> list[Tensor]:
    result = func(*values)
    made = [result] if isinstance(result, Tensor) else list(result)
    return [output for output in made if isinstance(output, Tensor) and output.is_floating_point()]


def _analytical(func: Callable[..., Any], values: Sequence[Any], number: int, position: int) -> np.ndarray:
    """The Jacobian (inputs x outputs) by one backward for each element of the output."""
    from numgrad import autograd

    output = _outputs(func, values)[number]
    rows = []
    for element in range(output.numel()):
        cotangent = np.zeros(output.numel(), output.dtype.numpy)
        cotangent[element] = 1
        seed = creation.tensor(cotangent.reshape(output.shape))
        (gradient,) = autograd.grad(output, values[position], seed, retain_graph=True, allow_unused=True)
        size = values[position].numel()
        rows.append(np.zeros(size) if gradient is None else np.array(gradient.detach().numpy()).ravel())
    return np.array(rows).reshape(output.numel(), values[position].numel()).T


def _numerical(func: Callable[..., Any], values: Sequence[Any], number: int, position: int, eps: float) -> np.ndarray:
    """The same by central differences."""

    def at(flat: np.ndarray) -> np.ndarray:
        moved = list(values)
        like = values[position]
        replaced = creation.tensor(flat.reshape(like.shape), dtype=like.dtype)
        moved[position] = replaced.requires_grad_()
        return np.array(_outputs(func, moved)[number].detach().numpy(), np.float64).ravel()

    start = np.array(values[position].detach().numpy(), np.float64).ravel()
    columns = []
    for element in range(start.size):
        step = np.zeros_like(start)
        step[element] = eps
        columns.append((at(start + step) - at(start - step)) / (2 * eps))
    return np.array(columns).reshape(start.size, at(start).size)
