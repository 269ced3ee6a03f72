"""Arguments of ``numgrad train-step`` that make no sense."""

from __future__ import annotations

import pytest

from numgrad import cli
from tests.cli.running import numgrad, one_line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "0"], "--steps: got 0, expected an integer from 1 to 2147483647"),
        (["--batch-size", "-1"], "--batch-size: got -1, expected an integer from 1 to 2147483647"),
        (["--image-size", "6.4"], "--image-size: '6.4' is not a whole number"),
        (["--threads", "0"], "--threads: got 0, expected an integer from 1 to 1024"),
        (["--threads", "1025"], "--threads: got 1025"),
        (["--seed", "-1"], "--seed: got -1"),
        (["--lr", "nan"], "--lr: got nan, expected a finite number of at least 0"),
        (["--lr", "fast"], "--lr: 'fast' is not a number"),
        (["--momentum", "-0.5"], "--momentum: got -0.5"),
        (["--dtype", "float16"], "--dtype: invalid choice: 'float16'"),
        (["--weight-decay", "1"], "unrecognized arguments: --weight-decay 1"),
    ],
)
def test_nonsense_is_code_2_and_a_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["train-step", *arguments])
    assert leaving.value.code == 2
    printed = capsys.readouterr()
    assert words in printed.err.splitlines()[-1]
    assert printed.out == ""


def test_an_unknown_model_is_code_2() -> None:
    line = one_line(numgrad("train-step", "--model", "resnet19"), 2)
    assert "resnet19" in line
    assert "resnet18" in line


def test_images_that_are_too_small_are_code_2() -> None:
    line = one_line(numgrad("train-step", "--image-size", "32", "--weights", "random"), 2)
    assert "Expected more than 1 value per channel when training" in line


def test_a_bad_setting_is_code_2() -> None:
    line = one_line(numgrad("train-step", "--weights", "random", NUMGRAD_NUM_THREADS="none"), 2)
    assert "NUMGRAD_NUM_THREADS is 'none'" in line
