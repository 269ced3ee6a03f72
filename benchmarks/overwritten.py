"""Four loops of three lines that overwrite their values: whose gradients are right? numgrad, Warp, Taichi, side by side.

``python -m benchmarks.overwritten --write`` puts the table into docs/loops.md; a library that is not installed is left out.
Each is asked in a process of its own, since one of them may crash. (Taichi reads annotations, so none is put off here.)
"""

import argparse
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import ROOT, environment

X, TURNS = 1.07, (5, 40)
PAGE = ROOT / "docs" / "loops.md"


def power(x, n):
    """y = x^n."""
    y = 1.0
    for _ in range(n):
        y = y * x[0]
    return y


def logistic(x, n):
    """A number that is fed back."""
    y = 0.4
    for _ in range(n):
        y = x[0] * y * (1.0 - y)
    return y


def in_place(x, n):
    """An element that is read and overwritten."""
    out = np.empty(1)
    out[0] = x[0]
    for _ in range(n):
        out[0] = out[0] + 0.1 * math.sin(out[0])
    return out[0]


def carried(x, n):
    """Two numbers, of which one reads the other's last value."""
    h = 0.0
    g = 0.0
    for _ in range(n):
        h = h * x[0] + 1.0
        g = g + h * h
    return g


LOOPS = {
    "`y = y * x`": power,
    "`y = x * y * (1 - y)`": logistic,
    "`out[0] = out[0] + 0.1 * sin(out[0])`": in_place,
    "`h = h * x + 1; g = g + h * h`": carried,
}


def truth(name: str, n: int) -> float:
    """The derivative, by a complex step of the loop's own text."""
    step = 1e-30
    x = [complex(X, step)]
    if LOOPS[name] is in_place:
        value = x[0]
        for _ in range(n):
            value = value + 0.1 * np.sin(value)
        return float(value.imag / step)
    return float(LOOPS[name](x, n).imag / step)


def numgrad(name: str, n: int) -> float:
    import numgrad as ng

    x = ng.tensor([X], dtype=ng.float64, requires_grad=True)
    ng.differentiable(LOOPS[name])(x, n).backward()
    return x.grad.item()


def warp(name: str, n: int) -> float:
    import warp as wp

    wp.config.quiet = True
    wp.init()

    @wp.kernel
    def power(x: wp.array(dtype=wp.float64), n: int, out: wp.array(dtype=wp.float64)):
        y = wp.float64(1.0)
        for _ in range(n):
            y = y * x[0]
        out[0] = y

    @wp.kernel
    def logistic(x: wp.array(dtype=wp.float64), n: int, out: wp.array(dtype=wp.float64)):
        y = wp.float64(0.4)
        for _ in range(n):
            y = x[0] * y * (wp.float64(1.0) - y)
        out[0] = y

    @wp.kernel
    def in_place(x: wp.array(dtype=wp.float64), n: int, out: wp.array(dtype=wp.float64)):
        out[0] = x[0]
        for _ in range(n):
            out[0] = out[0] + wp.float64(0.1) * wp.sin(out[0])

    @wp.kernel
    def carried(x: wp.array(dtype=wp.float64), n: int, out: wp.array(dtype=wp.float64)):
        h = wp.float64(0.0)
        g = wp.float64(0.0)
        for _ in range(n):
            h = h * x[0] + wp.float64(1.0)
            g = g + h * h
        out[0] = g

    kernel = {"power": power, "logistic": logistic, "in_place": in_place, "carried": carried}[LOOPS[name].__name__]
    x = wp.array([X], dtype=wp.float64, requires_grad=True, device="cpu")
    out = wp.zeros(1, dtype=wp.float64, requires_grad=True, device="cpu")
    tape = wp.Tape()
    with tape:
        wp.launch(kernel, dim=1, inputs=[x, n], outputs=[out], device="cpu")
    tape.backward(grads={out: wp.array([1.0], dtype=wp.float64, device="cpu")})
    return float(x.grad.numpy()[0])


def taichi(name: str, n: int) -> float:
    import taichi as ti

    ti.init(arch=ti.cpu, log_level=ti.ERROR, offline_cache=False, default_fp=ti.f64)
    x = ti.field(float, shape=1, needs_grad=True)
    out = ti.field(float, shape=1, needs_grad=True)

    @ti.kernel
    def power(n: int):
        for _once in range(1):
            y = 1.0
            for _i in range(n):
                y = y * x[0]
            out[0] = y

    @ti.kernel
    def logistic(n: int):
        for _once in range(1):
            y = 0.4
            for _i in range(n):
                y = x[0] * y * (1.0 - y)
            out[0] = y

    @ti.kernel
    def in_place(n: int):
        for _once in range(1):
            out[0] = x[0]
            for _i in range(n):
                out[0] = out[0] + 0.1 * ti.sin(out[0])

    @ti.kernel
    def carried(n: int):
        for _once in range(1):
            h = 0.0
            g = 0.0
            for _i in range(n):
                h = h * x[0] + 1.0
                g = g + h * h
            out[0] = g

    kernel = {"power": power, "logistic": logistic, "in_place": in_place, "carried": carried}[LOOPS[name].__name__]
    x[0] = X
    kernel(n)
    out.grad[0] = 1.0
    kernel.grad(n)
    return float(x.grad[0])


SIDES: dict[str, Callable[[str, int], float]] = {"numgrad": numgrad, "warp": warp, "taichi": taichi}


def ask(side: str, name: str, n: int) -> str:
    """What a side says, in a process of its own, and whether that is right."""
    command = [sys.executable, "-m", "benchmarks.overwritten", "--answer", side, name, str(n)]
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode < 0:
        return "crashes"
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1]
        return f"refused: {last[:60]}"
    value = json.loads(done.stdout.splitlines()[-1])
    want = truth(name, n)
    return f"{value:.6g}" + ("" if abs(value - want) <= 1e-6 * abs(want) else ", **wrong**")


def table(sides: list[tuple[str, str]]) -> str:
    """The table as Markdown; ``sides`` are names and versions."""
    head = ["loop, `n` turns", "n", "right", *[f"{name} {version}".rstrip() for name, version in sides]]
    rows = [head, ["---", "---:", "---:", *["---:"] * len(sides)]]
    rows += [
        [name, str(n), f"{truth(name, n):.6g}", *[ask(side, name, n) for side, _ in sides]]
        for name in LOOPS
        for n in TURNS
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def installed() -> list[tuple[str, str]]:
    """The sides that there are, with versions."""
    import importlib.metadata as metadata

    found = []
    for side, package in (("numgrad", None), ("warp", "warp-lang"), ("taichi", "taichi")):
        try:
            found.append((side, metadata.version(package) if package else ""))
        except metadata.PackageNotFoundError:
            print(f"{side} is not installed", file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--answer", nargs=3, metavar=("SIDE", "LOOP", "N"), help="one answer, as JSON")
    args = parser.parse_args()
    if args.answer:
        side, name, n = args.answer
        answer: Any = SIDES[side](name, int(n))
        print(json.dumps(answer))
        return 0
    text = table(installed())
    print(text)
    if args.write:
        page = PAGE.read_text("utf-8")
        page, count = re.subn(
            r"(<!-- overwritten -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.S
        )
        assert count == 1, "the page has no place for the table"
        PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
