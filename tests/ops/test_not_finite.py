"""A NaN or an infinity reaches the results that see it, and no others: of any op, of other examples, of later queries."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import numgrad as ng
import numgrad.nn.functional as F
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS
from tests.ops.applying import apply, as_array, expected, tensors
from tests.ops.rows import Sample
from tests.ops.samples import SAMPLES, all_samples
from tests.ops.test_batching import ROWS

VALUES = (np.nan, np.inf, -np.inf)
# A weight meets the zeros of the padding (in torch, too), this op's base is what it writes into, and that is no probability.
NOT_READ = {
    ("conv2d_backward", "weight"),
    ("conv2d_backward_input", "weight"),
    ("copy_slices", "base"),
    ("binary_cross_entropy", "input"),
    ("frexp_mantissa", "exponent"),  # always a whole number
    ("max_boxes", "samples"),  # numbers from 0 to 1
}
# Their oracles are series, of finite numbers.
SERIES = {"igamma", "igammac", "polygamma", "zeta"}
# Iterations over such numbers need not end: these refuse them, in whichever example.
REFUSED = {"linalg_eigh", "linalg_eigvalsh", "linalg_lstsq", "linalg_pinv", "linalg_svd", "linalg_svdvals"}
# A matrix with such a number has no factors: what comes of it is NaN, and what comes of the others of a batch is not.
WHOLE = {"linalg_cholesky_ex", "linalg_inv_ex", "linalg_solve_ex"}


def samples() -> list[Sample]:
    """Rows with an oracle; of elementwise ops the first alone."""
    chosen: dict[Any, Sample] = {}
    for number, sample in enumerate(all_samples()):
        op = OPS[sample.op]
        if (
            op.random
            or op.oracle_function is None
            or op.public == 0
            or not sample.small
            or sample.op in REFUSED | SERIES
        ):
            continue
        chosen.setdefault(sample.op if isinstance(op, Elementwise) else number, sample)
    return list(chosen.values())


@pytest.mark.parametrize("sample", samples(), ids=str)
def test_no_more_than_the_oracle_says(sample: Sample) -> None:
    rng = np.random.default_rng(0)
    for place, array in enumerate(sample.arrays()):
        if array is None or array.dtype.kind != "f" or not array.size:
            continue
        if (sample.op, OPS[sample.op].inputs[min(place, len(OPS[sample.op].inputs) - 1)]) in NOT_READ:
            continue
        for value in VALUES:
            arrays = [None if x is None else x.copy() for x in sample.arrays()]
            spoilt = tuple(rng.integers(0, extent) for extent in array.shape)
            arrays[place][spoilt] = value
            for want, got in zip(
                expected(sample, arrays), apply(sample.op, tensors(arrays), sample.params), strict=True
            ):
                if want.dtype.kind == "f" and got.is_floating_point():
                    spoiled = np.isfinite(want) & ~np.isfinite(as_array(got))
                    if sample.op in WHOLE and place == 0:
                        spoiled[spoilt[:-2]] = False
                    assert not spoiled.any(), (place, value, np.argwhere(spoiled))


@pytest.mark.parametrize("sample", [sample for sample in ROWS if sample.op not in REFUSED], ids=str)
def test_other_examples_of_vmap(sample: Sample) -> None:
    clean = [
        None if x is None else np.stack([np.roll(x.ravel(), 2 * k).reshape(x.shape) for k in range(3)])
        for x in sample.arrays()
    ]
    planted = [x if x is None or x.dtype.kind != "f" else x.copy() for x in clean]
    for x, name in zip(planted, OPS[sample.op].inputs, strict=False):
        if x is not None and x.dtype.kind == "f" and (sample.op, name) != ("binary_cross_entropy", "input"):
            x[1] = np.nan  # which is no probability

    def found(arrays: list[Any]) -> list[np.ndarray]:
        dims = tuple(None if x is None else 0 for x in arrays)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results = ng.func.vmap(lambda *each: apply(sample.op, each, sample.params), in_dims=dims)(*tensors(arrays))
        return [as_array(y) for y in results]

    for want, got in zip(found(clean), found(planted), strict=True):
        scale = np.abs(want[np.isfinite(want)]).max(initial=0.0) if want.dtype.kind == "f" and want.size else 0.0
        for k in (0, 2):
            np.testing.assert_allclose(got[k], want[k], rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("sample", [rows[0] for name, rows in SAMPLES.items() if name in REFUSED], ids=str)
def test_some_refuse_them(sample: Sample) -> None:
    for value in VALUES:
        arrays = [None if x is None else x.copy() for x in sample.arrays()]
        arrays[0].flat[0] = value
        with pytest.raises(ng.linalg.LinAlgError, match="failed to converge"):
            apply(sample.op, tensors(arrays), sample.params)


def test_a_pixel_of_conv2d() -> None:
    weight = ng.randn(64, 64, 3, 3, requires_grad=True)
    assert ng.ops.conv.algorithms((4, 64, 32, 32), (64, 64, 3, 3), padding=(1, 1))["forward"].algorithm == "winograd4"
    for value, wrong in ((np.nan, lambda y: ~y.isfinite()), (1e8, lambda y: y != 0)):
        x = ng.zeros(4, 64, 32, 32)
        x[1, 2, 8, 9] = value
        x.requires_grad_()
        out = F.conv2d(x, weight, padding=1)
        assert wrong(out).sum().item() == 9 * 64
        grad = ng.zeros(4, 64, 32, 32)
        grad[0, 0, 0, 0] = value
        of_input, of_weight = ng.autograd.grad(out, (x, weight), grad)
        assert wrong(of_input).sum().item() == 4 * 64
        if value == 1e8:  # the pixels do not meet
            assert not of_weight.any()


def test_groups_of_conv2d() -> None:
    x = ng.ones(1, 6, 4, 4)
    x[0, 0, 0, 0] = np.nan
    out = F.conv2d(x, ng.ones(6, 2, 1, 1), groups=3)
    assert out.isnan().sum(dim=(0, 2, 3)).tolist() == [1, 1, 0, 0, 0, 0]


def test_examples_of_vmapped_convolutions() -> None:
    x, weight = ng.randn(3, 2, 4, 9, 9), ng.randn(3, 4, 4, 3, 3)
    x[1] = np.inf

    def loss(image, filters):
        return F.conv2d(image, filters, padding=1).square().sum()

    grads = ng.func.vmap(ng.func.grad(loss, argnums=(0, 1)))(x, weight)
    for grad in grads:
        assert grad.isfinite().flatten(1).all(dim=1).tolist() == [True, False, True]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", [0, 5, 63, 64, 79])
def test_causal_attention(place: int, value: float) -> None:
    """Query i sees the keys up to i; a key's gradient comes from the queries that see it."""
    rng = np.random.default_rng(0)
    clean = [rng.standard_normal((1, 2, 80, 8)).astype("f4") for _ in range(4)]

    def results(arrays: list[np.ndarray]) -> list[np.ndarray]:
        q, k, v = (ng.tensor(x, requires_grad=True) for x in arrays[:3])
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return [as_array(t) for t in (out, *ng.autograd.grad(out, (q, k, v), ng.tensor(arrays[3])))]

    here, before, after, everything = [place], range(place + 1), range(place, 80), range(80)
    reached = {  # rows of (output, gradients of query, key, value)
        0: (here, here, before, before),
        1: (after, after, everything, everything),
        2: (after, after, everything, everything),
        3: ((), here, before, before),
    }
    wanted = results(clean)
    for which, rows in reached.items():
        arrays = [x.copy() for x in clean]
        arrays[which][0, 0, place, 3] = value
        for got, want, touched in zip(results(arrays), wanted, rows, strict=True):
            others = [row for row in range(80) if row not in touched]
            np.testing.assert_allclose(got[0, 0, others], want[0, 0, others], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(got[0, 1], want[0, 1], rtol=1e-4, atol=1e-5)


def test_batch_norm_of_constant_statistics() -> None:
    """Each element has a gradient of its own, whose neighbours' NaN is not its."""
    for layer in (ng.nn.BatchNorm2d(3).eval(), ng.nn.BatchNorm1d(3).eval()):
        x = ng.randn(4, 3, *(2, 2) * (type(layer) is ng.nn.BatchNorm2d), requires_grad=True)
        grad = ng.ones(x.shape)
        grad.view(4, -1)[1, 0] = np.nan
        (found,) = ng.autograd.grad(layer(x), x, grad)
        assert found.isnan().sum().item() == 1


def test_gelu_of_large_negative_numbers_is_nothing() -> None:
    x = ng.tensor([-1e30, -1e5, -104.0, -8.0, 8.0, 1e5], requires_grad=True)
    y = F.gelu(x)
    y.sum().backward()
    assert y.tolist() == [0, 0, 0, 0, 8, 1e5]
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, 0, 0, 1, 1], atol=1e-12)


def test_airy_far_from_zero() -> None:
    far = ng.tensor([1e15, 1e300, np.inf, -np.inf]).double()
    assert ng.special.airy_ai(far).tolist() == [0, 0, 0, 0]
    waves = ng.tensor([-1.2e5, -1e6, -87492128.0])  # as exact in float32 as in float64
    np.testing.assert_allclose(ng.special.airy_ai(waves).numpy(), ng.special.airy_ai(waves.double()).numpy(), rtol=1e-6)
