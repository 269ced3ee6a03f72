"""``numgrad weights convert``: bits, names, refusals and exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgrad.cli import weights as cli
from numgrad.cli.state_files import read_state
from numgrad.serialization import Unpacked, load, load_metadata, save
from tests.serialization.dialects import (
    Call,
    Legacy,
    Name,
    Storage,
    new_zip,
    numpy_array,
    numpy_scalar,
    old_zip,
    tensor,
)

SIX = np.arange(6, dtype=np.float32).reshape(2, 3)
HALF = np.arange(4, dtype=np.float16)
BFLOAT16 = bytes([0x80, 0x3F, 0xC0, 0x7F, 0x00, 0x80])  # 1, NaN, -0

Command = Callable[..., tuple[int, str, str]]


def state() -> dict[str, Any]:
    bfloat16 = Storage("8", "BFloat16Storage", BFLOAT16, 3)
    return {
        "weight": tensor(SIX, "1", parameter=True),
        "transposed": tensor(SIX, "2", size=(3, 2), stride=(1, 3)),
        "half": tensor(HALF, "3"),
        "bfloat16": tensor(np.empty(3, np.uint16), "8", storage=bfloat16),
        "counter": tensor(np.array(7), "4"),
        "none": tensor(np.empty((0, 3), np.float64), "5"),
    }


def check(path: Path) -> None:
    """The file holds the tensors of `state`, with their dtypes."""
    kinds = {}
    arrays = load(path, make_tensor=lambda array, name, grad: kinds.setdefault(id(array), name) and array)
    found = {name: (kinds[id(array)], array) for name, array in arrays.items()}
    assert set(found) == set(state())
    for name, kind, array in (
        ("weight", "float32", SIX),
        ("transposed", "float32", SIX.T),
        ("half", "float16", HALF),
        ("bfloat16", "bfloat16", np.array([1, np.nan, -0.0], np.float32)),
        ("counter", "int64", np.array(7)),
        ("none", "float64", np.empty((0, 3))),
    ):
        assert found[name][0] == kind
        np.testing.assert_array_equal(found[name][1], array, strict=True)
    assert np.signbit(found["bfloat16"][1][2])


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["convert", *words])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


WRITERS: dict[str, Callable[[Any], bytes]] = {
    "old zip": old_zip,
    "new zip": new_zip,
    "legacy": lambda obj: Legacy(obj).data(),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_format_becomes_every_other_with_the_same_bits(writer: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "net-1234.pth").write_bytes(WRITERS[writer](state()))
    code, out, err = command("net-1234.pth")
    assert (code, err) == (0, "")
    size = (tmp_path / "net-1234.safetensors").stat().st_size
    assert out == f"net-1234.safetensors  (6 tensors, {size} bytes)\n"
    check(tmp_path / "net-1234.safetensors")
    assert load_metadata(tmp_path / "net-1234.safetensors") == {"format": "pt"}
    assert command("net-1234.safetensors", "-o", "back.pt")[0] == 0
    check(tmp_path / "back.pt")
    assert (tmp_path / "back.pt").read_bytes().startswith(b"PK\3\4")
    assert command("net-1234.pth", "-o", "again.bin")[0] == 0
    check(tmp_path / "again.bin")
    grads = load(tmp_path / "again.bin", make_tensor=lambda array, name, grad: grad)
    assert [name for name, grad in grads.items() if grad] == ["weight"]  # the parameter, which a .pth can say


def test_torch_reads_what_comes_out(command: Command, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: it cannot say what it reads")
    (tmp_path / "a.pth").write_bytes(old_zip(state()))
    theirs = torch.load(tmp_path / "a.pth", weights_only=True)
    assert command("a.pth")[0] == command("a.pth", "--to", "pth", "--output", "b")[0] == 0
    (tmp_path / "out").mkdir()
    assert command("a.safetensors", "-o", "out")[0] == 0
    for name in ("b", "out/a.pth"):
        ours = torch.load(tmp_path / name, weights_only=True)
        assert set(ours) == set(theirs)
        for key, wanted in theirs.items():
            assert ours[key].dtype == wanted.dtype, key
            assert ours[key].contiguous().reshape(-1).view(torch.uint8).equal(
                wanted.detach().contiguous().reshape(-1).view(torch.uint8)
            ), key  # fmt: skip


def test_metadata_stay_with_safetensors(command: Command, tmp_path: Path) -> None:
    save({"a": SIX}, tmp_path / "a.safetensors", metadata={"epoch": "3"})
    assert command("a.safetensors", "-o", "b.safetensors")[0] == 0
    assert load_metadata(tmp_path / "b.safetensors") == {"format": "pt", "epoch": "3"}


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("a.pt", "a.safetensors"),
        ("pytorch_model.bin", "pytorch_model.safetensors"),
        ("net.v1", "net.v1.safetensors"),
        ("net", "net.safetensors"),
    ],
)
def test_names(name: str, new: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(old_zip(state()))
    assert command(name)[1].startswith(f"{new}  (")
    check(tmp_path / new)


def test_nothing_is_overwritten_without_force(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(old_zip(state()))
    (tmp_path / "a.safetensors").write_bytes(b"mine")
    code, out, err = command("a.pth")
    assert (code, out) == (4, "")
    assert "a.safetensors exists: --force overwrites it" in err
    assert command("a.pth", "--dry-run")[0] == 4
    assert (tmp_path / "a.safetensors").read_bytes() == b"mine"
    assert command("a.pth", "--to", "pth")[0] == 4
    assert command("a.pth", "--force")[0] == 0
    check(tmp_path / "a.safetensors")
    assert command("a.pth", "--to", "pth", "--force")[0] == 0  # in its own place
    check(tmp_path / "a.pth")


def test_dry_run_says_the_size_and_writes_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(old_zip(state()))
    for options in ((), ("-o", "b.pt")):
        before = sorted(tmp_path.iterdir())
        code, said, _ = command("a.pth", "--dry-run", *options)
        assert (code, sorted(tmp_path.iterdir())) == (0, before)
        assert said == f"would write {command('a.pth', *options)[1]}"


def test_json(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(old_zip(state()))
    (tmp_path / "bad.pth").write_bytes(b"PK\3\4")
    code, out, err = command("a.pth", "bad.pth", "none.pth", "--json")
    assert code == 1
    good, bad, none = json.loads(out)
    assert good == {
        "input": "a.pth", "output": "a.safetensors", "format": "safetensors", "tensors": 6,
        "bytes": (tmp_path / "a.safetensors").stat().st_size, "status": "converted", "error": None,
    }  # fmt: skip
    assert bad["status"] == none["status"] == "failed"
    assert "truncated" in bad["error"]
    assert none["error"] == "none.pth: there is no such file"
    assert len(err.splitlines()) == 2


def test_parts_of_a_checkpoint(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(old_zip({"epoch": 3, "nets": {"model": state()}}))
    code, _, err = command("a.ckpt")
    assert code == 1
    assert "cannot become safetensors" in err
    assert "tensors under nets: --key nets takes only those" in err
    assert not (tmp_path / "a.safetensors").exists()
    assert command("a.ckpt", "--key", "nets", "--key", "model")[0] == 0
    check(tmp_path / "a.safetensors")
    assert command("a.ckpt", "--to", "pth")[0] == 0
    assert load(tmp_path / "a.pth")["epoch"] == 3
    assert "nothing under --key net: it has epoch, nets" in command("a.ckpt", "--key", "net", "--force")[2]
    assert "there is a value of type int" in command("a.ckpt", "--key", "epoch", "--key", "x", "--force")[2]


@pytest.mark.parametrize("python_2", [False, True])
def test_what_is_beside_the_weights_is_not_in_the_way(command: Command, tmp_path: Path, python_2: bool) -> None:
    args = Call(Name("argparse", "Namespace"), (), {"lr": 0.1})
    best = numpy_scalar(np.float64(0.75), python_2=python_2)
    tree = {"model": state(), "args": args, "best": best, "history": numpy_array(SIX, python_2=python_2), 2**40: [1]}
    (tmp_path / "a.pth").write_bytes(Legacy(tree, python_2=python_2).data())
    code, _, err = command("a.pth")
    assert code == 1
    assert "It has tensors under model: --key model takes only those" in err
    assert command("a.pth", "--key", "model")[0] == 0
    check(tmp_path / "a.safetensors")
    code, _, err = command("a.pth", "--to", "pth", "--output", "b.pth")
    assert code == 1
    assert "the object['args'] is a placeholder of 'argparse.Namespace'" in err
    del tree["args"]
    (tmp_path / "a.pth").write_bytes(Legacy(tree, python_2=python_2).data())
    assert command("a.pth", "--to", "pth", "--output", "b.pth")[0] == 0
    assert load(tmp_path / "b.pth")["best"] == 0.75
    np.testing.assert_array_equal(load(tmp_path / "b.pth")["history"], SIX, strict=True)


def test_a_model_s_state_is_found_beside_other_classes(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(old_zip({"args": Call(Name("argparse", "Namespace"), ()), "state_dict": {"w": tensor(SIX, "0")}}))
    assert list(read_state(path)) == ["w"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a.pth", "-o", "a.foo"), 2, "ends in none of .pth, .pt, .bin, .ckpt, .safetensors"),
        (("a.pth", "-o", "b.pth", "--to", "safetensors"), 2, "does not end as a file of --to safetensors does"),
        (("a.pth", "b.pt", "-o", "c.pth"), 2, "is not a folder, and there are several files"),
        (("b.pt", "b.bin"), 2, "b.safetensors would be written twice"),
        (("a.pth", "--key", "model"), 2, "nothing under --key model: it has weight, transposed"),
        (("none.pth",), 4, "none.pth: there is no such file"),
        (("resnet18",), 4, "no such file; `numgrad weights path resnet18.imagenet1k_v1` says where"),
        ((".",), 4, "Is a directory"),
        (("a.pth", "-o", "no/folder/a.safetensors"), 4, "no/folder/a.safetensors: No such file or directory"),
        (("damaged.pth",), 1, "the checksum of storage 1"),
        (("text.pth",), 1, "neither a torch checkpoint nor a safetensors file"),
        (("complex.pth",), 1, "complex.pth cannot become safetensors: 'w' has the dtype complex128"),
    ],
)
def test_refusals(words: tuple[str, ...], code: int, said: str, command: Command, tmp_path: Path) -> None:
    for name in ("a.pth", "b.pt", "b.bin"):
        (tmp_path / name).write_bytes(old_zip(state()))
    data = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "damaged.pth").write_bytes(data.replace(SIX.tobytes(), SIX[::-1].tobytes()))
    (tmp_path / "text.pth").write_text("not a checkpoint at all")
    save({"w": np.zeros(3, np.complex128)}, tmp_path / "complex.pth")
    before = set(tmp_path.iterdir())
    got, _, err = command(*words)
    assert got == code, err
    assert said in err
    assert "Traceback" not in err
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "b.safetensors"}


def test_bfloat16_is_only_written_where_it_is_exact() -> None:
    exact = Unpacked(np.array([1.5, -2.0], np.float32), dtype_name="bfloat16")
    formats: tuple[Any, ...] = ("torch", "safetensors")
    for format in formats:
        file = io.BytesIO()
        save({"a": object()}, file, format=format, unpack_tensor=lambda _: exact)
        file.seek(0)
        assert load(file, make_tensor=lambda array, name, grad: (name, *array.tolist()))["a"] == ("bfloat16", 1.5, -2.0)
    inexact = Unpacked(np.array([0.1], np.float32), dtype_name="bfloat16")
    with pytest.raises(ValueError, match="bfloat16 does not have"):
        save({"a": object()}, io.BytesIO(), unpack_tensor=lambda _: inexact)
