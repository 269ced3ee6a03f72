"""Which algorithm a convolution uses in which direction: a small model of costs, the same on every run and machine.

================  ==================================================================================================
``direct``        sums of products as they are written, by the register tiles of `gemm_rows` and `conv_outer`; it
                  rounds no more than torch does
``depthwise``     the same for filters of one channel, vectors running over channels
``winograd2``     Winograd's F(2 x 2, 3 x 3): 2.25 times fewer multiplications, and transforms
``winograd4``     F(4 x 4, 3 x 3): 4 times fewer, and larger transforms; rounds up to ten times more
================  ==================================================================================================

A policy is "auto", which takes the cheapest by `cost`, or the name of an algorithm, which is then used wherever it applies.
NUMGRAD_CONV is the policy of a process; `set_policy` changes it.
"""

from __future__ import annotations

from typing import NamedTuple

from numgrad import config
from numgrad.kernels import winograd
from numgrad.kernels.conv_geometry import Conv2dGeometry

POLICIES = ("auto", "direct", "winograd2", "winograd4")
DIRECTIONS = ("forward", "input", "weight")
SIDES = {"winograd2": 2, "winograd4": 4}  # of a tile of the output
# Cost of transforming one element of a tile or of a filter, in multiplications of the direct sum; measured with two
# threads, AVX2 and AVX-512. It is low if a worker's cache keeps the transformed elements, and high if no cache does.
OWN_TILE_COST, OWN_FILTER_COST = 4, 3
TILE_COST = 12
FILTER_COST = {"forward": 12, "input": 8, "weight": 20}
FAR_FILTER_COST = {"forward": 30, "input": 20, "weight": 30}
FAR_BYTES = 12 << 20
ROWS = 8  # of a register tile: fewer rows take as long
# Winograd's must be this much cheaper than the direct sum: it has more launches, and rounds more.
WORTH = 0.8

_policy: str | None = None


class Choice(NamedTuple):
    """The algorithm of a convolution in one direction, and the reason for it."""

    algorithm: str
    reason: str

    @property
    def side(self) -> int:
        """Side of Winograd's output tile; 0 for the others."""
        return SIDES.get(self.algorithm, 0)


def set_policy(policy: str | None) -> None:
    """Use one of `POLICIES` from the next plan on; None: the one of NUMGRAD_CONV.

    Raises
    ------
    ValueError
        There is no such policy.
    """
    global _policy
    _policy = policy if policy is None else _checked(policy)


def _checked(policy: str) -> str:
    if policy not in POLICIES:
        raise ValueError(f"conv2d: the algorithm is {policy!r}, expected one of {', '.join(POLICIES)}")
    return policy


def choose(geometry: Conv2dGeometry, direction: str, code: str, policy: str | None = None) -> Choice:
    """The algorithm for one of `DIRECTIONS` and a dtype's code; ``policy`` None: the process's.

    Raises
    ------
    ValueError
        The policy is not one of `POLICIES`.
    """
    policy = _checked((policy or _policy or config.CONV()).lower())
    if geometry.is_depthwise:
        return Choice("depthwise", "a filter for each channel")
    if missing := _not_winograd(geometry, code):
        return Choice("direct", missing)
    if policy != "auto":
        return Choice(policy, "as NUMGRAD_CONV or set_algorithm says")
    costs = {name: cost(geometry, direction, code, name) for name in ("direct", *SIDES)}
    best = min(SIDES, key=costs.__getitem__)
    ratio = costs[best] / costs["direct"]
    if ratio < WORTH:
        return Choice(best, f"{ratio:.2f} of direct's cost")
    return Choice("direct", f"{best} would cost {ratio:.2f} of it")


def _not_winograd(g: Conv2dGeometry, code: str) -> str:
    """Why Winograd's algorithms do not apply; empty if they do."""
    if (g.r, g.s) != (3, 3):
        return f"the kernel is {g.r} x {g.s}, Winograd's is 3 x 3"
    for name, value, needed in (
        ("stride", g.stride, (1, 1)),
        ("dilation", g.dilation, (1, 1)),
        ("groups", g.groups, 1),
    ):
        if value != needed:
            return f"{name} is {value}"
    if g.padding not in ((0, 0), (1, 1), (2, 2)):
        return f"padding is {g.padding}"
    if not winograd.fits(code, g.c, g.k):
        return f"{g.c} and {g.k} channels are not whole vectors"
    return ""


def cost(geometry: Conv2dGeometry, direction: str, code: str, algorithm: str) -> float:
    """The cost of an algorithm, in multiplications of the direct sum."""
    g = geometry
    filters = g.c * g.k
    if algorithm == "direct":
        return 9 * g.pixels * filters
    m = SIDES[algorithm]
    points = (m + 2) ** 2
    backward = direction == "input"
    high, wide = (g.h, g.w) if backward else (g.out_h, g.out_w)
    tiles = g.n * -(-high // m) * -(-wide // m)
    channels, outputs = (g.k, g.c) if backward else (g.c, g.k)
    products = -(-tiles // ROWS) * ROWS * filters
    if winograd.is_one_launch(m, code, direction, tiles, channels, outputs):
        blocks = -(-outputs // winograd.LEAST_OUTPUTS)  # each transforms all tiles
        return points * (products + OWN_FILTER_COST * filters + OWN_TILE_COST * tiles * (blocks * channels + outputs))
    costs = FAR_FILTER_COST if 4 * points * filters > FAR_BYTES else FILTER_COST
    return points * (products + costs[direction] * filters + TILE_COST * tiles * (channels + outputs))
