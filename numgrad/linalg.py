"""Linear algebra: torch's ``torch.linalg``, of matrices in the last two dimensions and any number of others before them.

The functions are defined in ``numgrad.tensor``, each declared with "linalg" (see `numgrad.tensor.surface`). What LAPACK
computes is NumPy's, on the tensors' own memory; all derivatives are made of ops.
"""

from __future__ import annotations

from numgrad.errors import LinAlgError as LinAlgError
from numgrad.tensor import decompositions as _decompositions  # noqa: F401 (these five modules declare the functions)
from numgrad.tensor import matrix_norms as _matrix_norms  # noqa: F401
from numgrad.tensor import matrix_products as _matrix_products  # noqa: F401
from numgrad.tensor import spectra as _spectra  # noqa: F401
from numgrad.tensor import systems as _systems  # noqa: F401
from numgrad.tensor.surface import functions_of as _functions_of

globals().update(_functions_of("linalg"))

__all__ = sorted([*_functions_of("linalg"), "LinAlgError"])
