"""The functions behind the layers: ``from numgrad.nn import functional as F``. Names and arguments are torch's.

They are defined in ``numgrad.tensor``, each declared with "functional" (see `numgrad.tensor.surface`).
"""

from __future__ import annotations

from numgrad.tensor import activations as _activations  # noqa: F401 (these modules declare the functions)
from numgrad.tensor import alignments as _alignments  # noqa: F401
from numgrad.tensor import attention as _attention  # noqa: F401
from numgrad.tensor import attention_heads as _attention_heads  # noqa: F401
from numgrad.tensor import categories as _categories  # noqa: F401
from numgrad.tensor import channels as _channels  # noqa: F401
from numgrad.tensor import convolutions as _convolutions  # noqa: F401
from numgrad.tensor import distances as _distances  # noqa: F401
from numgrad.tensor import likelihoods as _likelihoods  # noqa: F401
from numgrad.tensor import losses as _losses  # noqa: F401
from numgrad.tensor import margins as _margins  # noqa: F401
from numgrad.tensor import network as _network  # noqa: F401
from numgrad.tensor import patches as _patches  # noqa: F401
from numgrad.tensor import pooling as _pooling  # noqa: F401
from numgrad.tensor import pooling_extents as _pooling_extents  # noqa: F401
from numgrad.tensor import pooling_fractions as _pooling_fractions  # noqa: F401
from numgrad.tensor import pooling_volumes as _pooling_volumes  # noqa: F401
from numgrad.tensor import rectifiers as _rectifiers  # noqa: F401
from numgrad.tensor import resampling as _resampling  # noqa: F401
from numgrad.tensor.surface import functions_of as _functions_of

globals().update(_functions_of("functional"))

__all__ = sorted(_functions_of("functional"))
