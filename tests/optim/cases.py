"""Options with which each optimizer is compared with torch's. One that is a formula has few sets of switches: each is a kernel."""

from __future__ import annotations

import itertools
from typing import Any

_SGD = [
    {"lr": 0.1, "momentum": momentum, "weight_decay": decay, "maximize": maximize, **rest}
    for momentum, decay, maximize in itertools.product((0, 0.9), (0, 0.01), (False, True))
    for rest in ({}, {"dampening": 0.3}, {"nesterov": True})
    if momentum or not rest
]
_ADAM: list[dict[str, Any]] = [
    {"lr": 0.01, "weight_decay": decay, "maximize": maximize, "amsgrad": amsgrad}
    for decay, maximize, amsgrad in itertools.product((0, 0.1), (False, True), (False, True))
]
_ADAM.append({"lr": 0.02, "betas": (0.3, 0.5), "eps": 1e-3})
_CHANGED = {"weight_decay": 0.1, "maximize": True}
FORMULAS: dict[str, list[dict[str, Any]]] = {
    "SGD": _SGD,
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "Adamax": [{}, {**_CHANGED, "betas": (0.3, 0.5), "eps": 1e-3}],
    "NAdam": [{}, _CHANGED, {**_CHANGED, "decoupled_weight_decay": True, "momentum_decay": 0.1}],
    "RAdam": [{}, _CHANGED, {**_CHANGED, "decoupled_weight_decay": True, "betas": (0.8, 0.9)}],
    "Adagrad": [{}, {**_CHANGED, "lr_decay": 0.1, "initial_accumulator_value": 0.3}],
    "Adadelta": [{}, {**_CHANGED, "lr": 0.5, "rho": 0.5}],
    "RMSprop": [{}, {**_CHANGED, "alpha": 0.9}, {"momentum": 0.9, "centered": True}],
    "Rprop": [{}, {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (0.01, 0.12), "maximize": True}],
    "ASGD": [{}, {**_CHANGED, "lambd": 0.1, "t0": 3}],
}
COMPOSED: dict[str, list[dict[str, Any]]] = {
    "Adafactor": [{}, {**_CHANGED, "lr": 0.5, "d": 1.5, "eps": (1e-4, 1e-2), "beta2_decay": -0.5}],
}
CASES = [(name, options) for name, each in {**FORMULAS, **COMPOSED}.items() for options in each]
IDS = [f"{name}-{number}" for number, (name, _) in enumerate(CASES)]
# Two of them for each, for tests that take longer.
FEW = [(name, options) for name, each in {**FORMULAS, **COMPOSED}.items() for options in (each[0], each[-1])]
