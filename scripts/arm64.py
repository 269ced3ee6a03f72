"""Run numgrad's tests on an emulated 64-bit Arm: ``python scripts/arm64.py tests/kernels -k gemm``.

Needs Linux on x86-64 with Debian's (or a relative's) ``qemu-user`` and ``apt-get``, no rights of root, a network for
the first run, and time: a kernel takes half a minute to compile. The first run fetches an Arm Python of the system's
release and the wheels of numgrad's dependencies into ``--folder`` (600 MB); compiled kernels stay there as well. What
follows the options goes to pytest; without it, the tests of the micro-kernels run. ``--cpu max,sve-max-vq=2`` has
vectors of 256 bits, which must change nothing.

`python -m tests.runtime.arm64` looks at the code of the same kernels without running it, in seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHEELS = (
    "numba>=0.62",
    "numpy>=2.0",
    "platformdirs>=3.0",
    "pooch>=1.7",
    "requests>=2.31",
    "pytest>=8.0",
    "pytest-timeout>=2.3",
)


def fetch_python(folder: Path) -> None:
    """Unpack an Arm Python and the libraries that it needs below ``root``.

    This is apt with a state of its own, in which nothing is installed, so that it fetches everything.
    """
    for name in ("state/lists/partial", "cache/archives/partial", "root"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
    }
    apt = ["apt-get", *(f"-o{key}={value}" for key, value in settings.items())]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "install", "--download-only", "--yes", "python3", "libstdc++6"], check=True)
    for package in sorted((folder / "cache/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)


def python_of(folder: Path) -> Path | None:
    """The Arm Python, if it is there."""
    return next(iter(sorted((folder / "root/usr/bin").glob("python3.[0-9][0-9]"))), None)


def fetch_wheels(folder: Path, version: str) -> None:
    """Install numgrad's dependencies for it, as this machine's pip can do without running them."""
    platforms = [
        f"--platform={name}_aarch64" for name in ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28")
    ]
    fixed = [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={version}",
        f"--target={folder / 'wheels'}",
    ]
    subprocess.run([sys.executable, "-m", "pip", "install", "--upgrade", *platforms, *fixed, *WHEELS], check=True)


def main() -> int:
    """Fetch what is missing, and run pytest; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("~/.cache/numgrad-arm64"), help="default: %(default)s")
    parser.add_argument("--cpu", default="cortex-a72", help="a CPU of qemu's (default: %(default)s)")
    args, rest = parser.parse_known_args()
    folder = args.folder.expanduser().absolute()
    for program in ("qemu-aarch64", "apt-get", "dpkg-deb"):
        if not shutil.which(program):
            parser.error(f"{program} is not installed; on Debian: apt-get install qemu-user")
    if not python_of(folder):
        fetch_python(folder)
    python = python_of(folder)
    if python is None:
        parser.error(f"the system's packages brought no Python to {folder / 'root/usr/bin'}")
    if not (folder / "wheels/numba").is_dir():
        fetch_wheels(folder, python.name.removeprefix("python"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder / "wheels")]),
        "PYTHONHOME": str(folder / "root/usr"),
        "NUMGRAD_KERNEL_STORE": str(folder / "kernels"),
        "QEMU_LD_PREFIX": str(folder / "root"),
        "QEMU_CPU": args.cpu,
    }
    tests = rest or ["tests/runtime/test_simd.py", "-k", "not other_widths"]
    command = ["qemu-aarch64", str(python), "-m", "pytest", "-p", "no:cacheprovider", "--timeout=0", *tests]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
