"""Memory shared with other libraries by DLPack: torch's ``torch.utils.dlpack``."""

from __future__ import annotations

from numgrad.tensor.interchange import DLDeviceType, from_dlpack, to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
