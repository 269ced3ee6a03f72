"""``numgrad weights convert``: writes a checkpoint in another format, with the same bits."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from numgrad.cli import FAILED, FILE_SYSTEM, OK, USAGE
from numgrad.serialization import Unpacked, WeightsFormatError, load, save
from numgrad.serialization.api import Format
from numgrad.serialization.safetensors import read_metadata
from numgrad.serialization.sniff import sniff
from numgrad.serialization.source import ByteSource

SUFFIXES: dict[str, Format] = {
    ".pth": "torch", ".pt": "torch", ".bin": "torch", ".ckpt": "torch", ".safetensors": "safetensors",
}  # fmt: skip
_FORMATS: dict[str, Format] = {"pth": "torch", "safetensors": "safetensors"}
# Other libraries expect this in a safetensors file.
_METADATA = {"format": "pt"}

Row = dict[str, Any]


class _ConversionError(Exception):
    """A file cannot be converted; ``code`` is the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convert``.

    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser)
    >>> parser.parse_args(["a.pth", "--to", "safetensors"]).to
    'safetensors'
    """
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="a torch .pth file of either format, or a safetensors file")
    add("-o", "--output", type=Path, metavar="PATH",
        help="the new file, or a folder for it (default: beside the old one, with the other suffix)")  # fmt: skip
    add("--to", choices=tuple(_FORMATS),
        help="the new format (default: what --output ends in; else safetensors, and pth for a safetensors file)")  # fmt: skip
    add("--key", action="append", default=[], metavar="NAME",
        help="take what the checkpoint has under this name, such as model or state_dict; once more for a part of that")  # fmt: skip
    add("--force", action="store_true", help="overwrite existing files")
    add("--dry-run", action="store_true", help="read and check everything, but only say what would be written")


def run(args: argparse.Namespace) -> int:
    """Convert each file, even if others fail, and return the gravest exit code."""
    taken: set[Path] = set()
    rows = [_converted(file, args, taken) for file in args.files]
    codes = [row.pop("code") for row in rows]
    if args.json:
        print(json.dumps(rows, indent=2))
    return next((code for code in (FAILED, FILE_SYSTEM, USAGE) if code in codes), OK)


def _converted(file: str, args: argparse.Namespace, taken: set[Path]) -> Row:
    row: Row = {"input": file, "output": None, "format": None, "tensors": None, "bytes": None, "status": "failed"}
    try:
        _convert(Path(file), args, taken, row)
    except _ConversionError as error:
        text, code = str(error), error.code
    except WeightsFormatError as error:
        text, code = str(error), FAILED
    except OSError as error:
        name = error.filename or row["output"] or file
        text, code = f"{name}: {error.strerror}" if error.strerror else str(error), FILE_SYSTEM
    else:
        if not args.json:
            would = "would write " if args.dry_run else ""
            print(f"{would}{row['output']}  ({row['tensors']} tensors, {_size(row['bytes'])})")
        return {**row, "status": "would convert" if args.dry_run else "converted", "error": None, "code": OK}
    print(f"numgrad weights: {text}", file=sys.stderr)
    return {**row, "error": text, "code": code}


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"


def _convert(file: Path, args: argparse.Namespace, taken: set[Path], row: Row) -> None:
    try:
        with ByteSource(file) as source:
            from_safetensors = sniff(source) == "safetensors"
            metadata = read_metadata(source) if from_safetensors else {}
    except FileNotFoundError as error:
        raise _ConversionError(f"{file}: there is no such file{_hint_of_registry(file)}", FILE_SYSTEM) from error
    target, format = _target(file, from_safetensors, args)
    row.update(output=str(target), format=format)
    if target.resolve() in taken:
        raise _ConversionError(f"{target} would be written twice: convert {file} on its own, with --output", USAGE)
    taken.add(target.resolve())
    if target.exists() and not args.force:
        raise _ConversionError(f"{target} exists: --force overwrites it, --output names another file", FILE_SYSTEM)
    # Other values beside the weights, such as a program's options, matter only if they would have to be written.
    part = _part(load(file, make_tensor=_as_stored, unknown="skip"), file, args.key)
    row["tensors"] = _count(part)
    row["bytes"] = _write(part, file, None if args.dry_run else target, format, {**_METADATA, **metadata})


def _target(file: Path, from_safetensors: bool, args: argparse.Namespace) -> tuple[Path, Format]:
    """The file to write, and its format."""
    chosen = _FORMATS.get(args.to)
    if args.output and not args.output.is_dir():
        if len(args.files) > 1:
            raise _ConversionError(f"--output {args.output} is not a folder, and there are several files", USAGE)
        implied = SUFFIXES.get(args.output.suffix)
        if chosen and implied and chosen != implied:
            raise _ConversionError(f"--output {args.output} does not end as a file of --to {args.to} does", USAGE)
        format = chosen or implied
        if format is None:
            raise _ConversionError(
                f"--output {args.output} ends in none of {', '.join(SUFFIXES)}: say --to pth or --to safetensors", USAGE
            )
        return args.output, format
    format = chosen or ("torch" if from_safetensors else "safetensors")
    stem = file.stem if file.suffix in SUFFIXES else file.name
    return (args.output or file.parent) / f"{stem}{'.pth' if format == 'torch' else '.safetensors'}", format


def _as_stored(array: np.ndarray, dtype_name: str, requires_grad: bool) -> Unpacked:
    return Unpacked(array, requires_grad, dtype_name)


def _part(tree: Any, file: Path, keys: list[str]) -> Any:
    """The part of a checkpoint under the keys, applied one after the other."""
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            has = (
                f"it has {_listed(tree)}"
                if isinstance(tree, dict)
                else f"there is a value of type {type(tree).__name__}"
            )
            raise _ConversionError(f"{file} has nothing under --key {key}: {has}", USAGE)
        tree = tree[key]
    return tree


def _listed(tree: dict[Any, Any]) -> str:
    names = [str(name) for name in tree]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "") or "nothing at all"


def _count(tree: Any) -> int:
    if isinstance(tree, (Unpacked, np.ndarray)):
        return 1
    if isinstance(tree, (dict, list, tuple)):
        return sum(map(_count, tree.values() if isinstance(tree, dict) else tree))
    return 0


class _Counter:
    """A file that counts the bytes written to it and drops them."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        pass


def _write(part: Any, file: Path, target: Path | None, format: Format, metadata: dict[str, str]) -> int:
    """Write the part to the target, or without a target nowhere, and return the number of bytes."""
    counter = _Counter()
    try:
        save(
            part,
            target or cast(BinaryIO, counter),
            format=format,
            unpack_tensor=lambda leaf: leaf if isinstance(leaf, Unpacked) else None,
            metadata=metadata if format == "safetensors" else None,
        )
    except (TypeError, ValueError) as error:
        reason = str(error).removeprefix("save: ").partition("; save as .pth")[0]
        raise _ConversionError(f"{file} cannot become {format}: {reason}{_hint_of_parts(part)}", FAILED) from error
    return target.stat().st_size if target else counter.size


def _hint_of_parts(tree: Any) -> str:
    """A hint at the keys that have tensors under them."""
    if not isinstance(tree, dict):
        return ""
    parts = [name for name, value in tree.items() if isinstance(value, dict) and _count(value)]
    return f". It has tensors under {', '.join(map(str, parts))}: --key {parts[0]} takes only those" if parts else ""


def _hint_of_registry(file: Path) -> str:
    from numgrad import weights

    try:
        name = weights.entry(str(file)).name
    except weights.UnknownWeightsError:
        return ""
    return f"; `numgrad weights path {name}` says where the weights of this name are"
