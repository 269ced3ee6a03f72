"""Facts about the machine and the installed versions, with few imports."""

from __future__ import annotations

import sys
from pathlib import Path


def own_version() -> str:
    """numgrad's version: the installed package's or, in a checkout, that of pyproject.toml."""
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

    return {
        "numgrad": own_version(),
        "python": platform.python_version(),
        **{package: installed(package) for package in ("numpy", "numba", "llvmlite")},
    }


def cpu_name() -> str:
    """The maker's name of the CPU, or its architecture where the system does not know the name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()


def peak_resident_bytes() -> int | None:
    """The largest amount of RAM that this process has used; None where the system does not tell."""
    try:
        # On Linux the number of getrusage includes the parent's memory at the time of the fork.
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
    """A number of bytes as text.

    >>> megabytes(46_830_571), megabytes(None)
    ('46.8 MB', 'unknown')
    """
    return "unknown" if count is None else f"{count / 1e6:.1f} MB"
