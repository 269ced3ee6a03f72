"""`norm_relu`: the same numbers as the modules called one by one, and the modules called wherever somebody could tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import models, nn
from numgrad.nn.fusion import norm_relu

SHAPES = [(2, 3, 5, 7), (1, 17, 3, 3), (4, 1, 2, 2), (3, 5, 1, 1)]


def laid_out(array: np.ndarray, last: bool) -> ng.Tensor:
    """A leaf; ``last``: its channels lie last in memory."""
    x = ng.from_numpy(array.copy())
    return (x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) if last else x).requires_grad_()


def results(shape: tuple[int, ...], last: bool, train: bool, added: bool, hooked: bool) -> dict[str, Any]:
    """Output, gradients and statistics; a hook that does nothing keeps the modules from being fused."""
    rng = np.random.default_rng(3)
    norm, relu = nn.BatchNorm2d(shape[1]).train(train), nn.ReLU(inplace=True)
    with ng.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(ng.from_numpy(rng.uniform(0.2, 1.0, shape[1]).astype(np.float32)))
    x, r, g = (laid_out(rng.normal(size=shape).astype(np.float32), last) for _ in range(3))
    if hooked:
        norm.register_forward_hook(lambda *args: None)
    out = norm_relu(norm, relu, x, r if added else None)
    out.backward(g.detach())
    found = {"out": out, "x": x.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    found |= {"mean": norm.running_mean, "var": norm.running_var, "count": norm.num_batches_tracked}
    return {name: t.detach().numpy() for name, t in ({**found, "r": r.grad} if added else found).items()} | {
        "node": out.grad_fn.name()
    }


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_as_the_modules(shape: tuple[int, ...], last: bool, train: bool, added: bool) -> None:
    fused, apart = (results(shape, last, train, added, hooked) for hooked in (False, True))
    assert (fused.pop("node"), apart.pop("node")) == ("NativeBatchNormReluBackward0", "ReluBackward0")
    assert fused.keys() == apart.keys()
    for name, value in fused.items():
        np.testing.assert_allclose(value, apart[name], rtol=2e-6, atol=2e-6, err_msg=name)


class Louder(nn.BatchNorm2d):
    """A subclass, which may do anything."""

    def forward(self, input: ng.Tensor) -> ng.Tensor:
        return super().forward(input) + 5


def test_subclasses_and_replaced_forwards_are_called() -> None:
    x = ng.ones(2, 3, 2, 2)
    assert norm_relu(Louder(3), nn.ReLU(), x).min() == 5
    norm = nn.BatchNorm2d(3)
    norm.forward = lambda input: input + 1  # type: ignore[method-assign]
    assert norm_relu(norm, nn.ReLU(), x).min() == 2
    assert norm_relu(nn.Identity(), nn.LeakyReLU(0.5), -x).min() == -0.5


def test_a_class_whose_forward_was_replaced_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, input: input - 3)
    assert norm_relu(nn.BatchNorm2d(3), nn.ReLU(), ng.ones(2, 3, 2, 2)).max() == -3


def test_hooks_of_a_network_are_told_as_before() -> None:
    model = models.BasicBlock(4, 4)
    told: list[str] = []
    model.bn2.register_forward_hook(lambda module, args, output: told.append(f"bn2 {output.min().item() < 0}"))
    model.relu.register_forward_pre_hook(lambda module, args: told.append("relu"))
    model(ng.randn(2, 4, 3, 3))
    assert told == ["relu", "bn2 True", "relu"]


def test_a_residual_that_broadcasts() -> None:
    x = ng.randn(2, 3, 4, 4)
    out = norm_relu(nn.BatchNorm2d(3), nn.ReLU(), x, ng.ones(1, 3, 1, 1))
    wanted = ng.relu(nn.BatchNorm2d(3)(x) + 1)
    np.testing.assert_allclose(out.detach().numpy(), wanted.detach().numpy(), atol=1e-6)


def test_a_refused_batch_is_not_counted() -> None:
    norm = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        norm_relu(norm, nn.ReLU(), ng.ones(1, 3, 1, 1))
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.abs().max() == 0


def test_same_bits_with_any_number_of_threads() -> None:
    before = ng.get_num_threads()
    try:
        found = []
        for count in (1, 2, 4):
            ng.set_num_threads(count)
            found.append(results((3, 17, 31, 29), True, True, True, False))
    finally:
        ng.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(value, other[name]) for name, value in found[0].items())
