"""The chi-squared distribution."""

from __future__ import annotations

from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.gamma import Gamma
from numgrad.tensor.tensor import Tensor

__all__ = ["Chi2"]


class Chi2(Gamma):
    """The sum of ``df`` squares of standard normal numbers, which is Gamma(df / 2, 1 / 2).

    >>> import numgrad as ng
    >>> ng.distributions.Chi2(ng.tensor(3.0)).mean
    tensor(3.)
    """

    arg_constraints = {"df": constraints.positive}
    _batched = Gamma._batched

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    @property
    def df(self) -> Tensor:
        """The degrees of freedom."""
        return self.concentration * 2
