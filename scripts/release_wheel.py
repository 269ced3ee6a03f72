"""Build numgrad's wheel with compiled kernels in it: ``python scripts/release_wheel.py --out dist``.

For each kind of CPU (`numgrad.runtime.levels`) the programs of `bundled_programs` are rehearsed and their kernels compiled,
in several processes. LLVM compiles for each kind on any machine, so one machine makes all; it has to be a Linux one, since
objects are ELF files. It takes a quarter of an hour; what is compiled stays in ``--work`` for the next time.

The wheel is one for all platforms (py3-none-any): where no file of kernels fits, or none is wanted, they are compiled as ever.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]  # numgrad of this clone, which is what is packed

import bundled_programs  # noqa: E402

from numgrad.runtime import bundle, helpers, kernel, levels, store  # noqa: E402

FOLDER_VARIABLE = "NUMGRAD_BUNDLE_FOLDER"  # read by docs/wheel_kernels.py, a hook of the build


def compile_for(level: levels.Level, programs: list[str], out: Path, jobs: int) -> None:
    """Compile for the kind of CPU that NUMGRAD_CPU names in this process, and write the file."""
    with helpers.team("bundled_programs:rehearse", {"names": programs}, jobs) as messages:
        for message in messages:
            if "error" in message:
                raise SystemExit(f"{level.name}: {message['error']}")
    keys: dict[str, str] = {}
    entries: dict[str, bundle.Entry] = {}
    kernel.rehearsal = []
    bundled_programs.rehearse(programs)
    for job in kernel.rehearsal:
        key, payload = bundle.source_key(job.function, *job.extra), None
        if job.key is not None:
            payload = store.get(job.file_name, job.key)
        if key is None or job.key is None or payload is None:
            raise SystemExit(f"{level.name}: the kernel {job.name} has no {'code' if key else 'key'}")
        if keys.setdefault(key, job.key) != job.key:
            raise SystemExit(f"{level.name}: two kernels {job.name} have one key")
        if fault := bundle.fault_of(payload, level):
            raise SystemExit(f"{level.name}: the kernel {job.name} {fault}")
        entries[key] = bundle.Entry(job.symbol(), payload)
    content = bundle.written(level, entries)
    out.write_bytes(content)
    size = sum(len(entry.payload) for entry in entries.values())
    print(f"{level.name}: {len(entries)} kernels, {size / 1e6:.1f} MB, packed {len(content) / 1e6:.2f} MB", flush=True)


def main() -> int:
    """Compile for each kind of CPU, in a process of its own, and build the wheel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [program.__name__ for program in bundled_programs.PROGRAMS]
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder of the wheel (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, default=Path("build/kernels"), help="folder of kernels (default: %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=helpers.job_count(), help="processes that compile")
    parser.add_argument("--levels", nargs="+", choices=tuple(levels.LEVELS), default=list(levels.LEVELS))
    parser.add_argument("--programs", nargs="+", choices=names, default=names, help="whose kernels (default: all)")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # this process is that of one kind of CPU
    args = parser.parse_args()
    if sys.platform != bundle.SYSTEM:
        parser.error(f"objects are made on {bundle.SYSTEM}")
    work = args.work.absolute()
    files = work / "files"
    if args.one:
        level = levels.LEVELS[args.levels[0]]
        compile_for(level, args.programs, files / bundle.path_of(level).name, args.jobs)
        return 0
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("NUMGRAD_", "NUMBA_"))}
    plain |= {"NUMGRAD_KERNEL_STORE": str(work / "store"), "NUMGRAD_OFFLINE": "1", "NUMGRAD_WHEEL_KERNELS": "0"}
    common = [sys.executable, __file__, "--one", "--work", work, "--jobs", str(args.jobs), "--programs", *args.programs]
    for level in args.levels:
        subprocess.run([*common, "--levels", level], env={**plain, "NUMGRAD_CPU": level}, check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", args.out.absolute(), ROOT],
        env={**plain, FOLDER_VARIABLE: str(files)},
        check=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
