"""Questions about tensors and numbers, and what the functions of complex numbers are for real ones."""

from __future__ import annotations

import builtins
import inspect
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.tensor import comparison, creation
from numgrad.tensor.arguments import as_number, cast, check_tensor
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


# ---- of elements -----------------------------------------------------------------------------------------------------


@public("function", "method", known=True)
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: builtins.bool = False
) -> Tensor:
    """True where abs(input - other) <= atol + rtol * abs(other); elementwise and broadcast. With ``equal_nan``, NaNs are equal.

    Raises
    ------
    RuntimeError
        The dtypes differ, a tolerance is negative, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.isclose(ng.tensor([1.0, 2.0]), ng.tensor([1.000001, 2.1]))
    tensor([ True, False])
    """
    dtype = check_tensor("isclose", "input", input)._spec.dtype
    if check_tensor("isclose", "other", other)._spec.dtype is not dtype:
        raise RuntimeError(
            f"isclose: {dtype.torch_name} did not match {other._spec.dtype.torch_name}; convert one with .to()"
        )
    compute = dtype if dtype.is_floating_point else dtypes.float64
    tolerances = []
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        number = as_number(tolerance)
        if number is None:
            raise TypeError(f"isclose(): argument '{name}' must be float, not {type(tolerance).__name__}")
        if not number >= 0:
            raise RuntimeError(f"isclose: {name} must be greater than or equal to zero, but got {tolerance}")
        tolerances.append(constant(number, compute))
    close = _e.isclose(cast(input, compute), cast(other, compute), *tolerances)
    if equal_nan and dtype.is_floating_point:
        close = _e.bitwise_or(close, _e.bitwise_and(_e.isnan(input), _e.isnan(other)))
    return close  # type: ignore[no-any-return]


@public("function", "method", known=True)
def isposinf(input: Tensor) -> Tensor:
    """True where input is infinity.

    >>> import numgrad as ng
    >>> ng.isposinf(ng.tensor([ng.inf, -ng.inf, 1.0]))
    tensor([ True, False, False])
    """
    return comparison.eq(check_tensor("isposinf", "input", input), float("inf"))


@public("function", "method", known=True)
def isneginf(input: Tensor) -> Tensor:
    """True where input is minus infinity.

    >>> import numgrad as ng
    >>> ng.isneginf(ng.tensor([ng.inf, -ng.inf, 1.0]))
    tensor([False,  True, False])
    """
    return comparison.eq(check_tensor("isneginf", "input", input), float("-inf"))


@public("function", "method", known=True)
def isreal(input: Tensor) -> Tensor:
    """True everywhere: all of numgrad's numbers are real.

    >>> import numgrad as ng
    >>> ng.isreal(ng.tensor([1.0, 2.0]))
    tensor([True, True])
    """
    return creation.ones_like(check_tensor("isreal", "input", input), dtype=dtypes.bool_)  # type: ignore[no-any-return]


# ---- of tensors ------------------------------------------------------------------------------------------------------


@public("function", "method")
def is_neg(input: Tensor) -> builtins.bool:
    """Whether the tensor is a negative that was not computed yet: no real one is.

    >>> import numgrad as ng
    >>> ng.is_neg(ng.ones(2))
    False
    """
    check_tensor("is_neg", "input", input)
    return False


@public("function")
def is_inference(input: Tensor) -> builtins.bool:
    """Whether the tensor's memory was made in `inference_mode`.

    >>> import numgrad as ng
    >>> with ng.inference_mode():
    ...     x = ng.ones(2)
    >>> ng.is_inference(x)
    True
    """
    return check_tensor("is_inference", "input", input).is_inference()  # type: ignore[no-any-return]


@public("function", "method")
def is_nonzero(input: Tensor) -> builtins.bool:
    """Whether the only element of a tensor is not 0.

    Raises
    ------
    RuntimeError
        The tensor does not have exactly one element.

    >>> import numgrad as ng
    >>> ng.is_nonzero(ng.tensor([0.0])), ng.is_nonzero(ng.tensor(3))
    (False, True)
    """
    return builtins.bool(check_tensor("is_nonzero", "input", input))


@public("function", "method")
def is_same_size(input: Tensor, other: Tensor) -> builtins.bool:
    """Whether two tensors have the same shape.

    >>> import numgrad as ng
    >>> ng.is_same_size(ng.ones(2, 3), ng.zeros(2, 3)), ng.is_same_size(ng.ones(2), ng.ones(1, 2))
    (True, False)
    """
    return tuple(check_tensor("is_same_size", "input", input)._spec.shape) == tuple(
        check_tensor("is_same_size", "other", other)._spec.shape
    )


@public("function", asks=True)
def can_cast(from_: Dtype, to: Dtype) -> builtins.bool:
    """Whether torch's promotion allows to write a result of one dtype into another: its category must not be lower.

    Raises
    ------
    TypeError
        An argument is not a dtype.

    >>> import numgrad as ng
    >>> ng.can_cast(ng.float64, ng.float32), ng.can_cast(ng.float32, ng.int64)
    (True, False)
    """
    return dtypes.as_dtype("can_cast", from_).category <= dtypes.as_dtype("can_cast", to).category


# ---- of real numbers -------------------------------------------------------------------------------------------------


def _itself(name: str, what: str, *homes: str) -> Any:
    def function(input: Tensor) -> Tensor:
        return check_tensor(name, "input", input)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{what}: of a real tensor the tensor itself.

    >>> import numgrad as ng
    >>> x = ng.ones(2)
    >>> ng.{name}(x) is x
    True
    """
    return public(*homes, asks=True)(function)


conj = _itself("conj", "The complex conjugate", "function", "method")
resolve_conj = _itself("resolve_conj", "A tensor whose conjugate is computed", "function", "method")
resolve_neg = _itself("resolve_neg", "A tensor whose negative is computed", "function", "method")
conj_physical = _itself(
    "conj_physical", "The complex conjugate, computed", "function", "method", "in_place", "in_place_function"
)
real = _itself("real", "The real part", "function")


@public("function")
def imag(input: Tensor) -> Tensor:
    """The imaginary part, which real tensors do not have.

    Raises
    ------
    RuntimeError
        Always: numgrad has no complex dtypes.

    >>> import numgrad as ng
    >>> ng.imag(ng.ones(2))
    Traceback (most recent call last):
    RuntimeError: imag is not implemented for tensors with non-complex dtypes.
    """
    check_tensor("imag", "input", input)
    raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")


@public("function")
def view_as_real(input: Tensor) -> Tensor:
    """Refused for real tensors, as in torch; numgrad has no others.

    Raises
    ------
    RuntimeError
        Always.

    >>> import numgrad as ng
    >>> ng.view_as_real(ng.ones(2))
    Traceback (most recent call last):
    RuntimeError: view_as_real is only supported for complex tensors
    """
    check_tensor("view_as_real", "input", input)
    raise RuntimeError("view_as_real is only supported for complex tensors")


def _complex(name: str, call: str, *parameters: str) -> None:
    """Make the function that refuses to make complex numbers of real ones, by its name."""

    def function(*args: Any, **kwargs: Any) -> Tensor:
        for parameter, value in inspect.signature(function).bind(*args, **kwargs).arguments.items():
            check_tensor(name, parameter, value)
        raise NotImplementedError(
            f"{name}: the result is complex numbers, which numgrad does not have; keep two real tensors"
        )

    function.__name__ = function.__qualname__ = name
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(each, kind, annotation="Tensor") for each in parameters], return_annotation="Tensor"
    )
    function.__doc__ = f"""Refused: the result is complex numbers, which numgrad does not have.

    Raises
    ------
    NotImplementedError
        Always.

    >>> import numgrad as ng
    >>> ng.{call}
    Traceback (most recent call last):
    NotImplementedError: {name}: the result is complex numbers, which numgrad does not have; keep two real tensors
    """
    public("function", asks=True)(function)


_complex("complex", "complex(ng.ones(2), ng.ones(2))", "real", "imag")
_complex("polar", "polar(ng.ones(2), ng.ones(2))", "abs", "angle")
_complex("view_as_complex", "view_as_complex(ng.ones(3, 2))", "input")


@public("function", "method")
def positive(input: Tensor) -> Tensor:
    """The tensor itself, as +input is.

    Raises
    ------
    RuntimeError
        The input is of bools.

    >>> import numgrad as ng
    >>> ng.positive(ng.tensor([-1.0, 2.0]))
    tensor([-1.,  2.])
    """
    return +check_tensor("positive", "input", input)  # type: ignore[no-any-return]
