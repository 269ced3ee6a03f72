"""What is known of the machine and of the installed versions, without importing what is not needed anyway."""

from __future__ import annotations

import sys
from pathlib import Path


def own_version() -> str:
    """numgrad's version: the installed package's, or what pyproject.toml of a checkout says."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("numgrad")
    except PackageNotFoundError:
        import tomllib

        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        try:
            return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]) + "+checkout"
        except (OSError, KeyError, ValueError):
            return "unknown"


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    found = {"numgrad": own_version(), "python": platform.python_version()}
    return {**found, **{package: installed(package) for package in ("numpy", "numba", "llvmlite")}}


def cpu_name() -> str:
    """The CPU's name as its maker gives it, where the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()


def peak_resident_bytes() -> int | None:
    """The most memory that this process has had in RAM; None where the system does not tell."""
    try:
        # Not getrusage: on Linux its number includes the parent's memory at the time of the fork.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def megabytes(count: int | None) -> str:
    """A number of bytes as people read it.

    >>> megabytes(46_830_571), megabytes(None)
    ('46.8 MB', 'unknown')
    """
    return "unknown" if count is None else f"{count / 1e6:.1f} MB"
