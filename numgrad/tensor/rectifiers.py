"""Activations of `nn.functional` with corners, and smooth ones that stand in for them; see `activations` for the others."""

from __future__ import annotations

from typing import Any

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DtypeError
from numgrad.tensor import activations, arguments, comparison, creation, layers, pointwise, random, reductions, shaping
from numgrad.tensor.checked import real
from numgrad.tensor.in_place import overwrite
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


def _shaped(op: Any, input: Tensor, *numbers: Any, inplace: bool = False) -> Tensor:
    """An op of a tensor and numbers, which become elements of its dtype: those of integers are cut. Or written over it."""
    dtype = arguments.check_tensor(op.name, "input", input)._spec.dtype
    if "bif"[dtype.category] not in op.accepts:
        raise DtypeError(f"\"{op.name}\" not implemented for '{dtype.torch_name}'; convert with .float() first")
    elements = [arguments.as_element(op.name, number, dtype) for number in numbers]
    return overwrite(op.name, input, *elements) if inplace else op(input, *elements)  # type: ignore[no-any-return]


def _selu(input: Tensor) -> Tensor:
    return _shaped(_e.selu, input)


def _celu(input: Tensor, alpha: float) -> Tensor:
    return _shaped(_e.celu, input, alpha)


@public("function", "functional", known=True)
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * (input where it is positive, else alpha * (exp(input) - 1)): the outputs of a network keep mean 0, variance 1.

    alpha = 1.6733 and scale = 1.0507 as Klambauer et al. (2017) derive them. With ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.selu(ng.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    return activations.applied("selu", _selu, inplace, input)


@public("function", "functional", known=True)
def selu_(input: Tensor) -> Tensor:
    """`selu`, written over input, which is returned.

    Raises
    ------
    RuntimeError
        As `selu`.

    >>> import numgrad as ng
    >>> ng.selu_(ng.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    return selu(input, True)


@public("function", "functional", known=True)
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where it is positive, else alpha * (exp(input / alpha) - 1); with ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        alpha is 0, the dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.celu(ng.tensor([-1.0, 2.0]), 2.0)
    tensor([-0.7869,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0 for CELU")
    return activations.applied("celu", _celu, inplace, input, alpha)


@public("function", "functional", known=True)
def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu`, written over input, which is returned.

    Raises
    ------
    RuntimeError
        As `celu`.

    >>> import numgrad as ng
    >>> ng.celu_(ng.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return celu(input, alpha, True)


@public("functional", known=True)
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """input, at least min_val and at most max_val; with ``inplace`` written over input. Beyond and at both the slope is 0.

    Raises
    ------
    ValueError
        min_val is greater than max_val.
    RuntimeError
        The input is of bools, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.nn.functional.hardtanh(ng.tensor([-2.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val is {min_val}, which cannot be greater than max_val, {max_val}")
    return _shaped(_e.hardtanh, input, min_val, max_val, inplace=inplace)


@public("functional", known=True)
def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh`, written over input, which is returned.

    Raises
    ------
    ValueError, RuntimeError
        As `hardtanh`.

    >>> import numgrad as ng
    >>> ng.nn.functional.hardtanh_(ng.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    return hardtanh(input, min_val, max_val, True)


@public("functional", known=True)
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """input, at least 0 and at most 6; with ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        The input is of bools, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.nn.functional.relu6(ng.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """
    return _shaped(_e.hardtanh, input, 0, 6, inplace=inplace)


@public("functional", known=True)
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """(input + 3) / 6, at least 0 and at most 1; with ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.nn.functional.hardsigmoid(ng.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return activations.applied("hardsigmoid", lambda x: _shaped(_e.hardsigmoid, x), inplace, input)


@public("functional", known=True)
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * hardsigmoid(input); with ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.nn.functional.hardswish(ng.tensor([-4.0, 1.5, 4.0]))
    tensor([-0.0000,  1.1250,  4.0000])
    """
    return activations.applied("hardswish", lambda x: _shaped(_e.hardswish, x), inplace, input)


@public("functional", known=True)
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * tanh(log(1 + exp(input))); with ``inplace`` written over input.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.nn.functional.mish(ng.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """
    return activations.applied("mish", lambda x: _shaped(_e.mish, x), inplace, input)


@public("functional", known=True)
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input moved towards 0 by lambd; 0 where it is nearer.

    Raises
    ------
    RuntimeError
        lambd is negative, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.nn.functional.softshrink(ng.tensor([-2.0, 0.3, 1.0]))
    tensor([-1.5000,  0.0000,  0.5000])
    """
    if not lambd >= 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return _shaped(_e.softshrink, input, lambd)


@public("function", "method", "functional", known=True)
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input, or 0 where it is within lambd of 0.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.hardshrink(ng.tensor([-2.0, 0.3, 1.0]))
    tensor([-2.,  0.,  1.])
    """
    return _shaped(_e.hardshrink, input, lambd)


@public("functional", known=True)
def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input).

    >>> import numgrad as ng
    >>> ng.nn.functional.tanhshrink(ng.tensor([0.0, 2.0]))
    tensor([0.0000, 1.0360])
    """
    return pointwise.sub(input, pointwise.of_specs["tanh"](input))


@public("function", "functional", known=True)
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """input where it is above the threshold, else value; with ``inplace`` written over input. NaN passes.

    Raises
    ------
    RuntimeError
        The input is of bools, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.threshold(ng.tensor([0.1, 2.0]), 1.0, -5.0)
    tensor([-5.,  2.])
    """
    return _shaped(_e.threshold, input, threshold, value, inplace=inplace)


@public("function", "functional", known=True)
def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold`, written over input, which is returned.

    Raises
    ------
    RuntimeError
        As `threshold`.

    >>> import numgrad as ng
    >>> ng.threshold_(ng.tensor([0.1, 2.0]), 1.0, -5.0)
    tensor([-5.,  2.])
    """
    return _shaped(_e.threshold, input, threshold, value, inplace=True)


@public("function", "method", "functional", known=True)
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where it is positive, else weight * input; the weight has one element, or one for each channel of [N, C, ...].

    Raises
    ------
    RuntimeError
        The weight has another shape or dtype, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.prelu(ng.tensor([[-1.0, -1.0]]), ng.tensor([0.1, 0.2]))
    tensor([[-0.1000, -0.2000]])
    """
    arguments.check_tensor("prelu", "input", input)
    arguments.check_tensor("prelu", "weight", weight)
    if weight.dtype is not input.dtype:
        raise DtypeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}")
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if weight.numel() != 1:
        if input.ndim == 0:
            raise RuntimeError("prelu: Not allow zero-dim input tensor with several weights.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} and channel "
                f"size = {channels}."
            )
    if weight.ndim:
        weight = shaping.reshape(weight, (1, -1, *(1,) * (input.ndim - 2)) if input.ndim > 1 else (1,) * input.ndim)
    return activations.activation(_e.leaky_relu, input, weight)


def _random_slopes(input: Tensor, lower: float, upper: float) -> Tensor:
    lower, upper = real("rrelu", "lower", lower), real("rrelu", "upper", upper)
    if not lower <= upper:
        raise RuntimeError(f"rrelu: Lower bound {lower} should be less than or equal to the upper bound {upper}")
    if input.dtype.is_half:
        return pointwise.add(pointwise.mul(random.rand_like(input), upper - lower), lower)
    state, shape = random.default_generator._state, tuple(input.shape)
    return creation.laid_as(input, ops.random.uniform(state, size=shape, low=lower, high=upper, dtype=input.dtype))


@public("function", "functional")
def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """input where it is positive, else slope * input; in training with slopes drawn from [lower, upper), else with their mean.

    Raises
    ------
    RuntimeError
        lower is above upper, the dtype is not floating point, or with ``inplace`` autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.rrelu(ng.tensor([-1.0, 2.0]), 0.1, 0.3)
    tensor([-0.2000,  2.0000])
    """
    if not arguments.check_tensor("rrelu", "input", input).is_floating_point():
        raise DtypeError(f"\"rrelu\" not implemented for '{input.dtype.torch_name}'; convert with .float() first")
    if not training:
        return activations.leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = _random_slopes(input, lower, upper)
    out = activations.activation(_e.leaky_relu, input, slopes)
    return input.copy_(out) if inplace else out


@public("function", "functional")
def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """`rrelu`, written over input, which is returned.

    Raises
    ------
    RuntimeError
        As `rrelu`.

    >>> import numgrad as ng
    >>> ng.rrelu_(ng.tensor([-1.0, 2.0]), 0.1, 0.3)
    tensor([-0.2000,  2.0000])
    """
    return rrelu(input, lower, upper, training, True)


@public("functional", known=True)
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of ``dim`` times the sigmoid of the second.

    Raises
    ------
    RuntimeError
        The extent of the dimension is odd, the input has no dimensions, or the dtype is not floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.nn.functional.glu(ng.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    if arguments.check_tensor("glu", "input", input).ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = arguments.wrap_dim("glu", dim, input.ndim)
    if input.shape[axis] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {dim} is size {input.shape[axis]}; glu takes pairs of halves"
        )
    if not input.is_floating_point():
        raise DtypeError(f"\"glu\" not implemented for '{input.dtype.torch_name}'; convert with .float() first")
    return ops.gated.glu(input, dim=axis)  # type: ignore[no-any-return]


@public("functional", known=True)
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None) -> Tensor:
    """The softmax of -input, with the arguments of `softmax`.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.nn.functional.softmin(ng.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return layers.softmax(_e.neg(input), activations.implicit_dim("softmin", dim, input.ndim), dtype)


@public("functional")
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """Samples of the Gumbel-softmax distribution (Jang et al. 2017): softmax((logits + noise) / tau) along ``dim``.

    With ``hard`` one-hot vectors, whose gradient is that of the soft sample. ``eps`` is not read, as in torch.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.nn.functional.gumbel_softmax(ng.zeros(3, 4), hard=True).sum(1)
    tensor([1., 1., 1.])
    """
    uniform = random.rand_like(arguments.check_tensor("gumbel_softmax", "logits", logits))
    log = pointwise.of_specs["log"]
    gumbels = _e.neg(log(_e.neg(log(uniform))))  # of the number 0, which may be drawn, it is -inf, and never inf
    soft = layers.softmax(pointwise.div(pointwise.add(logits, gumbels), tau), dim)
    if not hard:
        return soft
    axis = arguments.wrap_dim("gumbel_softmax", dim, logits.ndim)
    chosen = one_hot_along(reductions.argmax(soft, axis, keepdim=True), soft, axis)
    return pointwise.add(pointwise.sub(chosen, soft.detach()), soft)


def one_hot_along(index: Tensor, like: Tensor, axis: int) -> Tensor:
    """1 where the position along ``axis`` is index's, else 0, in the shape and dtype of ``like``."""
    count = like.shape[axis] if like.ndim else 1
    positions = creation.arange(count).reshape((-1, *(1,) * (like.ndim - axis - 1)) if like.ndim else ())
    return comparison.eq(index, positions).to(like.dtype)
