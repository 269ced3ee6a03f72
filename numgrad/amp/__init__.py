"""Mixed precision as programs ask for it. numgrad's kernels compute in float32 and float64; see `autocast`.

`GradScaler` scales losses and divides gradients by the same number, as in any precision it may be done.
"""

from __future__ import annotations

from numgrad.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from numgrad.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
