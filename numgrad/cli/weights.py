"""``numgrad weights``: lists, downloads, verifies and clears pretrained weights; converts checkpoints.

Exit codes: 0 success; 1 a file is corrupt; 2 usage (an unknown name, weights that are not yet verified); 3 network; 4 file
system (no such file, no room, no permission); 130 interrupted. With several names, the gravest code is returned.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from numgrad import weights
from numgrad.cli import FAILED, FILE_SYSTEM, INTERRUPTED, NETWORK, OK, USAGE, convert
from numgrad.weights import Entry, WeightsError

CORRUPT = FAILED
_GRAVEST_FIRST = (CORRUPT, FILE_SYSTEM, NETWORK, USAGE)

Row = dict[str, Any]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the ``weights`` command to a parser's subcommands.

    >>> parser = argparse.ArgumentParser()
    >>> _ = add_parser(parser.add_subparsers())
    >>> parser.parse_args(["weights", "path", "resnet18"]).names
    ['resnet18']
    """
    parser = subparsers.add_parser(
        "weights",
        help="list, download and check pretrained weights, convert checkpoints",
        description="Pretrained weights: list, download, path, verify, clear. Checkpoints of any kind: convert.",
        epilog="Environment: NUMGRAD_HOME (cache folder), NUMGRAD_WEIGHTS_URL (server to ask instead of the "
        "registry's), NUMGRAD_OFFLINE=1 (no network). "
        "Exit codes: 0 fine, 1 corrupt file, 2 usage, 3 network, 4 file system, 130 interrupted.",
    )
    commands = parser.add_subparsers(dest="weights_command", required=True, metavar="COMMAND")

    def command(name: str, action: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.add_argument("--json", action="store_true", help="print one JSON list instead of text")
        added.set_defaults(weights_action=action)
        return added

    command("list", _list, "list every set of weights, its size and whether it is here")
    download = command("download", _download, "download weights and print where they are")
    _add_names(download, "every set of weights that is verified")
    download.add_argument("--force", action="store_true", help="download even what is here already")
    download.add_argument("--dry-run", action="store_true", help="only say what would be downloaded")
    download.add_argument("--quiet", action="store_true", help="show no progress bar")
    path = command("path", _path, "print where the weights lie; exit code 4 if they are not here")
    path.add_argument("names", nargs="+", metavar="NAME", help="as in `numgrad weights list`")
    _add_names(
        command("verify", _verify, "hash local files (all that are here, if no name)"), "every file that is here"
    )
    clear = command("clear", _clear, "remove weights from numgrad's cache folder")
    _add_names(clear, "all weights")
    clear.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    convert.add_arguments(
        command("convert", convert.run, "write checkpoints in another format (.pth, .safetensors), bit for bit")
    )
    return parser


def _add_names(parser: argparse.ArgumentParser, everything: str) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="as in `numgrad weights list`")
    parser.add_argument("--all", action="store_true", help=everything)


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments of `add_parser` and return the exit code. Errors go to stderr, in one line."""
    try:
        names = getattr(args, "names", ())
        for name in names:
            weights.entry(name)  # a mistyped last name is reported before the first download
        if names and getattr(args, "all", False):
            return _usage("give names or --all, not both")
        action: Callable[[argparse.Namespace], int] = args.weights_action
        return action(args)
    except WeightsError as error:
        return _tell(error)
    except KeyboardInterrupt:
        hint = "; the next download continues where this one stopped" if args.weights_command == "download" else ""
        print(f"interrupted{hint}", file=sys.stderr)
        return INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """``numgrad weights`` for scripts; `argv` holds the arguments after these words."""
    from numgrad import cli

    return cli.main(["weights", *(sys.argv[1:] if argv is None else argv)])


def exit_code(error: WeightsError) -> int:
    """The exit code for an error."""
    if isinstance(error, weights.HashMismatchError):
        return CORRUPT
    if isinstance(error, weights.UnknownWeightsError | weights.NotVerifiedError):
        return USAGE
    if isinstance(error, weights.DownloadError | weights.OfflineError):
        return NETWORK
    return FILE_SYSTEM


def _tell(error: WeightsError) -> int:
    print(f"numgrad weights: {error}", file=sys.stderr)
    return exit_code(error)


def _usage(text: str) -> int:
    print(f"numgrad weights: {text}", file=sys.stderr)
    return USAGE


def _gravest(codes: Sequence[int]) -> int:
    return next((code for code in _GRAVEST_FIRST if code in codes), OK)


def _entries(args: argparse.Namespace) -> list[Entry]:
    """The entries that the arguments name, each once; with --all, all verified entries."""
    if args.all:
        return [each for each in weights.list_weights() if each.verified]
    return list(dict.fromkeys(weights.entry(name) for name in args.names))


def _describe(entry: Entry) -> Row:
    """An entry as plain values, with its file's path; the file is not hashed."""
    best = (entry.usable or entry.sources)[0]
    path = weights.path(entry.name)
    row = asdict(entry)
    row.update(verified=entry.verified, file=best.file, bytes=best.size, path=str(path), cached=path.is_file())
    return row


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _print_json(rows: list[Row]) -> None:
    print(json.dumps(rows, indent=2))


def _list(args: argparse.Namespace) -> int:
    rows = [_describe(entry) for entry in weights.list_weights()]
    if args.json:
        _print_json(rows)
        return OK
    print(f"{'name':36} {'size':>9}  {'parameters':>11}  {'acc@1':>6}  state")
    for row in rows:
        name = row["name"] + (" *" if row["default"] else "")
        state = "downloaded" if row["cached"] else "-"
        state = state if row["verified"] else "not yet verified: cannot be downloaded"
        print(f"{name:36} {_size(row['bytes']):>9}  {row['parameters']:11,}  {row['acc1']:6.2f}  {state}")
    print("* what the model's name alone stands for")
    return OK


def _download(args: argparse.Namespace) -> int:
    if not args.all and not args.names:
        return _usage("say which weights to download, or --all; `numgrad weights list` shows them")
    rows, codes = [], []
    for entry in _entries(args):
        row, code = _download_one(entry, args)
        rows.append(row)
        codes.append(code)
    if args.json:
        _print_json(rows)
    elif args.dry_run:
        print(f"{_size(sum(row['bytes'] for row in rows if row['status'] == 'would download'))} to download")
    return _gravest(codes)


def _download_one(entry: Entry, args: argparse.Namespace) -> tuple[Row, int]:
    row: Row = {"name": entry.name, "bytes": entry.sources[0].size, "path": None, "error": None}
    try:
        here = weights.cached_path(entry.name)
        if here and not args.force:
            path, row["status"] = here, "cached"
        elif args.dry_run:
            path, row["status"] = weights.path(entry.name), "would download"
        else:
            progress = False if args.quiet else None
            path, row["status"] = weights.fetch(entry.name, force=args.force, progress=progress), "downloaded"
    except WeightsError as error:
        row.update(status="failed", error=str(error))
        return row, _tell(error)
    row["path"] = str(path)
    if row["status"] != "would download":
        row["bytes"] = path.stat().st_size
    if not args.json:
        detail = f"would download {_size(row['bytes'])} to " if row["status"] == "would download" else ""
        print(f"{detail}{path}")
    return row, OK


def _path(args: argparse.Namespace) -> int:
    rows = [
        {"name": entry.name, "path": str(path), "cached": path.is_file()}
        for entry in (weights.entry(name) for name in args.names)
        for path in (weights.path(entry.name),)
    ]
    if args.json:
        _print_json(rows)
    for row in rows:
        if not args.json:
            print(row["path"])
        if not row["cached"]:
            print(f"{row['name']} is not downloaded yet: numgrad weights download {row['name']}", file=sys.stderr)
    return OK if all(row["cached"] for row in rows) else FILE_SYSTEM


def _verify(args: argparse.Namespace) -> int:
    entries = _entries(args)
    if not args.names:
        entries = [each for each in weights.list_weights() if each.verified and weights.path(each.name).is_file()]
    rows, codes = [], []
    for entry in entries:
        row, code = _verify_one(entry, quiet=args.json)
        rows.append(row)
        codes.append(code)
    if args.json:
        _print_json(rows)
    elif not rows:
        print("no weights are here")
    return _gravest(codes)


def _verify_one(entry: Entry, *, quiet: bool) -> tuple[Row, int]:
    row: Row = {"name": entry.name, "path": str(weights.path(entry.name)), "status": "ok", "error": None}
    try:
        row["path"] = str(weights.verify(entry.name))
    except WeightsError as error:
        row.update(status="corrupt" if exit_code(error) == CORRUPT else "failed", error=str(error))
        return row, _tell(error)
    if not quiet:
        print(f"{entry.name}: ok  {row['path']}")
    return row, OK


def _clear(args: argparse.Namespace) -> int:
    if not args.all and not args.names:
        return _usage("say which weights to remove, or --all")
    names: list[str | None] = [None] if args.all else list(args.names)
    sizes = {path: path.stat().st_size for name in names for path in weights.clear(name, dry_run=True)}
    if not args.dry_run:
        for name in names:
            weights.clear(name)
    if args.json:
        _print_json([{"path": str(path), "bytes": size, "removed": not args.dry_run} for path, size in sizes.items()])
        return OK
    for path in sizes:
        print(f"{'would remove' if args.dry_run else 'removed'} {path}")
    print(f"{_size(sum(sizes.values()))} {'to free' if args.dry_run else 'freed'}")
    return OK
