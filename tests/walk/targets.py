"""What the walk calls: every public function, method and operator, with plausible arguments for each parameter by its name.

What takes more than one call is a scene: see `programs` and `scenes`.
"""

from __future__ import annotations

import functools
import inspect
import operator
import random
from collections.abc import Callable
from typing import Any

import numgrad as ng
from numgrad.nn import functional as F
from tests.walk import programs, recipes, scenes
from tests.walk.recipes import Recipe, literal, sequence, tensor

# Not called: what changes the process, what reads and writes files, and makers of ops, which have tests of their own.
LEFT_OUT = {
    "custom_op", "elementwise", "load", "save", "manual_seed", "seed", "set_default_dtype", "set_num_threads",
    "set_rng_state", "get_rng_state", "set_grad_enabled", "get_num_threads", "initial_seed", "get_default_dtype",
    "is_grad_enabled", "is_inference_mode_enabled", "data_ptr", "register_hook", "register_post_accumulate_grad_hook",
}  # fmt: skip
# Compared by shape and dtype alone.
RANDOM = ("rand", "dropout", "bernoulli", "normal", "uniform", "empty", "multinomial", "gumbel", "rrelu", "poisson", "exponential",
          "geometric", "cauchy", "binomial", "orthogonal", "sparse")  # fmt: skip
OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "matmul", "eq", "ne", "lt", "le", "gt",
    "ge", "neg", "invert", "iadd", "isub", "imul", "itruediv", "ifloordiv", "ipow", "imod", "iand", "ior", "ixor",
    "lshift", "rshift", "ilshift", "irshift", "abs",
)  # fmt: skip


@functools.cache
def names() -> list[str]:
    """All targets, as ``function:NAME``, ``functional:NAME``, ``method:NAME`` and ``operator:NAME``."""
    found = [
        f"function:{name}"
        for name in ng.__all__
        if inspect.isfunction(getattr(ng, name)) and name not in LEFT_OUT and not name.startswith("_")
    ]
    found += [f"functional:{name}" for name in dir(F) if _is_public_function(F, name)]
    found += [
        f"method:{name}"
        for name in dir(ng.Tensor)
        if not name.startswith("_") and callable(getattr(ng.Tensor, name)) and name not in LEFT_OUT
    ]
    found += [f"init:{name}" for name in dir(ng.nn.init) if _is_public_function(ng.nn.init, name)]
    found += [f"operator:{name}" for name in OPERATORS] + ["operator:getitem", "operator:setitem"] * 8
    return sorted(found) + programs.names()


def _is_public_function(module: Any, name: str) -> bool:
    value = getattr(module, name)
    return not name.startswith("_") and inspect.isfunction(value) and name not in ("pair", "product", "skipped", "fans")


def resolve(lib: Any, target: str) -> Callable[..., Any] | None:
    """The target in one of the libraries, or the scene that plays it; None if the library has none."""
    kind, _, name = target.partition(":")
    if kind in scenes.SCENES:
        return None if kind in ("op", "file") and lib is not ng else functools.partial(scenes.SCENES[kind], lib)
    if kind == "init":
        return getattr(lib.nn.init, name, None)  # type: ignore[no-any-return]
    if kind == "function":
        return getattr(lib, name, None)  # type: ignore[no-any-return]
    if kind == "functional":
        return getattr(lib.nn.functional, name, None)  # type: ignore[no-any-return]
    if kind == "operator":
        return getattr(operator, name)  # type: ignore[no-any-return]
    return getattr(lib.Tensor, name, None)  # type: ignore[no-any-return]


@functools.cache
def _parameters(target: str) -> list[inspect.Parameter]:
    if target.startswith("operator:"):
        count = {"neg": 1, "invert": 1, "abs": 1, "setitem": 3}.get(target[9:], 2)
        labels = ("self", "index" if "item" in target else "other", "value")
        return [inspect.Parameter(label, inspect.Parameter.POSITIONAL_ONLY) for label in labels[:count]]
    return list(inspect.signature(resolve(ng, target)).parameters.values())  # type: ignore[arg-type]


_INDEX_WORDS = ("index", "indices", "target", "mask", "condition")
_TENSOR_WORDS = (
    "self", "input", "other", "tensor", "weight", "bias", "query", "key", "value", "src", "mat2", "vec", "values",
    "running_mean", "running_var", "pos_weight", "end", "exponent", "data", "array", "x", "a", "b",
)  # fmt: skip
_PAIRS = ("kernel_size", "stride", "padding", "dilation", "output_size", "normalized_shape", "repeats", "shifts")
_NUMBERS = (
    "alpha",
    "beta",
    "eps",
    "p",
    "momentum",
    "negative_slope",
    "min",
    "max",
    "lambd",
    "threshold",
    "scale",
    "std",
)


def plausible(rng: random.Random, parameter: inspect.Parameter) -> Recipe:
    """A value that a sensible caller might give for this parameter."""
    name = parameter.name
    if name in ("tensors",):
        return sequence(rng, lambda: tensor(rng))
    if name == "index" and rng.random() < 0.5:
        return recipes.index(rng)
    if name in _INDEX_WORDS:
        kind = rng.randrange(6)
        if kind < 3:
            return tensor(rng, ("int64", "int64", "int32", "bool", "uint8"))
        if kind == 3:
            return literal(rng.choice((slice(None), slice(1, None, 2), slice(-1, 5), None, Ellipsis, 0, -1)))
        return sequence(rng, lambda: literal(rng.choice((0, 1, -1, slice(None), None))))
    if name in _TENSOR_WORDS:
        return tensor(rng) if rng.random() < 0.8 else literal(rng.choice((2, -1, 0.5, True, 3.0)))
    if name.startswith("dim") or name in ("start_dim", "end_dim", "axis"):
        if rng.random() < 0.25:
            return sequence(rng, lambda: literal(rng.choice((0, 1, -1, 2))))
        return literal(rng.choice((0, 1, -1, -2, 2, None)))
    if name in ("size", "shape", "dims", "fill_size"):
        return sequence(rng, lambda: literal(rng.choice((0, 1, 2, 3, -1, 6))))
    if name in _PAIRS:
        return literal(rng.choice((1, 2, 3, 0, (1, 2), (2, 2), None)))
    if name in _NUMBERS:
        return literal(rng.choice((0, 1, 0.5, 2, 1e-5, -1.0)))
    if name == "dtype":
        return Recipe("attribute", rng.choice((*recipes.FLOATS, *recipes.INTEGERS)))
    if name == "memory_format":
        return Recipe("attribute", rng.choice(("channels_last", "contiguous_format", "preserve_format")))
    if name in ("func", "function", "fn"):
        return Recipe("callable", rng.choice(recipes.CALLABLES))
    if name == "reduction":
        return literal(rng.choice(("mean", "sum", "none")))
    if isinstance(parameter.default, bool):
        return literal(rng.choice((True, False)))
    if isinstance(parameter.default, (int, float)):
        return literal(rng.choice((0, 1, 2, 3, parameter.default)))
    return literal(rng.choice((0, 1, 2, -1, None))) if rng.random() < 0.7 else tensor(rng)


def arguments(rng: random.Random, target: str) -> tuple[list[Recipe], dict[str, Recipe]]:
    """Arguments for one call: mostly plausible, and each with some chance anything at all."""
    if target.partition(":")[0] in scenes.SCENES:
        return programs.arguments(rng, target), {}
    bold = rng.choice((0.0, 0.1, 0.3, 0.6))
    positional: list[Recipe] = []
    by_name: dict[str, Recipe] = {}
    skipped = False
    for number, parameter in enumerate(_parameters(target)):
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        is_self = number == 0 and not target.startswith(("function:", "functional:"))
        if parameter.kind is parameter.VAR_POSITIONAL:
            count = rng.choice((1, 2, 3)) if rng.random() < 0.6 else 0
            if count:
                draw = lambda: literal(rng.choice((0, 1, 2, 3, -1, 6)))  # noqa: E731
                positional += [recipes.changed(rng, draw(), bold) for _ in range(count)]
            else:
                positional.append(
                    recipes.changed(rng, sequence(rng, lambda: literal(rng.choice((0, 1, 2, 3, -1)))), bold)
                )
            continue
        if parameter.default is not parameter.empty and rng.random() < 0.55:
            skipped = True
            continue
        made = plausible(rng, parameter)
        if is_self:
            made = tensor(rng)
        else:
            made = recipes.changed(rng, made, bold)
        by_keyword = skipped or by_name or (not is_self and number > 1 and rng.random() < 0.3)
        if parameter.kind is parameter.KEYWORD_ONLY or (by_keyword and parameter.kind is not parameter.POSITIONAL_ONLY):
            by_name[parameter.name] = made
        else:
            positional.append(made)
    if rng.random() < 0.01:
        positional.append(recipes.hostile(rng))
    return positional, by_name
