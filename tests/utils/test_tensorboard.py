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


def test_pictures_figures_and_curves_of_classifiers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("agg")
    from numgrad.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        writer.add_images("several", ng.rand(3, 1, 4, 5), 1)
        writer.add_figure("chart", ng.viz.curves([2.0, 1.0]).figure, 1)  # which it closes
        writer.add_pr_curve("curve", ng.tensor([0, 1]), ng.tensor([0.2, 0.7]), 1)
        writer.add_mesh("mesh", ng.rand(1, 4, 3))
        writer.add_text("text", "words")
    values = values_of(tmp_path)
    assert values["several"].image.width == 15
    assert values["chart"].image.height > 100
    assert {"curve", "text/text_summary"} <= set(values)
    assert any(tag.startswith("mesh") for tag in values)


def test_what_the_package_cannot_write_is_refused_by_name(tmp_path: Path) -> None:
    from numgrad.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(NotImplementedError, match=r"viz\.graph"):
            writer.add_graph(ng.nn.Linear(2, 2))
        with pytest.raises(NotImplementedError, match=r"tensors \('weight'\); add_histogram"):
            writer.add_tensor("weight", ng.ones(2))


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "numgrad.utils.tensorboard", raising=False)
    with pytest.raises(ImportError, match=r"numgrad\[tensorboard\]"):
        import numgrad.utils.tensorboard  # noqa: F401
