"""Rows of `derivative_rows` for the rest of the surface: special functions, activations with corners, losses, scans, layers.

They add to the same tables. Where torch's derivative is rougher than numgrad's, or NaN, the judge is mpmath (``exact``), and
what differs on purpose is in ``but``, each with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.tensor.derivative_rows import LARGEST, NORMED, Function, of_arrays, of_numbers, of_pairs

# ---- of one number ----------------------------------------------------------------------------------------------

for _name in (
    "acosh atan cosh sinh tan exp2 log10 log2 frac fix nan_to_num deg2rad rad2deg angle absolute arccosh arctan sgn positive "
    "negative erfinv logit conj conj_physical real resolve_conj resolve_neg ravel"
).split():
    of_numbers(_name)
# Where the slope is 0 in the end, torch multiplies infinity by it.
_EXACT: dict[str, Function] = {
    "acos": lambda mp, x: mp.acos(x),
    "arccos": lambda mp, x: mp.acos(x),
    "asin": lambda mp, x: mp.asin(x),
    "arcsin": lambda mp, x: mp.asin(x),
    "asinh": lambda mp, x: mp.asinh(x),
    "arcsinh": lambda mp, x: mp.asinh(x),
    "atanh": lambda mp, x: mp.atanh(x),
    "arctanh": lambda mp, x: mp.atanh(x),
    "erfc": lambda mp, x: mp.erfc(x),
    "sinc": lambda mp, x: mp.sinc(mp.pi * x),
}
for _name, _exact in _EXACT.items():
    of_numbers(_name, exact=_exact, digits=60, but=("torch nan",), scale=0.1 if _name == "sinc" else 0.0)
# Torch's derivatives are finite at the poles, where it makes up a number, and NaN at infinity.
_GAMMA = ("torch nan", "poles")
of_numbers("lgamma", exact=lambda mp, x: mp.log(abs(mp.gamma(x))), digits=30, but=_GAMMA, scale=1.0)
of_numbers("digamma", exact=lambda mp, x: mp.digamma(x), digits=30, but=_GAMMA, scale=100.0)
of_numbers(
    "mvlgamma", lambda lib, f, x: lib.mvlgamma(x.abs() + 1, 2), digits=30, but=("torch nan", "denormal"),
    exact=lambda mp, x: mp.log(mp.pi) / 2 + mp.loggamma(abs(x) + 1) + mp.loggamma(abs(x) + 0.5),
)  # fmt: skip
for _order in (1, 2, 3):
    of_numbers(
        f"polygamma {_order}", lambda lib, f, x, n=_order: lib.polygamma(n, x), digits=30, but=_GAMMA, scale=10.0**_order,
        exact=lambda mp, x, n=_order: mp.polygamma(n, x),
    )  # fmt: skip
of_numbers(
    "special.zeta", lambda lib, f, x: lib.special.zeta(lib.full_like(x, 3.0), x), digits=30, but=_GAMMA, scale=10.0,
    exact=lambda mp, x: mp.polygamma(2, x) / -2,
)  # fmt: skip
_SPECIAL: dict[str, tuple[Function | None, float]] = {
    "entr": (None, 0.0),
    "erfcx": (lambda mp, x: mp.exp(x * x) * mp.erfc(x), 1.0),
    "i0e": (lambda mp, x: mp.exp(-abs(x)) * mp.besseli(0, x), 0.1),
    "i1": (lambda mp, x: mp.besseli(1, x), 1.0),
    "i1e": (lambda mp, x: mp.exp(-abs(x)) * mp.besseli(1, x), 10.0),
    "log_ndtr": (lambda mp, x: mp.log(mp.ncdf(x)), 10.0),
    "ndtr": (lambda mp, x: mp.ncdf(x), 0.0),
    "ndtri": (lambda mp, x: mp.sqrt(2) * mp.erfinv(2 * x - 1) if 0 < x < 1 else mp.nan, 0.0),
}
for _name, (_of, _scale) in _SPECIAL.items():
    of_numbers(
        f"special.{_name}", lambda lib, f, x, n=_name: getattr(lib.special, n)(x), exact=_of, digits=40, scale=_scale,
        but=("torch nan", "far", "denormal") if _name in ("log_ndtr", "i1e", "erfcx") else ("torch nan",), rough=32.0, far=2e3,
    )  # fmt: skip
of_numbers("i0", exact=lambda mp, x: mp.besseli(0, x), digits=40, but=("torch nan",))
for _name in "celu hardshrink hardswish hardtanh relu6 selu softshrink tanhshrink".split():
    of_numbers(_name, lambda lib, f, x, n=_name: getattr(f, n)(x))
of_numbers(
    "hardsigmoid", lambda lib, f, x: f.hardsigmoid(x), twice=False, exact=lambda mp, x: (x + 3) / 6
)  # torch's 6 is a single
of_numbers("mish", lambda lib, f, x: f.mish(x), but=("torch nan",))
of_numbers(
    "softsign", lambda lib, f, x: f.softsign(x), exact=lambda mp, x: x / (1 + abs(x)), far=1e20, but=("torch nan",)
)
of_numbers("celu wide", lambda lib, f, x: f.celu(x, 2.5))
of_numbers("threshold", lambda lib, f, x: f.threshold(x, 0.5, 20.0))
of_numbers("rrelu", lambda lib, f, x: f.rrelu(x))
of_numbers("prelu", lambda lib, f, x: f.prelu(x, lib.tensor([0.25], dtype=x.dtype)))
of_numbers("clip", lambda lib, f, x: lib.clip(x, -1.0, 1.0))
of_numbers("fill", lambda lib, f, x: lib.fill(x, 2.0))
of_numbers("xlogy of a number", lambda lib, f, x: lib.xlogy(2.0, x))

# ---- of two numbers ---------------------------------------------------------------------------------------------

_TWO: dict[str, tuple[Function | None, dict[str, Any]]] = {
    # A difference of two slopes that cancel where the arguments are alike, or one is much larger.
    "atan2": (None, {"scale": 1.0, "but": ("alike", "denormal")}),
    "arctan2": (None, {"scale": 1.0, "but": ("alike", "denormal")}),
    "hypot": (None, {"scale": 0.1}),
    "logaddexp": (None, {"scale": 1.0, "but": ("torch nan",)}),
    "logaddexp2": (None, {"scale": 1.0, "but": ("torch nan",)}),
    "fmod": (
        None,
        {"but": ("ratio", "value")},
    ),  # whose slope is the ratio; torch's own is NaN for many finite arguments
    "float_power": (None, {"but": ("torch nan",)}),
    "addcmul": (lambda lib, f, x, y: lib.addcmul(x, x, y, value=0.5), {}),
    "addcdiv": (lambda lib, f, x, y: lib.addcdiv(x, x, y, value=0.5), {"but": ("torch nan",)}),
    "lerp": (lambda lib, f, x, y: lib.lerp(x, y, 0.25), {}),
    "lerp by a tensor": (lambda lib, f, x, y: lib.lerp(x, y, x), {}),
    "dist": (lambda lib, f, x, y: (x - y).abs(), {}),
    "ldexp": (None, {"scale": 1e-3}),
    "special.xlog1py": (lambda lib, f, x, y: lib.special.xlog1py(x, y), {}),
    "divide rounded": (lambda lib, f, x, y: lib.divide(x, y, rounding_mode="floor"), {}),
    "binary_cross_entropy": (
        lambda lib, f, x, y: f.binary_cross_entropy(
            x.nan_to_num(0.5).sigmoid(), y.detach().nan_to_num(0.5).sigmoid(), reduction="none"
        ),
        {"but": ("torch nan",), "scale": 0.1, "twice": False},  # torch divides by p * (1 - p) + 1e-12
    ),
    "kl_div": (lambda lib, f, x, y: f.kl_div(x, y, reduction="none"), {"but": ("torch nan",)}),
    "kl_div of logs": (
        lambda lib, f, x, y: f.kl_div(x, y, log_target=True, reduction="none"),
        {"but": ("torch nan",), "scale": 1.0},
    ),
    "poisson_nll_loss": (lambda lib, f, x, y: f.poisson_nll_loss(x, y, reduction="none"), {}),
    "soft_margin_loss": (
        lambda lib, f, x, y: f.soft_margin_loss(x, y.detach(), reduction="none"),
        {"but": ("torch nan",), "scale": 1e-9},
    ),
    "hinge_embedding_loss": (
        lambda lib, f, x, y: f.hinge_embedding_loss(x, y.detach().sign(), reduction="none"),
        {},
    ),
    "gaussian_nll_loss": (
        lambda lib, f, x, y: f.gaussian_nll_loss(x, y, (x * 0 + 2.0), reduction="none"),
        {"but": ("torch nan",)},
    ),
}
for _name in "fmax fmin copysign xlogy true_divide subtract multiply divide rsub".split():
    of_pairs(_name)
for _name, (_call, _facts) in _TWO.items():
    of_pairs(_name, _call, **_facts)

# ---- of arrays: scans, orders, statistics ---------------------------------------------------------------------------

# Where torch's products underflow, and where its logarithms of gradients lose them beside large numbers.
_SCANNED = {
    "cumsum": LARGEST,
    "cumprod": ("torch nonfinite", "tiny", "small", "denormal", *LARGEST),
    "logcumsumexp": ("torch nonfinite", "inf", "huge", "big", *LARGEST),
}
for _name in _SCANNED:
    for _dim in (0, 1):
        of_arrays(
            f"{_name} {_dim}", lambda lib, f, x, n=_name, d=_dim: getattr(lib, n)(x, d),
            but=_SCANNED[_name], scale=float(_name == "logcumsumexp"),
        )  # fmt: skip
for _name in ("cummax", "cummin", "sort", "nanmedian", "median", "mode"):
    of_arrays(_name, lambda lib, f, x, n=_name: getattr(lib, n)(x, 1)[0])
of_arrays("msort", lambda lib, f, x: lib.msort(x))
of_arrays("median of all", lambda lib, f, x: lib.median(x))
_TIES = (
    "zeros",
    "equal",
    "ties",
    "allinf",
    "-allinf",
    "zero twice",
    "max",
    "denormal",
)  # of which each library takes another
of_arrays("topk", lambda lib, f, x: lib.topk(x, 2)[0], but=_TIES)
of_arrays("kthvalue", lambda lib, f, x: lib.kthvalue(x, 2)[0], but=_TIES)
of_arrays("quantile", lambda lib, f, x: lib.quantile(x, 0.3, dim=1))
of_arrays("nanquantile", lambda lib, f, x: lib.nanquantile(x, 0.3, dim=1))
of_arrays("nansum", lambda lib, f, x: lib.nansum(x, 1), but=LARGEST)
of_arrays("nanmean", lambda lib, f, x: lib.nanmean(x, 1), but=LARGEST)
of_arrays("std_mean", lambda lib, f, x: lib.std_mean(x, 1)[0], but=(*LARGEST, "torch nonfinite"))
of_arrays("var_mean", lambda lib, f, x: lib.var_mean(x, 1)[0], but=(*LARGEST, "torch nonfinite"))
of_arrays(
    "logsumexp", lambda lib, f, x: lib.logsumexp(x, 1), but=("torch nan", *LARGEST), scale=1.0
)  # of equal ones torch's shares are 1 each
of_arrays("softmin", lambda lib, f, x: f.softmin(x, 1))
of_arrays("aminmax", lambda lib, f, x: lib.aminmax(x, dim=1)[0], but=("torch nonfinite",))
of_arrays("renorm", lambda lib, f, x: lib.renorm(x, 2, 0, 1.5), but=("torch nonfinite", *LARGEST))
of_arrays("cov", lambda lib, f, x: lib.cov(x), but=("huge", *LARGEST))
of_arrays("corrcoef", lambda lib, f, x: lib.corrcoef(x), but=LARGEST)
of_arrays("diff", lambda lib, f, x: lib.diff(x, dim=1))
of_arrays("trapezoid", lambda lib, f, x: lib.trapezoid(x, dim=1), but=LARGEST)
of_arrays("trapz", lambda lib, f, x: lib.trapz(x, dim=1), but=LARGEST)
of_arrays("cumulative_trapezoid", lambda lib, f, x: lib.cumulative_trapezoid(x, dim=1), but=LARGEST)

# ---- of arrays: forms and indices ------------------------------------------------------------------------------------

_FORMS: dict[str, Function] = {
    "as_strided": lambda lib, f, x: lib.as_strided(x, (2, 2), (1, 1)),
    "atleast_1d": lambda lib, f, x: lib.atleast_1d(x),
    "atleast_2d": lambda lib, f, x: lib.atleast_2d(x[0]),
    "atleast_3d": lambda lib, f, x: lib.atleast_3d(x),
    "block_diag": lambda lib, f, x: lib.block_diag(x, x[:1]),
    "broadcast_tensors": lambda lib, f, x: lib.broadcast_tensors(x[0], x)[0] * 1,
    "broadcast_to": lambda lib, f, x: lib.broadcast_to(x, (2, 3, 4)),
    "cartesian_prod": lambda lib, f, x: lib.cartesian_prod(x[0], x[1]),
    "channel_shuffle": lambda lib, f, x: f.channel_shuffle(x.reshape(1, 6, 2), 3),
    "column_stack": lambda lib, f, x: lib.column_stack([x, x]),
    "combinations": lambda lib, f, x: lib.combinations(x[0]),
    "concat": lambda lib, f, x: lib.concat([x, x[:1]]),
    "concatenate": lambda lib, f, x: lib.concatenate([x, x[:1]]),
    "diag": lambda lib, f, x: lib.diag(x, 1),
    "diag_embed": lambda lib, f, x: lib.diag_embed(x),
    "diagflat": lambda lib, f, x: lib.diagflat(x),
    "diagonal": lambda lib, f, x: lib.diagonal(x, -1),
    "diagonal_scatter": lambda lib, f, x: lib.diagonal_scatter(x, x[:, 0]),
    "dsplit": lambda lib, f, x: lib.dsplit(x.reshape(2, 3, 2), 2)[1],
    "dstack": lambda lib, f, x: lib.dstack([x, x]),
    "einsum": lambda lib, f, x: lib.einsum("ij->ji", x),
    "flip": lambda lib, f, x: lib.flip(x, (0, 1)),
    "fliplr": lambda lib, f, x: lib.fliplr(x),
    "flipud": lambda lib, f, x: lib.flipud(x),
    "hsplit": lambda lib, f, x: lib.hsplit(x, 2)[1],
    "hstack": lambda lib, f, x: lib.hstack([x, x]),
    "index_add": lambda lib, f, x: lib.index_add(x, 0, lib.tensor([0, 2]), x[1:]),
    "index_copy": lambda lib, f, x: lib.index_copy(x, 0, lib.tensor([0, 2]), x[1:]),
    "index_fill": lambda lib, f, x: lib.index_fill(x, 0, lib.tensor([0, 2]), 2.0),
    "masked_scatter": lambda lib, f, x: lib.masked_scatter(x, x.detach() > 0, x.reshape(-1)),
    "masked_select": lambda lib, f, x: lib.masked_select(x, x.detach() > 0),
    "meshgrid": lambda lib, f, x: lib.meshgrid(x[0], x[1], indexing="ij")[0],
    "moveaxis": lambda lib, f, x: lib.moveaxis(x, 0, 1),
    "movedim": lambda lib, f, x: lib.movedim(x, 0, 1),
    "narrow_copy": lambda lib, f, x: lib.narrow_copy(x, 1, 1, 2),
    "pixel_shuffle": lambda lib, f, x: f.pixel_shuffle(x.reshape(1, 4, 1, 3), 2),
    "pixel_unshuffle": lambda lib, f, x: f.pixel_unshuffle(x.reshape(1, 1, 2, 6), 2),
    "put": lambda lib, f, x: lib.put(x, lib.tensor([1, 5]), x[0, :2]),
    "repeat_interleave": lambda lib, f, x: lib.repeat_interleave(x, 2, 1),
    "roll": lambda lib, f, x: lib.roll(x, 1, 1),
    "rot90": lambda lib, f, x: lib.rot90(x),
    "row_stack": lambda lib, f, x: lib.row_stack([x, x]),
    "scatter": lambda lib, f, x: lib.scatter(x, 1, lib.tensor([[0, 1], [1, 3], [2, 3]]), x[:, :2]),
    "select_scatter": lambda lib, f, x: lib.select_scatter(x, x[:, 0], 1, 2),
    "slice_scatter": lambda lib, f, x: lib.slice_scatter(x, x[:, :2], 1, 1, 3),
    "split_with_sizes": lambda lib, f, x: lib.split_with_sizes(x, [1, 2])[1],
    "swapaxes": lambda lib, f, x: lib.swapaxes(x, 0, 1),
    "swapdims": lambda lib, f, x: lib.swapdims(x, 0, 1),
    "take": lambda lib, f, x: lib.take(x, lib.tensor([0, 5, 5])),
    "take_along_dim": lambda lib, f, x: lib.take_along_dim(x, lib.tensor([[0, 1], [1, 3], [2, 3]]), 1),
    "tensor_split": lambda lib, f, x: lib.tensor_split(x, 2)[0],
    "tile": lambda lib, f, x: lib.tile(x, (2, 1)),
    "tril": lambda lib, f, x: lib.tril(x),
    "triu": lambda lib, f, x: lib.triu(x),
    "unflatten": lambda lib, f, x: lib.unflatten(x, 1, (2, 2)),
    "unsafe_chunk": lambda lib, f, x: lib.unsafe_chunk(x, 2)[0],
    "unsafe_split": lambda lib, f, x: lib.unsafe_split(x, 2)[0],
    "unsafe_split_with_sizes": lambda lib, f, x: lib.unsafe_split_with_sizes(x, [1, 2])[1],
    "vsplit": lambda lib, f, x: lib.vsplit(x, 3)[1],
    "vstack": lambda lib, f, x: lib.vstack([x, x]),
}
for _name, _form in _FORMS.items():
    of_arrays(_name, _form, but=LARGEST)
# Torch has no second derivative of a product with several zeros, and loses the gradients beside an extreme NaN.
_REDUCED = dict.fromkeys(("sum", "mean"), LARGEST) | dict.fromkeys(("amax", "amin"), ("torch nonfinite", *LARGEST))
_REDUCED["prod"] = ("zeros", "ties", "zero twice", "tiny", "small", "denormal", *LARGEST)
for _reduce in ("sum", "prod", "amax", "amin", "mean"):
    of_arrays(
        f"scatter_reduce {_reduce}",
        lambda lib, f, x, r=_reduce: lib.scatter_reduce(x, 1, lib.tensor([[0, 0], [1, 3], [2, 2]]), x[:, :2], r),
        but=_REDUCED[_reduce],
    )
    if _reduce != "sum":
        of_arrays(
            f"index_reduce {_reduce}",
            lambda lib, f, x, r=_reduce: lib.index_reduce(x, 0, lib.tensor([0, 0]), x[1:], r),
            but=_REDUCED[_reduce],
        )

# ---- of arrays: products ----------------------------------------------------------------------------------------------

_PRODUCTS: dict[str, Function] = {
    "addbmm": lambda lib, f, x: lib.addbmm(x[:, :3], x.t()[None, :3], x[None, :, :3]),
    "addmm": lambda lib, f, x: lib.addmm(x[:, :3], x, x.t(), beta=0.5, alpha=2.0),
    "addmv": lambda lib, f, x: lib.addmv(x[:, 0], x, x[0], alpha=0.5),
    "addr": lambda lib, f, x: lib.addr(x, x[:, 0], x[0]),
    "baddbmm": lambda lib, f, x: lib.baddbmm(x[None, :, :3], x[None], x.t()[None]),
    "bilinear": lambda lib, f, x: f.bilinear(x, x, x[None, :, :1].expand(2, 3, 4)[:, :1].expand(2, 4, 4)),
    "chain_matmul": lambda lib, f, x: lib.chain_matmul(x, x.t(), x),
    "einsum product": lambda lib, f, x: lib.einsum("ij,kj->ik", x, x),
    "ger": lambda lib, f, x: lib.ger(x[0], x[1]),
    "inner": lambda lib, f, x: lib.inner(x, x[0]),
    "kron": lambda lib, f, x: lib.kron(x[:2, :2], x[1:, 2:]),
    "matrix_power": lambda lib, f, x: lib.matrix_power(x[:, :3], 2),
    "mv": lambda lib, f, x: lib.mv(x, x[0]),
    "outer": lambda lib, f, x: lib.outer(x[0], x[1]),
    "tensordot": lambda lib, f, x: lib.tensordot(x, x, 2),
    "trace": lambda lib, f, x: lib.trace(x),
    "vdot": lambda lib, f, x: lib.vdot(x[0], x[1]),
}
for _name, _product in _PRODUCTS.items():
    of_arrays(_name, _product, but=(*LARGEST, "torch nonfinite"))

of_arrays("frexp", lambda lib, f, x: lib.frexp(x)[0], but=("torch nonfinite", "huge"))

# ---- of arrays: distances and losses -----------------------------------------------------------------------------------

for _p in (1.0, 2.0, 3.0):
    of_arrays(
        f"cdist {_p}",
        lambda lib, f, x, p=_p: lib.cdist(x, x[:2], p),
        but=("torch nonfinite", "denormal", "big"),
        twice=False,
    )
    of_arrays(
        f"pdist {_p}", lambda lib, f, x, p=_p: f.pdist(x, p), but=("torch nonfinite", "denormal", "big"), twice=False
    )
of_arrays("pairwise_distance", lambda lib, f, x: f.pairwise_distance(x[:1], x[1:]), but=("torch nonfinite",))
of_arrays("cosine_similarity", lambda lib, f, x: f.cosine_similarity(x[:1], x[1:]), but=("torch nonfinite",))
of_arrays(
    "cosine_embedding_loss",
    lambda lib, f, x: f.cosine_embedding_loss(x[:2], x[1:], lib.tensor([1.0, -1.0], dtype=x.dtype)),
    but=("torch nonfinite", "zeros", "equal", "tiny", "small", "denormal"),
)
of_arrays(
    "margin_ranking_loss",
    lambda lib, f, x: f.margin_ranking_loss(x[0], x[1], lib.tensor([1.0, -1.0, 1.0, 1.0], dtype=x.dtype)),
    but=LARGEST,
)
of_arrays(
    "multi_margin_loss", lambda lib, f, x: f.multi_margin_loss(x, lib.tensor([0, 2, 1])), but=LARGEST, twice=False
)
of_arrays(
    "multilabel_margin_loss",
    lambda lib, f, x: f.multilabel_margin_loss(x, lib.tensor([[0, -1, 1, 1], [1, 2, -1, 0], [3, 2, 1, 0]])),
    but=LARGEST,
    twice=False,
)
of_arrays(
    "multilabel_soft_margin_loss",
    lambda lib, f, x: f.multilabel_soft_margin_loss(x, lib.full_like(x, 0.25).detach()),
    but=LARGEST,
)
of_arrays(
    "triplet_margin_loss", lambda lib, f, x: f.triplet_margin_loss(x[:1], x[1:2], x[2:]), but=("torch nonfinite",)
)
of_arrays(
    "triplet_margin_with_distance_loss",
    lambda lib, f, x: f.triplet_margin_with_distance_loss(x[:1], x[1:2], x[2:]),
    but=("torch nonfinite",),
)
of_arrays("glu", lambda lib, f, x: f.glu(x, 1), but=("inf", "-inf", *LARGEST))

# ---- of arrays: layers -------------------------------------------------------------------------------------------------

_LINE, _PLANE, _SPACE = (1, 2, 6), (1, 2, 4, 4), (1, 1, 2, 4, 4)
_SPREAD = (
    "inf",
    "-inf",
    "nan",
    "allinf",
    "-allinf",
    "huge",
    "big",
    *LARGEST,
)  # a weight's NaN reaches pixels that it does not see
_RANKS = {1: _LINE, 2: _PLANE, 3: _SPACE}
for _rank, _shape in _RANKS.items():
    for _kind in ("avg_pool", "max_pool"):
        if _rank != 2:
            of_arrays(
                f"{_kind}{_rank}d", lambda lib, f, x, n=f"{_kind}{_rank}d": getattr(f, n)(x, 2), _shape, but=LARGEST
            )
    for _kind in ("adaptive_avg_pool", "adaptive_max_pool"):
        if _rank != 2 or _kind == "adaptive_max_pool":
            of_arrays(
                f"{_kind}{_rank}d",
                lambda lib, f, x, n=f"{_kind}{_rank}d": getattr(f, n)(x, 2),
                _shape,
                but=("recorded", *LARGEST),
            )
    of_arrays(
        f"lp_pool{_rank}d",
        lambda lib, f, x, n=f"lp_pool{_rank}d": getattr(f, n)(x, 2.0, 2),
        _shape,
        but=("torch nonfinite", *LARGEST),
    )
    if _rank != 2:
        of_arrays(
            f"conv{_rank}d",
            lambda lib, f, x, n=f"conv{_rank}d", s=_shape: getattr(f, n)(
                x, x[:, :, : s[2] // 2] if len(s) == 3 else x[:, :, :1]
            ),
            _shape,
            but=_SPREAD,
        )
    of_arrays(
        f"conv_transpose{_rank}d",
        lambda lib, f, x, n=f"conv_transpose{_rank}d": getattr(f, n)(x, x.transpose(0, 1), stride=2),
        _shape,
        but=_SPREAD,
    )
    of_arrays(
        f"max_unpool{_rank}d",
        lambda lib, f, x, r=_rank: getattr(f, f"max_unpool{r}d")(
            *getattr(f, f"max_pool{r}d")(x, 2, return_indices=True), 2
        ),
        _shape,
    )
    of_arrays(f"dropout{_rank}d", lambda lib, f, x, n=f"dropout{_rank}d": getattr(f, n)(x, 0.5, False), _shape)
    for _mode in ("nearest", "area", "linear bilinear trilinear".split()[_rank - 1]):
        of_arrays(
            f"interpolate {_rank} {_mode}",
            lambda lib, f, x, m=_mode: f.interpolate(x, scale_factor=2, mode=m),
            _shape,
            but=("allinf", "-allinf", "huge", *LARGEST),
        )
of_arrays(
    "interpolate bicubic", lambda lib, f, x: f.interpolate(x, scale_factor=2, mode="bicubic"), _PLANE, but=LARGEST
)
of_arrays("upsample", lambda lib, f, x: f.upsample(x, scale_factor=2), _PLANE, but=LARGEST)
of_arrays("upsample_nearest", lambda lib, f, x: f.upsample_nearest(x, scale_factor=2), _PLANE, but=LARGEST)
of_arrays("upsample_bilinear", lambda lib, f, x: f.upsample_bilinear(x, scale_factor=2), _PLANE, but=LARGEST)
of_arrays("alpha_dropout", lambda lib, f, x: f.alpha_dropout(x, 0.5, False))
of_arrays("feature_alpha_dropout", lambda lib, f, x: f.feature_alpha_dropout(x, 0.5, False))
of_arrays("unfold", lambda lib, f, x: f.unfold(x, 2), _PLANE, but=LARGEST)
of_arrays("unfold of a tensor", lambda lib, f, x: x.unfold(1, 2, 1), but=LARGEST)
of_arrays("fold", lambda lib, f, x: f.fold(x, (3, 3), 2), (1, 4, 4), but=LARGEST)
of_arrays(
    "local_response_norm", lambda lib, f, x: f.local_response_norm(x, 2), _PLANE, but=("torch nonfinite", *LARGEST)
)
of_arrays("rms_norm", lambda lib, f, x: f.rms_norm(x, (4,)), but=("torch nonfinite", "denormal", *LARGEST))
of_arrays("instance_norm", lambda lib, f, x: f.instance_norm(x), (2, 2, 4), but=NORMED)
of_arrays("embedding_bag", lambda lib, f, x: f.embedding_bag(lib.tensor([[0, 1], [1, 2]]), x), but=LARGEST)
of_arrays(
    "grid_sample",
    lambda lib, f, x: f.grid_sample(x, lib.tensor([[[[-0.5, 0.3], [0.7, -0.9]]]], dtype=x.dtype), align_corners=False),
    _PLANE,
    but=("recorded", "allinf", "-allinf", "huge", *LARGEST),
)
of_arrays("affine_grid", lambda lib, f, x: f.affine_grid(x.reshape(2, 2, 3), (2, 1, 3, 3), False), but=LARGEST)

# ---- of arrays: matrices -----------------------------------------------------------------------------------------------

Matrices = Callable[[Any, Any], Any]


def _regular(lib: Any, x: Any) -> Any:
    """A square matrix that is far from singular where x is of ordinary size."""
    return x + 5 * lib.eye(3, dtype=x.dtype)


def _positive(r: Any) -> Any:
    """A triangle with its rows' signs chosen, which LAPACK's implementations choose one way or the other."""
    return r * r.diagonal().detach().sign()[:, None]


_MATRICES: dict[str, Matrices] = {
    "det": lambda lib, x: lib.det(_regular(lib, x)),
    "slogdet": lambda lib, x: lib.slogdet(_regular(lib, x))[1],
    "logdet": lambda lib, x: lib.logdet(_regular(lib, x)),
    "inverse": lambda lib, x: lib.inverse(_regular(lib, x)),
    "matrix_exp": lambda lib, x: lib.matrix_exp(x),
    "cholesky": lambda lib, x: lib.cholesky(x @ x.t() + 5 * lib.eye(3, dtype=x.dtype)),
    "cholesky_inverse": lambda lib, x: lib.cholesky_inverse(lib.tril(_regular(lib, x))),
    "cholesky_solve": lambda lib, x: lib.cholesky_solve(x, lib.tril(_regular(lib, x))),
    "pinverse": lambda lib, x: lib.pinverse(_regular(lib, x)),
    "qr": lambda lib, x: _positive(lib.qr(_regular(lib, x))[1]),
    "svd": lambda lib, x: lib.svd(_regular(lib, x))[1],
    "linalg.eigh": lambda lib, x: lib.linalg.eigh(x + x.t() + lib.diag(lib.arange(3.0, dtype=x.dtype)) * 5)[0],
    "linalg.eigvalsh": lambda lib, x: lib.linalg.eigvalsh(x + x.t() + lib.diag(lib.arange(3.0, dtype=x.dtype)) * 5),
    "linalg.lstsq": lambda lib, x: lib.linalg.lstsq(_regular(lib, x), x)[0],
    "linalg.lu_factor": lambda lib, x: lib.linalg.lu_factor(_regular(lib, x))[0],
    "linalg.solve": lambda lib, x: lib.linalg.solve(_regular(lib, x), x),
    "linalg.svdvals": lambda lib, x: lib.linalg.svdvals(x + lib.diag(lib.arange(1.0, 4.0, dtype=x.dtype)) * 5),
    "triangular_solve": lambda lib, x: lib.triangular_solve(x, _regular(lib, x))[0],
}
# Where elements are not finite, as large as the dtype or equal, LAPACK refuses, or rounding decides.
_SINGULAR = ("inf", "-inf", "allinf", "-allinf", "nan", "huge", "big", "max", "equal", "spread")
for _name, _matrix in _MATRICES.items():
    of_arrays(_name, lambda lib, f, x, m=_matrix: m(lib, x), (3, 3), but=(*_SINGULAR, "torch nonfinite"))

# ---- copies of views, and what is close to them ------------------------------------------------------------------


def _joined(lib: Any, result: Any) -> Any:
    return lib.cat([part.reshape(-1) for part in result]) if isinstance(result, (tuple, list)) else result


for _name, _args in {
    "adjoint": (),
    "alias_copy": (),
    "as_strided_copy": ((2, 2), (4, 1)),
    "constant_pad_nd": ((1, 2), 0.5),
    "diagonal_copy": (),
    "expand_copy": ((2, 3, 4),),
    "permute_copy": ((1, 0),),
    "select_copy": (1, 2),
    "slice_copy": (1, 0, 3),
    "split_copy": (2, 1),
    "split_with_sizes_copy": ([1, 3], 1),
    "squeeze_copy": (),
    "t_copy": (),
    "transpose_copy": (0, 1),
    "unbind_copy": (),
    "unfold_copy": (1, 3, 1),
    "unsqueeze_copy": (0,),
    "view_copy": ((2, 6),),
}.items():
    of_arrays(_name, lambda lib, f, x, n=_name, a=_args: _joined(lib, getattr(lib, n)(x, *a)))
of_arrays("gradient", lambda lib, f, x: _joined(lib, lib.gradient(x)), but=("torch nonfinite",))
of_arrays("cross", lambda lib, f, x: lib.cross(x[:, 0], x[:, 1], dim=0), but=("torch nonfinite", *LARGEST))
of_arrays("spmm", lambda lib, f, x: lib.spmm(x, x.t()), but=("torch nonfinite",))
of_arrays(
    "linear_cross_entropy",
    lambda lib, f, x: f.linear_cross_entropy(x, x[:2], lib.tensor([0, 1, 1])),
    but=("torch nonfinite",),
)
