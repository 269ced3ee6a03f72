"""Twenty-five programs with loops and their arguments; tests run them small, `benchmarks.loops` as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.loop_programs import dynamics, inference, numerics


class Case(NamedTuple):
    """A program with arguments.

    ``wrt`` are the places of the arguments by which it is differentiated.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    wrt: tuple[int, ...]


def cases(small: bool = False) -> dict[str, Case]:
    """The programs by name, with arguments for a measurement or small ones for a test."""
    random = np.random.default_rng(0)
    normal, uniform = random.normal, random.uniform

    def n(big: Any, little: Any) -> Any:
        return little if small else big

    prey = np.array([1.1, 0.4, 0.1, 0.4])
    seen, points = n(20000, 12), n(1000, 5)
    obs = np.stack([random.integers(0, 4, seen), random.integers(0, points, seen)], 1)
    rows = (
        Case(inference.soft_dtw, (normal(size=(n(100, 5), 3)), normal(size=(n(120, 6), 3)), 0.7), (0, 1, 2)),
        Case(inference.crf, (normal(size=(n(400, 6), n(12, 3))), normal(size=(n(12, 3), n(12, 3)))), (0, 1)),
        Case(dynamics.ode_rk4, (prey, 10.0, 5.0, n(20000, 20), 0.001), (0, 1, 2)),
        Case(dynamics.ode_adaptive, (prey, 10.0, 5.0, n(20.0, 0.5), 1e-5), (0, 1, 2)),
        Case(
            dynamics.n_body,
            (normal(size=(n(32, 4), 3)), normal(size=(n(32, 4), 3)), uniform(0.5, 1, n(32, 4)), n(50, 3), 0.01),
            (0, 1, 2),
        ),
        Case(
            dynamics.stencil,
            (uniform(size=n((128, 128), (6, 5))), uniform(0.1, 1, n((128, 128), (6, 5))), n(50, 3), 0.1),
            (0, 1),
        ),
        Case(numerics.ray_march, (spheres(), np.array([0.3, -0.5, -0.8]), n(64, 6)), (0, 1)),
        Case(inference.kalman, (normal(size=n(1000, 5)), 0.4 * normal(size=(4, 4)), -1.0, -0.5), (0, 1, 2, 3)),
        Case(
            inference.recurrent,
            (
                0.1 * normal(size=n((64, 64), (4, 4))),
                normal(size=n((64, 16), (4, 3))),
                normal(size=n((200, 16), (4, 3))),
                normal(size=n(64, 4)),
            ),
            (0, 1, 2, 3),
        ),
        Case(
            inference.gmm,
            (
                normal(size=n(10, 3)),
                normal(size=n((10, 10), (3, 2))),
                0.3 * normal(size=n((10, 10), (3, 2))),
                normal(size=n((1000, 10), (5, 2))),
            ),
            (0, 1, 2),
        ),
        Case(
            numerics.bundle,
            (_cameras(random), normal(size=(points, 3)), uniform(0.5, 1.5, seen), obs, normal(size=(seen, 2))),
            (0, 1, 2),
        ),
        Case(dynamics.kepler, (uniform(0.1, 0.9, n(10000, 5)), uniform(0.2, 3, n(10000, 5))), (0, 1)),
        Case(inference.barrier, (100.0, 0.2, 0.03, normal(size=n((2000, 100), (6, 5))), 100.0, 85.0), (0, 1, 2)),
        Case(
            inference.gauss_process,
            (np.sort(uniform(0, 10, n(150, 6))), normal(size=n(150, 6)), 1.1, 0.4),
            (0, 1, 2, 3),
        ),
        Case(
            inference.sinkhorn,
            (
                uniform(size=n((40, 50), (4, 3))),
                np.full(n(40, 4), 1 / n(40, 4)),
                np.full(n(50, 3), 1 / n(50, 3)),
                0.1,
                n(20, 3),
            ),
            (0, 1, 2, 3),
        ),
        Case(numerics.lu_solve, (normal(size=n((100, 100), (5, 5))), normal(size=n(100, 5))), (0, 1)),
        Case(numerics.fft, (normal(size=n(4096, 8)), normal(size=n(4096, 8)), uniform(size=n(4096, 8))), (0, 1, 2)),
        Case(inference.viterbi, (normal(size=n((1000, 16), (6, 3))), normal(size=n((16, 16), (3, 3))), 0.5), (0, 1, 2)),
        Case(
            numerics.quadrature,
            (uniform(0.5, 2, n((200, 4), (2, 4))) * [1, 9, 1, 3], -1.0, 3.0, n(1e-8, 1e-4)),
            (0, 1, 2),
        ),
        Case(inference.particle_filter, (normal(size=n(50, 4)), np.array([-0.3, 0.9, 0.4]), n(400, 7), 17), (0, 1)),
        Case(dynamics.level_set, (*_fronts(n(96, 7), random), n(40, 3), 0.2), (0, 1)),
        Case(
            dynamics.control,
            (1.5 * normal(size=n(200, 6)), 0.3 * normal(size=(n(100, 3), 4)), np.array([9.8, 0.3, 0.6]), 0.02),
            (0, 1, 2),
        ),
        Case(
            dynamics.wave,
            (
                uniform(0.5, 1.5, n((64, 64), (6, 7))),
                normal(size=n(100, 5)),
                0.1 * normal(size=n((100, 64), (5, 7))),
                0.4,
            ),
            (0, 1, 2),
        ),
        Case(numerics.tree, _tree(n(40001, 9), random), (0, 1)),
        Case(numerics.sparse, _matrix(n(3000, 6), n(10, 3), n(20, 3), random), (0, 3)),
    )
    return {case.function.__name__: case for case in rows}


def spheres() -> np.ndarray:
    return np.array([[0.0, 0, 4, 1], [1, 0.5, 5, 1], [-1, -0.6, 3.5, 0.5]])


def _cameras(random: np.random.Generator) -> np.ndarray:
    cameras = np.zeros((4, 11))
    cameras[:, :3] = 0.1 * random.normal(size=(4, 3))
    cameras[:, 3:6] = random.normal(size=(4, 3)) - [0, 0, 8]
    cameras[:, 6] = 500
    cameras[:, 9:] = 0.01
    return cameras


def _fronts(side: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:side, :side] / side - 0.5
    return 10 * (np.hypot(x, y) - 0.25) + 0.01 * random.normal(size=(side, side)), random.uniform(-1, 1, (side, side))


def _tree(nodes: int, random: np.random.Generator) -> tuple[Any, ...]:
    """A random tree with two children or none; children have greater numbers."""
    first, second = np.full(nodes, -1), np.full(nodes, -1)
    free, made = [0], 1
    while made + 1 < nodes:
        node = free.pop(random.integers(len(free)))
        first[node], second[node] = made, made + 1
        free += [made, made + 1]
        made += 2
    return random.normal(size=(nodes, 3)), random.normal(size=nodes), first, second, 0


def _matrix(size: int, each: int, rounds: int, random: np.random.Generator) -> tuple[Any, ...]:
    """A sparse matrix with so many numbers in each row, and a vector."""
    columns = np.concatenate([np.sort(random.choice(size, each, replace=False)) for _ in range(size)])
    rows = np.arange(0, size * each + 1, each)
    return random.uniform(0.1, 1, size * each), columns, rows, random.uniform(0.5, 1, size), rounds
