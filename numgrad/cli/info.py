"""``numgrad info``: versions, CPU, threads, folders and environment variables: what a report of a bug should have."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from numgrad.cli import OK
from numgrad.cli.machine import cpu_name, megabytes, versions


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the ``info`` command to a parser's subcommands."""
    text = "show versions, the CPU, threads, folders and environment variables"
    parser = subparsers.add_parser("info", help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print it; the exit code."""
    facts = collect()
    print(json.dumps(facts, indent=2) if args.json else as_text(facts))
    return OK


def collect() -> dict[str, Any]:
    """Everything that the command shows, as plain values.

    >>> sorted(collect())
    ['cpu', 'knobs', 'store', 'system', 'threads', 'versions', 'weights']
    """
    from numgrad import config
    from numgrad.runtime import cpus

    return {
        "versions": versions(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "cpu": {"name": cpu_name(), **_target()},
        "threads": {"used": _threads(), "available": cpus.available_cpus(), "present": os.cpu_count()},
        "store": _store(),
        "weights": _weights(),
        "knobs": [
            {"name": knob.name, "value": os.environ.get(knob.name), "default": knob.default, "meaning": knob.meaning}
            for knob in config.KNOBS
        ],
    }


def _target() -> dict[str, Any]:
    """What kernels are compiled for; the reason where a setting forbids it."""
    from numgrad.runtime import target

    try:
        return {"llvm": target.cpu()[0], "vectors": target.host_target().name}
    except ValueError as error:
        return {"llvm": None, "vectors": str(error)}


def _threads() -> int | str:
    from numgrad.runtime import threads

    try:
        return threads.get_num_threads()
    except ValueError as error:
        return str(error)


def _store() -> dict[str, Any]:
    """The folder of compiled kernels, and what lies in it of this version and of others."""
    from numgrad.runtime import store

    try:
        folder = store.folder()
    except ValueError:  # a bad setting, which `_target` tells
        folder = None
    if folder is None:
        return {"folder": None, "kernels": 0, "bytes": 0, "bytes_of_all_versions": 0}
    kernels = [path.stat().st_size for path in folder.glob("*.o")]
    return {
        "folder": str(folder),
        "kernels": len(kernels),
        "bytes": sum(kernels),
        "bytes_of_all_versions": sum(path.stat().st_size for path in folder.parent.rglob("*.o")),
    }


def _weights() -> dict[str, Any]:
    from numgrad import weights

    paths = {entry.name: Path(weights.path(entry.name)) for entry in weights.list_weights()}
    here = {name: str(path) for name, path in paths.items() if path.is_file()}
    return {"here": here, "known": len(paths)}


def as_text(facts: dict[str, Any]) -> str:
    """The facts for people."""
    store, threads, cpu = facts["store"], facts["threads"], facts["cpu"]
    lines = [f"{name:11}{version}" for name, version in facts["versions"].items()]
    lines += [
        f"{'system':11}{facts['system']}",
        f"{'cpu':11}{cpu['name']}; compiled for {cpu['llvm']}, vectors: {cpu['vectors']}",
        f"{'threads':11}{threads['used']} used, {threads['available']} available, {threads['present']} in this machine",
    ]
    if store["folder"]:
        of_all = megabytes(store["bytes_of_all_versions"])
        size = f"{megabytes(store['bytes'])} (with those of other versions: {of_all})"
        lines.append(f"{'kernels':11}{store['kernels']}, {size}, in {store['folder']}")
    else:
        lines.append(f"{'kernels':11}kept in memory only")
    lines.append(f"{'weights':11}{len(facts['weights']['here'])} of {facts['weights']['known']} here")
    lines += [f"{'':11}{name}  {path}" for name, path in facts["weights"]["here"].items()]
    lines += ["", "Environment variables"]
    for knob in facts["knobs"]:
        value = "not set" if knob["value"] is None else repr(knob["value"])
        default = f" [{knob['default']}]" if knob["default"] else ""
        lines.append(f"{knob['name']:22} {value:12} {knob['meaning']}{default}")
    return "\n".join(lines)
