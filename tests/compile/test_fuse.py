"""Fused chains and sums: what becomes of results, gradients, aliases and changes in place, and how their rounding differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.nn import functional as F
from numgrad.runtime.target import host_target
from tests.compile import random_steps
from tests.compile.steps import bits
from tests.runtime import processes

TEXT = """\
program 0: 6 launches, arena of 128 bytes
  %0 float32[2, 3] = mul_tanh(argument 0, held 0)  [mul_tanh]
    .0 = mul(argument 0, held 0)
    %0 = tanh(.0)
  %1 float32[] = sum(%0)  [sum_inner]
  %2 float32[] = full()  [fill]
  %3 float32[2, 3] = tanh_backward_mul_backward_other(%2, %0, argument 0)  [tanh_backward_mul_backward_other]
    .0 = tanh_backward(%2, %0)
    %3 = mul_backward_other(.0, argument 0)
  again: the options of SGD
  sgd(table 0, none, held 1) changes held 0  [sgd_factors, sgd]"""


def test_the_text_has_the_formulas() -> None:
    weight = ng.full((2, 3), 0.5, requires_grad=True)
    optimizer = ng.optim.SGD([weight], lr=0.5)

    @ng.jit(fuse=True)
    def step(x: ng.Tensor) -> ng.Tensor:
        optimizer.zero_grad()
        loss = (x * weight).tanh().sum()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(2):
        step(ng.ones(2, 3))
    assert ng.jit.text(step) == TEXT
    noted = ng.jit.stats(step).passes
    assert (noted["fuse"]["chains"], noted["fuse"]["ops"], noted["fuse"]["bytes"]) == (2, 4, 48)
    assert set(noted["fuse"]) == {"chains", "ops", "bytes", "kernels", "seconds"}


def near(got: Any, expected: Any) -> None:
    """The same containers, dtypes, NaNs and infinities; floating point within 16 units in the last place of the largest number."""
    if isinstance(expected, (tuple, list)):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            near(one, other)
    elif isinstance(expected, ng.Tensor):
        assert (got.dtype, got.shape, got.requires_grad) == (expected.dtype, expected.shape, expected.requires_grad)
        if not expected.is_floating_point():
            assert bits(got) == bits(expected)
            return
        eps = ng.finfo(expected.dtype).eps
        one, other = (each.detach().double().numpy() for each in (got, expected))
        scale = np.abs(other[np.isfinite(other)]).max(initial=1e-300)
        np.testing.assert_allclose(one, other, rtol=0, atol=16 * eps * scale)
    else:
        assert got == expected


def check(step: Callable[..., Any], *make: Callable[[], ng.Tensor], chains: int, **counts: int) -> ng.Tensor:
    """Compare the second and third of fused calls with eager ones on arguments of their own; ``chains`` and others are counts."""
    fused = ng.jit(step, fuse=True)
    for _ in range(3):
        one, other = [each() for each in make], [each() for each in make]
        near(fused(*one), step(*other))
        near(one, other)
        near([each.grad for each in one], [each.grad for each in other])
    stats = ng.jit.stats(fused)
    assert stats.replays >= 2
    assert stats.passes["fuse"]["chains"] == chains, ng.jit.text(fused)
    for name, count in counts.items():
        assert stats.passes["sums" if name == "sums" else "fuse"][name] == count, ng.jit.text(fused)
    return fused


def numbers(*shape: int, dtype: Any = ng.float32, grad: bool = False, seed: int = 0) -> Callable[[], ng.Tensor]:
    array = np.random.default_rng(seed).normal(size=shape)
    return lambda: ng.tensor(array).to(dtype).requires_grad_(grad)


scalar = ng.scalar
X, Y, ROW = numbers(4, 6), numbers(4, 6, seed=1), numbers(6, seed=2)


def test_what_is_read_elsewhere_is_written() -> None:
    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        product = x * y
        shifted = product + 1
        return product, shifted.tanh(), (shifted * 2)[1:].sum(), shifted.t() @ x

    check(step, X, Y, chains=1, ops=4, bytes=0)


def test_gradients_are_written() -> None:
    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        loss = ((x * y + 1).tanh() * y).sum()
        loss.backward()
        return loss

    check(step, numbers(4, 6, grad=True), numbers(4, 6, grad=True, seed=1), chains=2)

    def twice(x: ng.Tensor) -> Any:
        (x * x).tanh().sum().backward()
        (x.tanh() * x).sum().backward()  # added to the first one
        return x.grad * 2 + 1

    check(twice, numbers(4, 6, grad=True), chains=3)


def test_changes_in_place_and_views_keep_their_order() -> None:
    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        a = x * y + 1
        b = a.tanh() + a
        a[0] = 5.0
        c = a * y + b
        x.mul_(2)  # an argument
        d = x * y + 1
        e = d.view(24)
        e += 1
        return a, b, c, d * y + 1, (d.t() * 2 + 1).t() * d

    check(step, X, Y, chains=5)


def test_arguments_that_share_memory() -> None:
    def step(x: ng.Tensor) -> Any:
        first, second = x[:2], x[2:]
        a = first * second + 1
        first.copy_(a.tanh() * second)
        return first * second + 1, a * 2 + x[1:3]

    check(step, X, chains=2)


@pytest.mark.parametrize("dtype", [ng.float16, ng.bfloat16], ids=str)
def test_halves(dtype: Any) -> None:
    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        return ((x * y).tanh() + x).float() * 2

    check(step, numbers(4, 6, dtype=dtype), numbers(4, 6, dtype=dtype, seed=1), chains=1, ops=13)


def test_integers_bools_and_conversions() -> None:
    def step(x: ng.Tensor, k: ng.Tensor) -> Any:
        small = (k * 100 + 100).to(ng.int8) * 3  # wraps at each step
        mask = ((x > 0) & (k > 1)) | (x != x)
        return small, mask, ng.where(mask, x * 2, x - 1).to(ng.int32) + 1, (x * 3.7).to(ng.int64) * k, mask.float() * x

    check(step, X, lambda: ng.arange(24).reshape(4, 6) % 5, chains=3)


def test_nan_infinity_and_zeros_with_signs() -> None:
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, 3e38, 1.0]

    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        return (x * y + x).abs() - y, 1 / (x * y), ng.maximum(x - y, -y) * 0

    grid = np.array(np.meshgrid(values, values), np.float32)
    fused = check(step, lambda: ng.tensor(grid[0]), lambda: ng.tensor(grid[1]), chains=3)
    for one, other in zip(fused(*map(ng.tensor, grid)), step(*map(ng.tensor, grid)), strict=True):
        np.testing.assert_array_equal(np.signbit(one.numpy()), np.signbit(other.numpy()))


def test_ops_of_users() -> None:
    """Of any name, with constants of their own; those that share a name are two."""
    twice, thrice = (ng.elementwise(lambda x, factor=factor: factor * x / (1 + x * x)) for factor in (2.0, 3.0))
    swish = ng.elementwise("my-swish (β)")
    swish.forward(lambda input: input / (1 + scalar.exp(-input)))

    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        out = thrice(twice(x) + y)
        out.sum().backward()
        return out, swish((x * y).detach()) * 2

    check(step, numbers(4, 6, grad=True), Y, chains=2)


def test_layouts() -> None:
    def step(x: ng.Tensor, y: ng.Tensor, row: ng.Tensor) -> Any:
        return (
            (x * row + y).tanh() * 2.5,
            ((x.t() * y.t()).tanh() + 1),
            (x[:, ::2] * y[:, ::2] + 1) * row[::2],
            row * row + 1,
        )

    check(step, X, Y, ROW, chains=4)
    check(step, numbers(0, 6), numbers(0, 6), ROW, chains=1)


def test_other_shapes_and_random_numbers_are_no_members() -> None:
    def step(x: ng.Tensor, row: ng.Tensor) -> Any:
        wide = (row * 2).tanh() + x  # computed once for a row, and not for each element
        return F.dropout(wide, 0.5) * 2, wide

    def run(wrapped: Any) -> Any:
        ng.manual_seed(3)
        return [wrapped(X(), ROW()) for _ in range(3)]

    fused = ng.jit(step, fuse=True)
    near(run(fused), run(step))
    assert ng.jit.stats(fused).passes["fuse"]["ops"] == 2  # row * 2 and its tanh


@pytest.mark.parametrize("shape", [(70, 130), (3, 5000), (4, 9, 200)])
def test_sums(shape: tuple[int, ...]) -> None:
    """Of rows, columns and all, with what is added up kept or not."""

    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        term = (x - y) * (x - y)
        return term.mean(), ((x + 1) * y).sum(-1), ((x - 1) * y).sum(0), ((x + 2) * y).mean((0, 1), keepdim=True)

    args = numbers(*shape), numbers(*shape, seed=1)
    fused = ng.jit(step, fuse=True)
    x, y = (each() for each in args)
    wide = x.double().numpy(), y.double().numpy()
    terms = (wide[0] - wide[1]) ** 2, *((wide[0] + k) * wide[1] for k in (1, -1, 2))
    exact = terms[0].mean(), terms[1].sum(-1), terms[2].sum(0), terms[3].mean((0, 1), keepdims=True)
    for _ in range(2):
        results = fused(x, y)
    for got, eager, expected in zip(results, step(x, y), exact, strict=True):
        assert (got.shape, got.dtype) == (eager.shape, eager.dtype)
        scale = np.abs(expected).max()
        assert np.abs(got.numpy() - expected).max() <= max(4e-7 * scale, 1.5 * np.abs(eager.numpy() - expected).max())
    assert ng.jit.stats(fused).passes["sums"]["sums"] >= 3, ng.jit.text(fused)


def test_sums_have_the_same_bits_for_any_number_of_threads() -> None:
    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        return ((x - y) * (x - y)).mean(), ((x + 1) * y).sum(-1), ((x - 1) * y).sum(0)

    x, y = numbers(300, 700)(), numbers(300, 700, seed=1)()
    before, seen = ng.get_num_threads(), set()
    try:
        for count in (1, 2, 4):
            ng.set_num_threads(count)
            fused = ng.jit(step, fuse=True)
            fused(x, y)
            seen.add(repr(bits(fused(x, y))))
            assert ng.jit.stats(fused).passes["sums"]["sums"] == 3
    finally:
        ng.set_num_threads(before)
    assert len(seen) == 1


def test_products_of_one_op_are_contracted_with_sums_of_the_next() -> None:
    """A fused multiply-add rounds once, where two ops round twice: the one way in which chains differ from their ops."""
    rng = np.random.default_rng(0)
    x = (1 + rng.integers(1, 2000, (4, 16)) * 2.0**-12).astype(np.float32)
    z = -(x.astype(np.float32) * x)
    tensors = ng.tensor(x), ng.tensor(z)
    fused = ng.jit(lambda x, z: x * x + z, fuse=True)
    for _ in range(2):
        got = fused(*tensors).numpy()
    once = (x.astype(np.float64) * x + z).astype(np.float32)  # exact before the last rounding
    assert (once != 0).any()
    np.testing.assert_array_equal(got, once if host_target().name != "scalar" else np.zeros_like(once))
    assert not (tensors[0] * tensors[0] + tensors[1]).numpy().any()


def test_a_network_trains_as_it_does_eagerly() -> None:
    def build() -> Any:
        ng.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 16), nn.Softplus(), nn.Linear(16, 1))
        optimizer = ng.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)

        def step(x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
            optimizer.zero_grad()
            loss = (ng.log(ng.cosh(model(x) - y)) + 0.5 * (model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step, model

    (step, model), (other, twin) = build(), build()
    fused = ng.jit(other, fuse=True)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = ng.tensor(rng.normal(size=(32, 4))).float(), ng.tensor(rng.normal(size=(32, 1))).float()
        assert abs(step(x, y).item() - fused(x, y).item()) < 1e-5
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), rtol=0, atol=1e-5)
    stats = ng.jit.stats(fused)
    assert stats.passes["fuse"]["chains"] >= 3
    assert stats.replays == 18


SCRIPT = """
import numgrad as ng
fused = ng.jit(lambda x, y: (x * y + 1).tanh() * y, fuse=True)
for _ in range(2):
    fused(ng.ones(4, 6), ng.ones(4, 6))
import sys
print(ng.jit.stats(fused).passes["fuse"]["kernels"], "numba" in sys.modules)
"""


def test_another_process_compiles_nothing() -> None:
    processes.run(SCRIPT)
    assert processes.run(SCRIPT).stdout.split() == ["0", "False"]


def test_random_programs_are_near() -> None:
    wrong, replayed, count = random_steps.mismatches(range(4), same=random_steps.nearly, fuse=True)
    assert not wrong, wrong[0]
    assert replayed >= count // 2


@pytest.mark.soak
def test_without_contraction_random_programs_have_the_same_bits() -> None:
    done = processes.run(
        "from tests.compile import random_steps; random_steps.main(['--count', '150', '--fuse'])", timeout=3000
    )
    assert "150 programs" in done.stdout
    assert " 0 differ" in done.stdout


def test_a_chain_of_words_with_quick_forms_has_one() -> None:
    """Some stretches have an angle outside of the quick form's domain; the bits are those of the ops, one by one."""
    x = ng.linspace(-9, 9, 2000)
    x[500] = 1e30

    def step(x: Any) -> Any:
        return ng.cos(2 * ng.sin(x)) % 0.75

    fused = ng.jit(step, fuse=True)
    results = [fused(x) for _ in range(3)]
    assert ng.jit.stats(fused).passes["fuse"]["chains"] == 1
    for result in results:
        assert ng.equal(result, step(x))
