"""`numgrad.testing`: what is close, and what an error says, are torch's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

NAN, INF = float("nan"), float("inf")

CALLS: dict[str, Any] = {
    "close": lambda lib: ([lib.tensor([1.0]), lib.tensor([1.0 + 1e-6])], {}),
    "not close": lambda lib: ([lib.tensor([1.0, 2.0, 3.0]), lib.tensor([1.0, 2.0, 4.0])], {}),
    "not close in a matrix": lambda lib: (
        [lib.tensor([[1.0, 5.0], [3.0, 0.0]]), lib.tensor([[1.0, 2.0], [1.0, 4.0]])],
        {},
    ),
    "not equal": lambda lib: ([lib.tensor([1.0]), lib.tensor([1.5])], {"rtol": 0, "atol": 0}),
    "close enough": lambda lib: ([lib.tensor([1.0]), lib.tensor([1.5])], {"rtol": 0, "atol": 0.5}),
    "one tolerance": lambda lib: ([lib.tensor([1.0]), lib.tensor([1.0])], {"rtol": 0.1}),
    "dtype": lambda lib: ([lib.tensor([1.0]), lib.tensor([1.0]).double()], {}),
    "dtype not checked": lambda lib: ([lib.tensor([1.0]), lib.tensor([1.0]).double()], {"check_dtype": False}),
    "shape": lambda lib: ([lib.ones(3), lib.ones(2)], {}),
    "stride": lambda lib: ([lib.ones(2, 3).t(), lib.ones(3, 2)], {"check_stride": True}),
    "floats": lambda lib: ([1.0, 2.0], {}),
    "ints": lambda lib: ([1, 2], {}),
    "int and float": lambda lib: ([1, 1.0], {}),
    "bools": lambda lib: ([True, False], {}),
    "None": lambda lib: ([None, None], {}),
    "a list": lambda lib: ([[1.0, 2.0], [1.0, 2.5]], {}),
    "a list of another length": lambda lib: ([[1.0], [1.0, 2.5]], {}),
    "a dictionary": lambda lib: ([{"a": [lib.ones(2)]}, {"a": [lib.zeros(2)]}], {}),
    "a dictionary of other keys": lambda lib: ([{"a": 1, "c": 2}, {"b": 1}], {}),
    "integers": lambda lib: ([lib.tensor([1, 2]), lib.tensor([1, 3])], {}),
    "tensors of bools": lambda lib: ([lib.tensor([True]), lib.tensor([False])], {}),
    "NaN": lambda lib: ([lib.tensor([NAN]), lib.tensor([NAN])], {}),
    "NaN is NaN": lambda lib: ([lib.tensor([NAN]), lib.tensor([NAN])], {"equal_nan": True}),
    "infinity": lambda lib: ([lib.tensor([INF, -INF]), lib.tensor([INF, -INF])], {}),
    "no infinity": lambda lib: ([lib.tensor([INF, 1.0]), lib.tensor([1.0, 1.0])], {}),
    "scalars": lambda lib: ([lib.tensor(1.0), lib.tensor(2.0)], {}),
    "text": lambda lib: (["a", "a"], {}),
    "a tensor and a number": lambda lib: ([lib.ones(2), 1.0], {}),
    "msg": lambda lib: ([lib.ones(2), lib.zeros(2)], {"msg": "hello"}),
    "msg by a function": lambda lib: ([lib.ones(2), lib.zeros(2)], {"msg": lambda text: f"hello {text}"}),
    "arrays": lambda lib: ([np.ones(2), np.zeros(2)], {}),
    "nothing": lambda lib: ([lib.ones(0), lib.zeros(0)], {}),
}


def _outcome(lib: Any, label: str) -> Any:
    arguments, options = CALLS[label](lib)
    try:
        return lib.testing.assert_close(*arguments, **options)
    except Exception as error:
        return type(error), str(error).replace("numgrad.tensor.tensor.", "torch.").replace("numgrad.", "torch.")


@pytest.mark.parametrize("label", CALLS)
def test_outcomes_are_torchs(label: str, torch: ModuleType) -> None:
    import torch.testing

    assert _outcome(ng, label) == _outcome(torch, label)


def test_an_error_says_what_differs() -> None:
    with pytest.raises(
        AssertionError, match=r"Mismatched elements: 1 / 2 \(50.0%\)\nGreatest absolute difference: 1.0 at index"
    ):
        ng.testing.assert_close(ng.tensor([1.0, 2.0], requires_grad=True), ng.tensor([1.0, 3.0]))
