"""SciPy's solvers for functions of tensors: `minimize`, `root`, `least_squares`, `solve_ivp` and `linear_operator`.

The functions are SciPy's (an optional package: ``python -m pip install 'numgrad[scipy]'``), with its names, methods and results;
numgrad adds the derivatives that a method asks for: gradients, Jacobians, Hessians or their products with a vector. What is
solved for may be a tensor, an array, a number, a tree of these (tuples, lists and dicts), or the parameters of a module.

>>> import numgrad as ng
>>> result = ng.scipy.minimize(lambda x: ((x - 3) ** 2).sum(), ng.zeros(2))
>>> result.success, result.x.round(decimals=3)
(True, tensor([3., 3.]))
"""

from __future__ import annotations

from numgrad.scipy.integrate import solve_ivp
from numgrad.scipy.operators import linear_operator
from numgrad.scipy.optimize import least_squares, minimize, root

__all__ = ["least_squares", "linear_operator", "minimize", "root", "solve_ivp"]
