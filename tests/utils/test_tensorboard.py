"""What TensorBoard would read of what the writer wrote."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")


def values_of(folder: Path) -> dict[str, Any]:
    """The values in all event files below a folder, by tag; a record is its length, a checksum, the bytes, a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in folder.rglob("events*"):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            for value in Event.FromString(content[12 : 12 + length]).summary.value:
                found[value.tag] = value
            content = content[16 + length :]
    return found


def test_tensors_are_written_as_arrays_are(tmp_path: Path) -> None:
    from numgrad.utils.tensorboard import SummaryWriter

    weight = ng.arange(6.0).reshape(2, 3).requires_grad_()
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", weight.sum(), 1)
        writer.add_scalar("number", 0.25, 1)
        writer.add_scalars("both", {"a": weight[0, 1], "b": 2.0}, 1)
        writer.add_histogram("weight", weight, 1)
        writer.add_image("picture", ng.ones(3, 4, 5), 1)
    assert writer.log_dir == writer.get_logdir() == str(tmp_path)
    values = values_of(tmp_path)
    assert values["loss"].simple_value == 15
    assert values["number"].simple_value == 0.25
    assert values["both"].simple_value in (1, 2)  # two files, one tag
    assert values["weight"].histo.num == 6
    np.testing.assert_allclose(values["weight"].histo.sum, 15)
    assert (values["picture"].image.height, values["picture"].image.width) == (4, 5)


def test_graphs_are_refused(tmp_path: Path) -> None:
    from numgrad.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer, pytest.raises(NotImplementedError, match=r"viz\.graph"):
        writer.add_graph(ng.nn.Linear(2, 2))


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "numgrad.utils.tensorboard", raising=False)
    with pytest.raises(ImportError, match=r"numgrad\[tensorboard\]"):
        import numgrad.utils.tensorboard  # noqa: F401
