"""`scaled_dot_product_attention` against torch: the fused op and the path of several ops, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.engine import dispatch

sdpa = ng.scaled_dot_product_attention


class Applied:
    """A recorder of the names of ops."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def applied(self, op: Any, *_: Any) -> None:
        self.names.append(op.name)


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=shape) for shape in shapes]


def of_numgrad(inputs: list[np.ndarray], **options: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    tensors = [ng.tensor(x, requires_grad=True) for x in inputs]
    out = sdpa(*tensors, **options)
    (out * out).sum().backward()
    return out.detach().numpy(), [t.grad.numpy() for t in tensors]


def of_torch(inputs: list[np.ndarray], **options: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    torch = pytest.importorskip("torch")
    options = {name: torch.tensor(x) if isinstance(x, np.ndarray) else x for name, x in options.items()}
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    out = torch.nn.functional.scaled_dot_product_attention(*tensors, **options)
    (out * out).sum().backward()
    return out.detach().numpy(), [t.grad.numpy() for t in tensors]


def compare(inputs: list[np.ndarray], **options: Any) -> None:
    ours = {name: ng.tensor(x) if isinstance(x, np.ndarray) else x for name, x in options.items()}
    (out, grads), (wanted, wanted_grads) = of_numgrad(inputs, **ours), of_torch(inputs, **options)
    np.testing.assert_allclose(out, wanted, rtol=1e-10, atol=1e-12)
    for got, expected in zip(grads, wanted_grads, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "shapes",
    [
        ((5, 3), (4, 3), (4, 2)),
        ((2, 5, 3), (2, 7, 3), (2, 7, 2)),
        ((2, 3, 17, 13), (2, 3, 19, 13), (2, 3, 19, 17)),
        ((2, 1, 2, 5, 3), (2, 1, 2, 5, 3), (2, 1, 2, 5, 1)),
        ((2, 3, 5, 3), (1, 3, 4, 3), (3, 4, 2)),
    ],
    ids=str,
)
def test_is_torchs(shapes: tuple[tuple[int, ...], ...], causal: bool) -> None:
    compare(arrays(*shapes), is_causal=causal)
    compare(arrays(*shapes), is_causal=causal, scale=0.3)


SHAPES = ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 2))


def test_masks() -> None:
    seen = np.random.default_rng(0).random((2, 1, 5, 6)) < 0.6
    seen[0, 0, 1] = False  # sees nothing: 0, and a gradient of 0
    compare(arrays(*SHAPES), attn_mask=seen)
    compare(arrays(*SHAPES), attn_mask=np.random.default_rng(0).normal(size=(5, 6)))
    compare(arrays(*SHAPES), attn_mask=np.where(seen[:, :, :, :], 0.5, -np.inf))


def test_grouped_heads() -> None:
    compare(arrays((2, 6, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4)), enable_gqa=True)
    with pytest.raises(RuntimeError, match="query has 4 heads and key or value 3"):
        sdpa(*(ng.tensor(x) for x in arrays((2, 4, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4))), enable_gqa=True)


@pytest.mark.parametrize("shapes", [((0, 2, 3, 4),) * 3, ((1, 2, 0, 4), (1, 2, 3, 4), (1, 2, 3, 4))], ids=str)
def test_nothing_to_attend(shapes: tuple[tuple[int, ...], ...]) -> None:
    out, grads = of_numgrad(arrays(*shapes))
    assert out.shape == shapes[0]
    assert all((grad == 0).all() for grad in grads)


def test_dropout_drops_shares() -> None:
    ng.manual_seed(0)
    ones = ng.ones(1, 1, 50, 8)
    out = sdpa(ones, ones, ones, dropout_p=0.5)
    assert out.std() > 0.05
    assert abs(out.mean().item() - 1) < 0.1
    assert sdpa(ones, ones, ones, dropout_p=1.0).abs().max() == 0


def test_float32_and_the_result_lies_with_heads_side_by_side() -> None:
    inputs = [x.astype(np.float32) for x in arrays(*[(2, 3, 70, 16)] * 3)]
    out, _ = of_numgrad(inputs)
    truth, _ = of_numgrad([x.astype(np.float64) for x in inputs])
    assert np.abs(out - truth).max() < 2e-6
    assert sdpa(*(ng.tensor(x) for x in inputs)).is_contiguous()
    side_by_side = [ng.tensor(x.swapaxes(1, 2).copy()).transpose(1, 2) for x in inputs]
    assert sdpa(*side_by_side).transpose(1, 2).is_contiguous()


def test_a_packed_projection_is_split_and_joined_without_copies() -> None:
    (x,) = arrays((2, 5, 3 * 4 * 8))
    packed = ng.tensor(x, requires_grad=True)
    recorder = Applied()
    dispatch.recorders.append(recorder)
    try:
        split = (1 * packed).view(2, 5, 3, 4, 8).permute(2, 0, 3, 1, 4)
        out = sdpa(split[0], split[1], split[2])
        joined = out.transpose(1, 2).reshape(2, 5, 32)
    finally:
        dispatch.recorders.remove(recorder)
    (joined**2).sum().backward()
    assert "attention" in recorder.names
    assert "to_strides" not in recorder.names
    assert out.stride() == (160, 8, 32, 1)  # as torch's
    parts = [np.ascontiguousarray(part) for part in x.reshape(2, 5, 3, 4, 8).transpose(2, 0, 3, 1, 4)]
    expected, grads = of_numgrad(parts)
    np.testing.assert_array_equal(out.detach().numpy(), expected)
    whole = np.stack(grads).transpose(1, 3, 0, 2, 4).reshape(x.shape)
    np.testing.assert_array_equal(packed.grad.numpy(), whole)


def test_same_bits_with_any_number_of_threads_and_any_strides() -> None:
    inputs = [x.astype(np.float32) for x in arrays(*[(2, 3, 150, 17)] * 3)]
    before, found = ng.get_num_threads(), []
    try:
        for count in (1, 2, 4):
            ng.set_num_threads(count)
            out, grads = of_numgrad(inputs, is_causal=True)
            found.append([out, *grads])
    finally:
        ng.set_num_threads(before)
    turned = [ng.tensor(x.swapaxes(1, 2).copy()).transpose(1, 2) for x in inputs]
    found.append([sdpa(*turned, is_causal=True).numpy(), *found[0][1:]])
    turned = [ng.tensor(x.swapaxes(2, 3).copy()).transpose(2, 3) for x in inputs]
    found.append([sdpa(*turned, is_causal=True).numpy(), *found[0][1:]])
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_an_infinite_score_is_nan_as_in_torch() -> None:
    q, k, v = (np.ones((1, 1, 2, 3)) for _ in range(3))
    q[0, 0, 0, 0] = np.inf
    out = sdpa(*(ng.tensor(x) for x in (q, k, v)))
    assert np.isnan(out.numpy()[0, 0, 0]).all()
    np.testing.assert_allclose(out.numpy()[0, 0, 1], 1)


@pytest.mark.parametrize(
    ("shapes", "options", "error", "match"),
    [
        (((3,),) * 3, {}, RuntimeError, "expected at least 2 dimensions"),
        (((2, 3), (2, 4), (2, 3)), {}, RuntimeError, r"have shapes \[2, 3\], \[2, 4\]"),
        (((2, 3), (4, 3), (5, 3)), {}, RuntimeError, "expected .*S, E.*S, V"),
        (((2, 3),) * 3, {"dropout_p": 1.5}, RuntimeError, "dropout probability has to be between 0 and 1"),
        (((2, 3),) * 3, {"attn_mask": ng.ones(2, 2), "is_causal": True}, RuntimeError, "should not be set when is_causal"),
        (((2, 3),) * 3, {"attn_mask": ng.ones(2, 2, dtype=ng.int64)}, RuntimeError, "Expected attn_mask dtype to be bool"),
    ],
)  # fmt: skip
def test_refusals(shapes: Any, options: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        sdpa(*(ng.ones(*shape) for shape in shapes), **options)
