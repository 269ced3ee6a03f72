"""Attention of several heads and transformers against torch's, with the same weights."""

from __future__ import annotations

import warnings
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
        fed = leaves if len(leaves) > 1 else leaves * getattr(module, "takes", 1)
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
    compare(attention(kdim=6, vdim=7, bias=False), [normal(3, 8), normal(5, 6), normal(5, 7)])


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    "more", [{"add_bias_kv": True}, {"add_zero_attn": True}, {"add_bias_kv": True, "add_zero_attn": True}]
)
def test_attention_to_one_more(more: dict[str, bool], need_weights: bool) -> None:
    make, x = attention(**more), normal(5, 2, 8)
    for masks in ({}, {"key_padding_mask": PADDED}, {"attn_mask": CAUSAL}, {"attn_mask": normal(4, 5, 5)}):
        compare(make, [x], need_weights=need_weights, **masks)
    compare(
        make, [normal(3, 2, 8), normal(5, 2, 8), normal(5, 2, 8)], key_padding_mask=normal(2, 5), attn_mask=normal(3, 5)
    )
    compare(
        attention(kdim=6, vdim=7, **more),
        [normal(3, 2, 8), normal(5, 2, 6), normal(5, 2, 7)],
        average_attn_weights=False,
    )
    compare(make, [normal(5, 8)], attn_mask=normal(2, 5, 5), need_weights=need_weights)


def test_keys_and_values_may_be_given_as_heads() -> None:
    torch = pytest.importorskip("torch")
    x, weight = normal(3, 2, 8), normal(24, 8)
    results = []
    for tensor, library in ((ng.tensor, ng), (torch.tensor, torch)):
        given = [tensor(normal(4, 6, 4)) for _ in range(2)]
        query, matrix = tensor(x), tensor(weight)
        out, weights = library.nn.functional.multi_head_attention_forward(
            query,
            query,
            query,
            8,
            2,
            matrix,
            None,
            None,
            None,
            True,
            0.0,
            matrix[:8],
            None,
            static_k=given[0],
            static_v=given[1],
        )
        results.append((out.numpy(), weights.numpy()))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3)


def test_masks_are_merged_as_torch_merges_them() -> None:
    torch = pytest.importorskip("torch")
    for mask in (None, normal(5, 5), normal(4, 5, 5)):
        for padding in (None, normal(2, 5)):
            results = [
                library.nn.MultiheadAttention(8, 2).merge_masks(
                    *[None if each is None else library.tensor(each) for each in (mask, padding)], library.ones(2, 5, 8)
                )
                for library in (ng, torch)
            ]
            assert results[0][1] == results[1][1]
            if results[1][0] is not None:
                np.testing.assert_allclose(results[0][0].numpy(), results[1][0].numpy())


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_layer(activation: str, norm_first: bool) -> None:
    options = {"activation": activation, "norm_first": norm_first, "dropout": 0.0, "batch_first": True}
    compare(lambda nn: nn.TransformerEncoderLayer(8, 2, 12, **options), [normal(2, 5, 8)])
    compare(lambda nn: nn.TransformerEncoderLayer(8, 2, 12, bias=False, **options), [normal(2, 5, 8)], src_mask=CAUSAL)
    compare(lambda nn: nn.TransformerEncoderLayer(8, 2, 12, **options), [normal(2, 5, 8)], src_key_padding_mask=PADDED)


MASKS = normal(4, 5, 5)
STACK = {"dim_feedforward": 12, "dropout": 0.0}


@pytest.mark.parametrize("norm_first", [True, False])
def test_decoder_layer(norm_first: bool) -> None:
    def make(nn: Any) -> Any:
        return nn.TransformerDecoderLayer(8, 2, norm_first=norm_first, **STACK)

    inputs = [normal(5, 2, 8), normal(3, 2, 8)]
    memory = {"memory_mask": normal(5, 3), "memory_key_padding_mask": normal(2, 3)}
    compare(make, inputs)
    compare(make, inputs, tgt_mask=CAUSAL, tgt_is_causal=True, **memory)
    compare(make, inputs, tgt_mask=MASKS, tgt_key_padding_mask=normal(2, 5), **memory)


def stack(nn: Any, **options: Any) -> Any:
    """An encoder of two layers, without torch's warning of a way that numgrad has not."""
    layer = nn.TransformerEncoderLayer(8, 2, activation=nn.Softplus(), **STACK)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False, **options)


def test_encoder_and_decoder() -> None:
    compare(lambda nn: stack(nn, norm=nn.LayerNorm(8)), [normal(5, 2, 8)], mask=CAUSAL)
    compare(stack, [normal(5, 2, 8)], mask=MASKS, src_key_padding_mask=normal(2, 5))

    def decoder(nn: Any) -> Any:
        return nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, **STACK), 2, nn.LayerNorm(8))

    compare(decoder, [normal(5, 2, 8), normal(3, 2, 8)], tgt_mask=CAUSAL, memory_mask=normal(5, 3))
    compare(decoder, [normal(5, 2, 8), normal(3, 2, 8)], tgt_mask=MASKS, tgt_key_padding_mask=normal(2, 5))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(
    "options", [{}, {"batch_first": True}, {"norm_first": True, "bias": False, "activation": "gelu"}]
)
def test_transformer(options: dict[str, Any]) -> None:
    def make(nn: Any) -> Any:
        return nn.Transformer(8, 2, 2, 1, **STACK, **options)

    first = options.get("batch_first", False)
    src, tgt = (normal(2, n, 8) if first else normal(n, 2, 8) for n in (3, 5))
    compare(make, [src, tgt], tgt_mask=CAUSAL)
    masks = {"src_mask": normal(3, 3), "tgt_mask": normal(5, 5), "memory_mask": normal(5, 3)}
    paddings = {f"{name}_key_padding_mask": normal(2, n) for name, n in (("src", 3), ("tgt", 5), ("memory", 3))}
    compare(make, [src, tgt], **masks, **paddings)
    if not first:
        compare(make, [src[:, 0], tgt[:, 0]], tgt_mask=CAUSAL, tgt_is_causal=True)


def test_the_causal_mask_is_recognised() -> None:
    torch = pytest.importorskip("torch")
    mine, theirs = (lib.nn.Transformer.generate_square_subsequent_mask(4) for lib in (ng, torch))
    np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    mask = nn.Transformer.generate_square_subsequent_mask(3, device="cpu", dtype=ng.float64)
    assert mask.dtype is ng.float64
    layer = nn.TransformerDecoderLayer(8, 2, 12)
    seen: list[bool] = []
    decoder = nn.TransformerDecoder(layer, 1)
    decoder.layers[0].register_forward_pre_hook(lambda m, a, k: seen.append(k["tgt_is_causal"]), with_kwargs=True)
    for tgt_mask in (mine, ng.tensor(CAUSAL[:4, :4]), mine * 0, ng.stack([mine] * 2), None):
        decoder(ng.ones(4, 8), ng.ones(2, 8), tgt_mask=tgt_mask)
    assert seen == [True, True, False, False, False]


def _warned(lib: Any, *args: Any, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lib.nn.TransformerEncoder(lib.nn.TransformerEncoderLayer(*args, 12, **options), 1)
        x = lib.ones(2, 3, args[0])
        padding = lib.zeros(2, 3)
        lib.nn.TransformerEncoderLayer(*args, 12, batch_first=True)(x, x[0] @ x[0].T > 9e9, padding)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize(
    ("heads", "options"),
    [
        (2, {}), (2, {"batch_first": True}), (1, {"batch_first": True}), (2, {"batch_first": True, "bias": False}),
        (2, {"norm_first": True}), (2, {"batch_first": True, "activation": abs}),
    ],
)  # fmt: skip
def test_what_torch_warns_of(heads: int, options: dict[str, Any], torch_says: Any) -> None:
    assert _warned(ng, 8, heads, **options) == torch_says(lambda torch: _warned(torch, 8, heads, **options))


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
        (lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(8)] * 3), AssertionError, "2D or batched 3D"),
        (lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 7)] * 3), AssertionError, "embedding dimension of 8, but got 7"),
        (
            lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 8)] * 3, attn_mask=ng.ones(3, 4)),
            RuntimeError,
            r"shape of the 2D attn_mask is .*\[3, 4\]\), but should be \(3, 3\)",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 8)] * 3, is_causal=True),
            RuntimeError,
            "Need attn_mask if specifying the is_causal hint",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(*[ng.ones(3, 8)] * 3, key_padding_mask=ng.ones(2, dtype=ng.bool)),
            AssertionError,
            r"key_padded_mask.shape\[1\] to be 3, but got 2",
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
