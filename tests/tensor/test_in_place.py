"""Changes in place that are trained through: after which ops and on which views torch allows them, and with what result."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.nn import functional

Function = Callable[..., Any]  # of the library, its nn.functional, and a tensor
_WEIGHT = np.random.default_rng(0).normal(size=(3, 2, 2, 2))

METHODS: dict[str, Function] = {
    name: lambda lib, f, x, n=name: getattr(x, n)()
    for name in "exp_ relu_ neg_ abs_ square_ sqrt_ reciprocal_ log_ sin_ cos_ tanh_ sigmoid_ zero_".split()
}
METHODS |= {
    "add_": lambda lib, f, x: x.add_(lib.ones_like(x.detach()), alpha=3),
    "sub_": lambda lib, f, x: x.sub_(2.0),
    "mul_": lambda lib, f, x: x.mul_(lib.full_like(x.detach(), 2.0)),
    "mul_ itself": lambda lib, f, x: x.mul_(x),
    "div_": lambda lib, f, x: x.div_(lib.full_like(x.detach(), 2.0)),
    "pow_ 2": lambda lib, f, x: x.pow_(2),
    "pow_ 0.5": lambda lib, f, x: x.pow_(0.5),
    "pow_ of tensors": lambda lib, f, x: x.pow_(lib.full_like(x.detach(), 2.0)),
    "clamp_ low": lambda lib, f, x: x.clamp_(0.3),
    "clamp_ both": lambda lib, f, x: x.clamp_(0.2, 0.8),
    "clamp_ tensors": lambda lib, f, x: x.clamp_(lib.full_like(x.detach(), 0.2), lib.full_like(x.detach(), 0.8)),
    "fill_": lambda lib, f, x: x.fill_(2.0),
    "copy_": lambda lib, f, x: x.copy_(lib.ones_like(x.detach())),
    "masked_fill_": lambda lib, f, x: x.masked_fill_(x.detach() > 0.5, 1.0),
    "setitem": lambda lib, f, x: x.__setitem__((..., 0), x[..., 1] * 2),
    "relu": lambda lib, f, x: f.relu(x, inplace=True),
    "relu_ function": lambda lib, f, x: f.relu_(x),
    "leaky_relu": lambda lib, f, x: f.leaky_relu(x, 0.2, inplace=True),
    "leaky_relu flat": lambda lib, f, x: f.leaky_relu(x, 0.0, inplace=True),
    "leaky_relu_ function": lambda lib, f, x: f.leaky_relu_(x, 0.2),
    "elu": lambda lib, f, x: f.elu(x, 1.5, inplace=True),
    "elu_ function": lambda lib, f, x: f.elu_(x),
    "silu": lambda lib, f, x: f.silu(x, inplace=True),
    "dropout": lambda lib, f, x: f.dropout(x, 1.0, inplace=True),
    "dropout of nothing": lambda lib, f, x: f.dropout(x, 0.5, False, True),
    "nn.ReLU": lambda lib, f, x: lib.nn.ReLU(inplace=True)(x),
    "nn.LeakyReLU": lambda lib, f, x: lib.nn.LeakyReLU(0.2, inplace=True)(x),
    "nn.ELU": lambda lib, f, x: lib.nn.ELU(inplace=True)(x),
    "nn.SiLU": lambda lib, f, x: lib.nn.SiLU(inplace=True)(x),
}

BEFORE: dict[str, tuple[Function, tuple[int, ...]]] = {  # what the changed tensor comes from
    "product": (lambda lib, f, x: x * 1.5, (3, 4)),
    "linear": (
        lambda lib, f, x: f.linear(x, lib.tensor(_WEIGHT.reshape(6, 4)), lib.tensor(_WEIGHT.ravel()[:6])),
        (3, 4),
    ),
    "conv2d": (lambda lib, f, x: f.conv2d(x, lib.tensor(_WEIGHT)), (2, 2, 4, 4)),
    "batch_norm": (lambda lib, f, x: f.batch_norm(x, None, None, training=True), (2, 2, 3, 3)),
    "layer_norm": (lambda lib, f, x: f.layer_norm(x, (4,)), (3, 4)),
    "group_norm": (lambda lib, f, x: f.group_norm(x, 2), (3, 8)),
    "max_pool2d": (lambda lib, f, x: f.max_pool2d(x, 2), (1, 2, 4, 4)),
    "exp": (lambda lib, f, x: x.exp(), (3, 4)),  # refused: its result is saved
    "relu": (lambda lib, f, x: f.relu(x), (3, 4)),
    "view": (lambda lib, f, x: (x * 1.5).view(-1, 2), (3, 4)),
    "transposed": (lambda lib, f, x: (x * 1.5).t(), (3, 4)),
    "slice": (lambda lib, f, x: (x * 1.5)[1:, ::2], (3, 4)),
    "one of several": (lambda lib, f, x: (x * 1.5).unbind(0)[0], (3, 4)),
    "leaf": (lambda lib, f, x: x, (3, 4)),
    "view of a leaf": (lambda lib, f, x: x.view(-1), (3, 4)),
}


def outcome(lib: Any, before: Function, change: Function, shape: tuple[int, ...], of_base: bool) -> Any:
    """The result, its gradient and that one's; or 'refused', with everything as it was."""
    f = functional if lib is ng else lib.nn.functional
    rng = np.random.default_rng(1)
    x = lib.tensor(rng.uniform(0.1, 1.0, shape) * rng.choice([-1.0, 1.0, 1.0], shape)).requires_grad_()
    y = before(lib, f, x)
    original = np.array(y.detach().numpy())
    try:
        z = change(lib, f, y)
        z = y if z is None else z
    except RuntimeError:
        assert (np.array(y.detach().numpy()) == original).all()
        return "refused"
    z = y._base if of_base else z
    if not z.requires_grad:
        return [np.array(z.numpy())]
    weights = lib.tensor((np.arange(z.numel()) % 5 - 1.3).reshape(tuple(z.shape)))
    try:
        (first,) = lib.autograd.grad((z * z * weights).sum(), x, create_graph=True, allow_unused=True)
    except RuntimeError:
        return "refused"
    found = [np.array(z.detach().numpy()), None if first is None else np.array((first.detach() + 0).numpy())]
    if first is not None and first.requires_grad:
        (second,) = lib.autograd.grad((first * first).sum(), x, allow_unused=True)
        found.append(None if second is None else np.array((second + 0).numpy()))
    return found


def agree(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, str) or isinstance(theirs, str):
        return bool(isinstance(ours, str) and isinstance(theirs, str))
    same = [(a is None) == (b is None) for a, b in zip(ours, theirs, strict=True)]
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    return all(same) and all(np.allclose(a, b, 1e-9, 1e-9, equal_nan=True) for a, b in pairs)


# What a view, or a result that is not row-major, asks of a change is the same for all formulas: a change by the result, by the
# input, by another tensor, of a part, to what does not depend on it.
OF_A_PART = (
    "exp_",
    "sin_",
    "mul_",
    "mul_ itself",
    "div_",
    "clamp_ both",
    "fill_",
    "copy_",
    "setitem",
    "relu",
    "dropout",
)


@pytest.mark.parametrize("name", BEFORE)
def test_a_change_is_what_torch_makes_of_it(name: str, torch: ModuleType) -> None:
    before, shape = BEFORE[name]
    for of_base in (False, True) if name in ("view", "transposed", "slice") else (False,):
        for change in OF_A_PART if name in ("transposed", "slice", "conv2d") else METHODS:
            function = METHODS[change]
            ours = outcome(ng, before, function, shape, of_base)
            theirs = outcome(torch, before, function, shape, of_base)
            assert agree(ours, theirs), (change, of_base, ours, theirs)


@pytest.mark.parametrize("function", [functional.leaky_relu, functional.elu])
def test_a_negative_slope_is_no_obstacle(function: Function) -> None:
    """torch refuses its backward: it has only the result, which does not tell on which side the input was."""
    x = ng.randn(12, dtype=ng.float64, requires_grad=True)
    changed = [function(x * 1, -0.5, True), function(x * 1, -0.5)]
    (ours,), (expected,) = (ng.autograd.grad((y * y * y).sum(), x) for y in changed)
    assert ng.allclose(ours, expected)


def test_leaky_relu_in_place_keeps_no_copy() -> None:
    y = ng.randn(5, requires_grad=True) * 1
    functional.leaky_relu(y, 0.1, True)
    assert y.grad_fn.saved[0].data_ptr() == y.data_ptr()


def test_a_gan_with_activations_in_place_follows_torch(torch: ModuleType) -> None:
    losses = [_gan_losses(lib) for lib in (ng, torch)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-4)
    assert losses[0][0] != losses[0][-1]


def _gan_losses(lib: Any) -> list[float]:
    """Losses of a critic and a generator of convolutions, over some steps with weights that both libraries get."""
    n = nn if lib is ng else lib.nn
    critic = n.Sequential(
        n.Conv2d(1, 4, 3, stride=2, padding=1), n.LeakyReLU(0.2, inplace=True),
        n.Conv2d(4, 8, 3, stride=2, padding=1), n.BatchNorm2d(8), n.LeakyReLU(0.2, inplace=True),
        n.Flatten(), n.Linear(32, 1),
    )  # fmt: skip
    generator = n.Sequential(n.Linear(5, 64), n.ELU(inplace=True), n.Linear(64, 64), n.SiLU(inplace=True))
    rng = np.random.default_rng(3)
    with lib.no_grad():
        for p in (*critic.parameters(), *generator.parameters()):
            p.copy_(lib.tensor(rng.normal(size=tuple(p.shape)).astype("float32") * 0.2))
    loss = n.BCEWithLogitsLoss()
    steps = [lib.optim.Adam(m.parameters(), lr=1e-3) for m in (critic, generator)]
    found = []
    for _ in range(5):
        real = lib.tensor(rng.normal(size=(6, 1, 8, 8)).astype("float32"))
        fake = generator(lib.tensor(rng.normal(size=(6, 5)).astype("float32"))).reshape(6, 1, 8, 8)
        for step in steps:
            step.zero_grad()
        of_critic = loss(critic(real), lib.ones(6, 1)) + loss(critic(fake.detach()), lib.zeros(6, 1))
        of_critic.backward()
        steps[0].step()
        of_generator = loss(critic(fake), lib.ones(6, 1))
        of_generator.backward()
        steps[1].step()
        found += [of_critic.item(), of_generator.item()]
    return found


@pytest.mark.parametrize("number", [-2, 300, 0.5, True])
@pytest.mark.parametrize("name", ["eq_", "ne_", "lt_", "le_", "gt_", "ge_"])
def test_comparisons_in_place_with_numbers_that_the_dtype_does_not_have(name: str, number: Any) -> None:
    x = ng.tensor([0, 1, 254, 255], dtype=ng.uint8)
    expected = getattr(np.array(x.tolist()), f"__{name.strip('_')}__")(number).tolist()  # torch wraps the number
    assert getattr(x, name)(number) is x
    assert (x.tolist(), x.dtype, x._version) == (expected, ng.uint8, 1)
