"""Libraries that torch can compute with, and their switches. numgrad uses none of them: they can be set, and nothing follows.

>>> import numgrad as ng
>>> ng.backends.cudnn.benchmark = True
>>> ng.backends.mps.is_available()
False
"""

from numgrad.backends import cuda, cudnn, mkl, mkldnn, mps, openmp

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]
