"""A web server on loopback that misbehaves on request, and a registry of small files that it serves."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers below are found under every import mode of pytest

from weights_loopback import BODY, CHILD, MIRROR_BODY, QUICK, ROOT, Server, row_toml, serve, source_toml, status

from numgrad.weights import Entry, entries, store


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.requests.append((self.path, dict(self.headers)))
            acts = known.acts.get(self.path, [status(404)])
            act = acts.pop(0) if len(acts) > 1 else acts[0]
            try:
                act(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client was killed, or has given up

        def log_message(self, *_: Any) -> None:
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    known = Server(f"http://127.0.0.1:{running.server_address[1]}")
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield known
    known.ended.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, an empty torch cache, and no address but loopback."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("NUMGRAD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NUMGRAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    connect = socket.socket.connect

    def loopback_only(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", f"a test reached for {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", loopback_only)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Entry]]:
    """Make a registry of these rows the one in use; returns the first row's entry."""
    folder = tmp_path / "registry"
    folder.mkdir()
    common = (entries.data_folder() / "registry.toml").read_text().partition("\n[[weights]]")[0]

    def make(*rows: str) -> Entry:
        (folder / "registry.toml").write_text(common + "".join(rows))
        monkeypatch.setattr(entries, "data_folder", lambda: folder)
        entries.table.cache_clear()
        return entries.list_weights()[0]

    yield make
    entries.table.cache_clear()


@pytest.fixture
def net(server: Server, install: Callable[..., Entry]) -> Entry:
    """`net.v1`: a file at /a.pth, and another one of the same weights at /mirror."""
    server.on("/a.pth", serve(BODY))
    server.on("/mirror", serve(MIRROR_BODY))
    return install(
        row_toml(
            "net.v1",
            source_toml("a-00000000.pth", BODY, server.url + "/a.pth"),
            source_toml("b.safetensors", MIRROR_BODY, server.url + "/mirror"),
        )
    )


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`weights.fetch`, as patient as a test."""

    def quick(name: str = "net", **options: Any) -> Path:
        return store.fetch(name, **{"policy": QUICK, "progress": False, **options})

    return quick


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """Where `net.v1` comes to lie."""
    return tmp_path / "home" / "weights" / "a-00000000.pth"


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another process that fetches `net`; `prelude` is code that it runs first, `code` is all of its code."""
    started: list[subprocess.Popen[str]] = []

    def start(prelude: str = "", code: str = "", wrap: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*wrap, sys.executable, "-c", code or CHILD.format(prelude=prelude), str(tmp_path / "registry")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
