"""``--weights``: auto, imagenet, random, a file."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import numgrad as ng
from numgrad.cli import starting_weights, step
from tests.cli.running import numgrad, one_line, report


def test_auto_without_a_network_says_so_in_one_line_and_goes_on() -> None:
    done = numgrad("train-step", "--steps", "1")
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if "compil" not in line]
    assert told == [
        "using random weights from seed 0: no checkpoint is on this machine and NUMGRAD_OFFLINE is set",
    ]
    assert "weights: random (seed 0)" in done.stdout


def test_auto_gives_up_on_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    alone(monkeypatch, tmp_path, "http://127.0.0.1:1")
    choice = starting_weights.choose("auto", "resnet18")
    assert choice.path is None
    assert choice.reason == "no checkpoint is on this machine and 127.0.0.1 cannot be reached"


def test_auto_gives_up_on_a_server_that_has_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    alone(monkeypatch, tmp_path, empty_server)
    choice = starting_weights.choose("auto", "resnet18")
    assert choice.path is None
    assert choice.reason == "resnet18.imagenet1k_v1: no source delivered the file"
    assert not caplog.records


def test_auto_of_a_model_without_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    alone(monkeypatch, tmp_path, "http://127.0.0.1:1")
    choice = starting_weights.choose("auto", "no_such_model")
    assert choice.path is None
    assert "no_such_model" in choice.reason


def test_imagenet_offline_is_a_network_error() -> None:
    done = numgrad("train-step", "--weights", "imagenet")
    one_line(done, 3)
    assert done.stderr.startswith("numgrad train-step: resnet18.imagenet1k_v1 is not on this machine")


def test_a_missing_file_is_a_file_system_error(tmp_path: Path) -> None:
    line = one_line(numgrad("train-step", "--weights", str(tmp_path / "none.pth")), 4)
    assert "none.pth: there is no such file" in line
    line = one_line(numgrad("train-step", "--weights", str(tmp_path)), 4)
    assert "this is a folder" in line


def test_a_damaged_file_is_corrupt(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(b"PK\x03\x04 nothing of sense")
    assert "damaged.pth" in one_line(numgrad("train-step", "--weights", str(damaged)), 1)


def test_a_file_of_another_model_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    ng.save({"fc.weight": ng.ones(2, 3)}, path)
    done = numgrad("train-step", "--weights", str(path))
    one_line(done, 1)
    assert "does not fit resnet18" in done.stderr
    assert "Missing key(s)" in done.stderr


def test_a_file_gives_the_step_of_its_weights(tmp_path: Path) -> None:
    model = step.build_model("resnet18", 5, None)
    path = tmp_path / "model.pth"
    ng.save(dict(model.state_dict()), path)
    from_file = report("--steps", "1", "--seed", "5", "--weights", str(path))
    from_seed = report("--steps", "1", "--seed", "5", "--weights", "random")
    assert from_file["weights"] == str(path)
    assert from_file["loss"] == from_seed["loss"]
    assert from_file["gradient_norm"] == from_seed["gradient_norm"]


def test_random_weights_are_the_seeds() -> None:
    first, again, other = (step.build_model("resnet18", seed, None).fc.weight.detach().numpy() for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_reachable(empty_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxies(monkeypatch)
    assert starting_weights.reachable(f"{empty_server}/some/file.pth")
    assert not starting_weights.reachable("http://127.0.0.1:1/")
    monkeypatch.setenv("http_proxy", empty_server)  # what has to be reached is the proxy
    assert starting_weights.reachable("http://host.invalid/file.pth")


def alone(monkeypatch: pytest.MonkeyPatch, folder: Path, server: str) -> None:
    """Empty caches, and one server to ask."""
    without_proxies(monkeypatch)
    monkeypatch.setenv("NUMGRAD_HOME", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(folder))
    monkeypatch.setenv("NUMGRAD_WEIGHTS_URL", server)
    monkeypatch.delenv("NUMGRAD_OFFLINE", raising=False)


def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[str]:
    """The address of a web server that has no file."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
