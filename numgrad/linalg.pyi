# Written by: python -m tests.contracts.stubs
from numgrad.tensor.tensor import Tensor
from typing import Any
from numgrad.errors import LinAlgError as LinAlgError
from numgrad.tensor.decompositions import cholesky as cholesky
from numgrad.tensor.decompositions import cholesky_ex as cholesky_ex
from numgrad.tensor.decompositions import householder_product as householder_product
from numgrad.tensor.decompositions import lu as lu
from numgrad.tensor.decompositions import lu_factor as lu_factor
from numgrad.tensor.decompositions import lu_factor_ex as lu_factor_ex
from numgrad.tensor.decompositions import lu_solve as lu_solve
from numgrad.tensor.decompositions import qr as qr
from numgrad.tensor.matrix_norms import cond as cond
from numgrad.tensor.matrix_norms import linalg_cross as cross
from numgrad.tensor.matrix_norms import linalg_diagonal as diagonal
from numgrad.tensor.matrix_norms import linalg_norm as norm
from numgrad.tensor.matrix_norms import matrix_norm as matrix_norm
from numgrad.tensor.matrix_norms import matrix_rank as matrix_rank
from numgrad.tensor.matrix_norms import vander as vander
from numgrad.tensor.matrix_norms import vecdot as vecdot
from numgrad.tensor.matrix_norms import vector_norm as vector_norm
from numgrad.tensor.matrix_products import matrix_exp as matrix_exp
from numgrad.tensor.matrix_products import matrix_power as matrix_power
from numgrad.tensor.matrix_products import multi_dot as multi_dot
from numgrad.tensor.matrix_products import tensorinv as tensorinv
from numgrad.tensor.matrix_products import tensorsolve as tensorsolve
from numgrad.tensor.spectra import eig as eig
from numgrad.tensor.spectra import eigh as eigh
from numgrad.tensor.spectra import eigvals as eigvals
from numgrad.tensor.spectra import eigvalsh as eigvalsh
from numgrad.tensor.spectra import svd as svd
from numgrad.tensor.spectra import svdvals as svdvals
from numgrad.tensor.systems import det as det
from numgrad.tensor.systems import inv as inv
from numgrad.tensor.systems import inv_ex as inv_ex
from numgrad.tensor.systems import lstsq as lstsq
from numgrad.tensor.systems import pinv as pinv
from numgrad.tensor.systems import slogdet as slogdet
from numgrad.tensor.systems import solve as solve
from numgrad.tensor.systems import solve_ex as solve_ex
from numgrad.tensor.systems import solve_triangular as solve_triangular

def matmul(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor: ...
