"""Every module against torch's: texts, attributes, state, numbers, gradients, and what ten steps of training make of it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, optim
from tests.nn.samples import LOSSES, ROWS, WITHOUT
from tests.nn.twins import array, copy_state


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings of older forms, which other tests compare."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _classes() -> list[str]:
    names = [name for name in nn.__all__ if isinstance(getattr(nn, name), type)]
    return sorted(name for name in names if issubclass(getattr(nn, name), nn.Module))


@pytest.mark.parametrize("name", _classes())
def test_each_class_has_a_row(name: str) -> None:
    rows = {each.partition(" ")[0].rstrip(",") for each in ROWS}
    assert (name in rows) != (name in WITHOUT)


def _built(name: str, library: Any) -> Any:
    """A row's module of a library."""
    with _quiet():
        return ROWS[name][0](library)


@pytest.mark.parametrize("name", ROWS)
def test_its_text_is_torchs(name: str, torch_says: Any) -> None:
    assert repr(_built(name, nn)) == torch_says(lambda torch: repr(_built(name, torch.nn)))


@pytest.mark.parametrize("name", _classes())
def test_its_constructor_takes_what_torchs_takes(name: str, torch: ModuleType) -> None:
    theirs = getattr(torch.nn, name, None)
    if name in ("Container", "Module", "NLLLoss2d", "RNN", "GRU", "LSTM"):
        return  # these take anything in one of the libraries
    mine = [
        (parameter.name, parameter.kind, getattr(parameter.default, "__name__", repr(parameter.default)))
        for parameter in inspect.signature(getattr(nn, name)).parameters.values()
    ]
    wanted = [
        (parameter.name, parameter.kind, getattr(parameter.default, "__name__", repr(parameter.default)))
        for parameter in inspect.signature(theirs).parameters.values()
    ]
    if [kind.name for _, kind, _ in wanted] == ["VAR_POSITIONAL", "VAR_KEYWORD"] and not mine:
        return  # torch's leaves it to `Module`, which takes nothing
    assert mine == wanted


# Attributes of torch's that numgrad's have not.
ABSENT = {
    "_reversed_padding_repeated_twice": "the margins are computed where they are needed",
    "_flat_weight_refs": "weights lie where they are",
    "_flat_weights": "is there, with the weights, which are compared as state",
    "_load_hook": "a load itself knows what is lazy",
    "_initialize_hook": "a copy would remove the hook of the module that it was made of",
}


@pytest.mark.parametrize("name", ROWS)
def test_its_attributes_are_torchs(name: str, torch: ModuleType) -> None:
    mine, theirs = _built(name, nn), _built(name, torch.nn)
    for (path, module), (other_path, other) in zip(mine.named_modules(), theirs.named_modules(), strict=True):
        assert path == other_path
        for key, value in vars(other).items():
            if key not in ABSENT:
                assert hasattr(module, key), (path, key)
                if isinstance(value, (bool, int, float, str, tuple, list)):
                    assert getattr(module, key) == value, (path, key)


def _perturbed(module: Any, rng: np.random.Generator) -> None:
    """Move torch's parameters away from zeros and ones; what an orthogonal matrix is made of is no matter of chance."""
    for key, parameter in module.named_parameters():
        if "original" not in key:
            values = 0.5 * rng.normal(size=tuple(parameter.shape))
            parameter.data += parameter.new_tensor(values)


def _inputs(row: Any, rng: np.random.Generator) -> list[Any]:
    """Arrays for the inputs of a row: those that are drawn require a gradient."""
    return [rng.normal(size=each) if isinstance(each, tuple) else each for each in row[1]]


def _outputs(out: Any) -> list[Any]:
    """The outputs of floating point, without None."""
    if isinstance(out, (tuple, list)):
        return [each for part in out for each in _outputs(part)]
    return [out] if out is not None and out.is_floating_point() else []


def _step(lib: Any, module: Any, arrays: list[Any], drawn: list[bool], weights: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs and gradients of the inputs of one call and its backward."""
    tensors = [
        None if each is None else lib.tensor(each, requires_grad=True) if is_drawn else lib.tensor(np.array(each))
        for each, is_drawn in zip(arrays, drawn, strict=True)
    ]
    outputs = _outputs(module(*tensors))
    if not weights:
        weights += [np.random.default_rng(7).normal(size=tuple(out.shape)) for out in outputs]
    total = sum((out * lib.tensor(weight)).sum() for out, weight in zip(outputs, weights, strict=True))
    assert not isinstance(total, int)
    if total.requires_grad:
        total.backward()
    grads = [x.grad for x, is_drawn in zip(tensors, drawn, strict=True) if is_drawn]
    return [array(each) for each in outputs] + [np.zeros(()) if grad is None else array(grad) for grad in grads]


# Where torch is not exact, and where numgrad is right and torch is not.
# torch's slope is a sixth of float32; and so many layers and steps that torch's own order of sums shows.
TOLERANCE = {"Hardsigmoid": 1e-7, "Transformer": 1e-9}
OTHER_NUMBERS = {"CrossMapLRN2d": "torch's sums have a channel too many"}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("name", [name for name in ROWS if name not in OTHER_NUMBERS])
def test_ten_steps_of_training_give_torchs_numbers(name: str, torch: ModuleType) -> None:
    row, rng, tolerance = ROWS[name], np.random.default_rng(3), TOLERANCE.get(name, 1e-10)
    mine, theirs = _built(name, nn).double(), _built(name, torch.nn).double()
    drawn = [isinstance(each, tuple) for each in row[1]]
    arrays = _inputs(row, rng)
    if "Lazy" in name:  # they learn their shapes
        for lib, module in ((ng, mine), (torch, theirs)):
            module(*[lib.tensor(each) for each in arrays])
    _perturbed(theirs, rng)
    copy_state(theirs, mine)
    theirs.load_state_dict({key: torch.tensor(array(value)) for key, value in mine.state_dict().items()})
    optimizers = [
        library.SGD(module.parameters(), lr=0.01, momentum=0.9) if list(module.parameters()) else None
        for library, module in ((torch.optim, theirs), (optim, mine))
    ]
    weights: list[np.ndarray] = []
    for number in range(10):
        arrays = _inputs(row, rng)
        results = []
        for lib, module, optimizer in ((torch, theirs, optimizers[0]), (ng, mine, optimizers[1])):
            with _quiet():
                results.append(_step(lib, module, arrays, drawn, weights))
            if optimizer is not None:
                optimizer.step()
                optimizer.zero_grad()
        for expected, got in zip(*results, strict=True):
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance, err_msg=f"step {number}")
    for (key, value), (other, expected) in zip(mine.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert key == other
        np.testing.assert_allclose(array(value), array(expected), rtol=tolerance, atol=tolerance, err_msg=key)
    mine.eval()
    theirs.eval()
    for got, expected in zip(
        *[_step(lib, module, arrays, drawn, weights) for lib, module in ((ng, mine), (torch, theirs))], strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "name", sorted({each.partition(" ")[0] for each in LOSSES if each.partition(" ")[0].endswith("Loss")})
)
def test_losses_are_reduced_as_torchs(name: str, reduction: str, torch: ModuleType) -> None:
    row = next(value for key, value in LOSSES.items() if key == name)
    if name in ("BCELoss", "CTCLoss", "LinearCrossEntropyLoss", "AdaptiveLogSoftmaxWithLoss"):
        return  # their rows are more than the loss
    arrays = _inputs(row, np.random.default_rng(4))
    with _quiet():
        got, expected = (
            getattr(lib.nn, name)(reduction=reduction)(*[lib.tensor(each) for each in arrays]) for lib in (ng, torch)
        )
    np.testing.assert_allclose(array(got), array(expected), rtol=1e-10)
