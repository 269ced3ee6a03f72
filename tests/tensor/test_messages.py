"""Wrong calls get torch's exception class and the meaning of its message, compared with what torch says today."""

from __future__ import annotations

import builtins
import re
from types import ModuleType
from typing import Any

import pytest

import numgrad as ng


def leaf(lib: Any, *shape: int) -> Any:
    return lib.ones(shape, requires_grad=True)


CASES: dict[str, Any] = {
    "add shapes": lambda lib: lib.ones(2, 3) + lib.ones(2, 4),
    "matmul shapes": lambda lib: lib.ones(2, 3) @ lib.ones(2, 3),
    "matmul dtypes": lambda lib: lib.ones(2, 3).double() @ lib.ones(3, 2),
    "bmm shapes": lambda lib: lib.bmm(lib.ones(2, 3, 4), lib.ones(2, 3, 4)),
    "view size": lambda lib: lib.ones(6).view(4),
    "view strides": lambda lib: lib.ones(2, 3).t().view(6),
    "view two unknown": lambda lib: lib.ones(6).view(-1, -1),
    "reshape size": lambda lib: lib.ones(6).reshape(4, -1),
    "expand": lambda lib: lib.ones(2, 3).expand(4, 3),
    "permute": lambda lib: lib.ones(2, 3).permute(0, 0),
    "transpose": lambda lib: lib.ones(2, 3).transpose(0, 2),
    "squeeze": lambda lib: lib.ones(2, 3).squeeze(5),
    "unsqueeze": lambda lib: lib.ones(2, 3).unsqueeze(5),
    "sum dim": lambda lib: lib.ones(2, 3).sum(2),
    "classes that are floats": lambda lib: lib.nn.functional.cross_entropy(lib.ones(2, 3), lib.ones(2)),
    "matmul of numbers": lambda lib: lib.matmul(lib.ones(2), lib.tensor(1.0)),
    "sum of a list": lambda lib: lib.sum([1, 2]),
    "sum dim twice": lambda lib: lib.ones(2, 3).sum((0, 0)),
    "mean of ints": lambda lib: lib.ones(2, dtype=lib.int64).mean(),
    "max of nothing": lambda lib: lib.ones(0).max(),
    "max along nothing": lambda lib: lib.ones(2, 0).max(1),
    "argmax of nothing": lambda lib: lib.ones(0).argmax(),
    "softmax dim": lambda lib: lib.softmax(lib.ones(2), 3),
    "cat shapes": lambda lib: lib.cat([lib.ones(2, 3), lib.ones(2, 4)]),
    "cat nothing": lambda lib: lib.cat([]),
    "cat scalars": lambda lib: lib.cat([lib.tensor(1), lib.tensor(2)]),
    "stack shapes": lambda lib: lib.stack([lib.ones(2), lib.ones(3)]),
    "where condition": lambda lib: lib.where(lib.ones(2), lib.ones(2), lib.ones(2)),
    "index": lambda lib: lib.ones(3)[5],
    "too many indices": lambda lib: lib.ones(3)[0, 0],
    "narrow": lambda lib: lib.ones(3).narrow(0, 2, 2),
    "split": lambda lib: lib.ones(3).split([1, 1]),
    "item": lambda lib: lib.ones(3).item(),
    "bool": lambda lib: bool(lib.ones(3)),
    "bool of nothing": lambda lib: bool(lib.ones(0)),
    "len": lambda lib: len(lib.tensor(1)),
    "iter": lambda lib: iter(lib.tensor(1)),
    "index of a float": lambda lib: [1][lib.tensor(1.0)],
    "minus of bools": lambda lib: lib.ones(2).bool() - lib.ones(2).bool(),
    "ints to negative powers": lambda lib: lib.ones(2, dtype=lib.int64) ** -1,
    "clamp without bounds": lambda lib: lib.ones(2).clamp(),
    "in-place result type": lambda lib: lib.ones(2, dtype=lib.int64).add_(1.5),
    "in-place shape": lambda lib: lib.ones(3).add_(lib.ones(2, 3)),
    "in-place repeated": lambda lib: lib.ones(1, 3).expand(2, 3).add_(1),
    "copy_ shape": lambda lib: lib.ones(3).copy_(lib.ones(4)),
    "arange step": lambda lib: lib.arange(0, 3, -1),
    "arange no step": lambda lib: lib.arange(0, 3, 0),
    "negative extent": lambda lib: lib.zeros(2, -1),
    "ragged": lambda lib: lib.tensor([[1, 2], [3]]),
    "add a string": lambda lib: lib.ones(2) + "a",
    "contiguous format": lambda lib: lib.ones(2).t().t().view(2).expand(3, 2).view(6),
    # ---- gradients
    "leaf in place": lambda lib: leaf(lib, 3).add_(1),
    "view of a leaf in place": lambda lib: leaf(lib, 3)[0].zero_(),
    "ints require grad": lambda lib: lib.ones(2, dtype=lib.int64, requires_grad=True),
    "ints come to require grad": lambda lib: lib.ones(2, dtype=lib.int64).requires_grad_(),
    "flag of a result": lambda lib: (leaf(lib, 2) * 2).requires_grad_(False),
    "numpy": lambda lib: leaf(lib, 2).numpy(),
    "backward of a constant": lambda lib: lib.ones(1).backward(),
    "backward of a vector": lambda lib: (leaf(lib, 3) * 2).backward(),
    "backward shape": lambda lib: (leaf(lib, 3) * 2).backward(lib.ones(4)),
    "backward inputs": lambda lib: leaf(lib, 1).sum().backward(inputs=[]),
    "grad unused": lambda lib: lib.autograd.grad(leaf(lib, 1).sum(), leaf(lib, 2)),
    "grad of a constant": lambda lib: lib.autograd.grad(leaf(lib, 1).sum(), lib.ones(2)),
    "grad shape": lambda lib: setattr(leaf(lib, 3), "grad", lib.ones(4)),
    "grad dtype": lambda lib: setattr(leaf(lib, 3), "grad", lib.ones(3).double()),
    "grad type": lambda lib: setattr(leaf(lib, 3), "grad", 1.0),
    "retain_grad": lambda lib: lib.ones(2).retain_grad(),
    "hook": lambda lib: lib.ones(2).register_hook(lambda g: g),
    "deepcopy": lambda lib: __import__("copy").deepcopy(leaf(lib, 2) * 2),
    "gradcheck": lambda lib: lib.autograd.gradcheck(lambda x: x, lib.ones(2).double()),
    # ---- layers
    "conv2d channels": lambda lib: lib.conv2d(lib.ones(1, 4, 8, 8), lib.ones(4, 3, 3, 3)),
    "conv2d dims": lambda lib: lib.conv2d(lib.ones(4, 8), lib.ones(4, 3, 3, 3)),
    "conv2d kernel": lambda lib: lib.conv2d(lib.ones(1, 1, 4, 4), lib.ones(1, 1, 9, 9)),
    "linear shapes": lambda lib: lib.nn.functional.linear(lib.ones(2, 3), lib.ones(4, 5)),
    "nll_loss target dtype": lambda lib: lib.nn.functional.nll_loss(lib.ones(2, 3), lib.ones(2)),
    "nll_loss class": lambda lib: lib.nn.functional.nll_loss(lib.ones(2, 3), lib.tensor([0, 5])),
    "nll_loss batch": lambda lib: lib.nn.functional.nll_loss(lib.ones(2, 3), lib.tensor([0, 1, 2])),
    "cross_entropy class": lambda lib: lib.nn.functional.cross_entropy(lib.ones(2, 3), lib.tensor([0, 5])),
    "reduction": lambda lib: lib.nn.functional.mse_loss(lib.ones(2), lib.ones(2), reduction="median"),
    "batch_norm one value": lambda lib: lib.nn.functional.batch_norm(lib.ones(1, 3, 1, 1), None, None, training=True),
    "max_pool2d too small": lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 1, 2, 2), 3),
    "layer_norm shape": lambda lib: lib.nn.functional.layer_norm(lib.ones(2, 3), (4,)),
}

# Where numgrad says it in other words, or with another class: what its message has to hold.
OWN: dict[str, tuple[type[Exception], str]] = {
    "permute": (RuntimeError, r"permute: dims \[0, 0\] are not an order of the 2 dimensions"),
    "cat shapes": (
        RuntimeError,
        r"cat: tensor 1 has shape \[2, 4\], expected that of tensor 0, \[2, 3\], except in dimension 0",
    ),
    "split": (RuntimeError, r"split: the sizes \[1, 1\] sum to 2, expected 3 \(dimension 0\)"),
    "negative extent": (RuntimeError, r"zeros: .* negative dimension: \[2, -1\]"),
    "grad dtype": (RuntimeError, "attempting to assign a gradient of .*float64 to a tensor of .*float32"),
}


def wrong(lib: ModuleType, case: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (which one is what is compared)
        CASES[case](lib)
    return caught.value


def told(error: Exception) -> tuple[str, str]:
    """The built-in class of an exception, and its message."""
    return next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"), str(error)


def words(text: str) -> set[str]:
    """The words and numbers of the first sentences of a message, without names of libraries."""
    text = re.sub(r"torch|numgrad", "", text.lower())
    return set(re.findall(r"[a-z_]{3,}|-?\d+", text))


@pytest.mark.parametrize("case", CASES)
def test_as_torch(case: str, torch_says: Any) -> None:
    ours, (kind, theirs) = wrong(ng, case), torch_says(lambda torch: told(wrong(torch, case)))
    if case in OWN:
        error, text = OWN[case]
        assert isinstance(ours, error)
        assert re.search(text, str(ours))
        return
    assert isinstance(ours, getattr(builtins, kind)), f"{type(ours).__name__}: {ours}\n{kind}: {theirs}"
    first = re.split(r"\. |\n", theirs)[0]
    missing = words(first) - words(str(ours))
    assert len(missing) <= 0.25 * len(words(first)), f"missing {missing}\nours:   {ours}\ntheirs: {theirs}"
