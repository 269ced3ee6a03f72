"""Every example runs, is short, and does what it shows."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from numgrad import registry
from tests.runtime.processes import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def _forget_new_ops() -> Iterator[None]:
    """Ops that an example registers are not the library's."""
    before = set(registry.OPS)
    yield
    for name in set(registry.OPS) - before:
        del registry.OPS[name]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 60
    assert f"python examples/{path.name}" in text


def test_custom_op(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / "custom_op.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "squash: True twice: True\nsmoothed: True\n" in printed


def test_train_mlp(capsys: pytest.CaptureFixture[str]) -> None:
    right = runpy.run_path(str(ROOT / "examples" / "train_mlp.py"))["main"]()
    assert right > 900
    assert f"{right} of 1000 right" in capsys.readouterr().out


def test_finetune(capsys: pytest.CaptureFixture[str]) -> None:
    losses, trained = runpy.run_path(str(ROOT / "examples" / "finetune.py"))["main"]()
    assert losses[-1] < losses[0]
    assert trained == ["fc.weight", "fc.bias"]


def test_gradient_penalty() -> None:
    distance, before, after = runpy.run_path(str(ROOT / "examples" / "gradient_penalty.py"))["main"]()
    assert 1.5 < distance < 2.5
    assert after < 0.2 * before


def test_per_sample_gradients() -> None:
    gap, odd = runpy.run_path(str(ROOT / "examples" / "per_sample_gradients.py"))["main"]()
    assert gap < 1e-4
    assert odd == 5


def test_custom_function() -> None:
    right, grads = runpy.run_path(str(ROOT / "examples" / "custom_function.py"))["main"]()
    assert right
    assert grads == pytest.approx([0.5, 0.5, 2.0, 20.0], rel=1e-3)  # 1000 in float32 has 4 digits left


def test_posterior(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 < runpy.run_path(str(ROOT / "examples" / "posterior.py"))["main"]() < 0.1
    assert "exact   rate" in capsys.readouterr().out


def test_fit_loop() -> None:
    found, truth = runpy.run_path(str(ROOT / "examples" / "fit_loop.py"))["main"]()
    assert found.numpy() == pytest.approx(truth.numpy(), abs=0.01)
