"""`masked_fill`, whose result keeps the input's dtype; `pointwise.where` promotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.engine.tape import TensorBase
from numgrad.tensor.arguments import as_element, check_tensor
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("function", "method", "in_place", known=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` (a number or a tensor without dimensions) where the mask, broadcast, is True, otherwise input. The dtype stays.

    Raises
    ------
    RuntimeError
        The mask is not of bools, the dtype does not have the number, or ``value`` has dimensions.

    >>> import math
    >>> import numgrad as ng
    >>> scores = ng.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ng.masked_fill(scores, ng.tensor([False, True]), -math.inf)
    tensor([[1., -inf],
            [3., -inf]])
    """
    check_tensor("masked_fill", "mask", mask)
    if not mask._spec.dtype.is_bool:
        raise RuntimeError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype}")
    if isinstance(value, TensorBase):
        if value._spec.ndim:
            raise RuntimeError(
                "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._spec.ndim} dimension(s); use where(mask, value, self)"
            )
        if not input._spec.dtype.is_floating_point:
            value = value.item()  # type: ignore[attr-defined]
    return ops.elementwise.where(mask, as_element("masked_fill", value, input._spec.dtype), input)  # type: ignore[no-any-return]
