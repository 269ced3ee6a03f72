"""``numgrad ops``: the table of ops, or everything that is known about one of them."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import textwrap
from collections.abc import Sequence
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
    parser.add_argument(
        "--kernel",
        nargs="*",
        metavar="OPERAND",
        help="print the loops that the op runs for operands such as 2x3 or 8:float64, one for each of its inputs (none for one "
        "that is left out; default: vectors of 8 float32), its parameters being the defaults",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    import numgrad.ops  # noqa: F401  (fills the registry)
    from numgrad import registry

    try:
        chosen = [registry.find(args.name)] if args.name else [registry.OPS[name] for name in sorted(registry.OPS)]
    except KeyError as error:
        print(f"numgrad ops: {error.args[0]}", file=sys.stderr)
        return USAGE
    if args.kernel is not None:
        if not args.name:
            print("numgrad ops: --kernel needs the NAME of an op", file=sys.stderr)
            return USAGE
        try:
            print(kernels_as_text(chosen[0], args.kernel))
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            print(
                f"numgrad ops: {error}; give --kernel operands that fit, such as "
                f"{' '.join('2x3' for _ in chosen[0].inputs)}",
                file=sys.stderr,
            )
            return USAGE
        return OK
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
    """An op's entry in the registry, as plain values.

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
        "defined": _source_line(scalar or source),
    }


def kernels_as_text(op: Op, operands: Sequence[str]) -> str:
    """The source of the loops that an op runs for these operands, in the order of its launches. Nothing is compiled or run.

    Raises
    ------
    ValueError
        An operand is not a shape, or its dtype is unknown.
    Exception
        The op's own refusal of the operands.

    >>> import numgrad as ng
    >>> print(kernels_as_text(ng.registry.find("tanh"), ["4"]))  # doctest: +ELLIPSIS
    launch of tanh over 4: ...
    """
    from numgrad.runtime.program import Pair

    specs = tuple([_spec(text) for text in (operands or ["8"] * len(op.inputs))])
    texts = []
    planned = op.planned(specs, op.defaults)
    if planned.call is not None:
        source = textwrap.dedent(inspect.getsource(planned.call.function)).rstrip()
        return f"call of {op.name} over NumPy's arrays\n\n{source}"
    for launch in planned.launches:
        for part in launch.parts if isinstance(launch, Pair) else (launch,):
            kernel = part.kernel
            bound = ", ".join(f"{each.name}: {each.type}" for each in kernel.bound(part.binding))
            source = textwrap.dedent(inspect.getsource(kernel.py_func)).rstrip()
            texts.append(f"launch of {kernel.name} over {part.work}: {bound}\n\n{source}")
    scalar = getattr(op, "scalar_forward", None)
    if texts and scalar is not None:
        texts.append(f"where function is\n\n{textwrap.dedent(inspect.getsource(scalar)).rstrip()}")
    return "\n\n\n".join(texts) or f"{op.name} launches nothing: it makes views of its inputs"


def _spec(text: str) -> Any:
    """The spec of an operand on the command line; None for an operand that is left out."""
    from numgrad import dtypes
    from numgrad.layout import spec_of

    if text == "none":
        return None
    shape, _, name = text.partition(":")
    dtype = getattr(dtypes, {"": "float32", "bool": "bool_"}.get(name, name), None)
    extents = [extent for extent in shape.split("x") if extent]
    if not isinstance(dtype, dtypes.dtype) or not all(extent.isdecimal() for extent in extents):
        raise ValueError(f"operand {text!r}: expected a shape such as 2x3, or with a dtype 2x3:float64")
    return spec_of(dtype, tuple(int(extent) for extent in extents))


def _source_line(function: Any) -> str | None:
    code = getattr(getattr(function, "py_func", function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else None


def as_text(facts: dict[str, Any]) -> str:
    """One op as text."""
    arguments = ", ".join([*facts["inputs"], *(f"{name}={default}" for name, default in facts["params"].items())])
    lines = [f"{facts['name']}({arguments}) -> {', '.join(facts['outputs']) or 'nothing'}", "", facts["doc"], ""]
    if facts["differentiable"]:
        lines.append(f"differentiable; its backward reads {', '.join(facts['saves']) or 'only the incoming gradient'}")
    else:
        lines.append("not differentiable")
    if facts["defined"]:
        lines.append(f"defined in {facts['defined']}")
    return "\n".join(lines)
