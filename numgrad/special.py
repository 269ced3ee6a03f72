"""Special functions, under the names of ``torch.special``: ``numgrad.special.erfcx(x)``.

They are defined in ``numgrad.tensor`` and ``numgrad.ops``, each declared with "special" (see `numgrad.tensor.surface`).
"""

from __future__ import annotations

from numgrad.tensor import aliases as _aliases  # noqa: F401 (it declares the functions, or who it imports does)
from numgrad.tensor.surface import functions_of as _functions_of

globals().update(_functions_of("special"))

__all__ = sorted(_functions_of("special"))
