"""`ctc_loss` and fractional max-pooling, whose gradients and draws are compared with torch's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

F = ng.nn.functional
SCORES = np.random.default_rng(3).normal(size=(6, 3, 5))
TARGETS = np.array([[1, 2, 2], [3, 0, 0], [4, 4, 4]])
INPUTS, COUNTS = (6, 4, 3), (3, 1, 3)  # the last needs five steps


def _loss(library: Any, array: Any, **options: Any) -> tuple[Any, Any]:
    """The loss of scores, and its gradient for the scores."""
    scores = library.tensor(array, requires_grad=True)
    targets = library.tensor(options.pop("targets", TARGETS))
    loss = library.nn.functional.ctc_loss(scores.log_softmax(-1), targets, INPUTS, COUNTS, **options)
    loss.sum().backward()
    return loss, scores.grad


@pytest.mark.parametrize(
    "options",
    [
        {"reduction": "none", "zero_infinity": True},
        {"zero_infinity": True},
        {"reduction": "sum", "zero_infinity": True, "blank": 0},
        {"targets": np.array([1, 2, 2, 3, 4, 4, 4]), "zero_infinity": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ctc_loss_and_its_gradient_are_torchs(options: dict[str, Any], dtype: str, torch: ModuleType) -> None:
    mine, theirs = (_loss(library, SCORES.astype(dtype), **options) for library in (ng, torch))
    for got, expected in zip(mine, theirs, strict=True):
        rough = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(got.detach().numpy(), expected.detach().numpy(), rough, rough)


def test_ctc_loss_has_derivatives_of_higher_order() -> None:
    scores = ng.tensor(SCORES[:4, :2, :4], requires_grad=True)

    def loss(x: Any) -> Any:
        return F.ctc_loss(x.log_softmax(-1), ng.tensor([[1, 1], [3, 0]]), (4, 3), (2, 1), reduction="sum")

    assert ng.autograd.gradcheck(loss, scores, check_forward_ad=True)
    assert ng.autograd.gradgradcheck(loss, scores)


def test_ctc_loss_of_many_examples() -> None:
    scores = ng.tensor(np.random.default_rng(0).normal(size=(3, 6, 2, 5)))

    def loss(x: Any) -> Any:
        return F.ctc_loss(x, ng.tensor([[1, 2], [3, 3]]), (6, 5), (2, 2), reduction="none")

    together = ng.func.vmap(loss)(scores)
    np.testing.assert_allclose(together.numpy(), np.stack([loss(each).numpy() for each in scores]), 1e-12)


def test_an_impossible_sequence_has_an_infinite_loss_and_no_gradient() -> None:
    scores = ng.zeros(1, 1, 3).log_softmax(-1).requires_grad_()
    loss = F.ctc_loss(scores, ng.tensor([[1, 2]]), (1,), (2,), reduction="sum")
    loss.backward()
    assert loss.item() == float("inf")
    assert scores.grad.tolist() == [[[0, 0, 0]]]


_LOG_PROBS = "lib.zeros(5, 2, 4).log_softmax(-1)"
REFUSED = [
    "(6, 5), (2, 2)",
    "(5, 5), (3, 2)",
    "(5, 5, 5), (2, 2)",
    "(5, 5), (2,)",
    "(5, 5), (2, 2), blank=4",
    "(5, 5), (2, 2), blank=-1",
    "(5, 5), (2, 2), reduction='x'",
    "(-1, 5), (2, 2)",
    "lib.tensor([5.0, 5.0]), lib.tensor([2, 2])",
]


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_ctc_loss_refuses(arguments: str, torch_says: Any) -> None:
    def asked(lib: Any) -> str:
        call = f"lib.nn.functional.ctc_loss({_LOG_PROBS}, lib.tensor([[1, 2], [3, 3]]), {arguments})"
        with pytest.raises((RuntimeError, ValueError)) as caught:
            eval(call, {"lib": lib})
        return ValueError.__name__ if isinstance(caught.value, ValueError) else RuntimeError.__name__

    assert asked(ng) == torch_says(asked)


def test_labels_that_are_no_class_are_refused() -> None:
    with pytest.raises(IndexError, match="sequence 1 has a label that is no class"):
        F.ctc_loss(ng.zeros(5, 2, 4), ng.tensor([[1, 2], [3, 7]]), (5, 5), (2, 2))


@pytest.mark.parametrize(
    ("ndim", "size", "window"), [(2, (3, 4), 2), (2, (5, 1), (3, 2)), (3, (2, 3, 2), 2), (3, (1, 4, 3), (2, 1, 2))]
)
def test_fractional_pools_with_torchs_numbers(ndim: int, size: Any, window: Any, torch: ModuleType) -> None:
    rng = np.random.default_rng(0)
    image, samples = rng.normal(size=(2, 3, 7, 8, 5)[: 2 + ndim]), rng.random((2, 3, ndim))
    results = []
    for library in (ng, torch):
        x = library.tensor(image, requires_grad=True)
        pool = getattr(library.nn.functional, f"fractional_max_pool{ndim}d")
        values, indices = pool(x, window, size, return_indices=True, _random_samples=library.tensor(samples))
        (values * values).sum().backward()
        results.append([values.detach().numpy(), indices.numpy(), x.grad.numpy()])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_fractional_pools_draw_from_the_generator() -> None:
    x = ng.rand(1, 1, 9, 9)
    outs = []
    for _ in range(2):
        ng.manual_seed(4)
        outs.append(F.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.7)))
    assert outs[0].shape == (1, 1, 4, 6)
    assert ng.equal(*outs)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: F.fractional_max_pool2d(x, 2), ValueError, "requires specifying either"),
        (
            lambda x: F.fractional_max_pool2d(x, 5, 3),
            RuntimeError,
            "pool height 5 too large relative to input height 6",
        ),
        (lambda x: F.fractional_max_pool2d(x, 2, (3, 3, 3)), RuntimeError, "output_size must be"),
        (lambda x: F.fractional_max_pool2d(x[:, :0], 2, 3), RuntimeError, "dimension 1 being empty"),
        (lambda x: F.fractional_max_pool2d(x.long(), 2, 3), RuntimeError, "not implemented for 'Long'"),
        (
            lambda x: F.fractional_max_pool2d(x, 2, 3, _random_samples=ng.rand(1, 2, 2).double()),
            RuntimeError,
            "same dtype as input",
        ),
        (
            lambda x: F.fractional_max_pool2d(x, 2, 3, _random_samples=ng.tensor([[[0.5, 1.5]] * 2])),
            RuntimeError,
            "not between 0 and 1",
        ),
        (lambda x: ng.nn.FractionalMaxPool2d(2), ValueError, "requires specifying either"),
        (lambda x: ng.nn.FractionalMaxPool2d(2, 3, 0.5), ValueError, "only one of"),
        (lambda x: ng.nn.FractionalMaxPool3d(2, None, 1.5), ValueError, "between 0 and 1"),
        (lambda x: ng.nn.FractionalMaxPool3d(0, 3), ValueError, "must be greater than 0"),
    ],
)
def test_what_fractional_pools_refuse(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call(ng.rand(1, 2, 6, 7))
