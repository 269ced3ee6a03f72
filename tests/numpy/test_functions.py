"""Every function of NumPy's: the values against NumPy's own, the gradients against differences, by the table of samples."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import numpy
import pytest

import numgrad as ng
import numgrad.numpy as ngnp
from numgrad.numpy import table
from numgrad.numpy.refusals import REFUSED
from tests.numpy.samples import FLOATS, NOT_ASKED, NOT_SMOOTH, PRODUCTS, ROWS, VARIABLES, WITHOUT_GRADIENT


def calls_in(rows: str) -> list[str]:
    """The calls of a table, which are separated by spaces outside of brackets."""
    calls, depth = [""], 0
    for letter in "\n".join(line for line in rows.splitlines() if not line.startswith("#")):
        depth += (letter in "([") - (letter in ")]")
        if letter.isspace() and not depth:
            calls.append("")
        else:
            calls[-1] += letter
    return [call for call in calls if call]


TEXTS = calls_in(ROWS + PRODUCTS)
WITH_PRODUCTS = set(calls_in(PRODUCTS))


def name_of(text: str) -> str:
    """The function that a text calls: "linalg.solve", "add" for a method of it."""
    inner = re.match(r"(?:changed|written)\(np\.([\w.]+)", text)
    name = inner[1] if inner else re.match(r"[\w.]+", text)[0]  # type: ignore[index]
    owner, _, last = name.rpartition(".")
    return (
        owner if owner and last in ("reduce", "accumulate", "reduceat", "outer", "at") and owner != "linalg" else name
    )


def run(text: str, np: Any, variables: dict[str, Any]) -> Any:
    def changed(function: Any, x: Any, *args: Any, **options: Any) -> Any:
        y = np.copy(x)
        function(y, *args, **options)
        return y

    def written(function: Any, x: Any) -> bytes:
        target = io.BytesIO()
        function(target, x)
        return target.getvalue()[:80]

    def npy(x: Any) -> Any:
        target = io.BytesIO()
        numpy.save(target, x)
        target.seek(0)
        return target

    helpers = {
        "np": np,
        "changed": changed,
        "written": written,
        "npy": npy,
        "file": _file,
        "text": lambda t: io.StringIO(t),
    }
    call = text if text.startswith(("changed(", "written(")) else f"np.{text}"
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return eval(call, helpers | variables)


def _file(array: Any) -> str:
    import tempfile
    from pathlib import Path

    path = Path(tempfile.gettempdir()) / "numgrad_sample.bin"
    path.write_bytes(numpy.asarray(array).tobytes())
    return str(path)


def leaves(result: Any) -> list[Any]:
    return [x for each in result for x in leaves(each)] if isinstance(result, (tuple, list)) else [result]


def as_numpy(value: Any) -> Any:
    value = value.tensor if isinstance(value, ngnp.ndarray) else value
    return value.detach().numpy() if isinstance(value, ng.Tensor) else value


def combined(text: str, result: Any) -> Any:
    """What factors are unique up to: their product."""
    if text not in WITH_PRODUCTS:
        return result
    first, second, *third = result
    return (first * second) @ third[0] if third else (second * first) @ second.T if first.ndim == 1 else first @ second


def compare(text: str, mine: Any, theirs: Any, kind: type) -> None:
    """Values, shapes, dtypes and classes. Between tensors operators have torch's dtypes, and so have NumPy's ufuncs for them."""
    strict = kind is ngnp.ndarray or name_of(text) not in ("add", "divide", "true_divide")
    if not isinstance(theirs, (tuple, list)) or not isinstance(mine, (tuple, list)):
        assert isinstance(mine, (tuple, list)) == isinstance(theirs, (tuple, list))
    elif hasattr(theirs, "_fields"):
        assert type(mine) is type(theirs)
    ours, numpys = leaves(mine), leaves(theirs)
    assert len(ours) == len(numpys)
    for x, y in zip(ours, numpys, strict=True):
        if isinstance(y, (numpy.ndarray, numpy.floating, numpy.integer, numpy.bool_)) and not isinstance(
            x, (bool, int, numpy.dtype)
        ):
            assert isinstance(x, kind), f"{text}: {type(x)}"
            value = as_numpy(x)
            assert value.dtype == y.dtype or not strict, text
            assert value.shape == y.shape, text
            tolerance = {"float16": 1e-3, "float32": 1e-5}.get(value.dtype.name, 1e-11)
            numpy.testing.assert_allclose(value, y, tolerance, tolerance, err_msg=text)
        else:
            assert x == y or (x != x and y != y), text


def ours(text: str, requires_grad: bool = False) -> dict[str, Any]:
    return {k: ngnp.ndarray(v) for k, v in tensors(requires_grad).items()}


def tensors(requires_grad: bool = False) -> dict[str, Any]:
    return {k: ng.tensor(v, requires_grad=requires_grad and k in FLOATS) for k, v in VARIABLES.items()}


@pytest.mark.parametrize("text", TEXTS)
def test_values_are_numpys_and_have_a_history(text: str) -> None:
    name = name_of(text)
    if table.numpy_object(name) is None:
        pytest.skip(f"this NumPy has no {name}")
    theirs = combined(text, run(text, numpy, VARIABLES))
    mine = combined(text, run(text, ngnp, ours(text, requires_grad=True)))
    compare(text, mine, theirs, ngnp.ndarray)
    used = [v for v in VARIABLES if re.search(rf"\b{v}\b", text)]
    tracked = any(getattr(x, "requires_grad", False) for x in leaves(mine))
    assert tracked is False or name not in WITHOUT_GRADIENT, f"{text}: a gradient"
    assert tracked or name in WITHOUT_GRADIENT or text in NOT_SMOOTH or not {*used} & {*FLOATS}, f"{text}: no gradient"
    if used and name not in NOT_ASKED and "([S,D]" not in text:  # NumPy's own functions, of tensors
        compare(text, combined(text, run(text, numpy, tensors())), theirs, ng.Tensor)


def one_of_each(texts: list[str]) -> list[str]:
    """The first call of each implementation: names that share one, as abs and absolute do, are tested once."""
    first: dict[Any, str] = {}
    for text in texts:
        if {*FLOATS} & {*re.findall(r"\b[A-Z]\b", text)}:
            first.setdefault(table.BY_NAME.get(name_of(text)), text)
    return list(first.values())


def total(text: str, result: Any) -> Any:
    """A number that depends on every float of the results."""
    terms = []
    for n, x in enumerate(leaves(combined(text, result))):
        value = (
            x.tensor
            if isinstance(x, ngnp.ndarray)
            else ng.tensor(x)
            if isinstance(x, (float, numpy.ndarray, numpy.floating))
            else x
        )
        if isinstance(value, ng.Tensor) and value.is_floating_point():
            weights = ng.tensor(numpy.cos(numpy.arange(value.numel()) + n).reshape(value.shape))
            terms.append(ng.nansum(value.double() * weights))
    return sum(terms)


@pytest.mark.parametrize(
    "text", one_of_each([t for t in TEXTS if name_of(t) not in WITHOUT_GRADIENT and t not in NOT_SMOOTH])
)
def test_gradients_are_those_of_differences(text: str) -> None:
    used = [v for v in FLOATS if re.search(rf"\b{v}\b", text)]
    if table.numpy_object(name_of(text)) is None or not used:
        pytest.skip("no argument of floating point, or no such function")
    variables = ours(text, requires_grad=True)
    value = total(text, run(text, ngnp, variables))
    assert value.requires_grad, f"{text}: no gradient"
    gradients = ng.autograd.grad(value, [variables[v].tensor for v in used], allow_unused=True)
    step, slope, directions = 1e-6, 0.0, {}
    for name, gradient in zip(used, gradients, strict=True):
        x = VARIABLES[name]
        direction = numpy.where(
            numpy.isnan(x) | (x == 0), 0, numpy.sin(numpy.arange(x.size) * 1.7 + 1).reshape(x.shape)
        )
        if name == "D":  # which is symmetric
            direction = direction + direction.T
        directions[name] = direction
        slope += 0.0 if gradient is None else numpy.nansum(gradient.numpy() * direction)
    ends = []
    for s in (step, -step):
        moved = {v: ngnp.ndarray(ng.tensor(VARIABLES[v] + s * d)) for v, d in directions.items()}
        ends.append(float(total(text, run(text, ngnp, ours(text) | moved))))
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=2e-6, abs=2e-8), text


# ---- none is forgotten -------------------------------------------------------------------------------------------

HOMES: dict[str, Any] = {"": numpy, "linalg": numpy.linalg, "fft": numpy.fft, "random": numpy.random}


def public_names() -> list[str]:
    names = []
    for home, module in HOMES.items():
        own = module.__all__ if home else [n for n in dir(numpy) if not n.startswith("_")]
        names += [f"{home}.{n}" if home else n for n in own]
    return names


def test_every_name_of_numpy_is_here_or_refused() -> None:
    here = {
        *ngnp.__all__,
        *(f"linalg.{n}" for n in ngnp.linalg.__all__),
        *(f"fft.{n}" for n in ngnp.fft.__all__),
        *(f"random.{n}" for n in ngnp.random.__all__),
    }
    assert [n for n in public_names() if n not in here and n not in REFUSED] == []
    assert sorted(here & set(REFUSED)) == []


def test_every_function_says_what_it_does() -> None:
    assert [name for name, function in table.BY_NAME.items() if not (function.__doc__ or "").strip()] == []


def test_every_function_has_a_sample() -> None:
    sampled = {name_of(text) for text in TEXTS}
    assert [n for n in table.BY_NAME if not n.startswith("random.") and n not in sampled] == []
    assert set(WITHOUT_GRADIENT) <= sampled


@pytest.mark.parametrize(
    "name", [n for n in REFUSED if callable(table.numpy_object(n)) and not isinstance(table.numpy_object(n), type)]
)
def test_what_is_refused_says_why(name: str) -> None:
    home, _, last = name.rpartition(".")
    with pytest.raises(TypeError, match=re.escape(REFUSED[name])):
        getattr(getattr(ngnp, home) if home else ngnp, last)(ng.ones(2))


def test_functions_and_ufuncs_of_numpy_refuse_tensors_by_name() -> None:
    x = ng.ones(4, requires_grad=True)
    for call in (lambda: numpy.fft.fft(x), lambda: numpy.roots(x), lambda: numpy.isnat(x)):
        with pytest.raises(TypeError, match=r"does not take tensors: .* pass x\.detach\(\)\.numpy\(\)"):
            call()
    with pytest.raises(AttributeError, match="complex numbers"):
        _ = ngnp.complex128
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ngnp.nonsense
