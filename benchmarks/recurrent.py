"""A recurrent network's training step: forward, backward and SGD, torch and numgrad turn by turn.

One layer of LSTM, GRU or RNN over sequences of one length, or with --packed of lengths from 1 to that one; with --written-out a
linear layer and a loop over its rows, a cell for each. Each side runs in its own process with the same weights, input and number of
threads.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from benchmarks import common
from benchmarks.train_step import NUMGRAD, PARTS, TORCH, arrays, measure_sides, timed_steps

LEARNING_RATE = 1e-3


# ---- the sides --------------------------------------------------------------------------------------------------


def numgrad_side(threads: int, **sizes: Any) -> Callable[..., Any]:
    """The step in numgrad."""
    import numgrad as ng
    from numgrad import nn, optim

    if threads:
        ng.set_num_threads(threads)
    return _side(nn, optim, ng.from_numpy, **sizes)


def torch_side(threads: int, **sizes: Any) -> Callable[..., Any]:
    """The step in torch."""
    import torch
    from torch import nn, optim

    if threads:
        torch.set_num_threads(threads)
    return _side(nn, optim, torch.from_numpy, **sizes)


def _side(
    nn: Any,
    optim: Any,
    tensor: Any,
    kind: str,
    batch_size: int,
    length: int,
    width: int,
    bidirectional: bool,
    packed: bool,
    written_out: bool,
) -> Callable[..., Any]:
    import numpy as np

    if written_out:
        model = nn.Sequential(nn.Linear(width, width), getattr(nn, f"{kind}Cell")(width, width))
    else:
        model = getattr(nn, kind)(width, width, bidirectional=bidirectional)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict({name: tensor(array) for name, array in arrays(shapes).items()})
    rng = np.random.default_rng(0)
    x: Any = tensor(rng.standard_normal((length, batch_size, width)).astype(np.float32))
    lengths = [length, *sorted(rng.integers(1, length + 1, batch_size - 1).tolist(), reverse=True)]

    def loss() -> Any:
        given = nn.utils.rnn.pack_padded_sequence(x, lengths) if packed else x
        out = model(given)[0]
        out = out.data if packed else out
        return (out * out).mean()

    def loss_by_loop() -> Any:
        first, cell = model
        rows, state, total = first(x), None, 0
        for t in range(length):
            state = cell(rows[t], state)
            h = state[0] if isinstance(state, tuple) else state
            total = total + (h * h).mean()
        return total

    loss_of = loss_by_loop if written_out else loss
    return lambda steps: timed_steps(loss_of, optim.SGD(model.parameters(), lr=LEARNING_RATE), steps)


# ---- the comparison ---------------------------------------------------------------------------------------------


def measure(options: Mapping[str, Any], steps: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Median seconds of each part, first loss and peak memory, by side."""
    jobs = {NUMGRAD: "numgrad_side"}
    if common.has("torch"):
        jobs = {TORCH: "torch_side", **jobs}
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(common.Side(f"benchmarks.recurrent:{function}", options))
            for name, function in jobs.items()
        }
        return measure_sides(sides, steps, rounds)


def main() -> int:
    """Print the table."""
    parser = common.parser(__doc__, batch_size=64, length=100, width=256, steps=3, rounds=5, threads=0)
    parser.add_argument("--kind", default="LSTM", choices=("LSTM", "GRU", "RNN"))
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--packed", action="store_true")
    parser.add_argument("--written-out", action="store_true")
    args = parser.parse_args()
    names = ("kind", "batch_size", "length", "width", "bidirectional", "packed", "written_out", "threads")
    options = {name: getattr(args, name) for name in names}
    facts = common.machine()
    found = measure(options, args.steps, args.rounds)
    if args.json:
        print(json.dumps({"machine": facts, **options, "sides": found}, indent=2))
        return 0
    common.print_machine(facts)
    print(f"training step: {', '.join(f'{name} {value}' for name, value in options.items())}, float32")
    rows = [
        [name, *(f"{1e3 * side['seconds'][part]:.2f}" for part in (*PARTS, "total")), f"{side['peak_bytes'] / 1e6:.0f}"]
        for name, side in found.items()
    ]
    common.print_table(["median ms", *PARTS, "total", "peak MB"], rows)
    if TORCH in found:
        theirs, ours = found[TORCH], found[NUMGRAD]
        print(
            f"{TORCH} / numgrad: time {theirs['seconds']['total'] / ours['seconds']['total']:.2f}; first losses differ by "
            f"{abs(theirs['loss'] / ours['loss'] - 1):.1e}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
