"""Odd arguments to shapes, reductions and conversions: torch's value, or torch's class of refusal."""

from __future__ import annotations

import itertools
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

INPUTS: dict[str, Any] = {
    "matrix": lambda lib: lib.arange(6.0).reshape(2, 3),
    "number": lambda lib: lib.tensor(3.0),
    "integers": lambda lib: lib.arange(6).reshape(2, 3),
    "nothing": lambda lib: lib.ones(0, 3),
    "mask": lambda lib: lib.arange(6).reshape(2, 3) > 2,
    "ones": lambda lib: lib.ones(1, 2, 1),
}


def plain(lib: ModuleType, value: Any) -> Any:
    """A result as a text: dtype, shape and values of tensors, in tuples or not."""
    if isinstance(value, lib.Tensor):
        values = np.asarray(value.tolist(), dtype=object if value.dtype is lib.bool else None)
        rounded = np.round(values, 4) if values.dtype.kind == "f" else values
        return f"{str(value.dtype).split('.')[-1]} {list(value.shape)} {rounded.tolist()}"
    if isinstance(value, tuple):
        return str([plain(lib, each) for each in value])
    return repr(value)


def outcome(lib: ModuleType, call: str, x: Any) -> tuple[bool, str]:
    """Whether a call is taken, and its result, or the built-in class of the refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return True, plain(lib, eval(call, {"T": lib, "np": np, "x": x}))
    except Exception as error:
        name = next(c for c in type(error).__mro__ if c.__module__ == "builtins").__name__
        return False, "RuntimeError" if name == "NotImplementedError" else name  # which is one


# ---- a walk ------------------------------------------------------------------------------------------------------

METHODS = """sum mean prod amax amin max min argmax argmin any all squeeze unsqueeze view reshape expand permute flatten split
    chunk unbind size softmax log_softmax new_zeros new_ones new_tensor round item tolist t numel dim clone float long int bool
    double type_as view_as expand_as""".split()
ARGUMENTS = ["", "None", "True", "0", "1", "-1", "-2", "-3", "5", "1.0", "'a'", "()", "[]", "(0,)", "(0, 0)", "[0, 1]", "(-1, 0)",
             "np.int64(0)", "T.tensor(0)", "np.float64(1)", "(1.0,)", "(None,)", "(2, 3)", "(3, 2)", "(-1,)", "(-2, 3)", "(-2,)",
             "(2, -1, 1)", "(-2, -2)", "(0,), False", "0, True", "1, 0", "None, True", "(), True", "0, 1.0"]  # fmt: skip

# Where numgrad does what torch's parser of arguments refuses, and it is no guess: None for a dim that is left out, several
# dims of a product, extremes of bools, no sizes for no dimensions, a number of elements for a size.
TAKEN_HERE = {
    "prod", "max", "min", "argmax", "argmin", "squeeze", "new_zeros", "new_ones", "view", "reshape", "expand", "permute",
    "view_as", "expand_as", "split",
}  # fmt: skip
# Bits as another dtype; torch's parser takes a bool for an int behind an int; sizes of -1 and -2 in a tensor of nothing.
TAKEN_BY_TORCH = {"view", "squeeze", "expand", "permute", "reshape", "new_zeros", "new_ones"}
# A call with two faults is refused for either.
OTHER_CLASS = {
    "prod", "view", "reshape", "expand", "permute", "split", "unbind", "mean", "amax", "amin", "argmax", "argmin", "max", "min",
    "flatten", "chunk", "squeeze", "sum", "softmax", "log_softmax",
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_walk(method: str, torch: ModuleType) -> None:
    wrong = {}
    for name, arguments in itertools.product(INPUTS, ARGUMENTS):
        call = f"x.{method}({arguments})"
        (ours, value), (theirs, expected) = (outcome(lib, call, INPUTS[name](lib)) for lib in (ng, torch))
        if ours and theirs:
            fine = value == expected
        elif ours or theirs:
            fine = method in (TAKEN_HERE if ours else TAKEN_BY_TORCH)
        else:
            documented = value in ("TypeError", "RuntimeError", "IndexError", "ValueError")
            fine = documented and (method in OTHER_CLASS or value == expected)
        if not fine:
            wrong[name, call] = value, expected
    assert not wrong


# ---- and by name -------------------------------------------------------------------------------------------------

CALLS = [
    "x == None", "x != None", "None == x", "x.expand(-2)", "x.expand(2, -2)", "x.expand(-2, 2, 3)", "x.expand(-1, -1, 3)",
    "x.expand(4, -1, 3)", "x.view(-2, -2)", "x.view(-2, 3)", "x.view(-1, -1)", "x.view(3, -5)", "x.reshape(-2, -2)",
    "x.reshape(0)", "x.reshape(0, -1)", "x.reshape((0, 0))", "x.view(0)", "T.ones(0, 3).view(-1, 0)",
    "T.ones(0, 3).reshape(0, -1)", "T.ones(0, 3).view(-1, 3)", "x.squeeze(())", "T.ones(1, 2, 1).squeeze(())",
    "T.ones(1, 2, 1).squeeze([])", "T.ones(1, 2, 1).squeeze(0, 2)", "T.ones(1, 2, 1).squeeze((0, -3))", "x.any(dim=())",
    "x.all(dim=())", "x.any(dim=[])", "T.any(x, ())", "T.all(x, dim=[], keepdim=True)", "x.any(0)", "x.all(1, True)",
    "x.any(dim=(0, 1))", "x.any(keepdim=True)", "x.sum(dim=())", "x.amax(())", "x.mean([])",
    "T.ones(2, dtype=T.uint8).any()", "T.ones(2, dtype=T.uint8).all(0)",
    "x.sum(dtype=float)", "x.sum(0, dtype=int)", "(x > 1).sum(dtype=bool)", "(x > 1).sum(dtype=T.uint8)",
    "x.long().sum(dtype=T.int8)", "x.mean(dtype=float)", "x.long().mean(dtype=T.float32)", "x.prod(dtype=float)",
    "x.long().prod(0, dtype=T.int32)", "x.sum(dtype='a')", "x.sum(0, 1)", "x.mean(0, 'yes')", "x.amax(0, None)",
    "T.tensor(3.0).index_select(0, T.tensor([0]))", "T.tensor(3.0).index_select(0, T.tensor(0))",
    "T.tensor(3.0).index_select(-1, T.tensor([0]))", "T.tensor(3.0).index_select(0, T.tensor([0, 0]))",
    "T.tensor(3.0).index_select(0, T.tensor([1]))", "T.tensor(3.0).index_select(1, T.tensor([0]))",
    "x.index_select(0, T.tensor(1))", "x.index_select(0, T.tensor([[1]]))", "x.index_select(0, [1])",
    "x.index_select(0, T.tensor([], dtype=T.int64))", "x.index_select(2, T.tensor([0]))", "x.index_select(0, T.tensor([1.0]))",
    "T.tensor(3.0).gather(0, T.tensor(0))", "T.tensor(3.0).gather(0, T.tensor([0, 0]))", "T.arange(3.0).gather(0, T.tensor(1))",
    "T.tensor(3.0).scatter_add(0, T.tensor(0), T.tensor(2.0))", "T.zeros(3).scatter_add(0, T.tensor(1), T.tensor(2.0))",
    "T.tensor(3.0).scatter_add(0, T.tensor([0]), T.tensor([2.0]))", "T.zeros(3).scatter_add(0, T.tensor([1]), 2.0)",
    "(x / 7).round(decimals=2)", "(x * 77.77).round(decimals=-1)", "T.round(x / 7, decimals=3)", "x.round(decimals=0)",
    "(x / 7).round(2)", "x.round(decimals=1.0)", "x.round(decimals=True)", "x.round(decimals='1')", "x.long().round(decimals=1)",
    "(x / 7).double().round(decimals=15)", "T.tensor([15.0, 25.0, 35.0]).round(decimals=-1)",
    "T.tensor([0.15, 0.25, 2.5]).round(decimals=1)", "T.tensor([1.2345]).round(decimals=50)", "T.tensor([1e30]).round(decimals=10)",
    "T.tensor([1.2345]).round(decimals=-50)", "T.tensor([float('nan'), float('inf')]).round(decimals=2)",
    "T.tensor([15.0, 25.0]).round_(decimals=-1)", "T.tensor([1.5, 2.5]).round_()", "T.tensor([1, 2]).floor_()",
    "T.tensor([1.5]).trunc_()", "T.tensor([1.5]).ceil_()", "T.tensor([-2]).sign_()", "T.tensor([True]).sign()",
    "T.tensor([True, False]).square()", "T.tensor([0.5]).log1p_()", "T.tensor([5]).log1p_()", "T.tensor([4.0]).rsqrt_()",
    "x.select(0, 1.0)", "x.select(0, True)", "x.select(0, np.int64(1))", "x.select(0, T.tensor(1))", "x.select(0, 5)",
    "x.narrow(0, 0.0, 1)", "x.narrow(0, 0, 1.0)", "x.narrow(0, T.tensor(1), 1)", "x.narrow(0, 0, -1)", "x.narrow(0, 0, True)",
    "x.split(2.0)", "x.split(-1)", "x.split(0)", "x.split([3, -1])", "x.split([1, 1])", "x.split([1, 2])", "x.split([1.0, 1.0])",
    "T.ones(0, 3).split(0)", "T.ones(0, 3).split(2)", "x.chunk(2.0)", "x.chunk(0)", "x.chunk(np.int64(2))", "x.unbind(1.0)",
    "T.cat(x)", "T.cat(None)", "T.cat([])", "T.cat([x, 1])", "T.cat((x, x), True)", "T.cat([x, T.tensor(1.0)])", "T.stack(x)",
    "T.stack(None)", "T.stack([])", "T.stack([x, 1])", "T.stack([x], 0.0)", "T.stack([x, x], -4)",
    "T.tensor(3.0).max(1)", "T.tensor(3.0).min(-2)", "T.tensor(3.0).argmax(1)", "T.tensor(3.0).argmin(0, True)", "x.max('a')",
    "T.ones(0, 3).amax()", "T.ones(0, 3).amax(())", "T.ones(0, 3).amax(1)", "T.ones(0, 3).argmax()", "x.argmax(0, 1)",
    "T.tensor(3.0).softmax(1)", "T.tensor(3.0).softmax(None)", "T.tensor(3.0).log_softmax(0)", "x.softmax(True)",
    "T.ones(2).mT", "T.tensor(3.0).mT", "T.tensor(3.0).T", "x.mT", "None in x", "'a' in x", "[1] in x", "1 in x",
    "np.int64(1) in x",
    "float(T.ones(2))", "int(T.ones(2))", "float(T.ones(1, 1))", "[1, 2][T.tensor(1)]", "[1, 2][T.tensor(1.0)]",
    "T.equal(x, 1)", "T.equal(x, x.double())", "T.equal(x, x[0])", "T.allclose(x, x.double())", "T.allclose(x, 1)",
    "T.allclose(x, x, rtol=-1.0)", "T.allclose(x, x, atol=-1.0)", "T.allclose(x, x[0])", "x.view_as(1)", "x.expand_as(None)",
    "x.type_as(1)", "x.to()", "x.to(None)", "x.to('cpu', T.float64)", "x.to(T.float64, copy=True)", "x.to('float64')",
    "x.requires_grad_('a')", "x.requires_grad_(1)", "~x", "~(x > 1)", "~x.long()", "T.bitwise_not(x.long().to(T.uint8))",
    "x.copy_(3)", "x.copy_(np.float64(0.5))", "x.copy_('a')", "x.fill_([1])", "x.fill_(T.ones(1))", "x.new_full((2,), 'a')",
    "x.clamp()", "x.clamp('a')", "x.clamp_min(None)", "x.clamp_(T.ones(5))", "x.clamp(T.tensor(1.0), T.tensor([2.0, 3.0, 4.0]))",
    "T.clamp(None, 1)", "(x > 1).clamp(True, 0)", "(x > 1).clamp(0.5)",
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_calls(call: str, torch_says: Any) -> None:
    def called(lib: ModuleType) -> tuple[bool, str]:
        return outcome(lib, call, INPUTS["matrix"](lib))

    assert list(called(ng)) == torch_says(called)


def test_a_refusal_leaves_the_operand_as_it_was() -> None:
    for call in CALLS:
        if "round_" in call or "copy_(" in call or "_()" in call:
            continue
        x = INPUTS["matrix"](ng)
        before = x.tolist(), x.shape, x._version
        if not outcome(ng, call, x)[0]:
            assert (x.tolist(), x.shape, x._version) == before, call


def test_rounding_to_decimals_is_flat() -> None:
    x = ng.tensor([0.126, 7.5], requires_grad=True)
    (x.round(decimals=2) * 3).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0]


def test_gradients_of_what_was_a_number() -> None:
    x = ng.tensor(3.0, requires_grad=True)
    (x.index_select(0, ng.tensor([0])) * 2).backward()
    (x.gather(0, ng.tensor([0, 0])) * 3).sum().backward()
    (x.scatter_add(0, ng.tensor(0), ng.tensor(2.0)) * 4).backward()
    assert x.grad is not None
    assert x.grad.item() == 2 + 6 + 4


def test_an_array_of_numbers_is_no_dimension() -> None:
    with pytest.raises(TypeError, match="argument 'dim' must be int, not ndarray"):
        ng.max(ng.ones(2), np.zeros(2))
