"""Puts files of compiled kernels into the wheel, if NUMGRAD_BUNDLE_FOLDER names a folder of them: a build hook of hatchling's.

`scripts/release_wheel.py` makes the files, and sets the variable. Any other build has none of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelKernels(BuildHookInterface):
    """Adds the files to the folder where `numgrad.runtime.bundle` looks for them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files for the wheel."""
        folder = os.environ.get("NUMGRAD_BUNDLE_FOLDER")
        for path in sorted(Path(folder).glob("*.kernels")) if folder else ():
            build_data["force_include"][str(path)] = f"numgrad/runtime/bundled/{path.name}"
