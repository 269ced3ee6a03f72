"""``numgrad weights``: what it prints, and its exit codes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from weights_loopback import (
    BODY,
    MIRROR_BODY,
    QUICK,
    ROOT,
    Server,
    row_toml,
    serve,
    source_toml,
    stall,
    status,
    wait_until,
)

from numgrad import weights
from numgrad.cli import weights as cli
from numgrad.weights import Entry, store


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "Policy", lambda: QUICK)


@pytest.fixture
def nets(install: Callable[..., Entry], server: Server) -> None:
    """`net` (v2, not yet verified, is its default), `net.v1` and `wide`, all good."""
    install(
        row_toml("net.v1", source_toml("a-00000000.pth", BODY, server.on("/a", serve(BODY))), default=False),
        row_toml("net.v2", source_toml("n-11111111.pth", b"?", server.url + "/n", sha256=None)),
        row_toml("wide.v1", source_toml("w-22222222.pth", MIRROR_BODY, server.on("/w", serve(MIRROR_BODY)))),
    )


@pytest.fixture
def other(cached: Path) -> Path:
    return cached.with_name("w-22222222.pth")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


Command = Callable[..., tuple[int, str, str]]


def rows(output: str) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(output)
    return parsed


def test_download_prints_paths(nets: None, command: Command, cached: Path, other: Path) -> None:
    assert command("download", "net.v1", "wide", "wide.v1") == (0, f"{cached}\n{other}\n", "")
    assert cached.read_bytes() == BODY
    assert command("download", "net.v1") == (0, f"{cached}\n", "")


def test_download_all_is_all_that_is_verified(nets: None, command: Command, server: Server, cached: Path) -> None:
    code, output, _ = command("download", "--all", "--json")
    assert code == 0
    assert [(row["name"], row["status"]) for row in rows(output)] == [
        ("net.v1", "downloaded"),
        ("wide.v1", "downloaded"),
    ]
    assert rows(output)[0] == {
        "name": "net.v1", "bytes": len(BODY), "path": str(cached), "error": None, "status": "downloaded",
    }  # fmt: skip
    assert {row["status"] for row in rows(command("download", "--all", "--json")[1])} == {"cached"}
    assert len(server.requests) == 2
    assert {row["status"] for row in rows(command("download", "--all", "--json", "--force")[1])} == {"downloaded"}
    assert len(server.requests) == 4


def test_dry_run_touches_nothing(nets: None, command: Command, server: Server, cached: Path) -> None:
    code, output, _ = command("download", "--all", "--dry-run")
    assert code == 0
    assert f"would download 3.1 MB to {cached}" in output
    assert output.endswith("4.2 MB to download\n")
    assert server.requests == []
    assert not cached.parent.exists()
    command("download", "wide")
    output = command("download", "--all", "--dry-run", "--json")[1]
    assert [row["status"] for row in rows(output)] == ["would download", "cached"]
    output = command("download", "wide", "--dry-run", "--force")[1]
    assert output.endswith("1.0 MB to download\n")


def test_list(nets: None, command: Command) -> None:
    command("download", "wide")
    code, output, _ = command("list")
    assert code == 0
    states = {line.split()[0]: line.rpartition("  ")[2] for line in output.splitlines()[1:4]}
    assert states == {"net.v1": "-", "net.v2": "not yet verified: cannot be downloaded", "wide.v1": "downloaded"}
    listed = rows(command("list", "--json")[1])
    assert [(row["name"], row["cached"], row["verified"]) for row in listed] == [
        ("net.v1", False, True),
        ("net.v2", False, False),
        ("wide.v1", True, True),
    ]
    for field in ("torchvision", "bytes", "parameters", "acc1", "acc5", "gmacs", "preprocessing", "sources", "licence"):
        assert field in listed[0]


def test_list_of_the_real_registry(command: Command) -> None:
    assert [row["name"] for row in rows(command("list", "--json")[1])] == [e.name for e in weights.list_weights()]


def test_path(nets: None, command: Command, cached: Path) -> None:
    code, output, errors = command("path", "net.v1")
    assert (code, output) == (4, f"{cached}\n")
    assert "numgrad weights download net.v1" in errors
    command("download", "net.v1")
    assert command("path", "net.v1") == (0, f"{cached}\n", "")
    assert rows(command("path", "net.v1", "--json")[1]) == [{"name": "net.v1", "path": str(cached), "cached": True}]


def test_verify(nets: None, command: Command, cached: Path, other: Path) -> None:
    assert command("verify") == (0, "no weights are here\n", "")
    assert command("verify", "wide")[0] == 4
    command("download", "--all")
    assert command("verify") == (0, f"net.v1: ok  {cached}\nwide.v1: ok  {other}\n", "")
    cached.write_bytes(BODY[::-1])
    code, output, errors = command("verify")
    assert (code, output) == (1, f"wide.v1: ok  {other}\n")
    assert f"{cached} is corrupt" in errors
    code, output, _ = command("verify", "--all", "--json")
    assert code == 1
    assert [row["status"] for row in rows(output)] == ["corrupt", "ok"]
    assert command("download", "net.v1")[0] == command("verify", "net.v1")[0] == 0


def test_clear(nets: None, command: Command, cached: Path, other: Path) -> None:
    command("download", "--all")
    assert command("clear", "wide", "--dry-run") == (0, f"would remove {other}\n1.0 MB to free\n", "")
    assert other.exists()
    assert command("clear", "wide") == (0, f"removed {other}\n1.0 MB freed\n", "")
    assert rows(command("clear", "--all", "--json")[1]) == [{"path": str(cached), "bytes": len(BODY), "removed": True}]
    assert not cached.parent.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("download",), "say which weights"),
        (("clear",), "say which weights"),
        (("download", "--all", "wide"), "not both"),
        (("verify", "--all", "wide"), "not both"),
        (("download", "wide", "wid"), "did you mean wide"),
        (("path", "nothing"), "no pretrained weights are called 'nothing'"),
        (("download", "net"), "not yet verified"),
        (("download", "net", "--dry-run"), "not yet verified"),
        (("verify", "net"), "not yet verified"),
    ],
)
def test_usage_errors(nets: None, command: Command, server: Server, words: tuple[str, ...], said: str) -> None:
    code, _, errors = command(*words)
    assert code == 2
    assert said in errors
    assert server.requests == []


@pytest.mark.parametrize("words", [(), ("fly",), ("download", "--fast")])
def test_what_argparse_refuses(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2


def test_network_errors(nets: None, command: Command, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("/a", status(404))
    code, output, errors = command("download", "net.v1", "wide")
    assert code == 3
    assert "HTTP 404" in errors
    assert "Traceback" not in errors
    assert output.endswith("w-22222222.pth\n")  # one failure does not keep the others from coming
    monkeypatch.setenv("NUMGRAD_OFFLINE", "1")
    assert command("download", "net.v1")[0] == 3


def test_wrong_bytes(nets: None, command: Command, server: Server) -> None:
    server.on("/a", serve(BODY[::-1]))
    code, output, _ = command("download", "net.v1", "wide", "--json")
    assert code == 1
    assert [row["status"] for row in rows(output)] == ["failed", "downloaded"]
    assert "wrong bytes" in rows(output)[0]["error"]


def test_file_system_errors(nets: None, command: Command, cached: Path) -> None:
    cached.parent.parent.touch()
    assert command("download", "net.v1")[0] == 4


def test_the_gravest_code_counts(nets: None, command: Command, server: Server) -> None:
    server.on("/a", status(404))
    server.on("/w", serve(MIRROR_BODY[::-1]))
    assert command("download", "net.v1", "wide", "net.v2")[0] == 1
    server.on("/w", status(404))
    assert command("download", "net.v2", "wide")[0] == 3


def test_interrupt(nets: None, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "fetch", interrupt)
    code, _, errors = command("download", "wide")
    assert code == 130
    assert "interrupted" in errors


def test_a_real_interrupt(nets: None, server: Server, cached: Path, child: Callable[..., Any]) -> None:
    server.on("/a", stall(BODY, 1 << 20, server.ended))
    code = (
        "import pathlib, sys; from numgrad.weights import entries; from numgrad.cli.weights import main\n"
        "entries.data_folder = lambda: pathlib.Path(sys.argv[1])\n"
        "sys.exit(main(['download', 'net.v1']))"
    )
    process = child(code=code)
    part = cached.with_name(cached.name + ".part")
    wait_until(lambda: part.exists() and part.stat().st_size == 1 << 20)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert part.stat().st_size == 1 << 20
    assert not cached.with_name(cached.name + ".lock").exists()


def test_as_a_subcommand(nets: None, cached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="numgrad")
    cli.add_parser(parser.add_subparsers(dest="command"))
    assert cli.run(parser.parse_args(["weights", "path", "net.v1"])) == 4
    assert capsys.readouterr().out == f"{cached}\n"


def test_the_script(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "download_weights.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*script, "--dry-run", "resnet18"], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("would download 46.8 MB to ")
    assert "resnet18-f37072fd.pth" in done.stdout
    assert subprocess.run([*script, "x"], env=environment, capture_output=True, check=False).returncode == 2
