"""Calls of `nn.functional`: the function, its tensors, its further arguments; over both libraries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

rng = np.random.default_rng(7)


@dataclass(frozen=True)
class Call:
    """A call ``F.name(*arrays, *further, **options)``; the first ``gradients`` arrays take one."""

    name: str
    arrays: tuple[Any, ...]
    further: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    twice: bool = False  # small and smooth enough for second derivatives by differences

    def __str__(self) -> str:
        words = [str(value) for value in self.further] + [f"{k}={v}" for k, v in self.options.items()]
        return f"{self.name}-{'x'.join(map(str, np.shape(self.arrays[0])))}-{'-'.join(words)}".replace(" ", "")

    def on(self, lib: Any, tensors: list[Any]) -> Any:
        """What a library makes of it."""
        return getattr(lib.nn.functional, self.name)(*tensors, *self.further, **self.options)


def normal(*shape: int) -> np.ndarray:
    """Normally distributed, in float64."""
    return rng.normal(size=shape)


def off_corners(*shape: int) -> np.ndarray:
    """At least 0.05 away from multiples of 0.5."""
    return np.asarray(rng.integers(-8, 8, shape) / 2 + rng.uniform(0.05, 0.45, shape))


def distinct(*shape: int) -> np.ndarray:
    """No two elements nearer than 0.1."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) * 0.1 - 1


def between(*shape: int) -> np.ndarray:
    """Between 0.1 and 0.9."""
    return rng.uniform(0.1, 0.9, shape)


def signs(*shape: int) -> np.ndarray:
    """1 and -1."""
    return rng.choice([-1, 1], shape)


CALLS: list[Call] = []


def call(name: str, *arrays: Any, further: tuple[Any, ...] = (), twice: bool = False, **options: Any) -> None:
    """Add a call."""
    CALLS.append(Call(name, arrays, further, options, twice))


# ---- activations ------------------------------------------------------------------------------------------------

for name in ("selu", "hardsigmoid", "hardswish", "mish", "tanhshrink", "softsign", "relu6", "celu", "hardtanh"):
    call(name, off_corners(3, 4), twice=name in ("selu", "mish", "tanhshrink"))
call("celu", off_corners(3, 4), alpha=2.5, twice=True)
call("hardtanh", off_corners(3, 4), further=(-2.0, 0.5))
call("softshrink", off_corners(3, 4), lambd=1.0)
call("hardshrink", off_corners(3, 4), lambd=1.0)
call("threshold", off_corners(3, 4), further=(0.5, 20.0))
call("prelu", off_corners(2, 3, 4), normal(3), twice=True)
call("prelu", off_corners(4), normal(1))
call("rrelu", off_corners(3, 4))
call("glu", normal(3, 4), dim=1, twice=True)
call("softmin", normal(3, 4), dim=1)

# ---- losses -----------------------------------------------------------------------------------------------------

for reduction in ("mean", "sum", "none"):
    call("binary_cross_entropy", between(3, 4), between(3, 4), reduction=reduction)
    call("soft_margin_loss", normal(3, 4), signs(3, 4), reduction=reduction)
    call("hinge_embedding_loss", normal(3, 4), signs(3, 4), reduction=reduction)
    call("cosine_embedding_loss", normal(3, 4), normal(3, 4), signs(3), margin=0.1, reduction=reduction)
    call("margin_ranking_loss", normal(5), normal(5), signs(5), margin=0.3, reduction=reduction)
    call("multi_margin_loss", normal(3, 4), np.array([2, 0, 3]), reduction=reduction)
    labels = np.array([[3, 0, -1, 1], [-1, 0, 1, 2], [0, 1, 2, 3]])
    call("multilabel_margin_loss", normal(3, 4), labels, reduction=reduction)
    call("multilabel_soft_margin_loss", normal(3, 4), between(3, 4), reduction=reduction)
    call("triplet_margin_loss", normal(3, 4), normal(3, 4), normal(3, 4), reduction=reduction)
    call("poisson_nll_loss", normal(3, 4), np.arange(1.0, 13.0).reshape(3, 4), full=True, reduction=reduction)
    call("gaussian_nll_loss", normal(3, 4), normal(3, 4), between(3, 1), full=True, reduction=reduction)
call("binary_cross_entropy", between(3, 4), between(3, 4), weight=None, twice=True)
call("kl_div", normal(3, 4), between(3, 4), reduction="batchmean", twice=True)
call("kl_div", normal(3, 4), normal(3, 4), reduction="sum", log_target=True)
call("poisson_nll_loss", between(3, 4), between(3, 4), log_input=False)
call("multi_margin_loss", normal(3, 4), np.array([2, 0, 3]), further=(2, 0.5))
call("multi_margin_loss", normal(4), np.array(2))
call("multilabel_margin_loss", normal(4), np.array([1, 2, -1, 0]))
call("triplet_margin_loss", normal(3, 4), normal(3, 4), normal(3, 4), swap=True, p=1.0)
call("cosine_embedding_loss", normal(4), normal(4), np.array(1.0))
call("pairwise_distance", normal(3, 4), normal(3, 4), p=3.0, keepdim=True)
call("pairwise_distance", normal(3, 4), normal(4))
call("cosine_similarity", normal(3, 4), normal(3, 4), twice=True)
call("cosine_similarity", normal(2, 3, 4), normal(3, 1), dim=-2)
call("pdist", normal(4, 3))
call("pdist", normal(4, 3), p=1.0)

# ---- convolutions -----------------------------------------------------------------------------------------------

call("conv1d", normal(2, 4, 7), normal(6, 2, 3), normal(6), stride=2, padding=1, groups=2, twice=True)
call("conv1d", normal(4, 7), normal(3, 4, 2), padding="same", dilation=3)
call("conv3d", normal(2, 2, 4, 5, 3), normal(4, 1, 2, 3, 2), normal(4), stride=(1, 2, 1), padding=(1, 1, 0), groups=2)
call("conv3d", normal(2, 3, 4, 4), normal(2, 2, 2, 2, 2), padding="same", dilation=(2, 1, 1))
call("conv_transpose1d", normal(2, 4, 5), normal(4, 3, 3), normal(6), stride=3, output_padding=2, groups=2, twice=True)
call("conv_transpose1d", normal(4, 5), normal(4, 3, 2), stride=1, output_padding=2, padding=1, dilation=3)
call("conv_transpose2d", normal(2, 4, 3, 4), normal(4, 3, 3, 2), normal(3), stride=2, padding=1, output_padding=(1, 0))
call("conv_transpose3d", normal(1, 2, 3, 3, 2), normal(2, 3, 2, 3, 2), normal(3), stride=2, padding=1, output_padding=1)
call("conv_transpose3d", normal(4, 2, 2, 2), normal(4, 1, 2, 1, 2), groups=2, dilation=2)

# ---- margins ----------------------------------------------------------------------------------------------------

for mode in ("reflect", "replicate", "circular", "constant"):
    call("pad", normal(2, 3, 4), further=((2, 1),), mode=mode)
    call("pad", normal(2, 3, 4, 3), further=((1, 2, 0, 3),), mode=mode)
    call("pad", normal(1, 2, 3, 4, 3), further=((1, 2, 2, 1, 1, 1),), mode=mode)
call("pad", normal(2, 3, 4), further=((-1, 2),), mode="replicate")

# ---- pools ------------------------------------------------------------------------------------------------------

for ceil_mode in (False, True):
    call("max_pool1d", distinct(2, 3, 9), further=(3, 2, 1), ceil_mode=ceil_mode, return_indices=True)
    call("avg_pool1d", normal(2, 3, 8), further=(3, 2, 1), ceil_mode=ceil_mode, count_include_pad=False)
    call("max_pool3d", distinct(1, 2, 5, 6, 5), further=(3, 2, 1), ceil_mode=ceil_mode, return_indices=True)
    call("avg_pool3d", normal(1, 2, 5, 6, 4), further=(3, 2, 1), ceil_mode=ceil_mode, count_include_pad=False)
    call("avg_pool3d", normal(2, 5, 6, 4), further=((2, 3, 2),), ceil_mode=ceil_mode, divisor_override=7)
    call("lp_pool2d", between(1, 2, 5, 5), further=(2.0, 2), ceil_mode=ceil_mode)
call("max_pool3d", distinct(2, 5, 6, 5), further=((1, 2, 3),), dilation=(2, 1, 1))
call("lp_pool1d", between(2, 6), further=(3.0, 2, 1))
call("lp_pool1d", normal(2, 6), further=(1.0, 2, 1))
call("adaptive_avg_pool1d", normal(2, 3, 7), further=(3,))
call("adaptive_avg_pool3d", normal(1, 2, 5, 4, 7), further=((3, None, 2),))
call("adaptive_max_pool1d", distinct(2, 3, 7), further=(3, True))
call("adaptive_max_pool2d", distinct(2, 3, 7, 5), further=((3, 2), True))
call("adaptive_max_pool3d", distinct(2, 5, 4, 7), further=((3, None, 2), True))
call("max_unpool1d", normal(1, 2, 3), np.array([[[1, 2, 5], [0, 3, 4]]]), further=(2,))
call("max_unpool2d", normal(1, 1, 2, 2), np.array([[[[0, 3], [9, 14]]]]), further=(2,))
call("max_unpool2d", normal(1, 2, 2), np.array([[[0, 3], [10, 14]]]), further=(2, 2, 0, (5, 4)))

# ---- interpolation and grids ------------------------------------------------------------------------------------

for mode, shape in (
    ("linear", (2, 3, 5)),
    ("bilinear", (2, 3, 4, 5)),
    ("bicubic", (1, 2, 4, 5)),
    ("trilinear", (1, 2, 3, 4, 3)),
):
    for align_corners in (False, True):
        call("interpolate", normal(*shape), size=7, mode=mode, align_corners=align_corners)
        call("interpolate", normal(*shape), scale_factor=0.7, mode=mode, align_corners=align_corners)
    call("interpolate", normal(*shape), scale_factor=1.7, mode=mode, recompute_scale_factor=True)
for mode in ("nearest", "nearest-exact", "area"):
    for shape in ((2, 3, 5), (2, 3, 4, 5), (1, 2, 3, 4, 3)):
        call("interpolate", normal(*shape), size=7, mode=mode)
        call("interpolate", normal(*shape), scale_factor=2, mode=mode)
        call("interpolate", normal(*shape), scale_factor=0.7, mode=mode)
for padding_mode in ("zeros", "border", "reflection"):
    for mode, shape, points in (
        ("bilinear", (2, 3, 5, 7), (2, 4, 3, 2)),
        ("nearest", (2, 3, 5, 7), (2, 4, 3, 2)),
        ("bicubic", (2, 3, 5, 7), (2, 4, 3, 2)),
        ("bilinear", (2, 2, 3, 4, 5), (2, 2, 3, 2, 3)),
    ):
        call("grid_sample", normal(*shape), 1.3 * normal(*points), further=(mode, padding_mode, len(shape) == 5))
call("affine_grid", normal(2, 2, 3), further=((2, 1, 3, 4), False))
call("affine_grid", normal(2, 3, 4), further=((2, 1, 3, 4, 2), True))

# ---- patches, channels, vectors -----------------------------------------------------------------------------------

call("unfold", normal(2, 3, 5, 6), further=((2, 3),), dilation=(2, 1), padding=(1, 0), stride=(1, 2), twice=True)
call("fold", normal(2, 12, 20), further=((5, 6), 2))
call("fold", normal(12, 4), further=((5, 6), (2, 3)), dilation=(2, 1), padding=(1, 0), stride=(3, 2))
call("pixel_shuffle", normal(2, 8, 3, 2), further=(2,))
call("pixel_unshuffle", normal(2, 3, 4, 2), further=(2,))
call("channel_shuffle", normal(2, 6, 3, 2), further=(3,))
call("instance_norm", normal(2, 3, 4, 5), None, None, normal(3), normal(3), twice=False)
call("instance_norm", normal(2, 3, 4), normal(3), between(3), normal(3), normal(3), use_input_stats=False)
call("rms_norm", normal(2, 3, 4), further=((3, 4),))
call("rms_norm", normal(2, 3, 4), further=((4,), None, 1e-3), twice=True)
call("local_response_norm", normal(2, 5, 3), further=(3,), alpha=0.5)
call("local_response_norm", normal(2, 5, 3, 2), further=(2,), alpha=0.5, k=2.0)
call("bilinear", normal(2, 5, 3), normal(2, 5, 4), normal(6, 3, 4), normal(6), twice=True)
call("one_hot", np.array([[0, 2], [1, 1]]))
call("one_hot", np.array([0, 2, 1]), further=(5,))
for mode in ("sum", "mean", "max"):
    ids = np.array([1, 0, 3, 3, 2])
    call("embedding_bag", ids, distinct(4, 3), np.array([0, 2, 2]), mode=mode)
    call("embedding_bag", np.array([[1, 0], [3, 2]]), distinct(4, 3), mode=mode, padding_idx=3)
call("embedding_bag", np.array([1, 0, 3, 3]), distinct(4, 3), np.array([0, 2]), mode="mean", max_norm=0.5)
call("linear_cross_entropy", normal(3, 4), normal(5, 4), np.array([1, 0, 3]), twice=True, reduction="sum")
call("linear_cross_entropy", normal(4), normal(5, 4), np.array(3), label_smoothing=0.1)
