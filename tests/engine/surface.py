"""Calls of every public function and method, as statements of the random programs (`statements`).

A new function enters by itself: its arguments are drawn by the names of its parameters (`BY_NAME`), or, where they have to fit
each other, by a line of `surface_calls.FITTING`. What is not called is in `LEFT_OUT`, with the reason.
"""

from __future__ import annotations

import functools
import inspect
import zlib
from types import ModuleType
from typing import Any, NamedTuple

import numgrad as ng
from tests.engine import surface_calls
from tests.engine.statements import EXPRESSIONS, Statement, Writer
from tests.engine.surface_calls import Draw
from tests.engine.surface_fitting import FITTING

LIBRARIES = {"function": "lib.", "functional": "F.", "linalg": "lib.linalg.", "special": "lib.special.", "method": ""}

LEFT_OUT = {
    "are statements about the process, not of tensors": """
        are_deterministic_algorithms_enabled get_default_device get_default_dtype get_deterministic_debug_mode
        get_float32_matmul_precision get_num_threads get_rng_state initial_seed is_deterministic_algorithms_warn_only_enabled
        is_grad_enabled is_inference_mode_enabled manual_seed seed set_default_device set_default_dtype set_default_tensor_type
        set_deterministic_debug_mode set_float32_matmul_precision set_flush_denormal set_num_threads
        set_printoptions set_rng_state use_deterministic_algorithms
    """,
    "make ops, or read and write files": "custom_op elementwise load save",
    "take functions, which have tests of their own": """
        apply_ jit map_ map2_ register_hook register_post_accumulate_grad_hook triplet_margin_with_distance_loss vmap
    """,
    "show addresses, or what is no tensor's value": "data_ptr storage to_dlpack typename untyped_storage",
    "keep a node in torch whose derivative it has not": "detach_copy",
    "find what they find by random products; see the tests of decompositions": "pca_lowrank svd_lowrank",
    "are other programs' (`templates`)": "backward numpy",
    "need another device, or pin memory": "cuda cpu get_device pin_memory is_pinned to_device",
}


class Target(NamedTuple):
    """A public function: its home in `LIBRARIES` and its name."""

    home: str
    name: str

    def __str__(self) -> str:
        return f"{self.home}:{self.name}"

    def of(self, lib: Any) -> Any:
        """The function in one of the libraries; None if it has none."""
        owner = {"function": lib, "functional": lib.nn.functional, "linalg": lib.linalg, "special": lib.special}
        return getattr(owner.get(self.home, lib.Tensor), self.name, None)


@functools.cache
def left_out() -> frozenset[str]:
    return frozenset(name for names in LEFT_OUT.values() for name in names.split())


@functools.cache
def every_target() -> tuple[Target, ...]:
    """All public functions and methods."""
    homes = {
        "function": (ng, ng.__all__),
        "functional": (ng.nn.functional, ng.nn.functional.__all__),
        "linalg": (ng.linalg, ng.linalg.__all__),
        "special": (ng.special, ng.special.__all__),
        "method": (ng.Tensor, dir(ng.Tensor)),
    }
    return tuple(
        Target(home, name)
        for home, (owner, names) in homes.items()
        for name in sorted(names)
        if not name.startswith("_")
        and callable(value := getattr(owner, name))
        and not isinstance(value, (type, ModuleType))
    )


def targets(torch: Any) -> list[Target]:
    """Those that both libraries have, without what is left out."""
    return [each for each in every_target() if each.name not in left_out() and each.of(torch) is not None]


@functools.cache
def parameters(target: Target) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(target.of(ng)).parameters.values())


def written(w: Writer, target: Target) -> str | None:
    """An expression that calls the target; None if there is no tensor for it."""
    x = w.pick(lambda t: t.numel() > 0) or w.pick()
    if x is None:
        return None
    draw, is_random = Draw(w, x, *target), surface_calls.is_random(target.name)
    base = target.name.rstrip("_")
    changes = target.name.endswith("_") or base.endswith("_")
    fitting = FITTING.get(target.name) or FITTING.get(base)
    given: list[str] = fitting(draw) if fitting is not None else []
    options: list[str] = []
    own = parameters(target)
    for number, parameter in enumerate(own):
        if number < len(given):
            continue
        text = surface_calls.by_name(draw, parameter, number)
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            if not options and fitting is None:
                given += surface_calls.several(draw, parameter)
            continue
        required = parameter.default is parameter.empty
        if not required and not w.chance(0.03 if parameter.name in surface_calls.RARE else 0.3):
            continue
        if (
            text is None
            or (parameter.name == "out" and target.home == "method")
            or (parameter.name == "inplace" and is_random)
        ):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY or (
            not required and (options or len(given) < number or w.chance(0.5))
        ):
            options.append(f"{parameter.name}={text}")
        elif not options:
            given.append(text)
        else:
            options.append(f"{parameter.name}={text}")
    if changes and given and given[0] == x and (is_random or w.chance(0.75)):
        given[0] = f"{x}.clone()"
    rest = ", ".join([*given[1:], *options])
    if target.home == "method":
        first = given[0] if given else x
        call = f"{first if first.isidentifier() else f'({first})'}.{target.name}({rest})"
    else:
        call = f"{LIBRARIES[target.home]}{target.name}({', '.join([*given, *options])})"
    if is_random:
        return f"told({call})"
    return f"part({call}, {w.below(3)})"


def partner(seed: int, known: list[Target]) -> Target:
    """A target that goes with a seed, which stays the same where functions are added, but for a few of them."""
    return max(known, key=lambda each: zlib.crc32(f"{each} {seed}".encode()))


@functools.cache
def _others() -> list[str]:
    return [
        name for name, (group, _) in EXPRESSIONS.items() if group in ("view", "unary", "binary", "reduction", "index")
    ]


def program(torch: ModuleType, target: Target, seed: int, known: list[Target]) -> list[Statement]:
    """A program about a target: its call, calls of two others, and statements of the usual kinds on what they give."""
    number = zlib.crc32(f"{target} {seed}".encode())
    w = Writer(torch, number)
    w.flavour = w.choice(["floats", "floats", "floats", "mixed"])  # of special values see `tensor.test_derivatives`
    w.start()
    for each in (target, None, partner(number, known), None, target, None, partner(number + 1, known)):
        if each is not None:
            said(w, each)
            continue
        x = w.pick()
        text = EXPRESSIONS[w.choice(_others())][1](w, x) if x is not None else None
        if text is not None:
            w.say_if(f"{(name := w.fresh())} = {text}", name, "beside")
    return w.statements


def said(w: Writer, target: Target, attempts: int = 8) -> bool:
    """Write a call that torch takes, after some tries; of what it refuses every fifth stays."""
    for _ in range(attempts):
        text = written(w, target)
        if text is None:
            return False
        name = w.fresh()
        if w.say_if(f"{name} = {text}", name, str(target)):
            return True
    return False


def is_taken(torch: ModuleType, target: Target, attempts: int) -> bool:
    """Whether torch takes one of so many calls of the target."""
    for seed in range(attempts):
        w = Writer(torch, seed)
        w.flavour = "floats"
        w.start()
        if said(w, target, 4):
            return True
    return False
