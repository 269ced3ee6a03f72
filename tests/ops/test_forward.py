"""Every op's forward against its oracle: dtypes, layouts, special values, threads; operands stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.layout import private_strides, strides_in_order
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS
from numgrad.tensor import creation
from tests.ops.applying import apply, as_array, changes_input, expected, tensors
from tests.ops.rows import SAMPLES as ROWS
from tests.ops.rows import Sample
from tests.ops.samples import Refusal, all_refusals, all_samples
from tests.ops.samples_elementwise import EVERY_FORM

SAMPLES = [s for s in all_samples() if not s.moments]
RELATIVE = {"float64": 1e-13, "float32": 2e-6}


INDEXED_AS_ADD = ("div", "maximum")  # which show further forms of numbers, but none of an index


def marked(sample: Sample, *further: str) -> Any:
    """A test's parameters. Elementwise ops have the loops of one generator, and those of `EVERY_FORM` have all of them."""
    alike = is_alike(sample) or sample.op in INDEXED_AS_ADD
    return pytest.param(sample, *further, marks=[pytest.mark.alike] if alike else [])


def repeats_a_form(sample: Sample) -> bool:
    """Whether operands of an elementwise op broadcast, whose first sample has its formula: the loops of `EVERY_FORM` do."""
    return is_alike(sample) and sample is not ROWS[sample.op][0] and broadcasts(sample)


def broadcasts(sample: Sample) -> bool:
    """Whether its inputs have several shapes."""
    return len({x.shape for x in sample.arrays() if x is not None}) > 1


def is_alike(sample: Sample) -> bool:
    """Whether an elementwise op's loops are those of others."""
    return isinstance(OPS.get(sample.op), Elementwise) and sample.op not in EVERY_FORM


def has_floats(sample: Sample) -> bool:
    return any(x is not None and x.dtype.kind == "f" for x in sample.arrays())


def assert_close(got: np.ndarray, want: np.ndarray, dtype: str, tolerance: float, scale: float) -> None:
    assert got.shape == want.shape
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    with np.errstate(over="ignore"):
        want = want.astype(got.dtype)
    relative = RELATIVE[got.dtype.name] * tolerance
    np.testing.assert_allclose(got, want, rtol=relative, atol=relative * scale, equal_nan=True)


def size_of(arrays: Any) -> float:
    finite = [np.abs(x[np.isfinite(x)]).max(initial=0.0) for x in arrays if x is not None and x.dtype.kind == "f"]
    return max([1.0, *finite]) if max([0.0, *finite]) < 1e6 else 1.0


BROADCAST = ("row and column", "broadcast")  # samples that only say so


@pytest.mark.parametrize(
    ("sample", "dtype"),
    [
        marked(s, d)
        for s in SAMPLES
        for d in ("float64", "float32")
        if (d == "float64" and s.label not in BROADCAST) or (has_floats(s) and not repeats_a_form(s))
    ],
    ids=str,
)
def test_forward_is_the_oracle_and_operands_stay(sample: Sample, dtype: str) -> None:
    with np.errstate(over="ignore", under="ignore"):
        arrays = sample.arrays(dtype)
    inputs = tensors(arrays)
    outputs = apply(sample.op, inputs, sample.params)
    wanted = expected(sample, arrays)
    assert len(outputs) == len(wanted)
    for output, want in zip(outputs, wanted, strict=True):
        assert_close(as_array(output), want, dtype, sample.tolerance, size_of(arrays))
        if output.is_floating_point() and has_floats(sample) and "dtype" not in sample.params:
            assert output.dtype.name == dtype
    for position, (x, before) in enumerate(zip(inputs, arrays, strict=True)):
        if x is not None and position not in sample.changes:
            assert as_array(x).tobytes() == before.tobytes(), "an operand was changed"


# NumPy itself does not order -0.0 and 0.0, and gives 0.0 for the sign of -0.0.
SIGNLESS = {"maximum", "minimum", "max", "min", "amax", "amin", "clamp_min", "clamp_max", "sign", "fmax", "fmin"}
# And these are odd, or 0 between two numbers, where their oracles' sums round to a zero of either sign.
SIGNLESS |= {"i1e", "logaddexp2"}


@pytest.mark.parametrize(
    "sample", [marked(s) for s in SAMPLES if s.label == "special" and s.op not in SIGNLESS], ids=str
)
def test_signs_of_zeros_are_those_of_the_oracle(sample: Sample) -> None:
    arrays = sample.arrays()
    for output, want in zip(apply(sample.op, tensors(arrays), sample.params), expected(sample, arrays), strict=True):
        zeros = want == 0
        np.testing.assert_array_equal(np.signbit(as_array(output)[zeros]), np.signbit(want[zeros]))


# ---- layouts ----------------------------------------------------------------------------------------------------


def transposed(x: np.ndarray) -> Any:
    """The elements of x, the first axis innermost in memory."""
    return ng.from_numpy(x.T.copy()).permute(*reversed(range(x.ndim)))


def stepped(x: np.ndarray) -> Any:
    """The elements of x, with gaps between them, from an offset on."""
    wide = np.zeros([2 * n + 1 for n in x.shape], x.dtype)
    index = tuple(slice(1, 2 * n + 1, 2) for n in x.shape)
    wide[index] = x
    return ng.from_numpy(wide)[index] if x.ndim else ng.from_numpy(np.array([0, x[()]], x.dtype))[1]


def repeated(x: np.ndarray) -> Any:
    """The first row of x as often as x has rows, without a copy."""
    return ng.from_numpy(np.ascontiguousarray(x[:1])).expand(*x.shape) if x.ndim and x.shape[0] else ng.tensor(x)


def private(x: np.ndarray) -> Any:
    """The elements of x, the first axis innermost in memory, which only numgrad sees."""
    strides = strides_in_order(x.shape, tuple(reversed(range(x.ndim))))
    laid = creation.uninitialized(ng.tensor(x).dtype, x.shape, private_strides(x.shape, strides))
    return laid.copy_(ng.from_numpy(x))


LAYOUTS = {"transposed": transposed, "stepped": stepped, "repeated": repeated, "private": private}
# An op's first sample is tested in all, and others in those of which each makes an op look at its operands' strides in its own way.
FOR_OTHERS = ("private", "stepped")


SHOWS_ITS_OWN = {"attention_backward", "to_strides"}  # results that are not row-major, as in torch
OF_MEMORY = {"view", "as_strided", "copy_slices"}  # what they give depends on the layout, unless it is private


def laid_out() -> list[tuple[Sample, str]]:
    """Small samples in every layout; of elementwise ops, whose loops one generator makes, those of every form.

    The others say that a layout which only numgrad sees is not shown, which takes no loop of its own. Where an op takes
    floating-point numbers, they show what layouts do, and other dtypes have one.
    """
    chosen: list[tuple[Sample, str]] = []
    first = {sample.op: sample for sample in reversed(SAMPLES) if sample.small and has_floats(sample)}
    for sample in SAMPLES:
        if not sample.small or "special" in sample.label:
            continue
        if sample.op in OF_MEMORY:
            chosen.append((sample, "private"))
            continue
        elementwise = isinstance(OPS.get(sample.op), Elementwise) and sample.op not in EVERY_FORM
        if elementwise and sample.label not in ("matrix", "matrices", "to float64"):
            continue
        others = sample.op in first and not has_floats(sample)
        if elementwise or others:
            chosen.append((sample, "private" if elementwise else "stepped"))
        else:
            whole = sample.op in EVERY_FORM or first.get(sample.op, sample) is sample
            chosen += [(sample, layout) for layout in (sorted(LAYOUTS) if whole else FOR_OTHERS)]
    return chosen


def in_layout(sample: Sample, layout: str) -> Iterator[Any]:
    for position, x in enumerate(sample.arrays()):
        own = changes_input(sample.op) and position == 0
        if x is None:
            yield None
        else:
            plain = position in sample.changes or (own and layout == "repeated")
            yield ng.tensor(x) if plain else LAYOUTS[layout](x)


@pytest.mark.parametrize(("sample", "layout"), [marked(*each) for each in laid_out()], ids=str)
def test_layouts_do_not_matter(sample: Sample, layout: str) -> None:
    laid = list(in_layout(sample, layout))
    values = [None if x is None else as_array(x) for x in laid]
    outputs = apply(sample.op, laid, sample.params)
    for output, want in zip(outputs, expected(sample, values), strict=True):
        assert_close(as_array(output), want, "float64", sample.tolerance, size_of(values))
        if layout == "private" and sample.op not in SHOWS_ITS_OWN:
            assert output.is_contiguous() or output._base is not None, "a layout shows that nobody asked for"


# ---- threads, forms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sample", [marked(s) for s in all_samples() if s.label.startswith("large") or s.moments], ids=str
)
def test_the_same_bits_for_any_number_of_threads(sample: Sample) -> None:
    before = ng.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3, 16):
            ng.set_num_threads(count)
            found.append(
                [as_array(y).tobytes() for y in apply(sample.op, tensors(sample.arrays("float32")), sample.params)]
            )
    finally:
        ng.set_num_threads(before)
    assert all(one == found[0] for one in found)


# `where` would write over its condition, and nothing offers that.
IN_PLACE = {name for name, op in OPS.items() if getattr(op, "in_place", None)} - {"where"}


def in_place_samples(samples: list[Sample]) -> list[Sample]:
    """Samples of ops that have a form in place; of those that are alike one.

    It has no elements, if there is such a sample: what a form in place adds to an op (its graph, versions, dtypes) is asked without
    a kernel of its own, and that the generator's loops may write over what they read is seen in the others' numbers.
    """
    chosen: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.op in IN_PLACE:
            chosen.setdefault(sample.op, []).append(sample)
    for op, rows in chosen.items():
        if is_alike(rows[0]):
            chosen[op] = [next((s for s in rows if not s.arrays()[0].size), rows[0])]
    return [sample for rows in chosen.values() for sample in rows]


@pytest.mark.parametrize("sample", [marked(s) for s in in_place_samples(SAMPLES)], ids=str)
def test_in_place_is_the_same_and_counts_a_version(sample: Sample) -> None:
    inputs = tensors(sample.arrays())
    (out,) = apply(sample.op, inputs, sample.params)
    target = inputs[0]
    if out.shape != target.shape or out.dtype is not target.dtype:
        with pytest.raises(RuntimeError):
            OPS[sample.op].in_place(*inputs)
        return
    version, address = target._version, target.data_ptr()
    result = OPS[sample.op].in_place(*inputs)
    assert result is target
    assert (target._version, target.data_ptr()) == (version + 1, address)
    np.testing.assert_array_equal(as_array(target), as_array(out))


# ---- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", all_refusals(), ids=str)
def test_what_is_wrong_is_refused_before_anything_changes(refusal: Refusal) -> None:
    arrays = refusal.arrays()
    inputs = [None if x is None else ng.tensor(x) for x in arrays]
    versions = [None if x is None else x._version for x in inputs]
    call = refusal.call or (lambda *given: OPS[refusal.op](*given, **refusal.params))
    with pytest.raises(refusal.error, match=refusal.match):
        call(*inputs)
    for x, before, version in zip(inputs, arrays, versions, strict=True):
        assert x is None or (as_array(x).tobytes() == before.tobytes() and x._version == version)
