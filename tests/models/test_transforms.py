"""The preparation of images against torch's own resampling, and, where Pillow is, against Pillow's."""

from __future__ import annotations

import builtins
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.models.transforms import ImageClassification, resized_shape
from tests.nn.twins import array

MEAN, STD = np.float32([0.485, 0.456, 0.406]).reshape(3, 1, 1), np.float32([0.229, 0.224, 0.225]).reshape(3, 1, 1)
SHAPES = [(300, 500), (500, 300), (97, 64), (64, 64), (70, 64), (1000, 65)]


def _expected(torch: ModuleType, image: np.ndarray, shorter: int, crop: int, mode: str = "bilinear") -> np.ndarray:
    """torchvision's steps."""
    height, width = image.shape[-2:]
    small, large = sorted((height, width))
    long = int(shorter * large / small)
    size = (shorter, long) if height <= width else (long, shorter)
    batch = torch.tensor(image.reshape(-1, *image.shape[-3:]))
    if size != (height, width):
        values = batch if batch.is_floating_point() else batch.to(torch.float32)
        resized = torch.nn.functional.interpolate(values, size=size, mode=mode, align_corners=False, antialias=True)
        batch = resized if batch.is_floating_point() else resized.round().clamp(0, 255).to(torch.uint8)
    top, left = (round((extent - crop) / 2.0) for extent in size)
    cut = batch[..., top : top + crop, left : left + crop]
    scaled = cut if cut.is_floating_point() else cut.to(torch.float32) / 255
    out = (scaled - torch.tensor(MEAN)) / torch.tensor(STD)
    return out.reshape(*image.shape[:-3], 3, crop, crop).numpy()


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_are_torchs(shape: tuple[int, int], torch: ModuleType) -> None:
    image = np.random.default_rng(shape[0]).integers(0, 256, size=(3, *shape), dtype=np.uint8)
    prepare = ImageClassification(crop_size=56, resize_size=64)
    out, wanted = prepare(ng.tensor(image)), _expected(torch, image, 64, 56)
    assert out.dtype is ng.float32
    # One step of a byte apart at most, where a sum lies on the edge between two.
    steps = np.abs(array(out) - wanted) * STD * 255
    assert steps.max() < 1.01
    assert (steps > 0.01).mean() < 1e-3
    if min(shape) == 64 and shape[0] == shape[1]:
        assert np.array_equal(array(out), wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_floats_are_torchs(shape: tuple[int, int], torch: ModuleType) -> None:
    image = np.random.default_rng(shape[0]).uniform(size=(2, 3, *shape)).astype(np.float32)
    out = ImageClassification(crop_size=56, resize_size=64)(image)
    np.testing.assert_allclose(array(out), _expected(torch, image, 64, 56), atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_bicubic_is_torchs(shape: tuple[int, int], torch: ModuleType) -> None:
    """The preparation of many newer weights; bytes that overshoot are cut off."""
    rng = np.random.default_rng(shape[0])
    prepare = ImageClassification(crop_size=56, resize_size=64, interpolation="bicubic")
    floats = rng.uniform(size=(3, *shape)).astype(np.float32)
    np.testing.assert_allclose(array(prepare(floats)), _expected(torch, floats, 64, 56, "bicubic"), atol=2e-5)
    steep = np.where(rng.uniform(size=(3, 20, 30)) < 0.5, 0, 255).astype(np.uint8)
    steps = np.abs(array(prepare(steep)) - _expected(torch, steep, 64, 56, "bicubic")) * STD * 255
    assert steps.max() < 1.01
    assert "interpolation=bicubic" in repr(prepare)


def test_growing(torch: ModuleType) -> None:
    image = np.random.default_rng(1).uniform(size=(3, 20, 30)).astype(np.float32)
    out = ImageClassification(crop_size=50, resize_size=55)(image)
    np.testing.assert_allclose(array(out), _expected(torch, image, 55, 50), atol=2e-5)


def test_an_image_smaller_than_the_crop_gets_zeros() -> None:
    out = ImageClassification(crop_size=7, resize_size=4, mean=(0, 0, 0), std=(1, 1, 1))(np.ones((3, 4, 4), np.float32))
    assert out.shape == (3, 7, 7)
    assert array(out)[0, :, 3].tolist() == [0, 1, 1, 1, 1, 0, 0]


def test_sizes() -> None:
    assert resized_shape(300, 500, 256) == (256, 426)
    assert resized_shape(500, 300, 256) == (426, 256)
    assert resized_shape(7, 7, 256) == (256, 256)


def test_text() -> None:
    lines = repr(ImageClassification(crop_size=224)).splitlines()
    assert lines == [
        "ImageClassification(",
        "    crop_size=[224]",
        "    resize_size=[256]",
        "    mean=[0.485, 0.456, 0.406]",
        "    std=[0.229, 0.224, 0.225]",
        "    interpolation=bilinear",
        ")",
    ]


@pytest.mark.parametrize(
    ("image", "error", "text"),
    [
        ("cat.jpg", TypeError, "got str, expected a PIL image"),
        (np.zeros((4, 4), np.uint8), ValueError, r"uint8 of shape \[4, 4\]"),
        (np.zeros((3, 4, 4), np.int64), ValueError, "int64 of shape"),
        (np.zeros((3, 0, 4), np.uint8), ValueError, r"\[3, 0, 4\]"),
        (np.zeros((1, 8, 8), np.uint8), ValueError, "has 1 channels, expected 3"),
    ],
)
def test_refusals(image: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ImageClassification(crop_size=4, resize_size=4)(image)
    with pytest.raises(ValueError, match="interpolation is 'cubic'"):
        ImageClassification(crop_size=4, interpolation="cubic")


class _Picture:
    """What a PIL image looks like from afar."""

    def convert(self, mode: str) -> None: ...

    def resize(self, size: tuple[int, int]) -> None: ...


def test_without_pillow_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"numgrad\[image\]"):
        ImageClassification(crop_size=4)(_Picture())


def test_pictures_are_resized_by_pillow(torch: ModuleType) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pixels = np.random.default_rng(0).integers(0, 256, size=(97, 64, 3), dtype=np.uint8)
    picture = image_module.fromarray(pixels)
    out = ImageClassification(crop_size=28, resize_size=32)(picture)
    small = np.array(picture.resize((32, 48), image_module.Resampling.BILINEAR))[10:38, 2:30]
    wanted = (small.transpose(2, 0, 1).astype(np.float32) / np.float32(255) - MEAN) / STD
    assert np.array_equal(array(out), wanted)
    grey = ImageClassification(crop_size=28, resize_size=32)(picture.convert("L"))
    assert grey.shape == (3, 28, 28)
