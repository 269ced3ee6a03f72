"""Signal processing: torch's ``torch.signal``, which has `windows`.

>>> import numgrad as ng
>>> ng.signal.windows.hann(3)
tensor([0., 1., 0.])
"""

from __future__ import annotations

from numgrad.signal import windows

__all__ = ["windows"]
