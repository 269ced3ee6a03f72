"""Functions on images: tensors against NumPy, torch's resampling and Pillow, and pictures against Pillow."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest

import numgrad as ng
from numgrad.transforms import InterpolationMode
from numgrad.transforms import functional as F

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (3, 17, 23), dtype=np.uint8)
FLOATS = RNG.random((2, 3, 12, 9)).astype(np.float32)
SMOOTH = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def near(tensor, values, atol=2e-5):
    values = np.asarray(values)
    assert tensor.shape == values.shape
    assert tensor.dtype.numpy == values.dtype
    if values.dtype == np.uint8:  # a step where a sum lies between two
        assert np.abs(tensor.numpy().astype(int) - values).max(initial=0) <= 1
    else:
        np.testing.assert_allclose(tensor.detach().numpy(), values, atol=atol)


# ---- resizing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 11), (30, 5), (40, 50)])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", list(InterpolationMode)[:4], ids=lambda mode: mode.value)
def test_resize_is_torchs(torch, mode, antialias, size):
    smooth = mode in SMOOTH
    for image in (BYTES[None], FLOATS):
        values = torch.nn.functional.interpolate(
            torch.tensor(image).float(),
            size=size,
            mode=mode.value,
            antialias=antialias and smooth,
            align_corners=False if smooth else None,
        ).numpy()
        if image.dtype == np.uint8:
            values = np.clip(values, 0, 255).round().astype(np.uint8)
        near(F.resize(ng.tensor(image), size, mode, antialias=antialias), values)


def test_sizes():
    image = ng.zeros(3, 30, 50)
    assert F.resize(image, 15).shape == F.resize(image, [15]).shape == (3, 15, 25)
    assert F.resize(image.transpose(1, 2), 15).shape == (3, 25, 15)
    assert F.resize(image, 15, max_size=20).shape == (3, 12, 20)
    assert F.resize(image, (30, 50)) is image
    assert F.resize(image, 15, 2).shape == (3, 15, 25)
    assert F.get_dimensions(image) == [3, 30, 50]
    assert F.get_dimensions(image[0]) == [1, 30, 50]
    assert F.get_image_size(image) == [50, 30]
    assert F.get_image_num_channels(image) == 3


def test_gradients_pass():
    leaf = ng.tensor(FLOATS, requires_grad=True)
    F.normalize(F.hflip(F.resize(leaf, (6, 6))), [0.5] * 3, [0.5] * 3).sum().backward()
    np.testing.assert_allclose(leaf.grad.sum().item(), 2 * 2 * 3 * 36, rtol=1e-4)


# ---- crops, margins, flips ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [(2, 3, 5, 6), (-2, -3, 30, 40), (10, 10, 20, 3), (0, 0, 17, 23), (-5, 0, 3, 4)])
@pytest.mark.parametrize("image", [BYTES, FLOATS, BYTES[0]], ids=["bytes", "floats", "plane"])
def test_crop(image, part):
    top, left, height, width = part
    wide = np.pad(image, [(0, 0)] * (image.ndim - 2) + [(60, 60)] * 2)
    near(F.crop(ng.tensor(image), *part), wide[..., 60 + top :, 60 + left :][..., :height, :width])


@pytest.mark.parametrize("size", [5, (7, 8), (40, 41), (30, 4), (4, 30)])
def test_center_crop(pillow, size):
    height, width = (size, size) if isinstance(size, int) else size
    near(F.center_crop(ng.tensor(BYTES), size), np.array(F.center_crop(picture(pillow), size)).transpose(2, 0, 1))
    assert F.center_crop(ng.tensor(FLOATS), size).shape == (2, 3, height, width)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [2, (1, 2), (1, 2, 3, 4), [3], (-1, 2, 1, -2)])
@pytest.mark.parametrize("image", [BYTES, FLOATS, BYTES[0]], ids=["bytes", "floats", "plane"])
def test_pad(image, padding, mode):
    sides = [padding] * 4 if isinstance(padding, int) else list(padding) * (4 // len(padding))
    left, top, right, bottom = sides
    kept = image[
        ..., max(-top, 0) : image.shape[-2] - max(-bottom, 0), max(-left, 0) : image.shape[-1] - max(-right, 0)
    ]
    margins = [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))]
    words = {"constant_values": 7} if mode == "constant" else {}
    near(
        F.pad(ng.tensor(image), padding, 7, mode),
        np.pad(kept, [(0, 0)] * (image.ndim - 2) + margins, mode=mode, **words),
    )


def test_flips_and_several_crops():
    image = ng.tensor(BYTES)
    near(F.hflip(image), BYTES[..., ::-1])
    near(F.vflip(image), BYTES[..., ::-1, :])
    parts = F.ten_crop(image, (5, 6), vertical_flip=True)
    corners = [BYTES[:, y:, x:][:, :5, :6] for y, x in ((0, 0), (0, 17), (12, 0), (12, 17), (6, 8))]
    for part, values in zip(parts, [*corners, *[F.crop(F.vflip(image), y, x, 5, 6).numpy() for y, x in
                                                ((0, 0), (0, 17), (12, 0), (12, 17), (6, 8))]], strict=True):  # fmt: skip
        near(part, values)
    near(F.resized_crop(image, 1, 2, 8, 8, 4), F.resize(ng.tensor(BYTES[:, 1:9, 2:10].copy()), 4).numpy())


# ---- turns, blurs, holes --------------------------------------------------------------------------------------------


def test_quarter_turns():
    image = ng.tensor(BYTES)
    for turns in range(4):
        near(F.rotate(image, 90 * turns, expand=True), np.rot90(BYTES, turns, (1, 2)))
    near(
        F.affine(image, 0, (2, -1), 1, 0, fill=9),
        np.pad(BYTES, ((0, 0), (0, 1), (2, 0)), constant_values=9)[:, 1:, :23],
    )


@pytest.mark.parametrize("angle", [7, -33.3, 121])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_turns_of_tensors_are_those_of_pictures(pillow, mode, angle):
    smooth = np.add.outer(np.arange(40), 3 * np.arange(50)).astype(np.uint8)
    image = ng.tensor(smooth[None])
    interpolation = InterpolationMode(mode)
    for expand in (False, True):
        tensor = F.rotate(image, angle, interpolation, expand, fill=0)
        shown = np.array(F.rotate(pillow.fromarray(smooth), angle, interpolation, expand, fill=0))
        assert tensor.shape[1:] == shown.shape
        assert np.mean(np.abs(tensor[0].numpy().astype(int) - shown) > 4) < 0.06  # borders are another matter
    words = {"interpolation": interpolation, "fill": 0, "center": (3, 4)}
    tensor = F.affine(image, angle, (3, -2), 0.9, (5, 10), **words)
    shown = np.array(F.affine(pillow.fromarray(smooth), angle, (3, -2), 0.9, (5, 10), **words))
    assert np.mean(np.abs(tensor[0].numpy().astype(int) - shown) > 4) < 0.06


@pytest.mark.parametrize(("extents", "sigma"), [(3, None), ((5, 3), 1.3), ((1, 1), 2.0), ([3, 5], (0.5, 2.0))])
def test_gaussian_blur(torch, extents, sigma):
    across, down = (extents, extents) if isinstance(extents, int) else extents
    widths = [0.15 * each + 0.35 for each in (across, down)] if sigma is None else np.broadcast_to(sigma, 2)
    bells = []
    for extent, width in zip((across, down), widths, strict=True):
        bell = np.exp(-0.5 * ((np.arange(extent) - extent // 2) / width) ** 2)
        bells.append(bell / bell.sum())
    kernel = torch.tensor(np.outer(bells[1], bells[0]).astype(np.float32))
    for image in (BYTES[None], FLOATS):
        values = torch.nn.functional.pad(
            torch.tensor(image).float(), [across // 2, across // 2, down // 2, down // 2], mode="reflect"
        )
        values = torch.nn.functional.conv2d(values, kernel.expand(3, 1, down, across), groups=3).numpy()
        near(F.gaussian_blur(ng.tensor(image), extents, sigma), values.round().astype(image.dtype)
             if image.dtype == np.uint8 else values)  # fmt: skip


def test_erase():
    image = ng.tensor(FLOATS)
    erased = F.erase(image, 2, 3, 4, 5, ng.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1))
    assert erased[:, 1, 2:6, 3:8].unique().tolist() == [2]
    near(image, FLOATS)
    assert F.erase(image, 0, 0, 1, 1, ng.tensor(5.0), inplace=True) is image
    assert image[1, 2, 0, 0].item() == 5


# ---- values ---------------------------------------------------------------------------------------------------------


def test_normalize():
    image = ng.tensor(FLOATS)
    mean, std = np.float32([0.1, 0.2, 0.3]), np.float32([0.5, 0.6, 0.7])
    near(F.normalize(image, mean, std), (FLOATS - mean[:, None, None]) / std[:, None, None])
    near(F.normalize(image, [0.5], [2.0]), (FLOATS - 0.5) / np.float32(2))
    assert F.normalize(image, [0.5], [2.0], inplace=True) is image
    near(image, (FLOATS - 0.5) / np.float32(2))


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_brightness_contrast_saturation_gamma(factor):
    weights = np.float32([0.2989, 0.587, 0.114])[:, None, None]
    for image, bound in ((BYTES, 255), (FLOATS, 1)):
        tensor, values = ng.tensor(image), image.astype(np.float32)
        grey = (weights * values).sum(-3, keepdims=True)
        if bound == 255:
            grey = np.trunc(grey)
        near(F.adjust_brightness(tensor, factor), np.clip(factor * values, 0, bound).astype(image.dtype))
        mean = grey.mean((-3, -2, -1), keepdims=True)
        near(
            F.adjust_contrast(tensor, factor),
            np.clip(factor * values + (1 - factor) * mean, 0, bound).astype(image.dtype),
        )
        near(
            F.adjust_saturation(tensor, factor),
            np.clip(factor * values + (1 - factor) * grey, 0, bound).astype(image.dtype),
        )
        gamma = np.clip((values / bound) ** factor, 0, 1)
        near(F.adjust_gamma(tensor, factor), (gamma * 255.999).astype(np.uint8) if bound == 255 else gamma)
        near(F.invert(tensor), bound - image)
        near(F.rgb_to_grayscale(tensor, 3)[..., 1:2, :, :], grey.astype(image.dtype))
    grey = ng.tensor(BYTES[:1])
    assert F.adjust_saturation(grey, factor) is grey


@pytest.mark.parametrize("factor", [-0.5, -0.2, 0.0, 0.1, 0.5])
def test_hue(factor):
    pixels = np.concatenate([RNG.random((3, 30)), np.array([[0, 1, 0.5, 1], [0, 1, 0.5, 0], [0, 1, 0.5, 0]])], 1)
    turned = []
    for red, green, blue in pixels.T:
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        turned.append(colorsys.hsv_to_rgb((hue + factor) % 1, saturation, value))
    image = ng.tensor(pixels.astype(np.float32)[:, None])
    near(F.adjust_hue(image, factor), np.float32(turned).T[:, None])


def test_dtypes():
    image = ng.tensor([[[0, 128, 255]]], dtype=ng.uint8)
    assert F.convert_image_dtype(image, ng.int16).tolist() == [[[0, 128 * 128, 255 * 128]]]
    assert F.convert_image_dtype(F.convert_image_dtype(image, ng.int32), ng.uint8).tolist() == image.tolist()
    assert F.convert_image_dtype(F.convert_image_dtype(image), ng.uint8).tolist() == image.tolist()
    assert F.convert_image_dtype(image, ng.uint8) is image
    for before, after in ((ng.float32, ng.int32), (ng.float32, ng.int64), (ng.float64, ng.int64)):
        with pytest.raises(RuntimeError, match=f"The cast from {before} to {after} cannot be performed safely"):
            F.convert_image_dtype(ng.zeros(1, 1, 1, dtype=before), after)


# ---- pictures -------------------------------------------------------------------------------------------------------


def picture(pillow, mode="RGB"):
    return pillow.fromarray(BYTES.transpose(1, 2, 0).copy()).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "CMYK", "LA", "HSV", "I", "F"])
def test_pictures_become_tensors(pillow, mode):
    shown = picture(pillow, "L" if mode in ("I", "F", "1", "P", "LA") else "RGB").convert(mode)
    tensor = F.to_tensor(shown)
    values = np.atleast_3d(np.array(shown)).transpose(2, 0, 1)
    if mode in ("I", "F"):
        near(tensor, values)
    else:
        near(tensor, values.astype(np.float32) if mode == "1" else values / np.float32(255))
    near(F.pil_to_tensor(shown), values)
    if mode not in ("1", "P"):
        again = F.to_pil_image(F.pil_to_tensor(shown), mode)
        assert again.mode == mode
        assert np.array_equal(np.array(again), np.array(shown))


def test_sixteen_bits(pillow):
    shown = pillow.fromarray(np.array([[1, 300], [65535, 5]], np.uint16))
    assert F.pil_to_tensor(shown).tolist() == [[[1, 300], [65535, 5]]]
    assert F.to_tensor(shown).dtype is ng.int16


def test_tensors_become_pictures(pillow):
    assert np.array_equal(np.array(F.to_pil_image(ng.tensor(BYTES))), BYTES.transpose(1, 2, 0))
    assert np.array_equal(np.array(F.to_pil_image(BYTES[0])), BYTES[0])
    assert np.array(F.to_pil_image(ng.tensor([[0.0, 0.5, 1.0]]))).tolist() == [[0, 127, 255]]
    assert F.to_pil_image(FLOATS[0, 0], "F").mode == "F"
    for bad, error in (
        ("x", TypeError),
        (ng.zeros(2), ValueError),
        (ng.zeros(5, 2, 2), ValueError),
        (ng.zeros(1, 2, 2, dtype=ng.int64), TypeError),
        (ng.zeros(3, 2, 2, dtype=ng.int16), TypeError),
    ):
        with pytest.raises(error):
            F.to_pil_image(bad)
    with pytest.raises(ValueError, match=r"Incorrect mode \(RGB\)"):
        F.to_pil_image(ng.zeros(1, 2, 2), "RGB")
    with pytest.raises(ValueError, match="Only modes"):
        F.to_pil_image(ng.zeros(3, 2, 2), "L")


def test_pictures_are_pillows(pillow):
    from PIL import ImageEnhance, ImageOps

    shown = picture(pillow)
    same = [
        (F.resize(shown, (8, 9)), shown.resize((9, 8), pillow.Resampling.BILINEAR)),
        (F.resize(shown, (8, 9), InterpolationMode.LANCZOS), shown.resize((9, 8), pillow.Resampling.LANCZOS)),
        (F.crop(shown, 1, 2, 30, 4), shown.crop((2, 1, 6, 31))),
        (F.hflip(shown), ImageOps.mirror(shown)),
        (F.vflip(shown), ImageOps.flip(shown)),
        (F.pad(shown, (1, 2, 3, 4), (5, 6, 7)), ImageOps.expand(shown, (1, 2, 3, 4), (5, 6, 7))),
        (F.rotate(shown, 30, expand=True, fill=7), shown.rotate(30, expand=True, fillcolor=(7, 7, 7))),
        (F.adjust_brightness(shown, 0.5), ImageEnhance.Brightness(shown).enhance(0.5)),
        (F.adjust_contrast(shown, 0.5), ImageEnhance.Contrast(shown).enhance(0.5)),
        (F.adjust_saturation(shown, 0.5), ImageEnhance.Color(shown).enhance(0.5)),
        (F.invert(shown), ImageOps.invert(shown)),
        (F.rgb_to_grayscale(shown), shown.convert("L")),
        (F.to_grayscale(shown, 3), shown.convert("L").convert("RGB")),
        (F.adjust_hue(shown, 0.0), shown.convert("HSV").convert("RGB")),
    ]
    for ours, theirs in same:
        assert ours.mode == theirs.mode
        assert np.array_equal(np.array(ours), np.array(theirs))
    margins = np.pad(BYTES.transpose(1, 2, 0), ((2, 2), (1, 1), (0, 0)), mode="symmetric")
    assert np.array_equal(np.array(F.pad(shown, (1, 2), padding_mode="symmetric")), margins)
    near(F.to_tensor(F.gaussian_blur(shown, 3)), F.gaussian_blur(ng.tensor(BYTES), 3).numpy() / np.float32(255))
    assert np.array(F.adjust_gamma(shown, 1.0)).tolist() == np.array(shown).tolist()
    assert F.pad(picture(pillow, "P"), 1, padding_mode="edge").getpalette() == picture(pillow, "P").getpalette()
    assert F.get_dimensions(shown) == [3, 17, 23]
    with pytest.warns(UserWarning, match="Anti-alias option is always applied for PIL Image input"):
        F.resize(shown, 8, antialias=False)
    with pytest.raises(ValueError, match="does not match the number of channels"):
        F.pad(shown, 1, (1, 2))


# ---- refusals -------------------------------------------------------------------------------------------------------

IMAGE = ng.zeros(3, 8, 8)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.resize(IMAGE, 4, "bilinear"), TypeError, "Argument interpolation should be a InterpolationMode"),
        (lambda: F.resize(IMAGE, (1, 2, 3)), ValueError, "Size must be an int or a 1 or 2 element tuple/list, not a 3"),
        (lambda: F.resize(IMAGE, (1, 2), max_size=4), ValueError, "max_size should only be passed if size specifies"),
        (lambda: F.resize(IMAGE, 4, max_size=4), ValueError, r"max_size = 4 must be strictly greater.* = \[4\]"),
        (lambda: F.resize(IMAGE, 4, InterpolationMode.BOX), ValueError, "'box' is unsupported with Tensor input"),
        (lambda: F.resize(IMAGE, (0, 4)), RuntimeError, "sizes should be greater than 0"),
        (lambda: F.resize(3, 4), TypeError, "Unexpected type <class 'int'>"),
        (lambda: F.hflip(ng.zeros(3)), TypeError, "Tensor is not a torch image."),
        (lambda: F.hflip(3), TypeError, "img should be PIL Image. Got <class 'int'>"),
        (lambda: F.pad(IMAGE, "a"), TypeError, "Got inappropriate padding arg"),
        (lambda: F.pad(IMAGE, 1, "a"), TypeError, "Got inappropriate fill arg"),
        (lambda: F.pad(IMAGE, 1, (1, 2, 3)), TypeError, "Got inappropriate fill arg"),
        (lambda: F.pad(IMAGE, 1, 0, 3), TypeError, "Got inappropriate padding_mode arg"),
        (
            lambda: F.pad(IMAGE, 1, 0, "a"),
            ValueError,
            "Padding mode should be either constant, edge, reflect or symmetric",
        ),
        (lambda: F.pad(IMAGE, (1, 2, 3)), ValueError, "not a 3 element tuple"),
        (
            lambda: F.pad(IMAGE, 8, 0, "reflect"),
            RuntimeError,
            "Padding size should be less than the corresponding input",
        ),
        (lambda: F.center_crop(IMAGE, (1, 2, 3)), ValueError, "Please provide only two dimensions"),
        (lambda: F.five_crop(IMAGE, 9), ValueError, r"Requested crop size \(9, 9\) is bigger than input size \(8, 8\)"),
        (lambda: F.rotate(IMAGE, "a"), TypeError, "Argument angle should be int or float"),
        (lambda: F.rotate(IMAGE, 3, center=3), TypeError, "Argument center should be a sequence"),
        (
            lambda: F.rotate(IMAGE, 3, InterpolationMode.BICUBIC),
            ValueError,
            "'bicubic' is unsupported with Tensor input",
        ),
        (lambda: F.rotate(IMAGE, 3, fill=(1, 2)), ValueError, r"number of channels of the image \(2 != 3\)"),
        (lambda: F.affine(IMAGE, 1, 1, 1, 1), TypeError, "Argument translate should be a sequence"),
        (lambda: F.affine(IMAGE, 1, (1,), 1, 1), ValueError, "Argument translate should be a sequence of length 2"),
        (lambda: F.affine(IMAGE, 1, (1, 1), 0, 1), ValueError, "Argument scale should be positive"),
        (lambda: F.affine(IMAGE, 1, (1, 1), 1, "a"), TypeError, "Shear should be either a single value"),
        (
            lambda: F.affine(IMAGE, 1, (1, 1), 1, (1, 2, 3)),
            ValueError,
            "Shear should be a sequence containing two values",
        ),
        (
            lambda: F.gaussian_blur(IMAGE, 2),
            ValueError,
            r"kernel_size should have odd and positive integers. Got \[2, 2\]",
        ),
        (lambda: F.gaussian_blur(IMAGE, 3, -1.0), ValueError, "sigma should have positive values"),
        (lambda: F.gaussian_blur(IMAGE, "a"), TypeError, "kernel_size should be int or a sequence of integers"),
        (lambda: F.gaussian_blur(IMAGE, (1, 3, 3)), ValueError, "its length should be 2. Got 3"),
        (lambda: F.gaussian_blur(IMAGE, 3, "a"), TypeError, "sigma should be either float or sequence of floats"),
        (lambda: F.gaussian_blur(3, 3), TypeError, "img should be PIL Image or Tensor"),
        (lambda: F.gaussian_blur(IMAGE, 17), RuntimeError, "Padding size should be less than the corresponding input"),
        (lambda: F.erase(3, 0, 0, 1, 1, IMAGE), TypeError, "img should be Tensor Image"),
        (lambda: F.normalize(3, [1], [1]), TypeError, "img should be Tensor Image"),
        (
            lambda: F.normalize(IMAGE.int(), [1], [1]),
            TypeError,
            "Input tensor should be a float tensor. Got numgrad.int32",
        ),
        (lambda: F.normalize(IMAGE[0], [1], [1]), ValueError, "Expected tensor to be a tensor image of size"),
        (lambda: F.normalize(IMAGE, [1], [0]), ValueError, "std evaluated to zero after conversion to numgrad.float32"),
        (lambda: F.adjust_brightness(IMAGE, -1), ValueError, r"brightness_factor \(-1\) is not non-negative"),
        (lambda: F.adjust_contrast(IMAGE[:2], 1), TypeError, r"permitted channel values are \[1, 3\], but found 2"),
        (lambda: F.adjust_hue(IMAGE, 0.6), ValueError, r"hue_factor \(0.6\) is not in \[-0.5, 0.5\]"),
        (lambda: F.adjust_gamma(IMAGE, -1), ValueError, "Gamma should be a non-negative real number"),
        (lambda: F.rgb_to_grayscale(IMAGE, 2), ValueError, "num_output_channels should be either 1 or 3"),
        (lambda: F.rgb_to_grayscale(IMAGE[0]), TypeError, "at least 3 dimensions, but found 2"),
        (lambda: F.to_grayscale(IMAGE), TypeError, "Input should be PIL Image"),
        (lambda: F.to_tensor(IMAGE), TypeError, "pic should be PIL Image or ndarray"),
        (lambda: F.to_tensor(np.zeros(3)), ValueError, "pic should be 2/3 dimensional. Got 1 dimensions"),
        (lambda: F.pil_to_tensor(3), TypeError, "pic should be PIL Image. Got"),
        (lambda: F.convert_image_dtype(3), TypeError, "Input img should be Tensor Image"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_functions_change_nothing():
    image = ng.tensor(FLOATS)
    for change in (F.invert, F.hflip, lambda x: F.rotate(x, 30), lambda x: F.adjust_hue(x, 0.2), lambda x: F.pad(x, 2)):
        change(image)
    near(image, FLOATS)
    assert math.isfinite(F.adjust_hue(ng.zeros(3, 2, 2), 0.3).sum().item())
