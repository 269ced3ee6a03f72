"""Small calls: reading a number, views, creation, comparison; a user's Function, many small parameters, a loader's loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from benchmarks import common
from benchmarks.overhead import square

# texts that both libraries run; `lib`, and what `_names` gives
CALLS = """
number.item()
float(number)
int(number)
bool(number)
number.tolist()
row[3]
x[1]
x[1, 2]
x[0, 0].item()
x[2:5]
x[:, 1]
x[::2, 1:]
x[None]
x[rows]
x[rows, columns]
x.index_put((rows, columns), values)
x[mask]
x.view(-1)
x.view(2, 32)
x.reshape(-1)
lib.reshape(x, (4, 16))
lib.flatten(x)
lib.ravel(x)
lib.movedim(x, 0, 1)
lib.transpose(x, 0, 1)
x.t()
x.T
lib.permute(x, (1, 0))
lib.squeeze(x)
lib.unsqueeze(x, 0)
lib.select(x, 0, 1)
lib.narrow(x, 0, 1, 2)
lib.diagonal(x)
lib.as_strided(x, (2, 2), (2, 1))
lib.unflatten(x, 1, (2, -1))
x.expand(3, 8, 8)
lib.broadcast_to(row, (8, 8))
len(x)
x.shape
x.size(0)
x.dim()
x.detach()
list(x)
lib.unbind(x)
lib.split(x, 2)
lib.chunk(x, 2)
lib.tensor_split(x, 2)
lib.hsplit(x, 2)
lib.tensor(2.0)
lib.tensor([1.0, 2.0, 3.0])
lib.tensor([[1.0, 2.0], [3.0, 4.0]])
lib.scalar_tensor(2.0)
lib.zeros(2, 3)
lib.ones(2, 3)
lib.empty(2, 3)
lib.full((2, 3), 0.5)
lib.zeros_like(x)
lib.empty_like(x)
x.new_zeros(2, 3)
lib.arange(5)
lib.from_numpy(array)
lib.as_tensor(array)
x.numpy()
lib.eye(3)
x == y
x < 1.0
x + 1
x * y
-x
lib.equal(x, y)
lib.equal(x, x)
lib.allclose(x, x)
lib.dot(row, row)
lib.inner(row, row)
x.sum()
x.mean(1)
x.max()
x.to(lib.float64)
x.clone()
lib.cat([x, y])
lib.stack([x, y])
lib.flip(x, (0,))
lib.roll(x, 1, 0)
lib.einsum('ij,jk->ik', x, y)
lib.einsum('ij,ij->i', x, y)
lib.nn.functional.nll_loss(x, target)
""".strip().splitlines()


def numgrad_side(threads: int) -> Callable[..., Any]:
    """The cases in numgrad."""
    import numgrad as ng
    from numgrad.runtime.fast import start

    start.load()
    return _job(ng, threads)


def torch_side(threads: int) -> Callable[..., Any]:
    """The cases in torch."""
    import torch

    return _job(torch, threads)


def _names(lib: Any) -> dict[str, Any]:
    import numpy as np

    lib.manual_seed(0)
    x = lib.rand(8, 8)
    return {
        "lib": lib, "x": x, "y": lib.rand(8, 8), "row": lib.rand(8), "number": lib.tensor(1.5),
        "array": np.ones(5, np.float32), "rows": lib.tensor([1, 2, 5]), "columns": lib.tensor([0, 3, 7]),
        "values": lib.rand(3), "mask": x > 0.5, "target": lib.arange(8),
    }  # fmt: skip


def _programs(lib: Any) -> dict[str, Callable[[], Any]]:
    """Small programs: a Function, optimizers, a loader's loop."""
    from importlib import import_module

    data = import_module(f"{lib.__name__}.utils.data")
    nn, optim, loss = lib.nn, lib.optim, lib.nn.functional.mse_loss

    apply, leaf = square(lib), lib.rand(8, 8, requires_grad=True)
    ones = lib.ones(8, 8)

    def function() -> None:
        leaf.grad = None
        apply(leaf).backward(ones)

    programs: dict[str, Callable[[], Any]] = {"autograd.Function, forward + backward": function}
    for name, options in (("SGD", {"lr": 1e-3, "momentum": 0.9}), ("Adam", {"lr": 1e-3}), ("AdamW", {"lr": 1e-3})):
        parameters = [lib.rand(5, 7, requires_grad=True) for _ in range(60)]
        for parameter in parameters:
            parameter.grad = lib.rand(5, 7)
        programs[f"{name}'s step over 60 small parameters"] = getattr(optim, name)(parameters, **options).step

    def loop() -> None:
        model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
        optimizer = optim.Adam(model.parameters(), lr=1e-3)
        loader = data.DataLoader(data.TensorDataset(inputs, targets), batch_size=32, shuffle=True)
        for points, values in loader:
            optimizer.zero_grad()
            loss(model(points), values).backward()
            optimizer.step()

    inputs, targets = lib.rand(1000, 16), lib.rand(1000, 1)
    programs["DataLoader + MLP, an epoch of 32 batches"] = loop
    return programs


def _job(lib: Any, threads: int) -> Callable[..., Any]:
    if threads:
        lib.set_num_threads(threads)
    names = _names(lib)
    actions: dict[str, Callable[[], Any]] = {text: eval(f"lambda: {text}", names) for text in CALLS}
    programs = _programs(lib)

    def measure(repeats: int) -> dict[str, float]:
        seconds = {text: common.median_seconds(action, repeats, 300) for text, action in actions.items()}
        seconds |= {name: common.median_seconds(program, repeats, 1) for name, program in programs.items()}
        return seconds

    return measure


def main() -> int:
    """Print the table."""
    return common.compare_cases("benchmarks.small", __doc__, digits=2, repeats=15, rounds=3)


if __name__ == "__main__":
    sys.exit(main())
