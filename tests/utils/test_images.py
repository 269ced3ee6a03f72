"""Grids of images, and the files that they are written to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import numgrad as ng
from numgrad.utils import make_grid, save_image


def test_images_stand_in_rows_with_borders() -> None:
    images = ng.arange(3.0).reshape(3, 1, 1, 1).expand(3, 3, 2, 4) + 1
    grid = make_grid(images, nrow=2, padding=1, pad_value=9.0).numpy()
    wanted = np.full((3, 7, 11), 9.0, np.float32)
    wanted[:, 1:3, 1:5], wanted[:, 1:3, 6:10], wanted[:, 4:6, 1:5] = 1, 2, 3
    np.testing.assert_array_equal(grid, wanted)


@pytest.mark.parametrize("shape", [(5, 4), (1, 5, 4), (1, 1, 5, 4)])
def test_one_image_has_no_border_and_three_channels(shape: tuple[int, ...]) -> None:
    image = ng.rand(*shape)
    np.testing.assert_array_equal(make_grid(image).numpy(), np.broadcast_to(image.numpy().reshape(5, 4), (3, 5, 4)))


def test_normalizing() -> None:
    images = ng.tensor([0.0, 2.0, 4.0, 8.0]).reshape(2, 1, 1, 2).expand(2, 3, 1, 2)
    together = make_grid(images, padding=0, normalize=True)
    np.testing.assert_allclose(together.numpy()[0], [[0, 0.25, 0.5, 1]])
    each = make_grid(images, padding=0, normalize=True, scale_each=True)
    np.testing.assert_allclose(each.numpy()[0], [[0, 1, 0, 1]])
    ranged = make_grid(images, padding=0, normalize=True, value_range=(0.0, 4.0))
    np.testing.assert_allclose(ranged.numpy()[0], [[0, 0.5, 1, 1]])


def test_several_tensors_are_a_batch() -> None:
    assert make_grid([ng.ones(3, 2, 2), ng.zeros(3, 2, 2)]).shape == (3, 6, 10)


@pytest.mark.parametrize("wrong", [3, [], [1.0], ng.ones(2), ng.ones(1, 1, 1, 1, 1)])
def test_refusals(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match="make_grid"):
        make_grid(wrong)
    with pytest.raises(TypeError, match="value_range"):
        make_grid(ng.ones(2, 2), value_range=[0, 1])


def test_a_file_has_the_pixels(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    image = ng.tensor([[[0.0, 0.5], [1.0, 2.0]]] * 3)
    save_image(image, tmp_path / "grid.png")
    read = np.asarray(image_module.open(tmp_path / "grid.png"))
    np.testing.assert_array_equal(read, np.repeat([[[0], [128]], [[255], [255]]], 3, axis=2))
