from __future__ import annotations

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.kernels.update import PIECE, Pieces, plan_adam, plan_sgd

from .running import run

rng = np.random.default_rng(0)
LENGTHS = [0, 1, 7, 1000, PIECE, 2 * PIECE + 5]
TYPES = {np.float32: dtypes.float32, np.float64: dtypes.float64}


def tensors(dtype) -> list[np.ndarray]:
    return [rng.standard_normal(n).astype(dtype) for n in LENGTHS]


def table(columns: list[list[np.ndarray] | None], flags: tuple[int, ...]) -> np.ndarray:
    rows = [[0 if c is None else c[i].ctypes.data for c in columns] for i in range(len(LENGTHS))]
    present, marks = [column is not None for column in columns], [[flag] * len(rows) for flag in flags]
    return Pieces(LENGTHS, columns[0][0].itemsize, present, marks).table(np.array(rows))


def close(got: list[np.ndarray], want: list[np.ndarray], dtype) -> None:
    for a, b in zip(got, want, strict=True):
        tolerance = 1e-6 if dtype == np.float32 else 1e-13
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


SGD = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
    {"momentum": 0.9, "nesterov": 1, "weight_decay": 0.01},
    {"momentum": 0.5, "maximize": 1},
]


def sgd_step(p, g, buffer, lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=0, maximize=0):
    g = (-g if maximize else g) + weight_decay * p
    if momentum:
        buffer = g if buffer is None else momentum * buffer + (1 - dampening) * g
        g = g + momentum * buffer if nesterov else buffer
    return p - lr * g, buffer


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", SGD)
def test_sgd(options, dtype) -> None:
    params, buffers = tensors(dtype), [np.full(n, np.nan, dtype) for n in LENGTHS]
    grads = tensors(dtype)
    rows = table([params, grads, buffers], (1,))
    names = ("momentum", "dampening", "weight_decay", "nesterov", "maximize")
    hyper = np.array([0.1, *(float(options.get(name, 0)) for name in names)])
    want, want_buffers = [p.astype(np.float64) for p in params], [None] * len(params)
    for step in range(4):
        hyper[0] = lr = 0.1 / (step + 1)
        for g in grads:
            g[...] = rng.standard_normal(len(g))
        for i, g in enumerate(grads):
            want[i], want_buffers[i] = sgd_step(want[i], g.astype(np.float64), want_buffers[i], lr=lr, **options)
        run(lambda b, t, h: plan_sgd(b, t, h, TYPES[dtype]), rows, hyper)
    close(params, want, dtype)
    if options.get("momentum"):
        close(buffers, want_buffers, dtype)
        assert (rows[:, 3] == 0).all()


def test_infinite_parameters_do_not_leak_through_a_weight_decay_of_zero() -> None:
    p, g = [np.array([np.inf], np.float32)], [np.array([1], np.float32)]
    rows = Pieces([1], 4, (True, True, False), [(1,)]).table(np.array([(p[0].ctypes.data, g[0].ctypes.data, 0)]))
    run(lambda b, t, h: plan_sgd(b, t, h, dtypes.float32), rows, np.array([0.1, 0, 0, 0, 0, 0]))
    assert p[0][0] == np.inf


ADAM = [
    {},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decoupled": 1},
    {"amsgrad": 1, "beta1": 0.3},
    {"maximize": 1, "eps": 1e-3},
]


def adam_step(
    p, g, m, v, top, step, lr, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.0, decoupled=0, maximize=0, amsgrad=0
):
    g = -g if maximize else g
    p = p * (1 - lr * weight_decay) if decoupled else p
    g = g if decoupled else g + weight_decay * p
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    top = np.maximum(top, v)
    root = np.sqrt((top if amsgrad else v) / (1 - beta2**step))
    return p - lr / (1 - beta1**step) * m / (root + eps), m, v, top


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", ADAM)
def test_adam(options, dtype) -> None:
    params, grads = tensors(dtype), tensors(dtype)
    means, squares, tops = ([np.zeros(n, dtype) for n in LENGTHS] for _ in range(3))
    rows = table([params, grads, means, squares, tops if options.get("amsgrad") else None], ())
    defaults = {
        "beta1": 0.9,
        "beta2": 0.99,
        "eps": 1e-8,
        "weight_decay": 0,
        "decoupled": 0,
        "maximize": 0,
        "amsgrad": 0,
    }
    hyper, state = np.array([0.01, *({**defaults, **options}).values()]), np.zeros(3)
    want = [[a.astype(np.float64) for a in four] for four in zip(params, means, squares, tops, strict=True)]
    for step in range(1, 5):
        hyper[0] = lr = 0.01 * step
        for g in grads:
            g[...] = rng.standard_normal(len(g))
        for i, g in enumerate(grads):
            want[i] = adam_step(want[i][0], g.astype(np.float64), *want[i][1:], step, lr, **options)
        run(lambda b, t, h, s: plan_adam(b, t, h, s, TYPES[dtype]), rows, hyper, state)
    assert state[0] == 4
    close(params, [w[0] for w in want], dtype)
    close(means, [w[1] for w in want], dtype)
    close(squares, [w[2] for w in want], dtype)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_agrees_with_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    p = rng.standard_normal(10_000).astype(np.float32)
    g = np.zeros_like(p)
    theirs = torch.nn.Parameter(torch.from_numpy(p.copy()))
    extra = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01} if name == "SGD" else {"lr": 0.01, "weight_decay": 0.1}
    optimizer = getattr(torch.optim, name)([theirs], foreach=False, **extra)
    m, v = np.zeros_like(p), np.zeros_like(p)
    state = np.zeros(3)
    for _ in range(5):
        g[...] = rng.standard_normal(len(g))
        theirs.grad = torch.from_numpy(g.copy())
        optimizer.step()
        if name == "SGD":
            if _ == 0:
                rows = Pieces([len(p)], 4, (True,) * 3, [(1,)]).table(np.array([[x.ctypes.data for x in (p, g, m)]]))
            run(lambda b, t, h: plan_sgd(b, t, h, dtypes.float32), rows, np.array([0.05, 0.9, 0, 0.01, 0, 0]))
        else:
            rows = Pieces([len(p)], 4, (*(True,) * 4, False)).table(
                np.array([[*[x.ctypes.data for x in (p, g, m, v)], 0]])
            )
            hyper = np.array([0.01, 0.9, 0.999, 1e-8, 0.1, name == "AdamW", 0, 0], np.float64)
            run(lambda b, t, h, s: plan_adam(b, t, h, s, dtypes.float32), rows, hyper, state)
    np.testing.assert_allclose(p, theirs.detach().numpy(), rtol=1e-6, atol=2e-7)
