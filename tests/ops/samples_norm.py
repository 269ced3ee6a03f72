"""Rows of the norms of networks: batch norm, with a fused ReLU too, and layer norm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import numgrad as ng
from tests.ops.rows import (
    Rng,
    bad,
    good,
    normal,
    off_zero,
    positive,
    uniform,
)

ROUGH = 20.0  # sums of products in another order than NumPy's

# ---- norms ------------------------------------------------------------------------------------------------------

for name, running in (("batch_norm_training", False), ("batch_norm_eval", True)):
    statistics = (normal(3), positive(3)) if running else (None, None)
    facts = {"fixed": (3, 4) if running else (), "tolerance": ROUGH}
    good(name, "images", normal(2, 3, 4, 5), normal(3), normal(3), *statistics, **facts)
    good(name, "rows", normal(6, 3), normal(3), normal(3), *statistics, **facts)
    good(name, "no affine", normal(2, 3, 4, 5), None, None, *statistics, **facts)
    good(name, "large", normal(4, 3, 61, 70), normal(3), normal(3), *statistics, small=False, **facts)
    good(name, "weight alone", normal(2, 3, 2, 2), normal(3), None, *statistics, **facts)
    bad(
        name,
        "weight",
        normal(2, 3, 4, 4),
        normal(4),
        None,
        *statistics,
        error=RuntimeError,
        match="weight should contain 3 elements not 4",
    )
    bad(
        name,
        "dimensions",
        normal(3),
        None,
        None,
        *statistics,
        error=RuntimeError,
        match=r"batch_norm: input has shape \[3\]",
    )
    bad(
        name,
        "dtype",
        normal(2, 3, 4, 4),
        lambda rng: rng.normal(size=3).astype("float32"),
        None,
        *statistics,
        error=RuntimeError,
        match="batch_norm: weight is of .*float32, expected .*float64",
    )
good(
    "batch_norm_training",
    "running statistics",
    normal(2, 3, 4, 5),
    normal(3),
    normal(3),
    normal(3),
    positive(3),
    fixed=(3, 4),
    changes=(3, 4),
    tolerance=ROUGH,
)
bad(
    "batch_norm_training",
    "one value",
    normal(1, 3, 1, 1),
    None,
    None,
    None,
    None,
    error=ValueError,
    match=r"Expected more than 1 value per channel when training, got input size .*\[1, 3, 1, 1\]",
)
bad(
    "batch_norm_eval",
    "no statistics",
    normal(2, 3),
    error=RuntimeError,
    match="Expected running_mean and running_var to be defined",
    call=lambda x: ng.batch_norm(x, None, None, None, None, False, 0.1, 1e-5),
)


def far_from_kink(*shape: int) -> Callable[[Rng], np.ndarray]:
    """At least 7 away from 0: added to what is normed, it decides which side of the ReLU each element is on."""
    return lambda rng: np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(7.0, 9.0, shape))


for name, running in (("batch_norm_relu_training", False), ("batch_norm_relu_eval", True)):
    statistics = (uniform(-0.2, 0.2, 3), uniform(0.8, 1.2, 3)) if running else (None, None)
    facts = {"fixed": (3, 4) if running else (), "tolerance": ROUGH}
    scale, shift = uniform(0.5, 1.5, 3), uniform(-0.5, 0.5, 3)
    shape = (2, 3, 4, 5)
    good(name, "images", normal(*shape), scale, shift, *statistics, far_from_kink(*shape), **facts)
    good(name, "rows", normal(6, 3), scale, None, *statistics, far_from_kink(6, 3), **facts)
    good(name, "shift decides", normal(*shape), scale, far_from_kink(3), *statistics, None, **facts)
    wide = (4, 17, 31, 13)
    many = (normal(17), positive(17)) if running else (None, None)
    good(name, "large", normal(*wide), normal(17), normal(17), *many, normal(*wide), small=False, smooth=False, **facts)
    bad(
        name,
        "residual",
        normal(2, 3, 4, 4),
        None,
        None,
        *statistics,
        normal(2, 3, 4, 1),
        error=RuntimeError,
        match="batch_norm: residual is .*expected the shape and dtype of the input",
    )
for training in (True, False):
    good(
        "batch_norm_relu_backward",
        f"training {training}",
        normal(2, 3, 4, 5),
        normal(2, 3, 4, 5),
        normal(3),
        normal(3),
        positive(3),
        off_zero(2, 3, 4, 5),
        params={"training": training},
        tolerance=100,
        smooth=False,
    )
good(
    "batch_norm_relu_backward",
    "only the residual",
    normal(6, 3),
    normal(6, 3),
    None,
    normal(3),
    positive(3),
    off_zero(6, 3),
    params={"needs": (False, False, False, True)},
    smooth=False,
)
bad(
    "batch_norm_relu_backward",
    "channels",
    normal(6, 3),
    normal(6, 3),
    None,
    normal(4),
    positive(3),
    off_zero(6, 3),
    error=RuntimeError,
    match="mean should contain 3 elements not 4",
)
for training in (True, False):
    good(
        "batch_norm_backward",
        f"training {training}",
        normal(2, 3, 4, 5),
        normal(2, 3, 4, 5),
        normal(3),
        normal(3),
        positive(3),
        params={"training": training},
        tolerance=100,
    )
good(
    "batch_norm_backward",
    "only the weight",
    normal(6, 3),
    normal(6, 3),
    None,
    normal(3),
    positive(3),
    params={"needs": (False, True, False)},
    tolerance=100,
)

good("layer_norm", "last dim", normal(4, 5), normal(5), normal(5), params={"normalized": 1}, tolerance=ROUGH)
good("layer_norm", "two dims", normal(2, 3, 4), normal(3, 4), normal(3, 4), params={"normalized": 2}, tolerance=ROUGH)
good("layer_norm", "no affine", normal(4, 5), None, None, params={"normalized": 1}, tolerance=ROUGH)
good(
    "layer_norm",
    "large",
    normal(300, 257),
    normal(257),
    normal(257),
    params={"normalized": 1},
    tolerance=ROUGH,
    small=False,
)
bad(
    "layer_norm",
    "shape",
    normal(4, 5),
    error=RuntimeError,
    match=r"Given normalized_shape=\[4\], expected input with shape",
    call=lambda x: ng.layer_norm(x, (4,)),
)

good(
    "layer_norm_backward",
    "last dim",
    normal(4, 5),
    normal(4, 5),
    normal(5),
    normal(4),
    positive(4),
    params={"normalized": 1},
    tolerance=100,
)
good(
    "layer_norm_backward",
    "only the input",
    normal(4, 5),
    normal(4, 5),
    None,
    normal(4),
    positive(4),
    params={"needs": (True, False, False)},
    tolerance=100,
)
