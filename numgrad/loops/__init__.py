"""Derivatives of functions with loops, by transformation of their text.

`translation.translate` reads a Python function and writes functions that compute its derivatives: a forward sweep that records
what is overwritten, a reverse sweep that reads it, and a forward sweep with tangents. All of them are Python's text, which runs
as it is and is compiled by Numba as well; none of them allocates memory.

Formulas of elementwise ops use the tables of words and slopes alone (`vocabulary`, `slopes`). So this file imports nothing: the
translator is loaded with the first function that is made differentiable.
"""
