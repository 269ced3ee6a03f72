"""``numgrad ops``: the table of ops, or all that is known of one."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from typing import TYPE_CHECKING, Any

from numgrad.cli import OK, USAGE

if TYPE_CHECKING:
    from numgrad.registry import Op


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the ``ops`` command to a parser's subcommands."""
    parser = subparsers.add_parser(
        "ops",
        help="list the registered ops, or describe one",
        description="List the registered ops with one line each, or describe one.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="an op's name")
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of text")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print them; the exit code."""
    import numgrad.ops  # noqa: F401  (fills the registry)
    from numgrad import registry

    try:
        chosen = [registry.find(args.name)] if args.name else [registry.OPS[name] for name in sorted(registry.OPS)]
    except KeyError as error:
        print(f"numgrad ops: {error.args[0]}", file=sys.stderr)
        return USAGE
    if args.json:
        print(json.dumps([describe(op) for op in chosen], indent=2))
    elif args.name:
        print(as_text(describe(chosen[0])))
    else:
        width = max(len(op.name) for op in chosen)
        for op in chosen:
            print(f"{op.name:{width}}  {op.doc.partition(chr(10))[0]}")
    return OK


def describe(op: Op) -> dict[str, Any]:
    """What the registry has of an op, as plain values.

    >>> import numgrad as ng
    >>> describe(ng.registry.find("tanh"))["saves"]
    ['out']
    """
    source = op.plan_function if op.plan_function and not inspect.ismethod(op.plan_function) else op.backward_function
    scalar = getattr(op, "scalar_forward", None)
    return {
        "name": op.name,
        "doc": op.doc,
        "inputs": list(op.inputs),
        "params": {name: repr(default) for name, default in op.defaults._asdict().items()},
        "outputs": list(op.outputs[: op.public]),
        "saves": list(op.saves),
        "differentiable": op.differentiable and op.backward_function is not None,
        "defined": _place(scalar or source),
    }


def _place(function: Any) -> str | None:
    code = getattr(getattr(function, "py_func", function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else None


def as_text(facts: dict[str, Any]) -> str:
    """One op for people."""
    arguments = ", ".join([*facts["inputs"], *(f"{name}={default}" for name, default in facts["params"].items())])
    lines = [f"{facts['name']}({arguments}) -> {', '.join(facts['outputs']) or 'nothing'}", "", facts["doc"], ""]
    if facts["differentiable"]:
        lines.append(f"differentiable; its backward reads {', '.join(facts['saves']) or 'only the incoming gradient'}")
    else:
        lines.append("not differentiable")
    if facts["defined"]:
        lines.append(f"defined in {facts['defined']}")
    return "\n".join(lines)
