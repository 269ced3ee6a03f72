"""ResNet18's convolutions, or ones in groups, forward and both gradients, beside torch in both layouts.

numgrad's run twice: direct, and as by default. Each side runs in its own process; a turn goes through all layers in order, so
that weights leave the caches as they do in a step. A number is the best turn's median.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import common

DIRECTIONS = ("forward", "input", "weight")
KINDS = ("resnet18", "groups")
# Images, channels, their side, channels of the output, stride, groups: four groups, ResNeXt50's, and a filter for each channel.
GROUPED = (
    (8, 32, 32, 32, 1, 4), (8, 64, 28, 64, 1, 4), (1, 64, 56, 128, 1, 4), (16, 16, 64, 16, 1, 4), (2, 256, 14, 256, 1, 4),
    (8, 64, 28, 64, 2, 4), (8, 128, 56, 128, 1, 32), (8, 256, 28, 256, 1, 32), (8, 512, 14, 512, 1, 32),
    (8, 256, 56, 256, 2, 32), (8, 64, 32, 64, 1, 64), (1, 256, 28, 256, 1, 256), (8, 32, 56, 32, 2, 32),
)  # fmt: skip


def layers(batch_size: int, image_size: int, kind: str = "resnet18") -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(name, how often the network has it, geometry) of convolutions of one of `KINDS`; those in groups have sizes of their own."""
    if kind == "groups":
        for n, c, size, k, stride, groups in GROUPED:
            name = f"{n} of {c} to {k} at {size}{' /2' if stride > 1 else ''}, {groups} groups"
            yield name, 1, {"n": n, "c": c, "h": size, "w": size, "k": k, "r": 3, "s": 3, "stride": (stride, stride),
                            "padding": (1, 1), "groups": groups}  # fmt: skip
        return

    def half(size: int) -> int:
        return (size + 1) // 2

    def sizes(c: int, size: int, k: int, r: int, stride: int) -> dict[str, Any]:
        return {"n": batch_size, "c": c, "h": size, "w": size, "k": k, "r": r, "s": r, "stride": (stride, stride),
                "padding": (r // 2, r // 2)}  # fmt: skip

    yield "stem 7x7 /2", 1, sizes(3, image_size, 64, 7, 2)
    size, c = half(half(image_size)), 64
    yield f"64 at {size}", 4, sizes(64, size, 64, 3, 1)
    for k in (128, 256, 512):
        yield f"{c} to {k} /2", 1, sizes(c, size, k, 3, 2)
        yield f"{c} to {k} 1x1 /2", 1, sizes(c, size, k, 1, 2)
        c, size = k, half(size)
        yield f"{k} at {size}", 3, sizes(k, size, k, 3, 1)


def _timed(actions: dict[str, Callable[[], Any]]) -> Callable[..., dict[str, float]]:
    def turn(repeats: int) -> dict[str, float]:
        spent: dict[str, list[float]] = {name: [] for name in actions}
        for number in range(repeats + 1):
            for name, action in actions.items():
                begin = time.perf_counter()
                action()
                if number:
                    spent[name].append(time.perf_counter() - begin)
        return {name: common.median(values) for name, values in spent.items()}

    return turn


def numgrad_side(
    batch_size: int, image_size: int, threads: int, policy: str, kind: str = "resnet18"
) -> Callable[..., dict[str, float]]:
    """The plans, run over NumPy's memory; ``policy`` is one of `conv_choice.POLICIES`."""
    import numpy as np

    from numgrad import dtypes
    from numgrad.kernels import conv, conv_choice
    from numgrad.kernels.conv_backward import plan_conv2d_backward_weight
    from numgrad.kernels.conv_geometry import Conv2dGeometry
    from numgrad.layout import spec_of
    from numgrad.runtime import threads as pool
    from numgrad.runtime.plan import PlanBuilder

    if threads:
        pool.set_num_threads(threads)
    conv_choice.set_policy(policy)
    actions = {}

    class Memory:
        def __init__(self, count: int) -> None:
            self.array = np.random.default_rng(count).standard_normal(count + 16, np.float32)
            self._address = -(-self.array.ctypes.data // 64) * 64

    for name, _, sizes in layers(batch_size, image_size, kind):
        g = Conv2dGeometry(**sizes)
        x, weight, out = (Memory(n) for n in (g.n * g.h * g.w * g.c, g.k * g.filter_size, g.pixels * g.k))
        plans: dict[str, tuple[Callable[..., None], tuple[Memory, ...], Memory]] = {
            "forward": (lambda b, x, w, o, g=g: conv.plan_conv2d_forward(b, x, w, None, o, g), (x, weight), out),
            "input": (lambda b, e, w, o, g=g: conv.plan_conv2d_backward_input(b, e, w, o, g), (out, weight), x),
            "weight": (lambda b, e, x, o, g=g: plan_conv2d_backward_weight(b, e, x, o, g), (out, x), weight),
        }
        for direction, (planner, inputs, result) in plans.items():
            builder = PlanBuilder(tuple(spec_of(dtypes.float32, (len(m.array) - 16,)) for m in inputs))
            made = Memory(len(result.array) - 16)
            planner(builder, *builder.inputs, builder.output(dtypes.float32, (len(made.array) - 16,)))
            plan = builder.finish()
            addresses = [m._address for m in inputs]
            actions[f"{name}, {direction}"] = lambda p=plan, a=addresses, o=made, keep=inputs: p.run([*a, o._address])
    return _timed(actions)


def torch_side(
    batch_size: int, image_size: int, threads: int, channels_last: bool, kind: str = "resnet18"
) -> Callable[..., dict[str, float]]:
    """torch's own convolution and its backward, each gradient by itself."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    forward, backward = torch.ops.aten.convolution, torch.ops.aten.convolution_backward
    actions = {}
    for name, _, s in layers(batch_size, image_size, kind):
        x = torch.randn(s["n"], s["c"], s["h"], s["w"]).contiguous(memory_format=layout)
        groups = s.get("groups", 1)
        weight = torch.randn(s["k"], s["c"] // groups, s["r"], s["s"]).contiguous(memory_format=layout)
        options = (list(s["stride"]), list(s["padding"]), [1, 1], False, [0, 0], groups)
        grad = torch.randn_like(forward(x, weight, None, *options))
        actions[f"{name}, forward"] = lambda x=x, w=weight, o=options: forward(x, w, None, *o)
        for direction, mask in (("input", [True, False, False]), ("weight", [False, True, False])):
            key = f"{name}, {direction}"
            actions[key] = lambda x=x, w=weight, e=grad, o=options, m=mask: backward(e, x, w, [0], *o, m)
    return _timed(actions)


SIDES: dict[str, tuple[str, dict[str, Any]]] = {
    "numgrad direct": ("numgrad_side", {"policy": "direct"}),
    "numgrad auto": ("numgrad_side", {"policy": "auto"}),
    "torch": ("torch_side", {"channels_last": False}),
    "torch channels_last": ("torch_side", {"channels_last": True}),
}


def main() -> int:
    """Print the table."""
    parser = common.parser(__doc__, batch_size=1, image_size=64, repeats=10, rounds=5, threads=0)
    parser.add_argument(
        "--kind", default="resnet18", choices=KINDS, help="whose layers; those in groups have their own sizes"
    )
    args = parser.parse_args()
    facts = common.machine()
    options = {
        "batch_size": args.batch_size,
        "image_size": args.image_size,
        "threads": args.threads,
        "kind": args.kind,
    }
    wanted = {name: job for name, job in SIDES.items() if "torch" not in name or common.has("torch")}
    jobs = {name: (f"benchmarks.conv:{function}", {**options, **more}) for name, (function, more) in wanted.items()}
    best = common.best_of_sides(jobs, {"repeats": args.repeats}, args.rounds)
    if args.json:
        print(json.dumps({"machine": facts, **options, "seconds": best}, indent=2))
        return 0
    common.print_machine(facts)
    rows, total = [], {name: dict.fromkeys(DIRECTIONS, 0.0) for name in best}
    for name, count, s in layers(args.batch_size, args.image_size, args.kind):
        for direction in DIRECTIONS:
            key = f"{name}, {direction}"
            rows.append([f"{count} x {key}", *(f"{1e3 * best[side][key]:.3f}" for side in best)])
            if s["c"] > 3 or direction != "input":  # nobody asks for the images' gradient
                for side in best:
                    total[side][direction] += count * best[side][key]
    rows += [[f"all, {d}", *(f"{1e3 * total[side][d]:.2f}" for side in best)] for d in DIRECTIONS]
    rows.append(["all", *(f"{1e3 * sum(total[side].values()):.2f}" for side in best)])
    common.print_table(["ms", *best], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
