"""``numgrad info``: versions, CPU, threads, folders and environment variables, as a bug report should state them.

``numgrad info --conv`` lists the algorithms of each convolution of a model, one for each direction, and the reasons.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from numgrad.cli import OK, USAGE
from numgrad.cli.machine import cpu_name, megabytes, versions
from numgrad.cli.train_step import positive

REPORT = """## What happened

(what you did, in as few lines as show it; what came out, with the whole traceback; what you expected)

```python
import numgrad as ng
```

## Where

```text
{facts}
```

## What else may matter

- Does it happen with `NUMGRAD_NUM_THREADS=1`? With `NUMGRAD_DEBUG=1` (every index checked)? With `NUMGRAD_KERNEL_STORE=off`?"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the ``info`` command to a parser's subcommands."""
    text = "show versions, the CPU, threads, folders and environment variables"
    parser = subparsers.add_parser("info", help=text, description=text[0].upper() + text[1:] + ".")
    add = parser.add_argument
    add("--json", action="store_true", help="print one JSON object instead of text")
    add(
        "--report",
        action="store_true",
        help="print Markdown for a bug report: these facts, and what else is to be said",
    )
    add("--conv", nargs="?", const="resnet18", metavar="MODEL", help="list the algorithms of a model's convolutions "
        "(default: %(const)s)")  # fmt: skip
    add(
        "--batch-size",
        type=positive,
        default=1,
        metavar="N",
        help="images in a batch, for --conv (default: %(default)s)",
    )
    add("--image-size", type=positive, default=64, metavar="N", help="pixels a side, for --conv (default: %(default)s)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    if args.conv:
        from numgrad.errors import KernelError

        try:
            rows = convolutions(args.conv, args.batch_size, args.image_size)
        except KernelError:
            raise  # not caused by the arguments
        except (ValueError, RuntimeError) as error:  # an unknown model, or images that are too small for it
            print(f"numgrad info: {error}", file=sys.stderr)
            return USAGE
        print(json.dumps(rows, indent=2) if args.json else conv_text(rows))
        return OK
    facts = collect()
    if args.report:
        print(REPORT.format(facts=as_text(facts)))
        return OK
    print(json.dumps(facts, indent=2) if args.json else as_text(facts))
    return OK


def collect() -> dict[str, Any]:
    """The facts that the command shows, as plain values.

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


def convolutions(model: str, batch_size: int, image_size: int) -> list[dict[str, Any]]:
    """Shapes and algorithms of each convolution of a model of `numgrad.models`, in the order of their use.

    Raises
    ------
    ValueError, RuntimeError
        The model is unknown, or cannot take such images.
    """
    import numgrad as ng
    from numgrad.ops.conv import algorithms

    rows: list[dict[str, Any]] = []

    def note(name: str, module: Any, inputs: tuple[Any, ...]) -> None:
        shapes = tuple(inputs[0].shape), tuple(module.weight.shape)
        params = {key: getattr(module, key) for key in ("stride", "padding", "dilation", "groups")}
        choices = {key: choice._asdict() for key, choice in algorithms(*shapes, **params).items()}
        rows.append({"name": name, "input": shapes[0], "weight": shapes[1], **params, "algorithms": choices})

    network = ng.models.get_model(model).eval()
    for name, module in network.named_modules():
        if isinstance(module, ng.nn.Conv2d):
            module.register_forward_pre_hook(lambda module, inputs, name=name: note(name, module, inputs))
    with ng.no_grad():
        network(ng.zeros(batch_size, 3, image_size, image_size))
    return rows


def conv_text(rows: list[dict[str, Any]]) -> str:
    """The rows as text: one line for each convolution and direction."""
    lines = []
    for row in rows:
        sizes = " x ".join(map(str, row["input"])), " x ".join(map(str, row["weight"]))
        lines.append(f"{row['name']}: input {sizes[0]}, weight {sizes[1]}, stride {row['stride'][0]}")
        lines += [f"    {key:8} {c['algorithm']:10} {c['reason']}" for key, c in row["algorithms"].items()]
    return "\n".join(lines)


def _target() -> dict[str, Any]:
    """The target that kernels are compiled for, or the reason why a setting is refused."""
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
    """The folder of compiled kernels, its contents of this version and of all versions, and what the wheel brought."""
    from numgrad.runtime import bundle, store

    try:
        folder, brought = store.folder(), bundle.bundle()
    except ValueError:  # an invalid setting, which `_target` reports
        folder = brought = None
    wheel = {"kernels_of_the_wheel": len(brought) if brought else 0}
    if folder is None:
        return {"folder": None, "kernels": 0, "bytes": 0, "bytes_of_all_versions": 0, **wheel}
    kernels, size, of_all = store.usage()
    return {"folder": str(folder), "kernels": kernels, "bytes": size, "bytes_of_all_versions": of_all, **wheel}


def _weights() -> dict[str, Any]:
    from numgrad import weights

    try:
        paths = {entry.name: Path(weights.path(entry.name)) for entry in weights.list_weights()}
    except weights.CacheError:  # no home folder
        return {"here": {}, "known": len(weights.list_weights())}
    here = {name: str(path) for name, path in paths.items() if path.is_file()}
    return {"here": here, "known": len(paths)}


def as_text(facts: dict[str, Any]) -> str:
    """The facts as text."""
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
    if store["kernels_of_the_wheel"]:
        lines.append(f"{'':11}and {store['kernels_of_the_wheel']} that the wheel brought")
    lines.append(f"{'weights':11}{len(facts['weights']['here'])} of {facts['weights']['known']} here")
    lines += [f"{'':11}{name}  {path}" for name, path in facts["weights"]["here"].items()]
    lines += ["", "Environment variables"]
    for knob in facts["knobs"]:
        value = "not set" if knob["value"] is None else repr(knob["value"])
        default = f" [{knob['default']}]" if knob["default"] else ""
        lines.append(f"{knob['name']:22} {value:12} {knob['meaning']}{default}")
    return "\n".join(lines)
