"""`nn.functional` beside torch, by one table of calls: values, dtypes, shapes, gradients; refusals; derivatives by differences."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
import numgrad.nn.functional as F
from tests.tensor.functional_calls import CALLS, Call


def outcome(lib: Any, call: Call, dtype: str) -> tuple[list[Any], list[Any]]:
    """The results, and the gradients of the tensors of floating point for a fixed cotangent of the first."""
    tensors = []
    for array in call.arrays:
        if array is None:
            tensors.append(None)
        elif array.dtype.kind == "f":
            tensors.append(lib.tensor(array.astype(dtype)).requires_grad_(call.name not in FIXED))
        else:
            tensors.append(lib.tensor(array))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = call.on(lib, tensors)
    results = list(result) if isinstance(result, tuple) else [result]
    leaves = [t for t in tensors if t is not None and t.requires_grad]
    if results[0].requires_grad:
        weight = np.linspace(-1, 2, int(np.prod(tuple(results[0].shape)))).reshape(tuple(results[0].shape))
        results[0].backward(lib.tensor(weight.astype(dtype)))
    grads = [None if t.grad is None else np.asarray(t.grad.numpy()) for t in leaves]
    return [(str(r.dtype).split(".")[-1], np.asarray(r.detach().numpy())) for r in results], grads


# Their gradients are checked without their further tensors: running statistics take none.
FIXED = {"instance_norm"}
# Every call in float64, and in float32 the first of each name.
PAIRS = [(call, "float64") for call in CALLS] + [
    (call, "float32") for call in {c.name: c for c in CALLS[::-1]}.values()
]


@pytest.mark.torch
@pytest.mark.parametrize(("call", "dtype"), PAIRS, ids=str)
def test_beside_torch(call: Call, dtype: str, torch: ModuleType) -> None:
    mine, my_grads = outcome(ng, call, dtype)
    theirs, their_grads = outcome(torch, call, dtype)
    tolerance = 1e-9 if dtype == "float64" else 2e-5
    assert [name for name, _ in mine] == [name for name, _ in theirs]
    for (_, got), (_, want) in zip(mine, theirs, strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    for got, want in zip(my_grads, their_grads, strict=True):
        nothing = np.zeros(())  # a gradient that one library has as zeros, the other not at all
        got, want = nothing if got is None else got, nothing if want is None else want
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize("call", [call for call in CALLS if call.twice], ids=str)
def test_derivatives(call: Call) -> None:
    tensors = [
        None if array is None else ng.tensor(array, requires_grad=array.dtype.kind == "f") for array in call.arrays
    ]
    free = [t for t in tensors if t is not None and t.requires_grad]

    def function(*values: ng.Tensor) -> ng.Tensor:
        given = iter(values)
        return call.on(ng, [next(given) if t is not None and t.requires_grad else t for t in tensors])  # type: ignore[no-any-return]

    assert ng.autograd.gradcheck(function, free)
    assert ng.autograd.gradgradcheck(function, free)
    tangents = [ng.ones_like(t) for t in free]
    primal, tangent = ng.func.jvp(function, tuple(t.detach() for t in free), tuple(tangents))
    assert tangent.shape == primal.shape


MAPPED = {"mish", "glu", "conv1d", "conv_transpose1d", "unfold", "kl_div", "cosine_similarity", "rms_norm", "bilinear"}


@pytest.mark.parametrize("name", sorted(MAPPED))
def test_many_examples(name: str) -> None:
    call = next(call for call in CALLS if call.name == name)
    arrays = [np.stack([array, array[::-1] * 0.5]) for array in call.arrays]
    mapped = ng.func.vmap(lambda *each: call.on(ng, list(each)))(*map(ng.tensor, arrays))
    for k in range(2):
        alone = call.on(ng, [ng.tensor(array[k]) for array in arrays])
        np.testing.assert_allclose(mapped[k].numpy(), alone.numpy(), rtol=1e-9, atol=1e-12)
    index = ng.tensor([[0, 2], [1, 1]])
    assert ng.func.vmap(lambda x: F.one_hot(x, 3))(index).tolist() == F.one_hot(index, 3).tolist()


# ---- without torch ----------------------------------------------------------------------------------------------


def test_a_convolution_in_one_dimension_is_its_sum() -> None:
    x, w = np.arange(6.0).reshape(1, 1, 6), np.array([[[1.0, -2.0, 3.0]]])
    want = [sum(x[0, 0, i + r] * w[0, 0, r] for r in range(3)) for i in range(4)]
    assert F.conv1d(ng.tensor(x), ng.tensor(w)).flatten().tolist() == want
    spread = np.zeros(8)
    for i in range(6):
        spread[i : i + 3] += x[0, 0, i] * w[0, 0]
    assert F.conv_transpose1d(ng.tensor(x), ng.tensor(w)).flatten().tolist() == spread.tolist()


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_margins_are_numpys(mode: str) -> None:
    x = np.arange(12.0).reshape(1, 3, 4)
    numpys = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    want = np.pad(x, ((0, 0), (0, 0), (3, 2)), mode=numpys)  # type: ignore[call-overload]
    assert F.pad(ng.tensor(x), (3, 2), mode=mode).tolist() == want.tolist()


def test_logarithms_of_probabilities_are_bounded() -> None:
    loss = F.binary_cross_entropy(ng.tensor([0.0, 1.0, 0.0]), ng.tensor([0.0, 0.0, 0.5]), reduction="none")
    assert loss.tolist() == [0, 100, 50]


def test_extreme_magnitudes_stay_finite() -> None:
    far = ng.tensor([-1e30, -300.0, 300.0, 1e30], requires_grad=True)
    for function in (F.mish, F.selu, F.celu, F.hardswish, F.softsign):
        out = function(far)
        assert out.isfinite().all() or function is F.hardswish, function.__name__
        (grad,) = ng.autograd.grad(out.sum(), far)
        assert grad.isfinite().all(), function.__name__
    assert F.soft_margin_loss(far, ng.tensor([1.0, 1.0, -1.0, -1.0]), reduction="none").isfinite().all()


def test_pooling_to_nothing() -> None:
    values, places = F.adaptive_max_pool2d(ng.ones(1, 2, 3, 3), (0, 2), return_indices=True)
    assert values.shape == places.shape == (1, 2, 0, 2)
    assert F.adaptive_avg_pool3d(ng.ones(1, 2, 3, 3, 3), (1, 0, 2)).shape == (1, 2, 1, 0, 2)


def test_in_place_forms() -> None:
    for name, further in (
        ("selu_", ()),
        ("celu_", (2.0,)),
        ("hardtanh_", ()),
        ("threshold_", (0.5, 3.0)),
        ("rrelu_", ()),
    ):
        x = ng.tensor([-2.0, 0.25, 3.0])
        want = getattr(F, name[:-1])(x, *further).tolist()
        assert getattr(F, name)(x, *further) is x
        assert x.tolist() == want
    for name in ("mish", "hardswish", "hardsigmoid", "relu6", "dropout2d"):
        x = ng.randn(1, 2, 3, 3)
        assert getattr(F, name)(x, inplace=True) is x


def test_what_is_drawn() -> None:
    ng.manual_seed(0)
    x = ng.ones(40, 50, 2, 2)
    out = F.dropout2d(x, 0.25)
    channels = out.reshape(2000, 4)
    assert (channels == channels[:, :1]).all()
    assert abs(float((out == 0).float().mean()) - 0.25) < 0.05
    kept = F.alpha_dropout(ng.randn(100_000), 0.3, training=True)
    assert abs(float(kept.mean())) < 0.02
    assert abs(float(kept.std()) - 1) < 0.02
    slopes = -F.rrelu(-ng.ones(1000), 0.1, 0.3, training=True)
    assert 0.1 <= float(slopes.min()) < float(slopes.max()) <= 0.3
    hard = F.gumbel_softmax(ng.tensor([[0.0, 2.0]]).expand(4000, 2), hard=True)
    assert abs(float(hard[:, 1].mean()) - 1 / (1 + np.exp(-2))) < 0.03


REFUSALS: list[tuple[Any, type[Exception], str]] = [
    (lambda: F.interpolate(ng.ones(1, 1, 2, 2), 3, mode="bilinear", antialias=True), NotImplementedError, "antialias"),
    (lambda: F.interpolate(ng.ones(1, 1, 2)), ValueError, "either size or scale_factor"),
    (lambda: F.interpolate(ng.ones(1, 1, 2), 3, 2.0), ValueError, "only one of size or scale_factor"),
    (lambda: F.interpolate(ng.ones(1, 1, 2), 3, mode="bilinear"), NotImplementedError, "got bilinear"),
    (lambda: F.interpolate(ng.ones(1, 1, 2), 3, align_corners=True), ValueError, "align_corners option"),
    (lambda: F.interpolate(ng.ones(1, 1, 2), 0), RuntimeError, "greater than 0"),
    (lambda: F.interpolate(ng.ones(1, 1, 2), (3, 3)), ValueError, "same number of spatial dimensions"),
    (lambda: F.one_hot(ng.ones(2)), RuntimeError, "LongTensor"),
    (lambda: F.one_hot(ng.tensor([0, 3]), 3), RuntimeError, "smaller than num_classes"),
    (lambda: F.one_hot(ng.tensor([-1])), RuntimeError, "non-negative"),
    (lambda: F.pad(ng.ones(1, 1, 2), (2, 0), mode="reflect"), RuntimeError, "less than"),
    (lambda: F.pad(ng.ones(1, 1, 2), (3, 0), mode="circular"), RuntimeError, "at most"),
    (lambda: F.pad(ng.ones(1, 1, 2), (1, 0), mode="mirror"), NotImplementedError, "mode is 'mirror'"),
    (lambda: F.binary_cross_entropy(ng.tensor([1.5]), ng.ones(1)), RuntimeError, "between 0 and 1"),
    (lambda: F.binary_cross_entropy(ng.tensor([np.nan]), ng.ones(1)), RuntimeError, "between 0 and 1"),
    (lambda: F.binary_cross_entropy(ng.ones(2), ng.ones(1)), ValueError, "target size"),
    (lambda: F.conv1d(ng.ones(1, 2, 3), ng.ones(1, 3, 2)), RuntimeError, "channels"),
    (
        lambda: F.conv_transpose2d(ng.ones(1, 1, 2, 2), ng.ones(1, 1, 2, 2), output_padding=1),
        RuntimeError,
        "output padding",
    ),
    (lambda: F.conv3d(ng.ones(1, 1, 1, 2, 2), ng.ones(1, 1, 2, 1, 1)), RuntimeError, "Kernel size"),
    (lambda: F.glu(ng.ones(3)), RuntimeError, "must be even"),
    (lambda: F.hardtanh(ng.ones(3), 2.0, 1.0), ValueError, "cannot be greater"),
    (lambda: F.celu(ng.ones(3), 0.0), RuntimeError, "alpha cannot be 0"),
    (lambda: F.prelu(ng.ones(2, 3), ng.ones(2)), RuntimeError, "channel size"),
    (lambda: F.softshrink(ng.ones(3), -1.0), RuntimeError, "lambda must be"),
    (lambda: F.max_unpool1d(ng.ones(1, 1), ng.tensor([[9]]), 2), RuntimeError, "invalid max index"),
    (lambda: F.fold(ng.ones(1, 5, 4), (3, 3), 2), RuntimeError, "divisible"),
    (lambda: F.pixel_shuffle(ng.ones(3, 2, 2), 2), RuntimeError, "divisible by the square"),
    (lambda: F.multi_margin_loss(ng.ones(1, 3), ng.tensor([3])), IndexError, "index"),
    (
        lambda: F.triplet_margin_loss(ng.ones(1, 3), ng.ones(1, 3), ng.ones(1, 3), margin=0.0),
        ValueError,
        "greater than 0",
    ),
    (lambda: F.gaussian_nll_loss(ng.ones(2), ng.ones(2), -1.0), ValueError, "negative entry"),
    (lambda: F.instance_norm(ng.ones(1, 2, 1)), ValueError, "more than 1 spatial element"),
    (lambda: F.embedding_bag(ng.tensor([0]), ng.ones(2, 2), ng.tensor([1])), RuntimeError, "offsets"),
    (
        lambda: F.grid_sample(ng.ones(1, 1, 2, 2), ng.ones(1, 1, 1, 3), align_corners=True),
        RuntimeError,
        "expected 4D or 5D",
    ),
    (lambda: F.dropout1d(ng.ones(1)), RuntimeError, "Expected 2D or 3D"),
    (lambda: ng.nn.TripletMarginLoss(margin=-1.0), ValueError, "greater than 0"),
    (lambda: ng.nn.ReflectionPad2d((1, 2)), TypeError, "an int or 4 of them"),
    (lambda: ng.nn.Unflatten(1, (2, 4))(ng.ones(1, 6)), RuntimeError, "multiply up"),
]


@pytest.mark.parametrize(("call", "error", "match"), REFUSALS)
def test_refused(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()
