"""``numgrad summary``: the numbers of a model, from a process that computes nothing."""

from __future__ import annotations

import json

import pytest

from numgrad import cli
from numgrad.runtime import helpers


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["summary", "resnet18", "--depth", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "output", "parameters", "multiply-adds"]
    assert lines[3].split() == ["conv1:", "Conv2d", "[1,", "64,", "112,", "112]", "9,408", "118,013,952"]
    assert "parameters     11,689,512" in lines
    assert "multiply-adds  1.814 G" in lines


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A model too large to be made here, at another size of images, and one with further outputs in training."""
    assert cli.main(["summary", "vit_h_14", "--json", "--input", "2x3x224x224"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["total_params"], found["input"], found["layers"][0]["output_shape"]) == (
        632045800,
        [2, 3, 224, 224],
        [2, 1000],
    )
    assert found["total_mult_adds"] / 2e9 == pytest.approx(167.295, abs=1e-3)
    assert len(found["layers"]) == 6 + 32 * 12 + 2
    assert cli.main(["summary", "googlenet", "--json", "--train"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][0]["output_shape"] == [[1, 1000]] * 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet19"], "Unknown model resnet19; did you mean"),
        (["resnet18", "--input", "1x4x64x64"], "to have 3 channels, but got 4"),
        (["vit_b_16", "--input", "1x3x64x64"], "Expected 224 but got 64"),
    ],
)
def test_refusals(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["summary", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("numgrad summary: ")
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize("shape", ["", "1x", "0x3", "1x-3", "axb"])
def test_shapes_that_are_none(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["summary", "resnet18", "--input", shape])
    assert leaving.value.code == 2
    assert "expected an integer" in capsys.readouterr().err


def test_a_process_that_dies_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("numgrad.cli.summary.RECIPE", "os:_exit")
    monkeypatch.setattr(helpers, "ask", lambda recipe, _, ask=helpers.ask: ask(recipe, {"status": 3}))
    assert cli.main(["summary", "resnet18"]) == 1
    assert "ended with code 3" in capsys.readouterr().err
