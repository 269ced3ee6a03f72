"""float16 and bfloat16: kept as 16 bits, computed with as float32, and torch's bits but for sums of another order."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn

HALVES = ["float16", "bfloat16"]

# ``x`` [2, 3], ``y`` [3] and ``w`` [3, 2] are of the half, ``f`` [3] of float32, ``i`` [3] of int64.
CALLS = [
    "x + y", "x * y", "x - 0.1", "1 / x", "x / 3", "x ** 2", "x * 0.1", "x + f", "x + i", "i * 0.5 * y", "-x", "abs(x)",
    "x > 1", "x == x", "lib.exp(y)", "lib.sqrt(abs(x))", "lib.tanh(x)", "lib.sigmoid(y)", "lib.relu(x)", "x @ w", "x.sum()",
    "x.mean(1)", "x.max(1)[0]", "x.argmax(1)", "x.softmax(1)", "lib.cat([x, x])", "lib.stack([y, y])", "lib.where(x > 0, x, 0.0)",
    "x.t()", "x[1]", "x[:, 1:]", "x[x > 0]", "x[lib.tensor([1, 0])]", "x.reshape(3, 2)", "x.unsqueeze(0)", "x.expand(2, 2, 3)",
    "x.clamp(0, 1)", "x.float()", "x.double()", "x.int()", "x.bool()", "x.half()", "x.bfloat16()", "x.long()", "x.byte()",
    "i.to(x.dtype)", "(i > 1).to(x.dtype)", "f.double().to(x.dtype)", "lib.zeros_like(x)", "lib.ones_like(y)", "x.clone()",
    "lib.full((2,), 0.1, dtype=x.dtype)", "lib.arange(5, dtype=x.dtype)", "lib.zeros(2, dtype=x.dtype)",
    "lib.eye(2, dtype=x.dtype)",
    "lib.tensor([0.1, 70000.0], dtype=x.dtype)", "x.new_ones(2)", "x.tolist()", "x[0, 0].item()",
    "x.type().split('.')[1]", "x.is_floating_point()", "x.element_size()", "lib.promote_types(x.dtype, lib.float32)",
    "lib.promote_types(lib.float16, lib.bfloat16)", "lib.result_type(x, 1.5)", "lib.result_type(i, y)", "lib.result_type(x, i)",
    "lib.can_cast(lib.float32, x.dtype)", "lib.finfo(x.dtype).eps", "lib.finfo(x.dtype).max", "lib.finfo(x.dtype).tiny",
    "x.new([1, 2])", "lib.HalfTensor([1.5])", "isinstance(x.half(), lib.HalfTensor)", "x.type(lib.float32)", "lib.equal(x, x)",
    "x.storage_offset()", "x[1].storage_offset()", "lib.linspace(0, 1, 5, dtype=x.dtype)", "lib.nn.functional.linear(x, w.t())",
    "lib.nn.functional.mse_loss(x, x * 2)", "lib.nn.functional.layer_norm(x, (3,))", "lib.nn.functional.gelu(x)", "f * y.sum()",
    "lib.minimum(y, f)", "x.var(1)", "x.permute(1, 0).contiguous()", "x.half().numpy().dtype.name",
    "lib.full((1,), 1e6, dtype=lib.half)",
    "lib.gather(x, 1, i[None, :1] * 0)", "lib.nn.functional.dropout(x, 0.0)", "x.numpy()", "lib.float16.is_signed",
]  # fmt: skip
IN_PLACE = [
    "x.add_(1)", "x.mul_(y)", "x.zero_()", "x.fill_(0.1)", "x.copy_(f)", "x[0] = 9", "x[:, 1] = f[:2]", "x += 0.1", "x.t().mul_(2)",
    "x[x > 0] = 0", "x[lib.tensor([0])] = 5", "x.sub_(x)", "x.exp_()", "x.clamp_(0, 1)", "f.copy_(y)", "i.copy_(y)", "f.add_(y)",
    "lib.exp(y, out=y)", "x.data = x.data * 2", "x.relu_()", "x.div_(3)",
]  # fmt: skip


def operands(lib: Any, half: str) -> dict[str, Any]:
    kind = getattr(lib, half)
    x = lib.tensor([[1.5, -2.25, 0.1], [3.0, 0.3, -1.0]]).to(kind)
    return {
        "lib": lib, "x": x, "y": lib.tensor([0.7, 2.0, -0.01]).to(kind), "w": lib.tensor([[1.0, 2], [0.5, -1], [3, 0.2]]).to(kind),
        "f": lib.tensor([0.1, 0.2, 0.3]), "i": lib.arange(3),
    }  # fmt: skip


def seen(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [seen(each) for each in value]
    if hasattr(value, "requires_grad"):
        return str(value.dtype).split(".")[1], tuple(value.shape), np.array(value.detach().double().numpy())
    return (
        value.tolist()
        if isinstance(value, np.ndarray)
        else str(value).split(".")[-1]
        if "float" in str(value)
        else value
    )


def close(mine: Any, theirs: Any, half: str) -> bool:
    step = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[half]
    if isinstance(mine, np.ndarray):
        return np.allclose(mine, theirs, rtol=step, atol=step * 1e-2, equal_nan=True)
    if isinstance(mine, (list, tuple)):
        return len(mine) == len(theirs) and all(close(a, b, half) for a, b in zip(mine, theirs, strict=True))
    return bool(mine == theirs)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("call", CALLS)
def test_functions_give_what_torchs_do(call: str, half: str, torch: Any) -> None:
    results = []
    for lib in (ng, torch):
        try:
            results.append(seen(eval(call, operands(lib, half))))
        except Exception as error:
            results.append(error)
    mine, theirs = results
    if isinstance(theirs, Exception):
        assert isinstance(mine, type(theirs)), (mine, theirs)
    else:
        assert close(mine, theirs, half), (mine, theirs)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("statement", IN_PLACE)
def test_changes_in_place_leave_what_torchs_do(statement: str, half: str, torch: Any) -> None:
    results = []
    for lib in (ng, torch):
        known = operands(lib, half)
        exec(statement.replace("x.copy_(f)", "x.copy_(f.expand(2, 3))"), known)
        results.append([seen(known[name]) for name in "xyfi"])
    assert close(*results, half), results


def test_conversions_are_torchs_for_all_bits(torch: Any) -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 30000, dtype=np.uint32)
    edges = np.array([65519.9, 65520, 2.0**-25, 1.5 * 2.0**-25], np.float32)
    halves = ng.from_numpy(np.arange(65536, dtype=np.uint16).view(np.float16)).float().numpy()
    values = np.concatenate([bits.view(np.float32), (bits >> 3).view(np.float32), edges, halves])
    for half in HALVES:
        mine = ng.from_numpy(values.copy()).to(getattr(ng, half)).float().numpy()
        theirs = torch.from_numpy(values.copy()).to(getattr(torch, half)).float().numpy()
        assert np.array_equal(mine, theirs, equal_nan=True)
        assert np.array_equal(np.signbit(mine)[mine == mine], np.signbit(theirs)[mine == mine])


@pytest.mark.parametrize("half", HALVES)
def test_gradients_are_halves(half: str, torch: Any) -> None:
    found = []
    for lib in (ng, torch):
        known = operands(lib, half)
        x, w = known["x"].requires_grad_(), known["w"].requires_grad_()
        (lib.tanh(x @ w * 0.1) * 0.5).sum().backward()
        (x[0] * 2).sum().backward()
        found.append([seen(x.grad), seen(w.grad)])
    assert found[0][0][0] == half
    assert close(*found, half)


@pytest.mark.parametrize("half", HALVES)
def test_second_derivatives_and_transforms(half: str) -> None:
    x = ng.tensor([0.5, 1.5], dtype=getattr(ng, half), requires_grad=True)
    [first] = ng.autograd.grad((x * x * x).sum(), x, create_graph=True)
    [second] = ng.autograd.grad(first.sum(), x)
    assert second.dtype is x.dtype
    assert second.tolist() == [3, 9]
    _, tangent = ng.func.jvp(lambda t: t * t, (x.detach(),), (ng.ones_like(x.detach()),))
    assert tangent.tolist() == [1, 3]
    assert ng.func.vmap(lambda t: (t * 2).sum())(ng.ones(2, 3, dtype=x.dtype)).tolist() == [6, 6]


@pytest.mark.parametrize("half", HALVES)
def test_modules_are_converted_and_run(half: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2))
    model = model.half() if half == "float16" else model.bfloat16()
    assert {str(p.dtype) for p in model.parameters()} == {f"numgrad.{half}"}
    model(operands(ng, half)["x"]).sum().backward()
    assert {str(p.grad.dtype) for p in model.parameters()} == {f"numgrad.{half}"}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_checkpoints_keep_them(half: str, suffix: str, tmp_path: Path, torch: Any) -> None:
    path = str(tmp_path / f"half{suffix}")
    x = operands(ng, half)["x"]
    ng.save({"x": x, "t": x.t(), "f": ng.ones(2)}, path)
    loaded = ng.load(path)
    for name, expected in (("x", x), ("t", x.t())):
        assert loaded[name].dtype is x.dtype
        assert loaded[name].tolist() == expected.tolist()
    if suffix == ".pt":
        theirs = torch.load(path)["x"]
        assert str(theirs.dtype) == f"torch.{half}"
        assert theirs.tolist() == x.tolist()
        file = io.BytesIO()
        torch.save(theirs * 2, file)
        file.seek(0)
        assert ng.load(file).tolist() == (x * 2).tolist()


@pytest.mark.parametrize("half", HALVES)
def test_copies_and_pickles(half: str) -> None:
    x = operands(ng, half)["x"].t().requires_grad_()
    for made in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert made.dtype is x.dtype
        assert made.requires_grad
        assert made.stride() == x.stride()
        assert made.tolist() == x.tolist()


def test_what_numpy_has_and_has_not() -> None:
    array = np.array([0.1, 2], np.float16)
    shared = ng.from_numpy(array)
    shared[0] = 5
    assert array[0] == 5
    assert ng.as_tensor(array).dtype is ng.tensor(array).dtype is ng.float16
    with pytest.raises(TypeError, match="BFloat16.*with .float"):
        ng.ones(2).bfloat16().numpy()


def test_a_view_of_a_half_shares_its_memory() -> None:
    x = ng.zeros(2, 3, dtype=ng.bfloat16)
    x[1].fill_(2)
    x.t()[0] += 1
    x.view(6)[5] = 0.5
    assert x.tolist() == [[1, 0, 0], [3, 2, 0.5]]


def test_optimizers_take_halves_with_states_of_their_dtype() -> None:
    p = ng.ones(2, dtype=ng.half, requires_grad=True)
    (p * p).sum().backward()
    optimizer = ng.optim.Adam([p], lr=0.5)
    optimizer.step()
    assert p.tolist() == [0.5, 0.5]
    assert optimizer.state[p]["exp_avg"].dtype is ng.half


def test_the_default_dtype_is_no_half() -> None:
    with pytest.raises(TypeError, match="expected"):
        ng.set_default_dtype(ng.half)
