"""``Tensor(...)``, torch's old constructor, and tensors that were never initialized."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import numgrad as ng

CALLS = (
    "T()", "T(2)", "T(2, 3, 4)", "T(np.int64(3))", "T([1.0, 2.0])", "T((1, 2))", "T([[1, 2], [3, 4]])", "T(range(3))",
    "T([])", "T(np.ones(2))", "T(lib.ones(2))", "T(lib.arange(2))", "T(lib.tensor(3))", "T(lib.zeros(2, 3).shape)",
    "T(data=[1])", "T([1], device='cpu')", "T.__new__(T)", "T.__new__(T, 2)",
    "T(-1)", "T(2.0)", "T(True)", "T('a')", "T(b'a')", "T(None)", "T({1})", "T(2, 'a')", "T(2.0, 3)", "T([1, 2], [3])",
    "T(lib.ones(2), lib.ones(2))", "T(2, dtype=lib.float64)", "T(iter([1]))", "T(2**62)", "T(2**40, 2**40)",
)  # fmt: skip
UNINITIALISED = ("T(2", "T(np.int64", "T(lib.zeros", "T.__new__(T, 2")


@pytest.mark.parametrize("call", CALLS)
def test_it_is_torchs(call: str, torch: Any) -> None:
    found = []
    for lib in (ng, torch):
        try:
            made = eval(call, {"T": lib.Tensor, "lib": lib, "np": np})
        except Exception as error:
            found.append({kind.__name__ for kind in type(error).__mro__} | {f"text: {error}"})
        else:
            values = None if call.startswith(UNINITIALISED) else made.tolist()
            found.append((str(made.dtype).partition(".")[2], tuple(made.shape), values, made.requires_grad))
    ours, theirs = found
    assert "TensorBase" not in str(ours)
    if isinstance(theirs, set):
        assert isinstance(ours, set)
        assert next(iter(theirs & {"TypeError", "RuntimeError", "ValueError"})) in ours
    else:
        assert ours == theirs


def test_of_a_tensor_it_shares_the_memory() -> None:
    x = ng.ones(2)
    ng.Tensor(x)[0] = 5
    assert x.tolist() == [5, 1]


def test_a_class_of_users_need_not_call_the_constructor() -> None:
    class Named(ng.Tensor):
        def __init__(self, values: Any, name: str = "x") -> None:
            self.name = name

        def __new__(cls, values: Any, name: str = "x") -> Any:
            return super().__new__(cls, values)

    made = Named([1.0, 2.0], name="y")
    assert made.name == "y"
    assert type(made) is Named
    assert (made + 1).tolist() == [2, 3]
    made.requires_grad_()
    (made * made).sum().backward()
    assert made.grad is not None
    assert made.grad.tolist() == [2, 4]
    assert type(copy.deepcopy(made)) is Named
    assert pickle.loads(pickle.dumps(ng.Tensor([3.0]))).tolist() == [3]


@pytest.mark.parametrize(
    "use",
    [
        lambda x: ng.add(x, 1), lambda x: ng.exp(x), lambda x: ng.cat([x]), lambda x: ng.relu(x), lambda x: ng.matmul(x, x),
        lambda x: ng.nn.functional.linear(x, ng.ones(2, 2)), lambda x: ng.registry.OPS["sum"](x, dims=(0,)),
        lambda x: ng.registry.OPS["add"](ng.ones(2), x), lambda x: ng.ones(2).add_(x), lambda x: x + 1, lambda x: x.sum(),
        lambda x: x.backward(), lambda x: x.shape, lambda x: ng.stack([ng.ones(2), x]), lambda x: ng.ones(2) + x,
    ],
)  # fmt: skip
def test_one_that_was_never_initialized_is_refused(use: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        use(object.__new__(ng.Tensor))
    assert (ng.ones(2) + 1).tolist() == [2, 2]


def test_the_error_says_so() -> None:
    for use in (lambda x: ng.registry.OPS["exp"](x), lambda x: ng.nn.functional.linear(x, ng.ones(2, 2))):
        with pytest.raises(TypeError, match="never initialized"):
            use(object.__new__(ng.Tensor))
