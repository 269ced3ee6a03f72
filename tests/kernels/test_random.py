from __future__ import annotations

import math

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.kernels import random as kernels

from .running import run

TYPES = {np.float32: dtypes.float32, np.float64: dtypes.float64, np.int64: dtypes.int64, np.bool_: dtypes.bool_}


def state(seed: int = 7, counter: int = 0) -> np.ndarray:
    return np.array([seed, counter], np.int64)


def draw(planner, dtype, n, seed=7, counter=0, counts=(0,)):
    s = state(seed, counter)
    out = run(lambda b, s_: planner(b, b.output(TYPES[dtype], (n,)), b.in_place(s_)), s, counts=counts)[0]
    return out, int(s[1])


def reference_words(seed: int, counter: int, count: int) -> np.ndarray:
    """Philox4x32-10 written from the paper, with Python's ints."""
    words = []
    for block in range(count):
        c = [(counter + block) & 0xFFFFFFFF, (counter + block) >> 32, 0, 0]
        k = [seed & 0xFFFFFFFF, seed >> 32]
        for _ in range(10):
            p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
            k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
        words.append(c)
    return np.array(words, np.uint64)


def test_reference_is_philox() -> None:
    # Known answer of the paper's authors, for counter and key of zeros.
    assert [hex(w) for w in reference_words(0, 0, 1)[0]] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def test_uniform_is_philox() -> None:
    words = reference_words(1234567890123, 99, 32).reshape(2, 16, 4).transpose(0, 2, 1).reshape(2, 64)
    out, counter = draw(kernels.plan_uniform, np.float32, 100, seed=1234567890123, counter=99)
    np.testing.assert_array_equal(out, ((words.ravel() >> 8) * 2.0**-24)[:100].astype(np.float32))
    assert counter == 99 + 32
    out, counter = draw(kernels.plan_uniform, np.float64, 40, seed=1234567890123, counter=99)
    want = (((words[:, :32] >> 5) << 26) | (words[:, 32:] >> 6)) * 2.0**-53
    np.testing.assert_array_equal(out, want.ravel()[:40])
    assert counter == 99 + 32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 100_003])
def test_uniform(n: int, dtype) -> None:
    out, _ = draw(lambda b, o, s: kernels.plan_uniform(b, o, s, -2, 3), dtype, n, counts=(1, 2, 3))
    assert ((out >= -2) & (out <= 3)).all()
    if n > 1000:
        assert abs(out.mean() - 0.5) < 0.03
        assert abs(out.var() - 25 / 12) < 0.03
        assert len(np.unique(out)) > 0.99 * n
        histogram = np.histogram(out, 50, (-2, 3))[0]
        assert (np.abs(histogram - n / 50) < 6 * math.sqrt(n / 50)).all()
        # Neighbours and elements a group apart are not correlated.
        for lag in (1, 16, 32, 64):
            assert abs(np.corrcoef(out[:-lag], out[lag:])[0, 1]) < 0.02


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 33, 64, 100_003])
def test_normal(n: int, dtype) -> None:
    out, _ = draw(lambda b, o, s: kernels.plan_normal(b, o, s, 1, 2), dtype, n, counts=(1, 2, 3))
    assert np.isfinite(out).all()
    if n > 1000:
        z = (np.sort(out.astype(np.float64)) - 1) / 2
        cumulative = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])
        assert np.abs(cumulative - (np.arange(n) + 0.5) / n).max() < 1.8 / math.sqrt(n)  # Kolmogorov and Smirnov
        assert abs(z.mean()) < 0.015
        assert abs(z.var() - 1) < 0.02
        assert abs((z**4).mean() - 3) < 0.15
        for lag in (1, 16, 32, 64):
            assert abs(np.corrcoef(out[:-lag], out[lag:])[0, 1]) < 0.02


@pytest.mark.parametrize("n", [64, 100, 31])
def test_normal_float32_is_box_and_muller(n: int) -> None:
    words = reference_words(5, 3, 32).reshape(2, 16, 4).transpose(0, 2, 1).reshape(2, 64).astype(np.int64) >> 8
    radius = np.sqrt(-2 * np.log((words[:, :32] + 1) * 2.0**-24))
    angle = 2 * np.pi * words[:, 32:] * 2.0**-24
    want = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:n]
    out, _ = draw(lambda b, o, s: kernels.plan_normal(b, o, s, 1, 2), np.float32, n, seed=5, counter=3)
    np.testing.assert_allclose(out, 1 + 2 * want, rtol=0, atol=3e-6)


@pytest.mark.parametrize("word", [0, 255, 1 << 8, (1 << 32) - 1, 1 << 29, (1 << 29) - 256, 3 << 29, 1 << 31, 7 << 29])
def test_normal_float32_at_the_ends(word: int) -> None:
    turn = (word >> 8) * 2.0**-24
    wanted = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    np.testing.assert_allclose(kernels.direction_of(np.int64(word)), wanted, rtol=0, atol=1.5e-7)
    assert 0 <= kernels.radius_of(np.int64(word)) < 5.8


def test_integers() -> None:
    out, _ = draw(lambda b, o, s: kernels.plan_randint(b, o, s, -3, 4), np.int64, 70_001, counts=(1, 2, 3))
    assert set(np.unique(out)) == set(range(-3, 4))
    assert (np.abs(np.bincount(out + 3) - 10_000) < 500).all()
    out, _ = draw(lambda b, o, s: kernels.plan_randint(b, o, s, -(2**63), 2**63), np.int64, 10_000)
    assert out.min() < -(2**62)
    assert out.max() > 2**62
    out, _ = draw(lambda b, o, s: kernels.plan_randint(b, o, s, -(2**62), 2**63), np.int64, 10_000)
    assert out.min() >= -(2**62)
    assert out.max() > 2**62


@pytest.mark.parametrize("dtype", [np.float32, np.bool_, np.int64])
def test_bernoulli(dtype) -> None:
    for p in (0.0, 0.3, 1.0):
        out, _ = draw(lambda b, o, s, p=p: kernels.plan_bernoulli(b, o, s, p), dtype, 50_001, counts=(1, 2, 3))
        assert set(np.unique(out)) <= {0, 1}
        assert abs(out.mean() - p) < 0.01 * (0 < p < 1) + 1e-12


def test_bernoulli_of_a_tensor() -> None:
    p = np.repeat(np.array([0, 0.25, 0.5, 1], np.float32), 20_000)
    out = run(
        lambda b, p_, s: kernels.plan_bernoulli(b, b.output(dtypes.float32, p.shape), b.in_place(s), p_), p, state()
    )[0]
    means = out.reshape(4, -1).mean(1)
    assert means[0] == 0
    assert means[3] == 1
    assert (np.abs(means - [0, 0.25, 0.5, 1]) < 0.02).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout(dtype) -> None:
    x = np.random.default_rng(0).standard_normal(50_001).astype(dtype) + 10

    def planner(b, x_, s, p):
        kernels.plan_dropout(b, x_, b.output(x_.spec.dtype, x.shape), b.output(dtypes.bool_, x.shape), b.in_place(s), p)

    for p in (0.0, 0.25, 1.0):
        out, mask = run(lambda b, x_, s, p=p: planner(b, x_, s, p), x, state(), counts=(1, 2, 3))
        assert abs(mask.mean() - (1 - p)) < 0.01
        np.testing.assert_allclose(out, np.where(mask, x / (1 - p) if p < 1 else 0, 0), rtol=1e-6)


def test_permutation() -> None:
    out, counter = draw(kernels.plan_randperm, np.int64, 1000)
    assert sorted(out) == list(range(1000))
    assert counter == 1000
    assert (out != np.arange(1000)).mean() > 0.9
    firsts = np.bincount([draw(kernels.plan_randperm, np.int64, 5, seed=s)[0][0] for s in range(500)], minlength=5)
    assert (np.abs(firsts - 100) < 50).all()


def test_a_stream_goes_on_where_it_stopped() -> None:
    whole, _ = draw(kernels.plan_uniform, np.float32, 256)
    first, counter = draw(kernels.plan_uniform, np.float32, 128)
    second, _ = draw(kernels.plan_uniform, np.float32, 128, counter=counter)
    np.testing.assert_array_equal(whole, np.concatenate([first, second]))
    assert not (draw(kernels.plan_uniform, np.float32, 256, seed=8)[0] == whole).any()
