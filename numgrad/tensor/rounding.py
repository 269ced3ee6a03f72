"""`floor`, `ceil`, `trunc` and `round`."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.errors import DtypeError
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.pointwise import div, mul
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


def _rounded(op: Any, input: Tensor) -> Tensor:
    """Apply a rounding op; the result for integers is a copy."""
    category = check_tensor(op.name, "input", input)._spec.dtype.category
    return _e.clone(input) if category == 1 else op(input)  # type: ignore[no-any-return]


def _rounding(op: Any, doc: str) -> Callable[[Tensor], Tensor]:
    def function(input: Tensor) -> Tensor:
        return _rounded(op, input)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc
    return public("function", "method", "in_place", "in_place_function", asks=True, known=True)(function)


floor = _rounding(
    _e.floor,
    """Largest integer not above input, elementwise; integers are copied.

    Raises
    ------
    RuntimeError
        The input is of bools.

    >>> import numgrad as ng
    >>> ng.floor(ng.tensor([-1.5, 2.5]))
    tensor([-2.,  2.])
    """,
)
ceil = _rounding(
    _e.ceil,
    """Smallest integer not below input, elementwise; integers are copied.

    Raises
    ------
    RuntimeError
        The input is of bools.

    >>> import numgrad as ng
    >>> ng.ceil(ng.tensor([-1.5, 2.5]))
    tensor([-1.,  3.])
    """,
)
trunc = _rounding(
    _e.trunc,
    """The integer part of input, elementwise; integers are copied.

    Raises
    ------
    RuntimeError
        The input is of bools.

    >>> import numgrad as ng
    >>> ng.trunc(ng.tensor([-1.5, 2.5]))
    tensor([-1.,  2.])
    """,
)


@public("function", "method", "in_place", "in_place_function", "special", asks=True, known=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, halves to even; with ``decimals`` the nearest number with so many decimals (negative: before the point).

    Raises
    ------
    RuntimeError
        ``decimals`` is not 0, and the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.round(ng.tensor([0.126, 7.5]), decimals=2)
    tensor([0.1300, 7.5000])
    """
    places = as_int("round", "decimals", decimals)
    if not places:
        return _rounded(_e.round, input)
    if not check_tensor("round", "input", input)._spec.dtype.is_floating_point:
        raise DtypeError(
            f"round: decimals is {places} for {input.dtype}, expected floating point; convert with .float()"
        )
    power = 10.0 ** builtins.abs(places) if builtins.abs(places) <= 308 else math.inf
    return div(_e.round(mul(input, power)), power) if places > 0 else mul(_e.round(div(input, power)), power)
