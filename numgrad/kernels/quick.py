"""Quick forms of scalar functions: where words have forms that vectorise and are right for some arguments only.

A word such as `scalar.sin` looks at its argument and takes the form that is right for it; a loop over it cannot become one
over vectors, because of the branch. Where all arguments of a stretch of elements are in the quick form's domain, which
a loop of its own finds out, the same numbers come from a loop without the branch.
"""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from numgrad.kernels import airy_vectors, angles, bessel, bessel_vectors, quotients, scalar, special, special_vectors
from numgrad.kernels.source import defined, definition, free_name, is_straight, references, typed_function
from numgrad.runtime.kernel import Device

# A word, its form that vectorises, and the condition on its arguments under which both give the same bits.
WORDS: dict[Device, tuple[Device, Device]] = {
    scalar.sin: (angles.sin, angles.is_near),
    scalar.cos: (angles.cos, angles.is_near),
    scalar.tan: (angles.tan, angles.is_near),
    scalar.fmod: (quotients.fmod, quotients.is_exact),
    scalar.remainder: (quotients.remainder, quotients.is_exact),
    scalar.floor_divide: (quotients.floor_divide, quotients.is_exact),
    bessel.j0: (bessel_vectors.j0, angles.is_small),
    bessel.j1: (bessel_vectors.j1, angles.is_small),
    bessel.y0: (bessel_vectors.y0, angles.is_small),
    bessel.y1: (bessel_vectors.y1, angles.is_small),
    bessel.spherical_j0: (bessel_vectors.spherical_j0, angles.is_small),
    bessel.airy_ai: (airy_vectors.airy_ai, airy_vectors.is_small_for_airy),
    special.erfinv: (special_vectors.erfinv_inside, special_vectors.is_inside),
    special.lgamma: (special_vectors.lgamma, special_vectors.is_plain),
    special.digamma: (special_vectors.digamma, special_vectors.is_plain),
    special.polygamma: (special_vectors.trigamma, special_vectors.is_trigamma),
}


class Quick(NamedTuple):
    """A scalar function's quick form, and whether arguments are in its domain."""

    function: Device
    holds: Device


@functools.cache
def quick_form(function: Callable[..., Any], code: str) -> Quick | None:
    """The quick form of a scalar function that computes in the dtype ``code``; None if it has none."""
    plain: Any = getattr(function, "py_func", function)
    words = {name: value for name, value in references(plain) if isinstance(value, Device) and value in WORDS}
    if code not in ("f4", "f8") or not words:
        return None
    tree = copy.deepcopy(definition(function))
    parameters = {argument.arg for argument in tree.args.args}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = [node.id for node in names if isinstance(node.ctx, ast.Store)]
    # The condition stands at the end, where each name has to be what it was at the word.
    if (
        not is_straight(tree)
        or not isinstance(tree.body[-1], ast.Return)
        or len({*bound, *parameters}) < len(bound) + len(parameters)
        or any(isinstance(node, (ast.comprehension, ast.Lambda)) for node in ast.walk(tree))
    ):
        return None
    taken = {node.id for node in names} | parameters
    extra: dict[str, Any] = {}
    conditions: list[ast.expr] = []

    def named(device: Device) -> ast.Name:
        name = free_name(f"quick_{device.__name__}", taken)
        extra[name] = device
        return ast.Name(name, ast.Load())

    for node in [each for each in ast.walk(tree) if isinstance(each, ast.Call)]:
        word = words.get(ast.unparse(node.func))
        if word is not None:
            quick, domain = WORDS[word]
            conditions.append(ast.Call(named(domain), copy.deepcopy(node.args), []))
            node.func = named(quick)
    if not conditions:
        return None
    holds = copy.deepcopy(tree)
    condition = functools.reduce(lambda left, right: ast.BinOp(left, ast.BitAnd(), right), conditions)
    holds.body[-1] = ast.Return(condition)
    return Quick(
        typed_function(defined(tree, function, extra), code),
        typed_function(defined(holds, function, dict(extra)), code),
    )
