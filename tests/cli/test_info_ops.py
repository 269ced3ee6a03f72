"""``numgrad info`` and ``numgrad ops``."""

from __future__ import annotations

import json

import pytest

from numgrad import cli, config, registry
from tests.cli.running import numgrad


def test_info_tells_of_every_knob(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert all(knob.name in text for knob in config.KNOBS)


def test_info_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_LOG", "info")
    assert cli.main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts) == {"versions", "system", "cpu", "threads", "store", "weights", "knobs"}
    assert {"numgrad", "python", "numpy", "numba", "llvmlite"} == set(facts["versions"])
    assert {knob["name"]: knob["value"] for knob in facts["knobs"]}["NUMGRAD_LOG"] == "info"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"NUMGRAD_KERNEL_STORE": "off"}, "kept in memory only"),
        ({"NUMGRAD_NUM_THREADS": "many"}, "NUMGRAD_NUM_THREADS is 'many'"),
        ({"NUMGRAD_SIMD": "abacus"}, "NUMGRAD_SIMD is 'abacus'"),
    ],
)
def test_info_works_with_any_setting(settings: dict[str, str], words: str) -> None:
    done = numgrad("info", **settings)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


def test_info_lists_the_algorithms_of_convolutions(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["info", "--conv", "resnet18", "--batch-size", "2", "--image-size", "224"]
    assert cli.main(command) == 0
    text = capsys.readouterr().out
    assert "layer1.0.conv1: input 2 x 64 x 56 x 56, weight 64 x 64 x 3 x 3, stride 1\n    forward  winograd4 " in text
    assert "direct     the kernel is 7 x 7" in text
    assert cli.main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 20
    assert set(rows[0]["algorithms"]) == {"forward", "input", "weight"}
    assert cli.main(["info", "--conv", "resnet19"]) == 2
    assert "Unknown model resnet19" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["tanh", "--kernel"],
            ["launch of tanh over 8", "def elementwise_tanh(", "where function is", "scalar.tanh(x)"],
        ),
        (["add", "--kernel", "2x3", "3:float32"], ["launch of add over", "def elementwise_add("]),
        (["sum", "--kernel", "4x5:float64"], ["launch of ", "def "]),
        (["unbind", "--kernel", "2x3"], ["launches nothing"]),
        (["conv2d", "--kernel", "1x3x8x8", "4x3x3x3", "none"], ["launch of "]),
    ],
)
def test_ops_shows_kernels(capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]) -> None:
    assert cli.main(["ops", *arguments]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kernel"], "--kernel needs the NAME"),
        (["add", "--kernel", "2x3"], "add: got 1 inputs, expected 2"),
        (["add", "--kernel", "2x3", "4"], "give --kernel operands that fit, such as 2x3 2x3"),
        (["tanh", "--kernel", "2,3"], "operand '2,3': expected a shape such as 2x3"),
        (["tanh", "--kernel", "2x3:float99"], "expected a shape such as 2x3, or with a dtype"),
    ],
)
def test_ops_refuses_operands(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert cli.main(["ops", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_ops_lists_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ops"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == sorted(registry.OPS)


def test_ops_describes_every_op(capsys: pytest.CaptureFixture[str]) -> None:
    for name, op in registry.OPS.items():
        assert cli.main(["ops", name]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"{name}(")
        assert op.doc in text
    assert cli.main(["ops", "--json"]) == 0
    assert [op["name"] for op in json.loads(capsys.readouterr().out)] == sorted(registry.OPS)


def test_ops_suggests_similar_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ops", "conv2"]) == 2
    assert "no op 'conv2' is registered; similar: conv2d" in capsys.readouterr().err
