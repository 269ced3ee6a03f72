"""Attention of several heads and the encoder's layer against torch's, with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import copy_state


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def converted(value: Any, make: Any) -> Any:
    return make(value) if isinstance(value, np.ndarray) else value


def compare(make: Any, inputs: list[np.ndarray], **options: Any) -> None:
    """Outputs, gradients of inputs and of parameters."""
    torch = pytest.importorskip("torch")
    theirs, ours = make(torch.nn), make(nn)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    with torch.no_grad():  # biases start at 0, which would show nothing
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    copy_state(theirs, ours)
    results = []
    for module, tensor, zeros in ((ours, ng.tensor, ng.zeros), (theirs, torch.tensor, torch.zeros)):
        leaves = [tensor(x, requires_grad=True) for x in inputs]
        fed = leaves if len(leaves) == 3 else leaves * getattr(module, "takes", 1)
        out = module(*fed, **{name: converted(value, tensor) for name, value in options.items()})
        out, weights = out if isinstance(out, tuple) else (out, None)
        total = (out * out).sum() + (zeros(()) if weights is None else (weights * weights).sum())
        total.backward()
        found = {"out": out, "weights": weights, **{f"input {n}": x.grad for n, x in enumerate(leaves)}}
        found |= {name: parameter.grad for name, parameter in module.named_parameters()}
        results.append({n: None if t is None else t.detach().numpy() for n, t in found.items()})
    for name, got in results[0].items():
        wanted = results[1][name]
        assert (got is None) == (wanted is None), name
        if got is not None:
            np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-4 * np.abs(wanted).max(), err_msg=name)


def attention(**options: Any) -> Any:
    """A maker of the module, of width 8 with 2 heads; it takes one input for all three."""

    def make(library: Any) -> Any:
        module = library.MultiheadAttention(8, 2, **options)
        module.takes = 3
        return module

    return make


CAUSAL = np.triu(np.ones((5, 5), bool), 1)
PADDED = np.array([[False] * 5, [False, False, False, True, True]])


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_attention(batch_first: bool, need_weights: bool) -> None:
    x = normal(2, 5, 8) if batch_first else normal(5, 2, 8)
    options = {"need_weights": need_weights}
    compare(attention(batch_first=batch_first), [x], **options)
    compare(attention(batch_first=batch_first, bias=False), [x], attn_mask=CAUSAL, **options)
    compare(attention(batch_first=batch_first), [x], attn_mask=CAUSAL, is_causal=True, **options)
    compare(attention(batch_first=batch_first), [x], key_padding_mask=PADDED, **options)
    compare(attention(batch_first=batch_first), [x], key_padding_mask=PADDED, attn_mask=CAUSAL, **options)
    compare(attention(batch_first=batch_first), [x], attn_mask=normal(4, 5, 5), **options)
    compare(attention(batch_first=batch_first), [normal(5, 8)], **options)


def test_attention_to_something_else() -> None:
    inputs = [normal(2, 3, 8), normal(2, 5, 8), normal(2, 5, 8)]
    compare(attention(batch_first=True), inputs, average_attn_weights=False)
    compare(attention(batch_first=True), inputs, need_weights=False)
    other = [normal(2, 3, 8), normal(2, 5, 6), normal(2, 5, 7)]
    compare(attention(batch_first=True, kdim=6, vdim=7), other, need_weights=False)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_layer(activation: str, norm_first: bool) -> None:
    options = {"activation": activation, "norm_first": norm_first, "dropout": 0.0, "batch_first": True}
    compare(lambda nn: nn.TransformerEncoderLayer(8, 2, 12, **options), [normal(2, 5, 8)])
    compare(lambda nn: nn.TransformerEncoderLayer(8, 2, 12, bias=False, **options), [normal(2, 5, 8)], src_mask=CAUSAL)
    compare(lambda nn: nn.TransformerEncoderLayer(8, 2, 12, **options), [normal(2, 5, 8)], src_key_padding_mask=PADDED)


def test_dropout_is_drawn_in_train_mode_alone() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.5)
    x = ng.tensor(normal(5, 2, 8))
    assert not ng.equal(layer(x), layer(x))
    layer.eval()
    assert ng.equal(layer(x), layer(x))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: nn.MultiheadAttention(8, 3), AssertionError, "embed_dim must be divisible by num_heads"),
        (lambda: nn.MultiheadAttention(0, 3), ValueError, "embed_dim and num_heads must be greater than 0"),
        (lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True), NotImplementedError, "add_bias_kv=True is not"),
        (lambda: nn.MultiheadAttention(8, 2, add_zero_attn=True), NotImplementedError, "add_zero_attn=True is not"),
        (lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(8)] * 3), AssertionError, "2D or batched 3D"),
        (lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 7)] * 3), AssertionError, "embedding dimension of 8 for query"),
        (
            lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 8)] * 3, attn_mask=ng.ones(3, 4)),
            RuntimeError,
            r"shape of the 2D attn_mask is \(3, 4\), but should be \(3, 3\)",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 8)] * 3, is_causal=True),
            RuntimeError,
            "Need attn_mask if specifying the is_causal hint",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 8)] * 3, key_padding_mask=ng.ones(2, dtype=ng.bool)),
            AssertionError,
            "expecting key_padding_mask shape",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 8)] * 3, attn_mask=ng.ones(3, 3, dtype=ng.int64)),
            AssertionError,
            "only bool and floating types of attn_mask",
        ),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="x"), RuntimeError, "activation should be relu/gelu"),
    ],
)  # fmt: skip
def test_refusals(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()
