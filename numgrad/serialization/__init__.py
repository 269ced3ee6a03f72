"""Checkpoints without torch: its ``.pth`` files of both formats and safetensors, read safely and written.

Nothing in a file is ever executed: the pickle inside of a ``.pth`` is run by a machine of numgrad's own, which knows
a few functions that make containers, tensors and arrays and can reach nothing else. Every refusal is a
:class:`WeightsFormatError` that names the file and the reason. The package needs NumPy and the standard library alone,
and knows nothing of Tensor: callers say how arrays become tensors and back.
"""

from numgrad.serialization.api import load, load_metadata, save
from numgrad.serialization.dtypes import Unpacked
from numgrad.serialization.errors import WeightsFormatError
from numgrad.serialization.placeholder import Placeholder

__all__ = ["Placeholder", "Unpacked", "WeightsFormatError", "load", "load_metadata", "save"]
