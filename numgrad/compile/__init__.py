"""Recording launches and running them again without Python in between."""

from numgrad.compile.recording import Recording

__all__ = ["Recording"]
