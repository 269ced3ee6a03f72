"""Random programs (`tests.engine.random_programs`) as steps: eager and replayed, they have to give the same bits.

Run many, each with a seed of its own::

    python -m tests.compile.random_steps --count 1000

With ``--fuse`` the steps are fused, and all kernels are compiled without contraction to multiply-adds: then the bits have to be the
same, which shows that contraction is all that fusing changes.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import numgrad as ng
from tests.compile.steps import bits
from tests.engine.random_programs import IN_PLACE, OPS, REFUSALS, Call, Step, program

CALLS = 4


def leaves_of(number: int) -> list[ng.Tensor]:
    """The arguments of a call: three leaves that require a gradient, and a tensor that does not."""
    rng = np.random.default_rng(number)
    shapes = ((3, 4), (4,), (), (3, 4))
    return [ng.tensor(rng.normal(size=shape), requires_grad=k < 3) for k, shape in enumerate(shapes)]


def step_of(steps: list[Step]) -> Callable[..., Any]:
    """A function of the leaves that runs the program, and returns all tensors and first and second gradients."""

    def step(*leaves: ng.Tensor) -> Any:
        made = [*leaves, leaves[0] * 1.0, leaves[1] * leaves[2], leaves[3] + 0.0]
        refused = 0
        for each in steps:
            x, y = made[max(each.x, 2 - len(made))], made[max(each.y, -len(made))]
            try:
                with ng.set_grad_enabled(each.recorded):
                    out = OPS[each.name](Call(ng, x, y, each.i, each.j, each.a, each.name in IN_PLACE))
            except REFUSALS:
                refused += 1
                continue
            if each.name not in IN_PLACE and out.numel() <= 64:
                made.append(out)
        results: list[Any] = [refused, [tensor.detach() for tensor in made]]
        try:
            roots = [leaves[0].sum() + leaves[1].sum() + leaves[2]]
            roots += [tensor for tensor in made[4:] if tensor.requires_grad and tensor.numel()]
            cotangents = [ng.ones_like(root.detach()) * (0.5 + 0.25 * k) for k, root in enumerate(roots)]
            grads = ng.autograd.grad(roots, leaves[:3], cotangents, create_graph=True, allow_unused=True)
            total = sum((grad * grad).sum() for grad in grads if grad is not None)
            total.backward()
            results.append([None if grad is None else grad.detach() for grad in grads])
        except REFUSALS:
            results.append("no gradient")
        return results

    return step


def nearly(got: Any, expected: Any) -> bool:
    """Whether results are the same but for rounding."""
    if isinstance(expected, (tuple, list)):
        return len(got) == len(expected) and all(map(nearly, got, expected))
    if not isinstance(expected, ng.Tensor):
        return bool(got == expected)
    same = got.dtype is expected.dtype and got.shape == expected.shape and got.requires_grad is expected.requires_grad
    one, other = (np.asarray(each.detach()._values(), np.float64) for each in (got, expected))
    scale = np.abs(other[np.isfinite(other)]).max(initial=1.0)
    return same and np.allclose(one, other, rtol=0, atol=1e-11 * scale, equal_nan=True)


def equal(got: Any, expected: Any) -> bool:
    """Whether results have the same bits."""
    return bool(bits(got) == bits(expected))


def mismatch(seed: int, same: Callable[[Any, Any], bool] = equal, **options: Any) -> tuple[str | None, int]:
    """What differs for the program of a seed, and how many of its calls were replayed; the options are those of `jit`."""
    step = step_of(program(seed))
    replayed = ng.jit(step, fallback="eager", **options)
    for number in range(CALLS):
        one, other = leaves_of(number), leaves_of(number)
        if not same([replayed(*other), [leaf.grad for leaf in other]], [step(*one), [leaf.grad for leaf in one]]):
            stats = ng.jit.stats(replayed)
            return f"seed {seed}: call {number} differs; {stats}\n{ng.jit.text(replayed)}", stats.replays
    return None, ng.jit.stats(replayed).replays


def mismatches(seeds: Iterable[int], **options: Any) -> tuple[list[str], int, int]:
    """What differs, how many programs were replayed, and how many there were."""
    wrong, replayed, count = [], 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds:
            found, replays = mismatch(seed, **options)
            wrong += [] if found is None else [found]
            replayed += replays > 0
            count += 1
    return wrong, replayed, count


def without_contraction() -> None:
    """From now on compile kernels without multiply-adds, and keep them apart from the others in the store."""
    from numgrad.runtime import build, codegen

    key, options = build._key, codegen.options

    def changed(reassociate: bool = False, checked: bool = False) -> dict[str, Any]:
        return {**options(reassociate, checked), "fastmath": {"reassoc"} if reassociate else False}

    build._key = lambda function, *extra: key(function, *extra, "without contraction")  # type: ignore[assignment]
    codegen.options = changed


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fuse", action="store_true")
    arguments = parser.parse_args(words)
    if arguments.fuse:
        without_contraction()
    seeds = range(arguments.first, arguments.first + arguments.count)
    wrong, replayed, count = mismatches(seeds, fuse=arguments.fuse)
    sys.stdout.write("\n\n".join([*wrong[:5], f"{count} programs, {replayed} replayed, {len(wrong)} differ\n"]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
