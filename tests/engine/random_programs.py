"""Random programs against torch: views, changes in place, indexing, reductions, several roots, second derivatives.

A program is a list of steps over a growing list of tensors. Both libraries run it, and have to agree in everything: which
steps are refused, the values of all tensors, the gradients of several roots, and the gradients of these. A step that is
refused has to leave everything as it was.

Run many, each with a seed of its own::

    python -m tests.engine.random_programs --count 2000

Where numgrad differs on purpose (docs/autograd.md) is `on_purpose`.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import numgrad as ng


class Step(NamedTuple):
    """An op on tensors by their numbers (modulo how many there are), with whole numbers and a number to draw on."""

    name: str
    recorded: bool
    x: int
    y: int
    i: int
    j: int
    a: float


@dataclass
class Call:
    """What an op gets: the library, its operands, and numbers."""

    lib: ModuleType
    x: Any
    other: Any
    i: int
    j: int
    a: float
    changes: bool  # x, in place

    @property
    def y(self) -> Any:
        """The other operand; a copy where torch would refuse to read it, or read what it has just written."""
        if self.changes and self.lib is not ng and overlap(self.x, self.other):
            return self.other.clone()
        return self.other

    @property
    def fit(self) -> Any:
        """``y`` as something that broadcasts to ``x``."""
        y = self.y
        if y.ndim <= self.x.ndim:
            pairs = zip(reversed(y.shape), reversed(self.x.shape), strict=False)
            if all(n in (1, m) for n, m in pairs):
                return y
        return y.sum()

    @property
    def dim(self) -> int:
        return self.i % self.x.ndim if self.x.ndim else 0

    def at(self, dim: int = 0) -> int:
        return self.j % self.x.shape[dim]

    def index(self, count: int, dim: int = 0) -> Any:
        """A tensor of ``count`` indices of a dimension, some of them negative, some the same."""
        extent = self.x.shape[dim]
        return self.lib.tensor([(self.i * 7 + self.j * 3 + 2 * k) % (2 * extent) - extent for k in range(count)])

    @property
    def mask(self) -> Any:
        return self.x.detach() > self.a * 0.5


TABLE: dict[str, Callable[[Call], Any]] = {}
CHANGES: set[str] = set()


def op(name: str) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    def add(function: Callable[[Call], Any]) -> Callable[[Call], Any]:
        TABLE[name] = function
        return function

    return add


def rows(x: Any) -> bool:
    return bool(x.ndim and x.shape[0])


VIEWS: dict[str, Callable[[Call], Any]] = {
    "transpose": lambda c: c.x.transpose(c.i % c.x.ndim, c.j % c.x.ndim) if c.x.ndim else c.x.view(()),
    "permute": lambda c: c.x.permute(*[(k + c.i) % c.x.ndim for k in range(c.x.ndim)]) if c.x.ndim else c.x.view(()),
    "T": lambda c: c.x.T if c.x.ndim == 2 else c.x[...],
    "view flat": lambda c: c.x.view(-1),
    "reshape flat": lambda c: c.x.reshape(-1),
    "view 2": lambda c: c.x.view(2, -1),
    "x[i]": lambda c: c.x[c.at()],
    "x[-1]": lambda c: c.x[-1],
    "x[1:]": lambda c: c.x[1:],
    "x[:2]": lambda c: c.x[:2],
    "x[..., ::2]": lambda c: c.x[..., ::2],
    "x[:, i:]": lambda c: c.x[:, c.i % 3 :],
    "x[None]": lambda c: c.x[None] if c.x.ndim < 4 else c.x[...],
    "x[..., None]": lambda c: c.x[..., None] if c.x.ndim < 4 else c.x[...],
    "x[i, ..., None]": lambda c: c.x[c.at(), ..., None],
    "unsqueeze": lambda c: c.x.unsqueeze(c.i % (c.x.ndim + 1)) if c.x.ndim < 4 else c.x[...],
    "squeeze": lambda c: c.x.squeeze(),
    "narrow": lambda c: c.x.narrow(c.dim, c.j % 2, 1 + c.i % 2),
    "select": lambda c: c.x.select(c.dim, c.j % 3 - 1),
    "expand": lambda c: c.x.unsqueeze(0).expand(2, *c.x.shape) if c.x.ndim < 4 else c.x[...],
    "split": lambda c: c.x.split(1 + c.i % 2, c.dim)[c.j % 2],
    "split sizes": lambda c: c.x.split([1, c.x.shape[0] - 1])[c.j % 2],
    "chunk": lambda c: c.x.chunk(2, c.dim)[c.j % 2],
    "unbind": lambda c: c.x.unbind(c.dim)[c.j % 2],
    "unpacked": lambda c: list(c.x)[c.j % 3],
    "detach": lambda c: c.x.detach(),
}

FRESH: dict[str, Callable[[Call], Any]] = {
    "clone": lambda c: c.x.clone(),
    "contiguous": lambda c: c.x.contiguous() * 1,
    "x * a": lambda c: c.x * c.a,
    "a - x": lambda c: c.a - c.x,
    "x * x": lambda c: c.x * c.x,
    "x ** 2": lambda c: c.x**2,
    "x ** 3": lambda c: (c.x * 0.5) ** 3,
    "x + y": lambda c: c.x + c.fit,
    "x - y": lambda c: c.x - c.fit,
    "x * y": lambda c: c.x * c.fit,
    "x / y": lambda c: c.x / (c.fit * c.fit + 1),
    "outer sum": lambda c: c.x.reshape(-1, 1)[:4] + c.y.reshape(-1)[:3],
    "maximum": lambda c: c.lib.maximum(c.x, c.fit),
    "where": lambda c: c.lib.where(c.mask, c.x, c.fit),
    "neg": lambda c: -c.x,
    "tanh": lambda c: c.x.tanh(),
    "sigmoid": lambda c: c.x.sigmoid(),
    "sin": lambda c: c.x.sin(),
    "exp": lambda c: (c.x * c.x * -0.5).exp(),
    "log": lambda c: (c.x * c.x + 1).log(),
    "sqrt": lambda c: (c.x * c.x + 1).sqrt(),
    "relu": lambda c: c.x.relu(),
    "abs": lambda c: c.x.abs(),
    "clamp": lambda c: c.x.clamp(-1.0, c.a),
    "sum": lambda c: c.x.sum(),
    "sum dim": lambda c: c.x.sum(c.dim),
    "mean dim": lambda c: c.x.mean(c.dim, keepdim=True),
    "var": lambda c: c.x.var(c.dim, correction=0),
    "amax": lambda c: c.x.amax(c.dim),
    "max": lambda c: c.x.max(c.dim)[0],
    "prod": lambda c: c.x.reshape(-1)[:3].prod(),
    "softmax": lambda c: c.x.softmax(c.dim),
    "log_softmax": lambda c: c.x.log_softmax(c.dim),
    "matmul": lambda c: c.x.reshape(-1)[:4].reshape(-1, 1) @ c.y.reshape(-1)[:3].reshape(1, -1),
    "cat": lambda c: c.lib.cat([c.x.reshape(-1), c.y.reshape(-1)])[:12],
    "stack": lambda c: c.lib.stack([c.x.sum(), c.y.sum(), c.x.sum()]),
    "x[index]": lambda c: c.x[c.index(3)],
    "x[index, index]": lambda c: c.x[c.index(3), c.index(3, 1)],
    "x[:, index]": lambda c: c.x[:, c.index(2, 1)],
    "x[index, 1:]": lambda c: c.x[c.index(2), 1:],
    "x[index, :, None]": lambda c: c.x[c.index(2), ..., None],
    "x[mask]": lambda c: c.x[c.mask],
    "x[i, mask]": lambda c: c.x[c.at(), c.mask[0]],
    "index_select": lambda c: c.x.index_select(c.dim, c.lib.tensor([0, c.j % c.x.shape[c.dim], 0])),
    "masked_fill": lambda c: c.x.masked_fill(c.mask, c.a),
    "index_put": lambda c: c.x.index_put((c.index(2),), c.y.sum(), accumulate=c.i % 2 == 1),
}

IN_PLACE: dict[str, Callable[[Call], Any]] = {
    "add_ a": lambda c: c.x.add_(c.a),
    "mul_ a": lambda c: c.x.mul_(c.a),
    "add_": lambda c: c.x.add_(c.fit),
    "add_ alpha": lambda c: c.x.add_(c.fit, alpha=2),
    "sub_": lambda c: c.x.sub_(c.fit),
    "mul_": lambda c: c.x.mul_(c.fit),
    "div_": lambda c: c.x.div_(c.fit.clone() ** 2 + 1),
    "add_ bigger": lambda c: c.x.add_(c.y),
    "tanh_": lambda c: c.x.tanh_(),
    "sin_": lambda c: c.x.sin_(),
    "sigmoid_": lambda c: c.x.sigmoid_(),
    "exp_": lambda c: c.x.clamp_(-2.0, 2.0).exp_(),
    "relu_": lambda c: c.x.relu_(),
    "neg_": lambda c: c.x.neg_(),
    "abs_": lambda c: c.x.abs_(),
    "pow_": lambda c: c.x.pow_(2),
    "square_": lambda c: c.x.square_(),
    "clamp_": lambda c: c.x.clamp_(-1.0, c.a),
    "zero_": lambda c: c.x.zero_(),
    "fill_": lambda c: c.x.fill_(c.a),
    "fill_ y": lambda c: c.x.fill_(c.y.sum()),
    "copy_": lambda c: c.x.copy_(c.fit),
    "copy_ bigger": lambda c: c.x.copy_(c.y),
    "+=": lambda c: c.x.__iadd__(c.fit),
    "x[i] = a": lambda c: c.x.__setitem__(c.at(), c.a),
    "x[i] = y": lambda c: c.x.__setitem__(c.at(), c.y.sum()),
    "x[1:] = y": lambda c: c.x.__setitem__(slice(1, None), c.fit),
    "x[..., ::2] = a": lambda c: c.x.__setitem__((Ellipsis, slice(None, None, 2)), c.a),
    "x[:, i] = y": lambda c: c.x.__setitem__((slice(None), c.at(1)), c.y.sum()),
    "x[index] = y": lambda c: c.x.__setitem__(c.lib.tensor([0, -1]), c.y.sum()),
    "x[index, i] = a": lambda c: c.x.__setitem__((c.lib.tensor([0]), c.at(1)), c.a),
    "x[:, index] = y": lambda c: c.x.__setitem__((slice(None), c.lib.tensor([1, 0])), c.y.sum()),
    "x[mask] = a": lambda c: c.x.__setitem__(c.mask, c.a),
    "x[mask] = y": lambda c: c.x.__setitem__(c.mask, c.y.sum()),
    "x[i] *= a": lambda c: c.x[c.at()].mul_(c.a),
    "masked_fill_": lambda c: c.x.masked_fill_(c.mask, c.a),
    "masked_fill_ y": lambda c: c.x.masked_fill_(c.mask, c.y.sum()),
    "index_put_": lambda c: c.x.index_put_((c.lib.tensor([0]),), c.y.sum()),
    "index_put_ add": lambda c: c.x.index_put_((c.index(3),), c.y.sum(), accumulate=True),
    "detach_": lambda c: c.x.detach_() if c.i % 4 == 0 else None,
    "retain_grad": lambda c: c.x.retain_grad() if c.x.requires_grad else None,
}

OPS = {**VIEWS, **FRESH, **IN_PLACE}
REFUSALS = (RuntimeError, IndexError, ValueError, TypeError, ZeroDivisionError)


def program(seed: int) -> list[Step]:
    """The program of this seed."""
    rng = np.random.default_rng(seed)
    kinds = (list(VIEWS), list(FRESH), list(IN_PLACE))
    steps = []
    for _ in range(int(rng.integers(3, 16))):
        names = kinds[rng.choice(3, p=(0.34, 0.26, 0.40))]
        numbers = [int(n) for n in rng.integers(0, 1000, 4)]
        # The later a tensor was made the likelier it is used.
        x, y = (-1 - int(rng.exponential(2.5)) for _ in range(2))
        recorded = bool(rng.random() > 0.07)
        steps.append(Step(str(rng.choice(names)), recorded, x, y, *numbers[2:], float(rng.choice([-1.5, 0.5, 2.0]))))
    return steps


@dataclass
class Run:
    """What a library made of a program."""

    refusals: list[Exception | None] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    tracked: list[bool] = field(default_factory=list)
    total: float = 0.0  # of the roots, times their cotangents
    backward: Exception | None = None  # the refusal
    grads: list[Any] = field(default_factory=list)
    second: list[Any] = field(default_factory=list)
    untracked: list[bool] = field(default_factory=list)  # for each step: an operand came out of a view made in no_grad


def starts() -> list[np.ndarray]:
    """The values of the leaves."""
    rng = np.random.default_rng(7)
    return [np.array(rng.normal(size=shape)) for shape in ((3, 4), (4,), ())]


def run(lib: ModuleType, steps: list[Step], values: list[np.ndarray] | None = None) -> Run:
    """Run the program and differentiate what comes out."""
    leaves = [lib.tensor(value, dtype=lib.float64, requires_grad=True) for value in values or starts()]
    plain = np.random.default_rng(8).normal(size=(3, 4))
    made = [*leaves, lib.tensor(plain, dtype=lib.float64)]
    made += [leaves[0] * 1.0, leaves[1] * leaves[2]]
    result = Run()
    quiet = [False] * len(made)  # came out of a view that was made in no_grad
    for step in steps:
        x, y = made[max(step.x, -len(made))], made[max(step.y, -len(made))]
        from_quiet = quiet[max(step.x, -len(made))] or quiet[max(step.y, -len(made))]
        result.untracked.append(from_quiet)
        before = [(np.array(t.detach().numpy()), t._version) for t in made] if lib is ng else []
        try:
            with lib.set_grad_enabled(step.recorded):
                if step.name in IN_PLACE and quiet[max(step.y, -len(made))]:
                    y = y.detach()
                out = OPS[step.name](Call(lib, x, y, step.i, step.j, step.a, step.name in IN_PLACE))
            result.refusals.append(None)
        except REFUSALS as error:
            result.refusals.append(error)
            for tensor, (value, version) in zip(made, before, strict=False):
                assert np.array_equal(tensor.detach().numpy(), value, equal_nan=True), (
                    f"{step}: refused, but something changed"
                )
                assert tensor._version == version or "exp_" in step.name, f"{step}: refused, but a version changed"
            continue
        if step.name not in IN_PLACE and out.numel() <= 64:
            made.append(out)
            quiet.append(from_quiet or (step.name in VIEWS and not step.recorded))
    result.values = [np.array(t.detach().numpy()) for t in made]
    result.tracked = [bool(t.requires_grad) and not q for t, q in zip(made, quiet, strict=True)]
    differentiate(lib, leaves, [t for t, q in zip(made, quiet, strict=True) if not q], result)
    return result


def numerical(steps: list[Step]) -> list[np.ndarray]:
    """The gradients by finite differences of numgrad's values."""
    found = []
    for place, start in enumerate(starts()):
        grad = np.zeros_like(start)
        for k in np.ndindex(start.shape):
            ends = []
            for move in (1e-6, -1e-6):
                moved = starts()
                moved[place][k] += move
                ends.append(run(ng, steps, moved).total)
            grad[k] = (ends[0] - ends[1]) / 2e-6
        found.append(grad)
    return found


def array(grad: Any) -> np.ndarray:
    """A copy in NumPy; torch's zeros may have no memory."""
    return np.array(grad.detach().numpy() if isinstance(grad, ng.Tensor) else grad.detach().numpy(force=True))


def overlap(x: Any, y: Any) -> bool:
    """Whether two views share memory; torch refuses to write one from the other, or reads what it has just written."""
    same = x.data_ptr() == y.data_ptr() and x.shape == y.shape and x.stride() == y.stride()
    return not same and x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


def differentiate(lib: ModuleType, leaves: list[Any], made: list[Any], result: Run) -> None:
    """Gradients of several roots at once, and the gradients of those."""
    try:
        roots = [t for t in made[3:] if t.requires_grad and t.numel()]
        roots = [leaves[0].sum() + leaves[1].sum() + leaves[2], *roots]
        cotangents = [lib.ones_like(t.detach()) * (0.5 + 0.25 * k) for k, t in enumerate(roots)]
        result.total = sum(float((r.detach() * c).sum()) for r, c in zip(roots, cotangents, strict=True))
        grads = lib.autograd.grad(roots, leaves, cotangents, create_graph=True, allow_unused=True)
        result.grads = [None if g is None else array(g) for g in grads]
        parts = [(g * g).sum() * (k + 1.0) for k, g in enumerate(grads) if g is not None and g.requires_grad]
        if parts:
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            second = lib.autograd.grad(total, leaves, allow_unused=True)
            result.second = [None if g is None else array(g) for g in second]
    except REFUSALS as error:
        result.backward = error


def builtin(error: Any) -> type[Exception]:
    """The class of Python's own that an error is of."""
    return next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")


def on_purpose(step: Step, ours: Exception | None, theirs: Exception | None, untracked: bool) -> bool:
    """Whether this difference is one of those that docs/autograd.md tells of."""
    if ours is None and theirs is not None:
        # To torch a view of a tensor that came to require a gradient after it was made is a leaf, until someone looks.
        if "a leaf Variable that requires grad" in str(theirs):
            return True
        # A view that was made in no_grad requires a gradient in torch, against what no_grad promises.
        return untracked
    # What an expanded view shows many times is written by fill_ alone; for torch, index_put_ on it is deprecated.
    by_index = step.name.startswith(("x[", "index_put_", "masked_fill_"))
    return theirs is None and by_index and "more than one element of the written-to tensor" in str(ours)


def compare(theirs: ModuleType, steps: list[Step]) -> str | None:
    """What the libraries do not agree about; None if there is nothing."""
    steps = list(steps)
    while True:
        mine, other = run(ng, steps), run(theirs, steps)
        for k, (ours, there) in enumerate(zip(mine.refusals, other.refusals, strict=True)):
            if (ours is None) == (there is None):
                if ours is not None and not isinstance(ours, builtin(there)) and "is a view and" not in str(there):
                    return f"step {k}, {steps[k]}: we raise {ours!r}\n  torch raises {there!r}"
                continue
            if on_purpose(steps[k], ours, there, mine.untracked[k]):
                del steps[k]
                break
            return f"step {k}, {steps[k]}:\n  ours:  {ours}\n  torch: {there}"
        else:
            break
    for k, (value, expected) in enumerate(zip(mine.values, other.values, strict=True)):
        if value.shape != expected.shape or not same(value, expected):
            return f"value {k}: {value}\n  torch: {expected}"
    if mine.tracked != other.tracked:
        return f"requires_grad: {mine.tracked}\n  torch: {other.tracked}"
    if mine.backward is None and other.backward is not None and "modified by an inplace" in str(other.backward):
        # numgrad's backward reads less than torch's: its gradients have to be those of the values before the change.
        if any(not step.recorded or step.name.startswith("detach") for step in steps):
            return None  # differences see what was done behind the graph's back
        expected = numerical(steps)
        for ours, there in zip(mine.grads, expected, strict=True):
            if not np.allclose(0 if ours is None else ours, there, rtol=1e-4, atol=1e-4 * max(1, np.abs(there).max())):
                return f"gradient, where torch has none: {ours}\n  by differences: {there}"
        return None
    if mine.backward is None and "more than one element of the written-to tensor" in str(other.backward):
        return None  # torch lets fill_ change an expanded view, but its backward cannot
    if (mine.backward is None) != (other.backward is None):
        return f"backward:\n  ours:  {mine.backward}\n  torch: {other.backward}"
    if mine.backward is not None:
        if not isinstance(mine.backward, builtin(other.backward)):
            return f"backward: we raise {mine.backward!r}\n  torch raises {other.backward!r}"
        return None
    for name, ours, there in (("gradient", mine.grads, other.grads), ("second", mine.second, other.second)):
        for k in range(3):
            a, b = (found[k] if found else None for found in (ours, there))
            if a is None or b is None:
                a, b = (np.zeros(()) if g is None else g for g in (a, b))
            if not same(a, b):
                return f"{name} {k}: {a}\n  torch: {b}"
    return None


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal to about the precision of float64, given the sizes of the numbers."""
    size = max(1.0, float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0)))
    return bool(np.allclose(a, b, rtol=1e-9, atol=1e-10 * size, equal_nan=True))


def outcome(theirs: ModuleType, steps: list[Step]) -> str | None:
    """As `compare`; an error that nobody expected is a mismatch, too."""
    try:
        return compare(theirs, steps)
    except Exception:
        return traceback.format_exc(limit=-4)


def smallest(theirs: ModuleType, steps: list[Step]) -> list[Step]:
    """A program with fewer steps that the libraries do not agree about either."""
    k = 0
    while k < len(steps):
        fewer = steps[:k] + steps[k + 1 :]
        differs = outcome(theirs, fewer) is not None
        steps, k = (fewer, k) if differs else (steps, k + 1)
    return steps


def mismatches(theirs: ModuleType, seeds: Iterable[int]) -> list[str]:
    """What the libraries do not agree about, for each seed with its smallest program."""
    found = []
    for seed in seeds:
        steps = program(seed)
        text = outcome(theirs, steps)
        if text is not None:
            steps = smallest(theirs, steps)
            text = outcome(theirs, steps)
            listed = "\n".join(f"  {step}" for step in steps)
            found.append(f"seed {seed}: {text}\n{listed}")
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--most", type=int, default=10, help="stop after so many mismatches")
    given = parser.parse_args()
    import torch

    wrong: list[str] = []
    for start in range(given.start, given.start + given.count, 50):
        end = min(start + 50, given.start + given.count)
        wrong += mismatches(torch, range(start, end))
        if len(wrong) >= given.most:
            break
    sys.stdout.write("\n\n".join(wrong) + f"\n{end - given.start} programs, {len(wrong)} mismatches\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
