"""Checkpoints without torch: its ``.pth`` files of both formats and safetensors, read safely and written.

Nothing in a file is ever executed. numgrad's own machine runs the pickle inside a ``.pth``; it knows a few functions that
make containers, tensors and arrays, and can reach nothing else. Every refusal is a :class:`WeightsFormatError` that names
the file and the reason. The package needs only NumPy and the standard library, and (but for `checkpoint`) does not know
Tensor: callers say how arrays become tensors and back.
"""

from numgrad.serialization.api import load, load_metadata, save
from numgrad.serialization.dtypes import Unpacked
from numgrad.serialization.errors import WeightsFormatError
from numgrad.serialization.placeholder import Placeholder

__all__ = ["Placeholder", "Unpacked", "WeightsFormatError", "load", "load_metadata", "save"]
