"""`Recording` records the launches of a stretch of code and runs them again without Python in between."""

from numgrad.compile.recording import Recording

__all__ = ["Recording"]
