"""The activations of `nn.functional`, which take parameters and an ``inplace`` flag; `numgrad.nn.activation` calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.views import change_in_place
from numgrad.errors import DtypeError, warn
from numgrad.tensor import arguments, comparison, layers, pointwise
from numgrad.tensor.in_place import overwrite
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_e = ops.elementwise
_relu, _silu, _softplus = (pointwise.of_specs[name] for name in ("relu", "silu", "softplus"))


def activation(op: Any, input: Tensor, number: Any) -> Tensor:
    """An op of a tensor of floating point and a number or tensor beside it.

    Raises
    ------
    RuntimeError
        The dtype is another.
    """
    dtype = arguments.check_tensor(op.name, "input", input)._spec.dtype
    if not dtype.is_floating_point:
        raise DtypeError(f"\"{op.name}\" not implemented for '{dtype.torch_name}'; convert with .float() first")
    return pointwise.binary(op, input, number)


def applied(name: str, function: Callable[..., Tensor], inplace: bool, input: Tensor, *numbers: float) -> Tensor:
    """The activation of ``input``, written over it if ``inplace``."""
    if inplace:
        return overwrite(name, arguments.check_tensor(name, "input", input), *numbers)
    return function(input, *numbers)


def _elu(input: Tensor, alpha: float) -> Tensor:
    return activation(_e.elu, input, alpha)


@public("functional", asks=True, known=True)
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, input); with ``inplace`` written over input. NaN passes.

    Raises
    ------
    RuntimeError
        The input is of bools, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> relu(ng.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return applied("relu", _relu, True, input) if inplace else _relu(input)  # the common case first


@public("function", "functional", known=True)
def relu_(input: Tensor) -> Tensor:
    """max(0, input), written over input, which is returned.

    Raises
    ------
    RuntimeError
        The input is of bools, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> x = ng.tensor([-1.0, 2.0])
    >>> relu_(x) is x, x
    (True, tensor([0., 2.]))
    """
    return input.relu_()


@public("functional", asks=True, known=True)
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input); with ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> silu(ng.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    return applied("silu", _silu, inplace, input)


@public("functional", known=True)
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where it is positive, else negative_slope * input; with ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> leaky_relu(ng.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    if not inplace:
        return activation(_e.leaky_relu, input, negative_slope)
    dtype = arguments.check_tensor("leaky_relu_", "input", input)._spec.dtype
    if not dtype.is_floating_point or negative_slope < 0:  # the backward needs a copy of the old values
        return overwrite("leaky_relu", input, negative_slope)
    return change_in_place(_e.leaky_relu_of_rising, input, constant(negative_slope, dtype))  # type: ignore[no-any-return]


@public("functional", known=True)
def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, written over input, which is returned.

    Raises
    ------
    RuntimeError
        As `leaky_relu`.

    >>> import numgrad as ng
    >>> leaky_relu_(ng.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return leaky_relu(input, negative_slope, True)


@public("functional", known=True)
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1); with ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> elu(ng.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return applied("elu", _elu, inplace, input, alpha)


@public("functional", known=True)
def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu`, written over input, which is returned.

    Raises
    ------
    RuntimeError
        As `elu`.

    >>> import numgrad as ng
    >>> elu_(ng.tensor([-1.0, 2.0]), alpha=2.0)
    tensor([-1.2642,  2.0000])
    """
    return elu(input, alpha, True)


@public("functional", known=True)
def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-input))), exact on both sides.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> logsigmoid(ng.tensor([0.0, 1.0]))
    tensor([-0.6931, -0.3133])
    """
    return _e.log_sigmoid(input)


@public("functional", known=True)
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input is above the threshold.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> softplus(ng.tensor([0.0, 1.0]))
    tensor([0.6931, 1.3133])
    """
    if (beta, threshold) == (1, 20):
        return _softplus(input)  # above 20 this is the input, but for rounding
    steep = pointwise.mul(input, beta)
    # softplus(x) = -log(sigmoid(-x)), without a threshold of its own.
    return pointwise.where(
        comparison.gt(steep, threshold), input, pointwise.div(_e.neg(_e.log_sigmoid(_e.neg(steep))), beta)
    )


@public("functional", known=True)
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None) -> Tensor:
    """exp(input), divided by its sum along ``dim``; with ``dtype`` the input is converted first.

    Without ``dim``, dimension 0 (of up to one dimension, or three) or 1 is taken, with a warning.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> softmax(ng.zeros(1, 4), dim=1)
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    return layers.softmax(input, implicit_dim("softmax", dim, input.ndim), dtype)


@public("functional", known=True)
def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None) -> Tensor:
    """The logarithm of `softmax`, with the same arguments; exact where softmax underflows.

    Raises
    ------
    RuntimeError, IndexError
        As `softmax`.

    >>> import numgrad as ng
    >>> log_softmax(ng.zeros(1, 2), dim=1)
    tensor([[-0.6931, -0.6931]])
    """
    return layers.log_softmax(input, implicit_dim("log_softmax", dim, input.ndim), dtype)


def implicit_dim(name: str, dim: int | None, ndim: int) -> int:
    """The dimension of a softmax. None stands for 0 with up to one dimension or three, otherwise for 1, with a warning."""
    if dim is not None:
        return dim
    warn(f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.")
    return 0 if ndim in (0, 1, 3) else 1
