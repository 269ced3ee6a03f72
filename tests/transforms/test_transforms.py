"""Transforms as objects: what they draw, refuse, and show."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest

import numgrad as ng
from numgrad import transforms as T
from numgrad.transforms import functional as F

IMAGE = ng.arange(3 * 8 * 9, dtype=ng.float32).reshape(3, 8, 9) / 216


def test_a_pipeline():
    prepare = T.Compose(
        [
            T.ToTensor(),
            T.RandomCrop(28, padding=2),
            T.RandomHorizontalFlip(),
            T.ConvertDtype(ng.float64),
            T.Normalize((0.5,), (0.5,)),
        ]
    )
    image = np.full((28, 28), 255, np.uint8)
    ng.manual_seed(0)
    first = prepare(image)
    assert first.shape == (1, 28, 28)
    assert first.dtype is ng.float64
    assert set(first.unique().tolist()) <= {-1.0, 1.0}
    ng.manual_seed(0)
    assert ng.equal(pickle.loads(pickle.dumps(prepare))(image), first)


@pytest.mark.parametrize(
    ("transform", "likely"),
    [
        (T.RandomHorizontalFlip, F.hflip),
        (T.RandomVerticalFlip, F.vflip),
        (T.RandomGrayscale, lambda x: F.rgb_to_grayscale(x, 3)),
    ],
)
def test_probabilities(transform, likely):
    assert transform(p=0.0)(IMAGE) is IMAGE
    assert ng.equal(transform(p=1.0)(IMAGE), likely(IMAGE))
    ng.manual_seed(0)
    changed = sum(transform(p=0.25)(IMAGE) is not IMAGE for _ in range(200))
    assert 25 < changed < 75


def test_random_crop():
    seen = {tuple(T.RandomCrop.get_params(IMAGE, (7, 8))) for _ in range(100)}
    assert seen == {(i, j, 7, 8) for i in (0, 1) for j in (0, 1)}
    with pytest.raises(ValueError, match=r"Required crop size \(9, 9\) is larger than input image size \(8, 9\)"):
        T.RandomCrop(9)(IMAGE)
    assert T.RandomCrop(12, pad_if_needed=True)(IMAGE).shape == (3, 12, 12)
    assert T.RandomCrop((2, 3), padding=(1, 2), padding_mode="reflect")(IMAGE).shape == (3, 2, 3)


def test_random_resized_crop():
    for _ in range(50):
        top, left, height, width = T.RandomResizedCrop.get_params(IMAGE, (0.2, 0.9), (0.5, 2.0))
        assert 0 <= top <= 8 - height
        assert 0 <= left <= 9 - width
        assert 0.1 < height * width / 72 < 1
    # What never fits is cut from the centre, with the nearest ratio.
    assert T.RandomResizedCrop.get_params(IMAGE, (4.0, 4.0), (0.5, 0.5)) == (0, 2, 8, 4)
    assert T.RandomResizedCrop.get_params(IMAGE, (4.0, 4.0), (3.0, 3.0)) == (2, 0, 3, 9)
    assert T.RandomResizedCrop.get_params(IMAGE, (4.0, 4.0), (1.0, 2.0)) == (0, 0, 8, 9)
    assert T.RandomResizedCrop((4, 5))(IMAGE).shape == (3, 4, 5)
    with pytest.warns(UserWarning, match=r"Scale and ratio should be of kind \(min, max\)"):
        T.RandomResizedCrop(3, scale=(1.0, 0.5))


def test_color_jitter():
    jitter = T.ColorJitter(brightness=0.5, contrast=(0.2, 3), saturation=2, hue=0.1)
    assert (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) == (
        (0.5, 1.5), (0.2, 3.0), (0.0, 3.0), (-0.1, 0.1)
    )  # fmt: skip
    order, b, c, s, h = T.ColorJitter.get_params(jitter.brightness, jitter.contrast, None, jitter.hue)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    assert 0.5 <= b <= 1.5
    assert 0.2 <= c <= 3
    assert s is None
    assert -0.1 <= h <= 0.1
    assert T.ColorJitter()(IMAGE) is IMAGE
    changed = jitter(IMAGE)
    assert changed.shape == IMAGE.shape
    assert not ng.equal(changed, IMAGE)


def test_turns_blur_and_holes():
    assert ng.equal(T.RandomRotation((30, 30), fill=1)(IMAGE), F.rotate(IMAGE, 30, fill=1))
    moved = T.RandomAffine((5, 5), (0, 0), (2, 2), (3, 3, 4, 4))
    assert ng.allclose(moved(IMAGE), F.affine(IMAGE, 5.0, (0, 0), 2.0, (3.0, 4.0), fill=0))
    angle, shift, scale, shear = T.RandomAffine.get_params([-5, 5], (0.5, 0.25), (0.5, 2), [1, 2], [8, 8])
    assert -5 <= angle <= 5
    assert max(abs(each) for each in shift) <= 4
    assert 0.5 <= scale <= 2
    assert 1 <= shear[0] <= 2
    assert ng.equal(T.GaussianBlur(3, 1.5)(IMAGE), F.gaussian_blur(IMAGE, 3, 1.5))
    erased = T.RandomErasing(p=1, value=(5, 6, 7))(IMAGE)
    assert (erased != IMAGE).any(0).sum() == (erased[1] == 6).sum()
    assert T.RandomErasing(p=1, value="random")(IMAGE).shape == IMAGE.shape
    assert T.RandomErasing(p=0)(IMAGE) is IMAGE
    with pytest.raises(ValueError, match=r"either a single value or 3 \(number of input channels\)"):
        T.RandomErasing(p=1, value=(1, 2))(IMAGE)


def test_choices_and_orders():
    add, double = T.Lambda(lambda x: x + 1), T.Lambda(lambda x: 2 * x)
    random.seed(0)
    assert {T.RandomOrder([add, double])(1) for _ in range(30)} == {3, 4}
    assert {T.RandomChoice([add, double])(5) for _ in range(30)} == {6, 10}
    assert {T.RandomChoice([add, double], p=[0, 1])(5) for _ in range(30)} == {10}
    assert {T.RandomApply([add, double], p=0.5)(1) for _ in range(50)} == {1, 4}
    assert T.RandomApply([add], p=0)(1) == 1


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: T.Resize(1.5), TypeError, "Size should be int or sequence"),
        (lambda: T.Resize((1, 2, 3)), ValueError, "If size is a sequence, it should have 1 or 2 values"),
        (lambda: T.CenterCrop((1, 2, 3)), ValueError, "Please provide only two dimensions"),
        (lambda: T.Pad("a"), TypeError, "Got inappropriate padding arg"),
        (lambda: T.Pad(1, padding_mode="a"), ValueError, "Padding mode should be"),
        (lambda: T.Pad((1, 2, 3)), ValueError, "not a 3 element tuple"),
        (lambda: T.Lambda(3), TypeError, "Argument lambd should be callable, got 'int'"),
        (lambda: T.RandomChoice(3), TypeError, "Argument transforms should be a sequence"),
        (lambda: T.RandomChoice([], p=3), TypeError, "Argument p should be a sequence"),
        (lambda: T.RandomResizedCrop(3, scale=1.0), TypeError, "Scale should be a sequence"),
        (lambda: T.RandomResizedCrop(3, ratio=1.0), TypeError, "Ratio should be a sequence"),
        (lambda: T.ColorJitter(-1), ValueError, "If brightness is a single number, it must be non negative."),
        (
            lambda: T.ColorJitter(hue=0.6),
            ValueError,
            r"hue values should be between \(-0.5, 0.5\), but got \[-0.6, 0.6\]",
        ),
        (lambda: T.ColorJitter("a"), TypeError, "brightness should be a single number or a list/tuple with length 2."),
        (lambda: T.RandomRotation(-1), ValueError, "If degrees is a single number, it must be positive."),
        (lambda: T.RandomRotation((1, 2, 3)), ValueError, "degrees should be a sequence of length 2."),
        (lambda: T.RandomRotation("a"), ValueError, "degrees should be a sequence of length 2."),
        (lambda: T.RandomRotation(1, center=3), TypeError, "center should be a sequence of length 2."),
        (lambda: T.RandomRotation(1, fill=object()), TypeError, "Fill should be either a sequence or a number."),
        (lambda: T.RandomAffine(1, (2, 2)), ValueError, "translation values should be between 0 and 1"),
        (lambda: T.RandomAffine(1, scale=(0, 1)), ValueError, "scale values should be positive"),
        (lambda: T.RandomAffine(1, shear=(1, 2, 3)), ValueError, "shear should be a sequence of length 2 or 4."),
        (lambda: T.GaussianBlur(2), ValueError, "Kernel size value should be an odd and positive number."),
        (lambda: T.GaussianBlur(3, -1), ValueError, "If sigma is a single number, it must be positive."),
        (lambda: T.GaussianBlur(3, (2, 1)), ValueError, "sigma values should be positive and of the form"),
        (lambda: T.GaussianBlur(3, "abc"), ValueError, "sigma should be a single number"),
        (lambda: T.RandomErasing(value="a"), ValueError, "If value is str, it should be 'random'"),
        (
            lambda: T.RandomErasing(value=None),
            TypeError,
            "Argument value should be either a number or str or a sequence",
        ),
        (lambda: T.RandomErasing(scale=(0, 2)), ValueError, "Scale should be between 0 and 1"),
        (lambda: T.RandomErasing(p=2), ValueError, "Random erasing probability should be between 0 and 1"),
    ],
)
def test_refusals(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_texts():
    inner = [T.CenterCrop(3), T.Pad(2)]
    assert repr(T.Compose(inner)) == (
        "Compose(\n    CenterCrop(size=(3, 3))\n    Pad(padding=2, fill=0, padding_mode=constant)\n)"
    )
    assert repr(T.RandomApply(inner)).splitlines()[:2] == ["RandomApply(", "    p=0.5"]
    assert repr(T.RandomChoice(inner)).endswith("\n)(p=None)")
    for transform, text in [
        (T.ToTensor(), "ToTensor()"),
        (T.ToPILImage("L"), "ToPILImage(mode=L)"),
        (T.Normalize([0.5], [0.2]), "Normalize(mean=[0.5], std=[0.2])"),
        (T.Resize(5), "Resize(size=5, interpolation=bilinear, max_size=None, antialias=True)"),
        (T.RandomCrop(5), "RandomCrop(size=(5, 5), padding=None)"),
        (T.RandomResizedCrop((5, 6)),
         "RandomResizedCrop(size=(5, 6), scale=(0.08, 1.0), ratio=(0.75, 1.3333), interpolation=bilinear, antialias=True)"),
        (T.ColorJitter(0.4), "ColorJitter(brightness=(0.6, 1.4), contrast=None, saturation=None, hue=None)"),
        (T.RandomRotation(30), "RandomRotation(degrees=[-30.0, 30.0], interpolation=nearest, expand=False, fill=0)"),
        (T.RandomAffine(5, fill=3), "RandomAffine(degrees=[-5.0, 5.0], fill=3)"),
        (T.GaussianBlur(3), "GaussianBlur(kernel_size=(3, 3), sigma=(0.1, 2.0))"),
        (T.RandomErasing(), "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)"),
        (T.TenCrop(4), "TenCrop(size=(4, 4), vertical_flip=False)"),
        (T.Grayscale(), "Grayscale(num_output_channels=1)"),
        (T.RandomGrayscale(), "RandomGrayscale(p=0.1)"),
        (T.Lambda(len), "Lambda()"),
    ]:  # fmt: skip
        assert repr(transform) == text


def test_models_have_the_same_preparation():
    from numgrad.models.transforms import ImageClassification

    assert ImageClassification is T.ImageClassification
