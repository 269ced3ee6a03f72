"""Elementwise ops: each element of the output depends on the elements of the inputs at the same index."""

from numgrad.ops.elementwise.activation import *  # noqa: F403
from numgrad.ops.elementwise.arithmetic import *  # noqa: F403
from numgrad.ops.elementwise.combination import *  # noqa: F403
from numgrad.ops.elementwise.comparison import *  # noqa: F403
from numgrad.ops.elementwise.exponential import *  # noqa: F403
from numgrad.ops.elementwise.incomplete import *  # noqa: F403
from numgrad.ops.elementwise.loss import *  # noqa: F403
from numgrad.ops.elementwise.polynomials import *  # noqa: F403
from numgrad.ops.elementwise.rectifier import *  # noqa: F403
from numgrad.ops.elementwise.selection import *  # noqa: F403
from numgrad.ops.elementwise.special import *  # noqa: F403
from numgrad.ops.elementwise.trigonometric import *  # noqa: F403
from numgrad.registry import Op as _Op

__all__ = [_name for _name, _value in list(globals().items()) if isinstance(_value, _Op)]
