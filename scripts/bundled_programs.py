"""Programs whose kernels a released wheel brings as machine code (`release_wheel`): what a first hour with numgrad runs.

Each is run as a rehearsal: Python makes plans, nothing is computed, and what numbers say is undefined.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numgrad as ng
from numgrad import nn
from numgrad.nn import functional as F

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def tutorial() -> None:
    """Training steps of a ResNet18 as README.md has them, of one picture and of several, and its answers."""
    from numgrad.cli.step import loss_of, rehearse

    for batch, size in ((1, 64), (1, 224), (8, 64), (8, 224), (32, 64)):
        rehearse(None, model="resnet18", batch_size=batch, image_size=size, dtype="float32")
    model = ng.models.resnet18(weights=None)
    images, labels = ng.rand(8, 3, 64, 64), ng.randint(0, 1000, (8,))
    F.cross_entropy(model(images), labels).backward()
    loss_of(model.eval()(images), ng.rand(8, 1000)).item()
    with ng.no_grad():
        model(images[:1]).softmax(1).topk(5)


def readme() -> None:
    """The other lines of README.md, and how tensors are shown."""
    for dtype in (ng.float32, ng.float64):
        a = ng.tensor([2.0, 3.0], requires_grad=True, dtype=dtype)
        b = ng.tensor([6.0, 4.0], requires_grad=True, dtype=dtype)
        result = 3 * a**3 - b**2
        result.backward(gradient=ng.tensor([1.0, 1.0], dtype=dtype))
        bool((9 * a**2 == a.grad).all())
        repr(a)


def perceptrons() -> None:
    """Perceptrons for classes and for numbers: each loss and optimizer, dropout, normalisation, checks of what was right."""
    for width, dtype in itertools.product((16, 256), (ng.float32, ng.float64)):
        model = nn.Sequential(
            nn.Linear(20, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10)
        ).to(dtype)
        for batch in (64, 1):
            x, labels = ng.randn(batch, 20, dtype=dtype), ng.randint(0, 10, (batch,))
            train(model, lambda model=model, x=x, labels=labels: F.cross_entropy(model(x), labels))
            (model(x).argmax(1) == labels).float().mean().item()
            model.eval()
        model(ng.randn(64, 20, dtype=dtype))
    layers = [nn.Linear(20, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 32), nn.BatchNorm1d(32), nn.LeakyReLU()]
    model = nn.Sequential(*layers, nn.Linear(32, 1), nn.Sigmoid())
    x, y = ng.randn(64, 20), ng.rand(64, 1)
    losses: Sequence[Callable[..., Any]] = (
        F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits,
    )  # fmt: skip
    for loss in losses:
        loss(model(x), y).backward()
    optimizers = (
        ng.optim.SGD(model.parameters(), lr=0.1), ng.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4),
        ng.optim.Adam(model.parameters()), ng.optim.AdamW(model.parameters()), ng.optim.RMSprop(model.parameters()),
        ng.optim.Adagrad(model.parameters()),
    )  # fmt: skip
    for optimizer in optimizers:
        optimizer.step()
        optimizer.step()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def train(model: Any, loss_of: Callable[[], Any]) -> None:
    """Two steps by SGD and by Adam."""
    for optimizer in (ng.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), ng.optim.Adam(model.parameters())):
        for _ in range(2):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            loss.item()


def pictures() -> None:
    """A small network of convolutions for digits, trained over a loader."""
    data = ng.utils.data.TensorDataset(ng.rand(64, 1, 28, 28), ng.randint(0, 10, (64,)))
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 10),
    )  # fmt: skip
    for images, labels in ng.utils.data.DataLoader(data, batch_size=32, shuffle=True):
        train(model, lambda x=images, labels=labels: F.cross_entropy(model(x), labels))
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(1), nn.Linear(9216, 128),
        nn.ReLU(), nn.Linear(128, 10), nn.LogSoftmax(1),
    )  # fmt: skip
    train(model, lambda: F.nll_loss(model(ng.rand(64, 1, 28, 28)), ng.randint(0, 10, (64,))))


def sequences() -> None:
    """A block of a transformer over embedded words, and recurrent layers."""
    words = ng.randint(0, 100, (8, 32))
    embedding, layer, head = (
        nn.Embedding(100, 64),
        nn.TransformerEncoderLayer(64, 4, 128, batch_first=True),
        nn.Linear(64, 100),
    )
    model = nn.ModuleList([embedding, layer, head])
    mask = nn.Transformer.generate_square_subsequent_mask(32)
    train(model, lambda: F.cross_entropy(head(layer(embedding(words))).flatten(0, 1), words.flatten()))
    layer(embedding(words), src_mask=mask).sum().backward()
    for recurrent in (nn.LSTM(64, 64), nn.GRU(64, 64)):
        for batch in (64, 1):
            out, _ = recurrent(ng.rand(5, batch, 64))
            out[-1].square().mean().backward()


_WORDS = (
    "neg abs exp log log1p expm1 sqrt rsqrt sin cos tan tanh sigmoid relu square reciprocal sign floor ceil round erf"
    " softplus silu gelu"
).split()


def words() -> None:
    """Everyday functions with their gradients: of one tensor, of two in the same shape and in others, sums over each dimension."""
    for dtype in (ng.float32, ng.float64):
        x = ng.rand(64, 48, dtype=dtype, requires_grad=True)
        for name in _WORDS:
            function = getattr(ng, name, None) or getattr(F, name)
            function(x).sum().backward()
        row, column = ng.rand(48, dtype=dtype, requires_grad=True), ng.rand(64, 1, dtype=dtype, requires_grad=True)
        for other in (ng.rand(64, 48, dtype=dtype, requires_grad=True), row, column, 2.0):
            for result in (x + other, x - other, x * other, x / other, x**2, other * x.T.contiguous().T):
                result.mean().backward()
            for compared in (x < other, x <= other, x > other, x >= other, x == other, x != other):
                compared.any().item()
        ng.maximum(x, row).sum().backward()
        ng.where(x > 0.5, x, row).sum().backward()
        x.clamp(0, 1).sum().backward()
        for dim in (0, 1, None):
            options = {} if dim is None else {"dim": dim}
            for name in ("sum", "mean", "var", "std", "amax", "amin", "argmax"):
                result = getattr(x, name)(**options)
                if result.requires_grad:
                    result.sum().backward()
        for dim in (0, 1):
            x.softmax(dim).sum().backward()
            x.log_softmax(dim).sum().backward()
            x.max(dim)[0].sum().backward()
            x.cumsum(dim).sum().backward()
        x.norm().backward()
        x.sort(1)[0].sum().backward()
        x.T.contiguous().sum().backward()
        x.reshape(32, 96).t().sum().backward()
        ng.cat([x, x], 1).sum().backward()
        ng.stack([x, x]).sum().backward()
        x[ng.randint(0, 64, (16,))].sum().backward()
        x[2:40:2, 1].sum().backward()
        x.gather(1, ng.randint(0, 48, (64, 5))).sum().backward()
        for a, b in (
            ((64, 48), (48, 32)),
            ((64, 48), (48,)),
            ((4, 16, 8), (4, 8, 16)),
            ((300, 300), (300, 300)),
            ((1, 300), (300, 40)),
        ):
            left, right = ng.rand(*a, dtype=dtype, requires_grad=True), ng.rand(*b, dtype=dtype, requires_grad=True)
            (left @ right).sum().backward()
        x.detach().fill_(0.0).add_(1.0).mul_(2.0).normal_().uniform_()
        ng.bernoulli(x.detach())
        x.to(ng.float64 if dtype is ng.float32 else ng.float32).sum().item()
        ng.zeros(3, dtype=dtype), ng.ones(3, dtype=dtype), ng.full((3,), 2.0, dtype=dtype), ng.eye(3, dtype=dtype)
        ng.arange(5, dtype=dtype), ng.linspace(0, 1, 5, dtype=dtype), ng.randn(5, dtype=dtype)
    ng.arange(10).sum().item(), ng.randperm(10), ng.randint(0, 5, (3,)).float(), ng.tensor([True, False]).sum()
    F.one_hot(ng.arange(5), 7)


def examples() -> None:
    """Programs of examples/, cut short, and what distributions ask of their parameters and values."""
    from numgrad.distributions import Categorical, Distribution, Normal, constraints

    for value in (ng.rand(8), ng.rand(8, 4)):
        for constraint in (
            constraints.real,
            constraints.positive,
            constraints.unit_interval,
            constraints.independent(constraints.real, 1),
        ):
            constraint.check(value).all()
    Distribution.set_default_validate_args(False)  # numbers are undefined
    for name, short in (
        ("train_mlp", {"steps": 1}), ("vae", {"epochs": 1}), ("digits", {"epochs": 1}),
        ("gan", {"steps": 1}),
    ):  # fmt: skip
        example(name).main(**short)
    cart_pole = example("cart_pole")  # its loop ends by numbers
    for _ in range(2):
        cart_pole.push(ng.rand(32, 4), ng.randint(0, 2, (32,)))
    stood = ng.stack([ng.ones(32), ng.ones(32) * (ng.rand(32) < 0.5)])
    stood.any(), stood.sum(0).mean().item()
    cart_pole.advantages(stood)
    policy, value = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2)), nn.Linear(4, 1)
    states, actions, old, gain = ng.rand(256, 4), ng.randint(0, 2, (256,)), ng.rand(256), ng.rand(256)

    def proximal() -> Any:
        spread = Categorical(logits=policy(states))
        ratio = (spread.log_prob(actions) - old).exp()
        worse = ng.minimum(ratio * gain, ratio.clamp(0.8, 1.2) * gain)
        return F.mse_loss(value(states).squeeze(1), gain) - worse.mean() - 0.01 * spread.entropy().mean()

    train(nn.ModuleList([policy, value]), proximal)
    Normal(policy(states), ng.ones(2)).log_prob(ng.rand(256, 2)).sum(1).mean().backward()


def example(name: str) -> ModuleType:
    """A module of examples/."""
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))
    return importlib.import_module(name)


def machine() -> None:
    """What numgrad itself runs as machine code: the pool of threads, the ways of an op and of a replay."""
    import pkgutil

    from numgrad import runtime
    from numgrad.runtime.kernel import Native

    for module in pkgutil.walk_packages(runtime.__path__, "numgrad.runtime."):
        if module.name.rpartition(".")[2] not in ("codegen", "independent") and "numba" not in module.name:
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, Native):
                    value.address()


PROGRAMS = (machine, readme, tutorial, perceptrons, pictures, sequences, words, examples)


def rehearse(names: Sequence[str]) -> None:
    """Run the programs with these names; for `numgrad.runtime.helpers`."""
    for program in PROGRAMS:
        if program.__name__ in names:
            with contextlib.redirect_stdout(io.StringIO()):
                program()


def main() -> None:
    """List the programs."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    for program in PROGRAMS:
        print(f"{program.__name__:12} {(program.__doc__ or '').partition(chr(10))[0]}")


if __name__ == "__main__":
    main()
