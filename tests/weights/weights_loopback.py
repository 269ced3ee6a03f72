"""Acts of a misbehaving web server on loopback, and the pieces of a registry of small files that it serves."""

from __future__ import annotations

import hashlib
import http.server
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numgrad.weights import Policy

ROOT = Path(__file__).resolve().parents[2]
BODY = random.Random(1).randbytes(3 << 20)
MIRROR_BODY = random.Random(2).randbytes(1 << 20)
QUICK = Policy(connect_timeout=5.0, read_timeout=0.4, tries=3, backoff=0.01)

Act = Callable[[http.server.BaseHTTPRequestHandler], None]


def serve(body: bytes, *, ranges: bool = True) -> Act:
    """Answer as a well-behaved server does; without `ranges`, as one that always sends everything."""

    def act(request: http.server.BaseHTTPRequestHandler) -> None:
        start = 0
        asked = request.headers.get("Range")
        if asked and ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        request.wfile.write(body[start:])

    return act


def status(code: int, **headers: str) -> Act:
    """Answer with an error."""

    def act(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "5")
        request.end_headers()
        request.wfile.write(b"error")

    return act


def cut(body: bytes, sent: int, *, told: bool = True) -> Act:
    """Close the connection after `sent` bytes; `told`: having announced the full length."""

    def act(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if told:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[:sent])
        request.close_connection = True

    return act


def stall(body: bytes, sent: int, until: threading.Event) -> Act:
    """Send the beginning, then nothing until the event, then the rest."""

    def act(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[:sent])
        request.wfile.flush()
        until.wait(20)
        request.wfile.write(body[sent:])

    return act


@dataclass
class Server:
    """What each path does, one act a request, the last one for ever; and what was asked."""

    url: str
    acts: dict[str, list[Act]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def on(self, path: str, *acts: Act) -> str:
        self.acts[path] = list(acts)
        return self.url + path

    def asked(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers in self.requests if asked == path]


def source_toml(file: str, body: bytes, *urls: str, sha256: str | None = "", size: int | None = None) -> str:
    """One [[weights.sources]] of a test registry; `sha256` '' is the body's own."""
    digest = hashlib.sha256(body).hexdigest() if sha256 == "" else sha256
    return f"""
[[weights.sources]]
file = "{file}"
format = "torch-zip"
size = {len(body) if size is None else size}
size_exact = {"true" if size is None else "false"}
urls = {list(urls)!r}
{f'sha256 = "{digest}"' if digest else ""}
"""


def row_toml(name: str, *sources: str, default: bool = True) -> str:
    """One [[weights]] of a test registry."""
    model, _, version = name.partition(".")
    return f"""
[[weights]]
name = "{name}"
torchvision = "{model.title()}_Weights.{version.upper()}"
model = "{model}"
default = {"true" if default else "false"}
parameters = 1
acc1 = 1.0
acc5 = 2.0
gmacs = 1.0
recipe = "https://example.invalid"
{"".join(sources)}"""


CHILD = """
import logging, pathlib, sys
logging.basicConfig(level=logging.INFO, format="%(message)s")
from numgrad.weights import entries, store
entries.data_folder = lambda: pathlib.Path(sys.argv[1])
{prelude}
print("ready", flush=True)
print(store.fetch("net", progress=False), flush=True)
"""


def wait_until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    """Poll; fail when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
