"""A transformer block's training step: forward, backward and AdamW (or SGD), torch and numgrad turn by turn.

The block is pre-norm, with attention over heads, a GELU MLP of four times the width, and dropout after both; one text
builds it from either library's modules. Each side runs in its own process with the same weights, input and number of
threads; the numbers that dropout draws differ, so that losses are compared with --dropout 0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from benchmarks import common
from benchmarks.train_step import NUMGRAD, PARTS, TORCH, arrays, measure_sides, timed_steps

LEARNING_RATE = 1e-4


# ---- the sides --------------------------------------------------------------------------------------------------


def block(nn: Any, attention: Callable[..., Any], width: int, heads: int, dropout: float) -> Any:
    """The block, out of the modules of ``nn``, which is torch's or numgrad's."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            self.dropout1, self.dropout2 = nn.Dropout(dropout), nn.Dropout(dropout)

        def attend(self, x: Any) -> Any:
            batch, tokens, _ = x.shape
            qkv = self.in_proj(x).view(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            out = attention(qkv[0], qkv[1], qkv[2])
            return self.out_proj(out.transpose(1, 2).reshape(batch, tokens, width))

        def forward(self, x: Any) -> Any:
            x = x + self.dropout1(self.attend(self.norm1(x)))
            return x + self.dropout2(self.mlp(self.norm2(x)))

    return Block()


def numgrad_side(threads: int, **sizes: Any) -> Callable[..., Any]:
    """The step in numgrad."""
    import numgrad as ng
    from numgrad import nn, optim

    if threads:
        ng.set_num_threads(threads)
    return _side(nn, nn.functional.scaled_dot_product_attention, optim, ng.from_numpy, **sizes)


def torch_side(threads: int, **sizes: Any) -> Callable[..., Any]:
    """The step in torch."""
    import torch
    from torch import nn, optim

    if threads:
        torch.set_num_threads(threads)
    return _side(nn, nn.functional.scaled_dot_product_attention, optim, torch.from_numpy, **sizes)


def _side(
    nn: Any, attention: Any, optim: Any, tensor: Any, batch_size: int, tokens: int, width: int, heads: int,
    dropout: float, optimizer: str,
) -> Callable[..., Any]:  # fmt: skip
    import numpy as np

    model = block(nn, attention, width, heads, dropout)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict({name: tensor(array) for name, array in arrays(shapes).items()})
    x, wanted = (
        tensor(np.random.default_rng(seed).standard_normal((batch_size, tokens, width)).astype(np.float32))
        for seed in (0, 1)
    )
    chosen = getattr(optim, optimizer)(model.parameters(), lr=LEARNING_RATE)
    return lambda steps: timed_steps(lambda: ((model(x) - wanted) ** 2).mean(), chosen, steps)


# ---- the comparison ---------------------------------------------------------------------------------------------


def measure(options: Mapping[str, Any], steps: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Median seconds of each part, first loss and peak memory, by side."""
    jobs = {NUMGRAD: "numgrad_side"}
    if common.has("torch"):
        jobs = {TORCH: "torch_side", **jobs}
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(common.Side(f"benchmarks.transformer_step:{function}", options))
            for name, function in jobs.items()
        }
        return measure_sides(sides, steps, rounds)


def main() -> int:
    """Print the table."""
    parser = common.parser(
        __doc__, batch_size=8, tokens=128, width=256, heads=4, dropout=0.1, steps=20, rounds=7, threads=0
    )
    parser.add_argument("--optimizer", default="AdamW", choices=("AdamW", "SGD"))
    args = parser.parse_args()
    names = ("batch_size", "tokens", "width", "heads", "dropout", "optimizer", "threads")
    options = {name: getattr(args, name) for name in names}
    facts = common.machine()
    found = measure(options, args.steps, args.rounds)
    if args.json:
        print(json.dumps({"machine": facts, **options, "sides": found}, indent=2))
        return 0
    common.print_machine(facts)
    print(
        f"transformer block, training step: {', '.join(f'{name} {value}' for name, value in options.items())}, float32"
    )
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
