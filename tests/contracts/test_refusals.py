"""A walk over the edges of arguments: what torch refuses is refused with its class, what it takes gives its value.

``python -m tests.contracts.test_refusals`` prints what differs, with the reasons.
"""

from __future__ import annotations

import fnmatch
import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import numgrad as ng
from tests.contracts.positions import same, seen
from tests.contracts.refusals import cases

# What differs on purpose: patterns of names, how (the first that fits counts), and why.
EXPLAINED: list[tuple[str, str, str]] = [
    ("sdpa dropout=*", "refuses", "a negative or NaN probability has no meaning, though torch computes something"),
    ("cross_entropy * label_smoothing=*", "refuses", "torch ignores what is not above 0"),
    ("OneCycleLR pct_start=nan", "refuses", "every rate would be NaN"),
    ("SGD dampening=*", "refuses", "torch never looks at a dampening without momentum"),
    ("Dropout of *", "refuses", "torch drops integers if p is 1, and only then"),
    ("GroupNorm num_groups=0*", "class", "a division by 0 names no argument"),
    ("StepLR step_size=0*", "class", "a division by 0 names no argument"),
    ("CosineAnnealingLR T_max=0*", "class", "a division by 0 names no argument"),
    ("* kernel_size=True", "refuses", "a bool is no size"),
    ("*Attention num_heads=True", "refuses", "a bool is no size"),
    ("Embedding *=True", "refuses", "a bool is no size"),
    ("Transformer* nhead=True", "refuses", "a bool is no size"),
    ("*=True", "class", "a bool is no size"),
    ("LayerNorm(True)", "class", "a bool is no size"),
    ("Conv2d *channels=*", "class", "what is no int is a TypeError"),
    ("Conv2d groups=*", "class", "what is no int is a TypeError"),
    ("Conv2d groups=*", "refuses", "what is no int is a TypeError"),
    ("* of * and nothing", "class", "None is no tensor"),
    ("* of nothing and *", "class", "None is no tensor"),
    ("bce pos_weight bool", "takes", "True is 1"),
    ("AdaptiveAvgPool2d to nothing of *int*", "refuses", "torch has no check where there is nothing to compute"),
    ("AdaptiveAvgPool2d to nothing of bool*", "refuses", "torch has no check where there is nothing to compute"),
    ("BatchNorm* of (2, 0)", "refuses", "torch does not compare numbers of channels if the input has no elements"),
    (
        "BatchNorm* of (2, 0, 4, 4)",
        "refuses",
        "torch does not compare numbers of channels if the input has no elements",
    ),
    ("BatchNorm* of (0, 4, 4)", "refuses", "torch does not compare numbers of channels if the input has no elements"),
    ("*_loss of * and bool", "refuses", "a difference with a bool is refused everywhere"),
    ("*_loss of bool and *", "refuses", "a difference with a bool is refused everywhere"),
    ("* eval momentum=*", "takes", "the momentum is not read in eval mode"),
    ("*daptive*(None)", "takes", "None keeps both extents, as (None, None) does in torch"),
    ("*daptive*((0, 1))", "takes", "torch pools to nothing, but has no gradient of it"),
    ("*daptive*(0)", "takes", "torch pools to nothing, but has no gradient of it"),
    ("AdaptiveAvgPool2d to nothing of *", "takes", "torch pools to nothing, but has no gradient of it"),
    ("BatchNorm1d of nothing of (2, 0)", "takes", "torch fails on its own assumption of a channel"),
    ("SGD weight_decay=True", "takes", "True is 1"),
    ("Adam weight_decay=True", "takes", "True is 1"),
    ("GELU of *", "takes", "integers are converted, as for other activations"),
    ("batch_norm momentum=inf", "value", "inf * 0 in another place"),
    ("SGD momentum=inf", "value", "inf * 0 in another place"),
    ("GroupNorm of * (1, 3, 0)", "value", "the sum of no gradients is 0, not NaN"),
    ("GroupNorm of three of (1, 3, 0)", "value", "the sum of no gradients is 0, not NaN"),
    ("GroupNorm of (2, 2, ?, ?)", "value", "the sum of no gradients is 0, not NaN"),
    ("GroupNorm of three of *", "value", "cancellation: torch's rounding is 4e-6 off 0"),
    ("LayerNorm of two of *", "value", "cancellation in the gradient of the input"),
    ("binary_cross_entropy_with_logits * weighted by float64", "value", "the result is promoted, torch's is not"),
    ("bce pos_weight float64", "value", "the result is promoted, torch's is not"),
    ("AdaptiveAvgPool2d to nothing of *", "class", "shapes are a RuntimeError"),
    ("AvgPool2d of *", "class", "shapes are a RuntimeError"),
    ("BatchNorm1d of nothing of *", "class", "shapes are a RuntimeError"),
    ("Conv2d padding_mode=[[]2]", "class", "torch fails by accident"),
    ("*Dropout p=nan*", "class", "no probability is a ValueError"),
    ("dropout p=nan*", "class", "no probability is a ValueError"),
    ("TransformerEncoderLayer dropout=nan", "class", "no probability is a ValueError"),
    ("Embedding num_embeddings=*", "class", "an index that is no row is an IndexError"),
    ("Embedding padding_idx=*", "class", "what is no int is a TypeError"),
    ("F.embedding padding_idx=*", "class", "what is no int is a TypeError"),
    ("GELU(*", "class", "an unknown approximation is a RuntimeError"),
    ("LambdaLR of none", "class", "what is no optimizer is a TypeError"),
    ("MultiplicativeLR of none", "class", "what is no optimizer is a TypeError"),
    ("CyclicLR step_size_up=0*", "class", "torch divides by it"),
    ("OneCycleLR *", "class", "torch fails by accident"),
    ("ReduceLROnPlateau *", "class", "torch fails by accident"),
    ("SGD of *", "class", "torch fails by accident"),
    ("group_norm groups=0*", "class", "torch fails by accident"),
    ("*_loss of * and *", "class", "of several faults another is named first"),
    ("cross_entropy of * and *", "class", "of several faults another is named first"),
    ("normalize eps=None", "class", "a missing bound is a RuntimeError"),
    ("sdpa scale='a'", "class", "what is no number"),
]


def outcome(lib: Any, case: Callable[[Any], Any]) -> Any:
    """What a case gives, or the exception that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return seen(case(lib))
        except Exception as error:
            return error


def difference(case: Callable[[Any], Any], torch: Any) -> tuple[str, Any, Any]:
    """How the libraries differ: 'refuses', 'takes', 'value', 'class' or not at all, and what each made of the case."""
    mine, theirs = outcome(ng, case), outcome(torch, case)
    refused = [isinstance(each, Exception) for each in (mine, theirs)]
    if all(refused):
        # A NotImplementedError is a RuntimeError; of both libraries the wider class will do.
        alike = isinstance(mine, type(theirs)) or (
            isinstance(theirs, NotImplementedError) and isinstance(mine, RuntimeError)
        )
        return "" if alike else "class", mine, theirs
    if any(refused):
        return ("refuses" if refused[0] else "takes"), mine, theirs
    return ("" if same(mine, theirs) else "value"), mine, theirs


def reason(name: str, how: str) -> str:
    """Why a case may differ in this way; '' if there is no reason."""
    for pattern, kind, why in EXPLAINED:
        if kind == how and fnmatch.fnmatchcase(name, pattern):
            return why
    return ""


def group(name: str) -> str:
    """What a case is about: the first word of its name."""
    return name.split(" ")[0].split("(")[0]


@functools.cache
def grouped() -> dict[str, list[tuple[str, Callable[[Any], Any]]]]:
    """The cases by what they are about."""
    found: dict[str, list[tuple[str, Callable[[Any], Any]]]] = {}
    for name, case in cases():
        found.setdefault(group(name), []).append((name, case))
    return found


@pytest.fixture
def single_torch(torch: ModuleType) -> Iterator[ModuleType]:
    """torch on one thread: starting many takes longer than these small cases."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)


@pytest.mark.parametrize("about", grouped())
def test_edges_are_torchs(about: str, single_torch: ModuleType) -> None:
    strange = []
    for name, case in grouped()[about]:
        how, mine, theirs = difference(case, single_torch)
        if how and not reason(name, how):
            strange.append(f"{name}: {how}: {mine!r} / {theirs!r}"[:400])
    assert not strange, "\n".join(strange[:20])


def main() -> None:
    """Print what differs."""
    import torch

    torch.set_num_threads(1)
    for name, case in cases():
        how, mine, theirs = difference(case, torch)
        if how:
            sys.stdout.write(f"{how:8} {name:60} {reason(name, how) or '????'}\n")
            if not reason(name, how):
                sys.stdout.write(f"         numgrad {mine!r:.160}\n         torch   {theirs!r:.160}\n")


if __name__ == "__main__":
    main()
