"""torch's own database of operators, which it tests itself by: what of it numgrad has, and whether the values are torch's.

A row of the database has a name, aliases, methods, and samples of arguments. `of_torch` reads its dense real operators;
`compared` calls numgrad with a row's first samples.
"""

from __future__ import annotations

import functools
import itertools
import random
import re
import sys
import types
import unittest
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

import numgrad as ng

# Not dense, not real, made for torch's own machinery, or of modules that numgrad does not have.
LEFT_OUT = re.compile(r"fft\..*|sparse\..*|masked\..*|_refs\..*|jiterator_.*|torch\..*|ops\..*|_[a-z].*|nested.*")
Row = dict[str, Any]
SEED = 1234  # torch's, of each sample


@functools.cache
def rows() -> list[Any]:
    """The rows of the database that are counted: with a dtype that numgrad has."""
    # All that torch asks of this package is a base class of its test cases.
    sys.modules.setdefault("expecttest", types.ModuleType("expecttest")).__dict__.setdefault(
        "TestCase", unittest.TestCase
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return [row for row in op_db if not LEFT_OUT.fullmatch(row.name) and dtype_of(row) is not None]


def dtype_of(row: Any, *further: Any) -> Any:
    """A real dtype of the row's: float64 if it has that."""
    import torch

    order = (*further, torch.float64, torch.float32, torch.int64, torch.bool)
    return next((dtype for dtype in order if dtype in row.dtypes), None)


def of_torch(torch: ModuleType) -> list[Row]:
    """The operators by name: the further names of each, its method and its in-place method, where torch has them."""
    names: dict[str, Row] = {}
    for row in rows():
        last = row.name.rpartition(".")[2]
        entry = names.setdefault(row.name, {"name": row.name, "aliases": [], "methods": []})
        entry["aliases"] = sorted({*entry["aliases"], *(alias.name for alias in row.aliases)})
        forms = [last] if row.method_variant is not None else []
        forms += [f"{last}_"] if row.inplace_variant is not None else []
        entry["methods"] = sorted({*entry["methods"], *(form for form in forms if hasattr(torch.Tensor, form))})
    return sorted(names.values(), key=lambda entry: entry["name"])


def reach(path: str) -> Any:
    """The function of numgrad with torch's name: of a module or, where there is none, of `Tensor`; None if there is none."""
    for root in (ng, ng.Tensor):
        value: Any = root
        for part in path.removeprefix("torch.").split("."):
            value = getattr(value, part, None)
        if value is not None:
            return value
    return reach(f"{path}_") if not path.endswith("_") and hasattr(ng.Tensor, f"{path}_") else None


def lacking(entry: Row) -> list[str]:
    """What of an operator is missing: names, methods."""
    names = [name for name in (entry["name"], *entry["aliases"]) if reach(name) is None]
    return names + [f"Tensor.{name}" for name in entry["methods"] if not hasattr(ng.Tensor, name)]


# ---- samples ----------------------------------------------------------------------------------------------------


def converted(value: Any) -> Any:
    """An argument of torch's as numgrad's."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.dtype is torch.bfloat16:
            raise NotImplementedError(f"a tensor of {value.dtype}")
        dtype = getattr(ng, str(value.dtype).removeprefix("torch."))
        if value.untyped_storage().nbytes() != value.numel() * value.element_size():  # a window on more
            whole = torch.empty(0, dtype=value.dtype).set_(value.untyped_storage())
            base = ng.from_numpy(whole.numpy().copy())
            return base.as_strided(tuple(value.shape), value.stride(), value.storage_offset())
        # NumPy has no array without dimensions that is no number.
        array = value.detach().numpy().copy(order="K")
        return ng.from_numpy(array) if value.dim() else ng.tensor(value.item(), dtype=dtype)
    if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
        return getattr(ng, str(value).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return ng.Size(value)
    if isinstance(value, torch.device):
        return ng.device(str(value))
    if isinstance(value, torch.nn.Module):
        return getattr(ng.nn, type(value).__name__)()
    if type(value) in (list, tuple):
        return type(value)(converted(each) for each in value)
    return {key: converted(each) for key, each in value.items()} if isinstance(value, dict) else value


def samples_of(row: Any, dtype: Any, count: int) -> Iterator[Any]:
    """The first samples of ``row.sample_inputs``, with its seeds.

    That itself reads all frames of the stack, to tell a ``unittest.TestCase`` of each sample, and the tracebacks of what else
    torch would seed: most of what a row takes.
    """
    import torch

    samples = iter(row.sample_inputs_func(row, "cpu", dtype, False))
    for _ in range(count):
        torch.default_generator.manual_seed(SEED)
        random.seed(SEED)
        np.random.seed(SEED)
        try:
            yield next(samples)
        except StopIteration:
            return


def called(row: Any) -> Callable[..., Any]:
    """What the row calls, of numgrad: a function of the database's own is run with numgrad under torch's name."""
    function = row.op
    if isinstance(function, types.FunctionType) and function.__module__.startswith("torch.testing"):
        own = {**function.__globals__, "torch": ng}
        return types.FunctionType(function.__code__, own, None, function.__defaults__, function.__closure__)
    name = getattr(function, "__name__", row.name)
    mine = getattr(ng.Tensor, name, None) if name == f"{row.name}_" else reach(row.name)
    return (lambda tensor: mine.__get__(tensor)) if isinstance(mine, property) else mine


def unlike(mine: Any, theirs: Any, tolerance: float, sizes: bool = False) -> str:
    """How a result differs from torch's; '' if it does not. A tolerance of infinity compares shapes and dtypes.

    With ``sizes`` elements may have another sign.
    """
    import torch

    if isinstance(theirs, torch.Tensor):
        if not isinstance(mine, ng.Tensor):
            return f"{type(mine).__name__}, not a tensor"
        if tuple(mine.shape) != tuple(theirs.shape):
            return f"shape {tuple(mine.shape)}, not {tuple(theirs.shape)}"
        if str(mine.dtype).removeprefix("numgrad.") != str(theirs.dtype).removeprefix("torch."):
            return f"{mine.dtype}, not {theirs.dtype}"
        if tolerance == np.inf:
            return ""
        got, expected = (np.asarray(each.detach().double().numpy()) for each in (mine, theirs))
        got, expected = (np.abs(each) if sizes else each for each in (got, expected))
        scale = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0)))
        close = np.allclose(got, expected, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
        return "" if close else f"values {got.ravel()[:3]}, not {expected.ravel()[:3]}"
    if isinstance(theirs, (tuple, list)):
        if not isinstance(mine, (tuple, list)) or len(mine) != len(theirs):
            return f"{type(mine).__name__}, not {len(theirs)} results"
        return next(filter(None, map(unlike, mine, theirs, itertools.repeat(tolerance), itertools.repeat(sizes))), "")
    if isinstance(theirs, torch.dtype):
        return "" if str(mine).removeprefix("numgrad.") == str(theirs).removeprefix("torch.") else f"{mine}"
    if isinstance(theirs, float) and tolerance < np.inf:
        return "" if np.isclose(mine, theirs, rtol=tolerance, equal_nan=True) else f"{mine}, not {theirs}"
    return "" if mine == theirs or tolerance == np.inf else f"{mine!r}, not {theirs!r}"


def compared(row: Any, dtype: Any, count: int, tolerance: float, sizes: bool = False) -> Iterator[tuple[str, str]]:
    """For each of the row's first ``count`` samples that is not as in torch: what differs, and the arguments."""
    function = called(row)
    with warnings.catch_warnings():  # which both give, of what is deprecated or has no elements
        warnings.simplefilter("ignore")
        samples = list(samples_of(row, dtype, count))
    for number, sample in enumerate(samples):
        try:
            arguments = converted([sample.input, *sample.args]), converted(sample.kwargs)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = row.op(sample.input, *sample.args, **sample.kwargs)
                text = unlike(function(*arguments[0], **arguments[1]), expected, tolerance, sizes)
        except Exception as error:
            text = f"{type(error).__name__}: {str(error)[:200]}"
        if text:
            shapes = [getattr(each, "shape", each) for each in (sample.input, *sample.args)]
            yield text, f"sample {number}: {shapes} {sample.kwargs}"[:300]
