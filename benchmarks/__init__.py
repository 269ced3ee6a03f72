"""Benchmarks: each compares numgrad with another way of doing the same, in alternation, within one run.

``python -m benchmarks`` lists them.
"""
