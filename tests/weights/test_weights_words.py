"""What is said of downloads that fail: one short line a source, in words for people, and no try that cannot help."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from weights_loopback import BODY, QUICK, Server, cut, row_toml, serve, source_toml, stall, status

from numgrad import models, weights
from numgrad.cli import main
from numgrad.weights import Entry, Policy, download

Fetch = Callable[..., Path]
Install = Callable[..., Entry]
LONGEST = 120


def failed_lines(error: weights.WeightsError) -> list[str]:
    """The lines of the message that tell of the sources."""
    lines = [line for line in str(error).splitlines() if line.startswith("  http")]
    assert all(len(line) <= LONGEST for line in lines), lines
    assert "Traceback" not in str(error)
    for word in ("HTTPConnectionPool", "urllib3", "Errno", "Max retries", "object at 0x"):
        assert word not in str(error)
    return lines


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names are looked up in vain; those that were."""
    asked: list[str] = []

    def in_vain(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", in_vain)
    return asked


@pytest.fixture
def refused() -> str:
    """A URL where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return f"http://127.0.0.1:{port}/a"


def install_urls(install: Install, *urls: str) -> None:
    install(row_toml("net.v1", source_toml("a.pth", BODY, *urls)))


def test_names_that_cannot_be_looked_up_are_asked_for_once(
    install: Install, fetch: Fetch, look_ups: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    long = "https://models.example/" + "folder/" * 12 + "a.pth"
    install_urls(install, "https://download.example/a.pth", long)
    with pytest.raises(weights.DownloadError) as caught:
        fetch()
    assert look_ups == ["download.example", "models.example"]
    reason = "the host cannot be looked up: no network, or no such name"
    assert failed_lines(caught.value) == [
        f"  https://download.example/a.pth: {reason}",
        f"  https://models.example/.../a.pth: {reason}",
    ]
    assert "To put the file there by hand" in str(caught.value)
    assert caplog.text == ""


def test_what_the_libraries_say_is_in_the_log(
    install: Install, fetch: Fetch, look_ups: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "numgrad.weights")
    install_urls(install, "https://download.example/a.pth")
    with pytest.raises(weights.DownloadError):
        fetch()
    assert "gaierror: [Errno" in caplog.text
    assert "Max retries exceeded" in caplog.text


def test_refused_connections_are_tried_once_more(
    install: Install, fetch: Fetch, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    request = download.Transfer._request
    monkeypatch.setattr(download.Transfer, "_request", lambda self, url: (tries.append(1), request(self, url))[1])
    install_urls(install, refused)
    with pytest.raises(weights.DownloadError) as caught:
        fetch(policy=Policy(tries=7, backoff=0.001))
    assert failed_lines(caught.value) == [f"  {refused}: the host refuses the connection (2 tries)"]
    assert len(tries) == 2


@pytest.mark.parametrize(
    ("code", "tries"), [(403, 1), (404, 1), (500, 3), (501, 1), (503, 3)], ids=lambda value: str(value)
)
def test_answers(install: Install, fetch: Fetch, server: Server, code: int, tries: int) -> None:
    install_urls(install, server.on("/a", status(code, Retry_After="0")))
    with pytest.raises(weights.DownloadError, match=rf"/a: HTTP {code} [A-Z].*") as caught:
        fetch()
    assert len(server.asked("/a")) == tries
    assert failed_lines(caught.value)[0].endswith(f" ({tries} tries)") == (tries > 1)


def test_redirects_without_end(install: Install, fetch: Fetch, server: Server) -> None:
    install_urls(install, server.on("/a", status(302, Location="/a")))
    with pytest.raises(weights.DownloadError, match="/a: redirects without end"):
        fetch()
    assert len(server.asked("/a")) == 31  # requests follows 30


def test_a_redirect_to_a_host_that_does_not_answer_names_it(install: Install, fetch: Fetch, server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        elsewhere = f"http://localhost:{closed.getsockname()[1]}/b"
    install_urls(install, server.on("/a", status(302, Location=elsewhere)))
    with pytest.raises(weights.DownloadError, match="/a: localhost (refuses the connection|makes no)"):
        fetch()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://", "http://[::1/a", "ftp://127.0.0.1/a"])
def test_what_is_no_url(install: Install, fetch: Fetch, url: str) -> None:
    install_urls(install, url)
    with pytest.raises(weights.DownloadError, match="this is not a URL that can be requested"):
        fetch()


def test_silence_and_broken_bodies(install: Install, fetch: Fetch, server: Server) -> None:
    install_urls(install, server.on("/a", stall(BODY, 0, server.ended)), server.on("/b", cut(BODY, 1000)))
    with pytest.raises(weights.DownloadError) as caught:
        fetch(policy=Policy(read_timeout=0.1, tries=2, backoff=0.001))
    first, second = failed_lines(caught.value)
    assert first.endswith("/a: no data for 0.1 s (2 tries)")
    assert second.endswith(("/b: the connection broke off (2 tries)", f"of {len(BODY)} bytes (2 tries)"))


def test_a_server_that_speaks_no_tls(install: Install, fetch: Fetch, server: Server) -> None:
    install_urls(install, server.url.replace("http:", "https:") + "/a")
    with pytest.raises(weights.DownloadError) as caught:
        fetch()
    (line,) = failed_lines(caught.value)
    assert line.endswith(": the host makes no TLS connection")  # and no "(3 tries)"


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, install: Install, fetch: Fetch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("self_signed.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), connection:
                    context.wrap_socket(connection, server_side=True).close()

        threading.Thread(target=answer, daemon=True).start()
        install_urls(install, f"https://127.0.0.1:{listening.getsockname()[1]}/a")
        with pytest.raises(weights.DownloadError) as caught:
            fetch()
        (line,) = failed_lines(caught.value)
        assert "the host has a certificate that is not accepted: self-signed certificate" in line.replace(
            "self signed", "self-signed"
        )
        assert "tries" not in line


@pytest.mark.parametrize("answers", [True, False])
def test_proxies(
    install: Install, fetch: Fetch, server: Server, refused: str, answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", server.url if answers else refused)
    install_urls(install, "https://download.example/a.pth")
    with pytest.raises(weights.DownloadError) as caught:
        fetch()
    (line,) = failed_lines(caught.value)
    assert ("the proxy on the way refuses: HTTP 501" if answers else "the proxy on the way cannot be reached") in line
    assert "tries" not in line


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_no_way_to_a_host(install: Install, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def no_way(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(socket.socket, "connect", no_way)
    install_urls(install, "http://192.0.2.1/a")
    with pytest.raises(weights.DownloadError) as caught:
        fetch()
    assert failed_lines(caught.value) == ["  http://192.0.2.1/a: there is no way to the host: no network"]


def test_no_bar_before_there_is_a_body(
    install: Install, fetch: Fetch, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    install_urls(install, server.on("/a", status(404)))
    with pytest.raises(weights.DownloadError):
        fetch(progress=True)
    assert capsys.readouterr().err == ""
    server.on("/a", serve(BODY))
    fetch(progress=True)
    assert "100%" in capsys.readouterr().err


def test_the_command_and_the_model_say_the_same(
    look_ups: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["weights", "download", "resnet18"]) == 3
    told = capsys.readouterr().err
    assert told.count("cannot be looked up: no network, or no such name\n") == 2
    assert len([line for line in told.splitlines() if line.startswith("  http")]) == 2
    assert "sha256  f37072fd" in told
    assert len(told.splitlines()) == 7
    count = len(look_ups)
    with pytest.raises(weights.DownloadError) as caught:
        models.resnet18(weights="DEFAULT")
    assert len(look_ups) == 2 * count == 4
    assert f"numgrad weights: {caught.value}\n" == told


@pytest.mark.parametrize("tries", [1, 2])
def test_a_policy_may_allow_fewer_tries(install: Install, fetch: Fetch, refused: str, tries: int) -> None:
    install_urls(install, refused)
    with pytest.raises(weights.DownloadError) as caught:
        fetch(policy=Policy(tries=tries, backoff=QUICK.backoff))
    assert failed_lines(caught.value)[0].endswith("(2 tries)") == (tries == 2)
