"""Optimizers' kernels over tables of addresses, against the formulas in NumPy's float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad import dtypes, ops
from numgrad.errors import KernelError
from numgrad.kernels.update import PIECE, Pieces, plan_update

from .running import run

rng = np.random.default_rng(0)
LENGTHS = [0, 1, 7, 1000, PIECE, 2 * PIECE + 5]
TYPES = {np.float32: dtypes.float32, np.float64: dtypes.float64}


def tensors(dtype: Any) -> list[np.ndarray]:
    return [rng.standard_normal(n).astype(dtype) for n in LENGTHS]


def close(got: list[np.ndarray], expected: list[np.ndarray], dtype: Any) -> None:
    for a, b in zip(got, expected, strict=True):
        tolerance = 3e-6 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# ---- the formulas: (p, g, state, step, **options) -> p, with the state, a dict, changed --------------------------------


def _decayed(p: Any, g: Any, o: dict[str, float]) -> Any:
    return (-g if o.get("maximize") else g) + (0 if o.get("decoupled_weight_decay") else o["weight_decay"] * p)


def _shrunk(p: Any, o: dict[str, float]) -> Any:
    return p * (1 - o["lr"] * o["weight_decay"]) if o.get("decoupled_weight_decay") else p


def _means(v: Any, s: dict[str, Any], o: dict[str, float]) -> tuple[Any, Any]:
    s["exp_avg"] = o["beta1"] * s["exp_avg"] + (1 - o["beta1"]) * v
    s["exp_avg_sq"] = o["beta2"] * s["exp_avg_sq"] + (1 - o["beta2"]) * v * v
    return s["exp_avg"], s["exp_avg_sq"]


def sgd(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    v = _decayed(p, g, o)
    if o["momentum"]:
        s["momentum_buffer"] = v if step == 1 else o["momentum"] * s["momentum_buffer"] + (1 - o["dampening"]) * v
        v = v + o["momentum"] * s["momentum_buffer"] if o["nesterov"] else s["momentum_buffer"]
    return p - o["lr"] * v


def asgd(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    rate = o["lr"] if step == 1 else float(np.float32(o["lr"] / (1 + o["lambd"] * o["lr"] * (step - 1)) ** o["alpha"]))
    rate = float(np.float32(rate))
    p = p * (1 - o["lambd"] * rate) - rate * _decayed(p, g, o)
    s["ax"] = s["ax"] + (p - s["ax"]) * float(np.float32(1 / max(1, step - 1 - o["t0"])))
    return p


def rprop(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    g = -g if o["maximize"] else g
    turn = np.sign(g * s["prev"])
    factor = np.where(turn > 0, o["etaplus"], np.where(turn < 0, o["etaminus"], 1))
    s["step_size"] = np.clip(s["step_size"] * factor, o["step_size_min"], o["step_size_max"])
    s["prev"] = np.where(turn < 0, 0, g)
    return p - np.sign(s["prev"]) * s["step_size"]


def adagrad(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    v = _decayed(p, g, o)
    s["sum"] = s["sum"] + v * v
    return p - o["lr"] / (1 + (step - 1) * o["lr_decay"]) * v / (np.sqrt(s["sum"]) + o["eps"])


def adadelta(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    v = _decayed(p, g, o)
    s["square_avg"] = o["rho"] * s["square_avg"] + (1 - o["rho"]) * v * v
    delta = np.sqrt(s["acc_delta"] + o["eps"]) / np.sqrt(s["square_avg"] + o["eps"]) * v
    s["acc_delta"] = o["rho"] * s["acc_delta"] + (1 - o["rho"]) * delta * delta
    return p - o["lr"] * delta


def rmsprop(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    v = _decayed(p, g, o)
    s["square_avg"] = variance = o["alpha"] * s["square_avg"] + (1 - o["alpha"]) * v * v
    if "grad_avg" in s:
        s["grad_avg"] = o["alpha"] * s["grad_avg"] + (1 - o["alpha"]) * v
        variance = variance - s["grad_avg"] ** 2
    v = v / (np.sqrt(variance) + o["eps"])
    if "momentum_buffer" in s:
        s["momentum_buffer"] = v = o["momentum"] * s["momentum_buffer"] + v
    return p - o["lr"] * v


def adam(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    p, v = _shrunk(p, o), _decayed(p, g, o)
    mean, square = _means(v, s, o)
    if "max_exp_avg_sq" in s:
        s["max_exp_avg_sq"] = square = np.maximum(s["max_exp_avg_sq"], square)
    root = np.sqrt(square / (1 - o["beta2"] ** step))
    return p - o["lr"] / (1 - o["beta1"] ** step) * mean / (root + o["eps"])


def adamax(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    v = _decayed(p, g, o)
    s["exp_avg"] = o["beta1"] * s["exp_avg"] + (1 - o["beta1"]) * v
    s["exp_inf"] = np.maximum(o["beta2"] * s["exp_inf"], abs(v) + o["eps"])
    return p - o["lr"] / (1 - o["beta1"] ** step) * s["exp_avg"] / s["exp_inf"]


def nadam(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    p, v = _shrunk(p, o), _decayed(p, g, o)
    mean, square = _means(v, s, o)
    mus = [o["beta1"] * (1 - 0.5 * 0.96 ** (k * o["momentum_decay"])) for k in range(step + 2)]
    product = np.float32(1)
    for mu in mus[1 : step + 1]:
        product = product * np.float32(mu)
    root = np.sqrt(square / (1 - o["beta2"] ** step)) + o["eps"]
    of_grad = (1 - mus[step]) / (1 - float(product))
    of_mean = mus[step + 1] / (1 - float(product) * mus[step + 1])
    return p - o["lr"] * (of_grad * v + of_mean * mean) / root


def radam(p: Any, g: Any, s: dict[str, Any], step: int, **o: float) -> Any:
    p, v = _shrunk(p, o), _decayed(p, g, o)
    mean, square = _means(v, s, o)
    mean = mean / (1 - o["beta1"] ** step)
    most, left = 2 / (1 - o["beta2"]) - 1, o["beta2"] ** step
    length = most - 2 * step * left / (1 - left)
    if length <= 5:
        return p - o["lr"] * mean
    rect = np.sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length))
    return p - o["lr"] * rect * mean * np.sqrt(1 - left) / (np.sqrt(square) + o["eps"])


_ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
_BOTH = {"weight_decay": 0.1, "decoupled_weight_decay": 1, "maximize": 1}
# The formula, its usual options, and (the switches, other options); one set of switches is one kernel.
RULES: dict[str, tuple[Callable[..., Any], dict[str, float], list[tuple[tuple[str, ...], dict[str, float]]]]] = {
    "sgd": (sgd, {"lr": 0.1}, [
        ((), {}), ((), {"weight_decay": 0.1}), (("momentum", "starts"), {"momentum": 0.9}),
        (("momentum", "starts"), {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
        (("momentum", "starts"), {"momentum": 0.9, "nesterov": 1, "maximize": 1}),
    ]),
    "asgd": (asgd, {"lr": 0.1, "lambd": 0.01, "alpha": 0.75, "t0": 1}, [((), {"weight_decay": 0.1, "maximize": 1})]),
    "rprop": (rprop, {"etaminus": 0.5, "etaplus": 1.2, "step_size_min": 1e-3, "step_size_max": 0.13},
              [((), {}), ((), {"maximize": 1})]),
    "adagrad": (adagrad, {"lr": 0.1, "eps": 1e-10}, [((), {}), ((), {"lr_decay": 0.1, "weight_decay": 0.1, "maximize": 1})]),
    "adadelta": (adadelta, {"lr": 1, "rho": 0.9, "eps": 1e-6}, [((), {}), ((), {"weight_decay": 0.1, "maximize": 1})]),
    "rmsprop": (rmsprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-3}, [
        ((), {}), (("momentum", "centered"), {"momentum": 0.9, "weight_decay": 0.1, "maximize": 1}),
    ]),
    "adam": (adam, _ADAM, [
        ((), {}), ((), {"weight_decay": 0.1}), ((), _BOTH), (("amsgrad",), {"beta1": 0.3, "eps": 1e-3}),
    ]),
    "adamax": (adamax, _ADAM, [((), {}), ((), {"weight_decay": 0.1, "maximize": 1})]),
    "nadam": (nadam, {**_ADAM, "momentum_decay": 0.004}, [((), {}), ((), _BOTH)]),
    "radam": (radam, {**_ADAM, "beta2": 0.9}, [((), {}), ((), _BOTH)]),
}  # fmt: skip
FIRST = {"fresh": 1.0, "eta": 0.1, "mu": 1.0, "mu_product": 1.0, "step_size": 0.1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, (_, _, cases) in RULES.items() for number in range(len(cases))]
)
def test_steps_are_the_formulas(name: str, number: int, dtype: Any) -> None:
    formula, usual, cases = RULES[name]
    on, other = cases[number]
    rule = getattr(ops.update, name).rule
    options = {option: float({**usual, **other}.get(option, 0)) for option in rule.options}
    present = rule.present(rule.states, on)
    params, grads = tensors(dtype), tensors(dtype)
    states = {state: [np.full(n, FIRST.get(state, 0), dtype) for n in LENGTHS] for state in present}
    counts = {count: np.full(len(LENGTHS), FIRST.get(count, 0), np.float32) for count in rule.present(rule.counts, on)}
    rows = Pieces(LENGTHS, params[0].itemsize, 2 + len(states), bool(counts)).table(
        np.array([[a.ctypes.data for a in each] for each in zip(params, grads, *states.values(), strict=True)])
    )
    tallies = np.zeros((len(LENGTHS), 2 * len(counts)), np.int64)
    for column, numbers in enumerate(counts.values()):
        tallies[:, 2 * column] = numbers.ctypes.data + 4 * np.arange(len(LENGTHS))
    expected = [p.astype(np.float64) for p in params]
    expected_states = [
        {key: column[i].astype(np.float64) for key, column in states.items()} for i in range(len(LENGTHS))
    ]
    for step in range(1, 6):
        if name not in ("asgd", "rprop"):
            options["lr"] *= 0.9
        for g in grads:
            g[...] = rng.standard_normal(len(g))
        for i, g in enumerate(grads):
            expected[i] = formula(expected[i], g.astype(np.float64), expected_states[i], step, **options)
        run(
            lambda b, *three: plan_update(b, rule, *three, TYPES[dtype], on),
            rows,
            tallies if counts else None,
            np.array(list(options.values())),
        )
    close(params, expected, dtype)
    for key, column in states.items():
        close(column, [each[key] for each in expected_states], dtype)
    if "step" in counts:
        assert (counts["step"] == 5).all()
    if "fresh" in counts:
        assert (counts["fresh"] == 0).all()


def _sgd_of_one(p: np.ndarray, g: np.ndarray, dtype: dtypes.dtype, options: dict[str, float]) -> None:
    rule = ops.update.sgd.rule
    rows = Pieces([len(p)], p.itemsize, 2, False).table(np.array([(p.ctypes.data, g.ctypes.data)]))
    numbers = np.array([options.get(name, 0.0) for name in rule.options])
    run(lambda b, t, o: plan_update(b, rule, t, None, o, dtype), rows, numbers)


def test_infinite_parameters_do_not_leak_through_a_weight_decay_of_zero() -> None:
    p = np.array([np.inf], np.float32)
    _sgd_of_one(p, np.array([1], np.float32), dtypes.float32, {"lr": 0.1})
    assert p[0] == np.inf


def test_counts_may_be_float64() -> None:
    rule = ops.update.adagrad.rule
    p, g, total, step = (np.array([value]) for value in (1.0, 2.0, 0.0, 0.0))
    rows = Pieces([1], 8, 3, True).table(np.array([[each.ctypes.data for each in (p, g, total)]]))
    options = np.array([{"lr": 0.5}.get(name, 0.0) for name in rule.options])
    tallies = np.array([[step.ctypes.data, 1]])
    run(lambda b, *three: plan_update(b, rule, *three, dtypes.float64), rows, tallies, options)
    assert (p[0], total[0], step[0]) == (0.5, 4.0, 1.0)


def test_tables_of_other_columns_are_refused() -> None:
    rule = ops.update.adam.rule
    rows = np.zeros((1, 6), np.int64)
    for table, counts in (
        (rows[:, :5].copy(), np.zeros((1, 2), np.int64)),
        (rows, None),
        (rows, np.zeros((1, 4), np.int64)),
    ):
        with pytest.raises(KernelError, match="expected"):
            run(
                lambda b, *three: plan_update(b, rule, *three, dtypes.float32),
                table,
                counts,
                np.zeros(len(rule.options)),
            )
