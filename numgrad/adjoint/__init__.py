"""Derivatives of functions with loops, by transformation of their text.

`translate` reads a Python function and writes functions that compute its derivatives: a forward sweep that records what is
overwritten, a reverse sweep that reads it, and a forward sweep with tangents. All of them are Python's text, which runs as
it is and is compiled by Numba as well; none of them allocates memory.
"""

from numgrad.adjoint.scope import Surroundings
from numgrad.adjoint.sweeps import (
    FIRST_FAILURE,
    SHORT,
    Extent,
    Failure,
    Kind,
    Line,
    Memory,
    Parameter,
    Result,
    Sweep,
    Sweeps,
)
from numgrad.adjoint.translation import translate
from numgrad.adjoint.vocabulary import declare_rule

__all__ = [
    "FIRST_FAILURE", "SHORT", "Extent", "Failure", "Kind", "Line", "Memory", "Parameter", "Result", "Surroundings", "Sweep",
    "Sweeps", "declare_rule", "translate",
]  # fmt: skip
