"""``numgrad summary``: the layers of a model with shapes, parameters, multiply-adds and memory; nothing is computed."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from numgrad.cli import FAILED, OK, USAGE
from numgrad.cli.train_step import integer, positive

RECIPE = "numgrad.cli.summary:describe"  # for `numgrad.runtime.helpers`
# A call that does not fit the model; anything else is a bug.
_REFUSALS = ("ValueError", "ShapeError", "AssertionError", "RuntimeError", "TypeError")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the ``summary`` command to a parser's subcommands.

    >>> parser = argparse.ArgumentParser()
    >>> _ = add_parser(parser.add_subparsers())
    >>> parser.parse_args(["summary", "resnet18", "--input", "8x3x64x64"]).input
    [8, 3, 64, 64]
    """
    parser = subparsers.add_parser(
        "summary",
        help="show a model's layers with shapes, parameters, multiply-adds and memory",
        description="Show the layers of a model of numgrad.models: the shapes of their outputs, their parameters and "
        "multiply-adds (products, convolutions and attention), and the memory of both. Shapes are followed without "
        "computing, so the largest model takes a second and no memory.",
        epilog="Exit codes: 0 fine, 1 no process can be started, 2 usage, 130 interrupted.",
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model of numgrad.models")
    add("--input", type=_shape, metavar="1x3x224x224",
        help="shape of the input, the batch included (default: one image of the size that the model was made for)")  # fmt: skip
    add("--depth", type=lambda text: integer(text, 0, 100), default=3, metavar="N",
        help="modules inside of each other to show (default: %(default)s)")  # fmt: skip
    add("--train", action="store_true", help="the model in train mode, in which some have further outputs")
    add("--json", action="store_true", help="print one JSON object, with all layers, on stdout")
    return parser


def _shape(text: str) -> list[int]:
    return [positive(extent) for extent in text.lower().split("x")]


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments of `add_parser` and return the exit code. Expected errors take one line."""
    from numgrad import models
    from numgrad.runtime import helpers

    try:
        models.get_model_builder(args.model)
        mode = "train" if args.train else "eval"
        answer = helpers.ask(RECIPE, {"model": args.model, "size": args.input, "depth": args.depth, "mode": mode})
    except ValueError as error:
        return _tell(str(error), USAGE)
    except OSError as error:
        return _tell(f"no process can be started: {error}", FAILED)
    if "error" in answer:
        return _tell(answer["error"], USAGE if answer["kind"] in _REFUSALS else FAILED)
    result = answer["result"]
    print(
        result["text"] if not args.json else json.dumps({key: result[key] for key in result if key != "text"}, indent=2)
    )
    return OK


def describe(model: str, size: list[int] | None, depth: int, mode: str) -> dict[str, Any]:
    """The summary of a model as plain values, with its text; values of tensors do not matter.

    Without a ``size`` it is one image as the model or, if it takes all sizes, its best weights want it.
    """
    from numgrad import models, nn

    with nn.init.skipped():
        network = models.get_model(model)
    if size is None:
        weights = models.get_model_weights(model)["DEFAULT"]
        size = [1, 3, *[getattr(network, "image_size", weights.transforms().crop_size)] * 2]
    described = nn.summary(network, size, depth=depth, mode=mode)
    numbers = asdict(described)
    layers = [{key: row[key] for key in row if key != "inside"} for row in numbers.pop("layers")]
    return {"model": model, "input": list(size), **numbers, "layers": layers, "text": str(described)}


def _tell(text: str, code: int) -> int:
    print(f"numgrad summary: {text}", file=sys.stderr)
    return code
