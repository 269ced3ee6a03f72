"""Functions whose derivatives are compared with torch's at hostile arguments; see `test_derivatives`.

A row is called with a library (numgrad or torch), its ``nn.functional`` and tensors. The first word of a row's name is the
public function that it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Function = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """A function, and what is known of it."""

    name: str
    function: Function
    shape: tuple[int, ...] = (3, 4)
    scale: float = 0.0  # its size where it loses digits against itself: 1 - tanh(x)**2 far out
    exact: Function | None = None  # the function in mpmath, where torch's derivatives are rougher, or NaN
    digits: int = 400  # that it is computed in
    but: tuple[str, ...] = ()  # arguments at which it differs from torch on purpose
    twice: bool = True  # torch has a second derivative
    far: float | None = None  # beyond which mpmath is not asked for derivatives, but at this number; 800 if not given
    rough: float = 1.0  # by how much a number's digits may be rougher than most: those of exp(-x**2) far out

    def __str__(self) -> str:
        return self.name


NUMBERS: list[Row] = []  # of one number
PAIRS: list[Row] = []  # of two numbers
ARRAYS: list[Row] = []  # of an array


def of_numbers(name: str, function: Function | None = None, **facts: Any) -> None:
    NUMBERS.append(Row(name, function or (lambda lib, f, x: getattr(lib, name)(x)), **facts))


def of_pairs(name: str, function: Function | None = None, **facts: Any) -> None:
    PAIRS.append(Row(name, function or (lambda lib, f, x, y: getattr(lib, name)(x, y)), **facts))


def of_arrays(name: str, function: Function, shape: tuple[int, ...] = (3, 4), **facts: Any) -> None:
    ARRAYS.append(Row(name, function, shape, **facts))


# ---- of one number ----------------------------------------------------------------------------------------------


def _logistic(mp: Any, x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _normal_cdf(mp: Any, x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _log_logistic(mp: Any, x: Any) -> Any:
    return -mp.log1p(mp.exp(-x)) if x > 0 else x - mp.log1p(mp.exp(x))


def _cross_entropy(target: float, pos_weight: float) -> Function:
    return lambda mp, x: -(pos_weight * target * _log_logistic(mp, x) + (1 - target) * _log_logistic(mp, -x))


for (
    _name
) in "neg abs sign square relu clone reciprocal sqrt rsqrt exp expm1 log log1p sin cos floor ceil trunc round".split():
    of_numbers(_name)
of_numbers("erf", exact=lambda mp, x: mp.erf(x), digits=50)
of_numbers("tanh", scale=1.0)
of_numbers("sigmoid", scale=1.0, exact=_logistic)
of_numbers("silu", lambda lib, f, x: f.silu(x), exact=lambda mp, x: x * _logistic(mp, x))
of_numbers("logsigmoid", lambda lib, f, x: f.logsigmoid(x), exact=_log_logistic)
of_numbers("softplus", lambda lib, f, x: f.softplus(x), scale=1.0, exact=lambda mp, x: -_log_logistic(mp, -x))
of_numbers(
    "softplus steep", lambda lib, f, x: f.softplus(x, 2.0, 10.0), exact=lambda mp, x: -_log_logistic(mp, -2 * x) / 2
)
of_numbers("gelu", lambda lib, f, x: f.gelu(x), scale=1.0, exact=lambda mp, x: x * _normal_cdf(mp, x), digits=50)
of_numbers(
    "gelu tanh", lambda lib, f, x: f.gelu(x, approximate="tanh"), scale=1.0,
    exact=lambda mp, x: x * _logistic(mp, 2 * mp.sqrt(2 / mp.pi) * (x + 0.044715 * x**3)),
)  # fmt: skip
of_numbers("leaky_relu", lambda lib, f, x: f.leaky_relu(x))
of_numbers("elu", lambda lib, f, x: f.elu(x))
of_numbers("elu steep", lambda lib, f, x: f.elu(x, 2.0))
# C's pow(-inf, y) is infinite where torch's is the NaN of a root.
for _power in (1, 2, 3, 4, 0.5, -1, -2, 1.5, -0.5, 2.5):
    of_numbers(f"pow {_power}", lambda lib, f, x, p=_power: x**p, but=("-inf",) if _power % 1 else ())
for _base in (1, 2, 0.5):
    of_numbers(f"pow of {_base}", lambda lib, f, x, b=_base: b**x)
for _bounds in ({"min": 0.0}, {"max": 1.0}, {"min": -1.0, "max": 1.0}, {"min": 1.0, "max": -1.0}):
    of_numbers(f"clamp {_bounds}", lambda lib, f, x, b=_bounds: x.clamp(**b))
for _loss in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"):
    # Of an error that is NaN the second derivative is anything.
    of_numbers(
        _loss, lambda lib, f, x, n=_loss: getattr(f, n)(x, lib.zeros_like(x), reduction="none"), but=("nan second",)
    )
of_numbers(
    "huber_loss wide", lambda lib, f, x: f.huber_loss(x, lib.zeros_like(x), reduction="none", delta=2.5),
    but=("nan second",),
)  # fmt: skip
of_numbers(
    "smooth_l1_loss wide", lambda lib, f, x: f.smooth_l1_loss(x, lib.zeros_like(x), reduction="none", beta=2.5),
    but=("nan second",),
)  # fmt: skip
for _target in (0.0, 0.25, 1.0):
    for _weight in (None, 2.0):

        def _bce(lib: Any, f: Any, x: Any, t: float = _target, w: float | None = _weight) -> Any:
            pos_weight = None if w is None else lib.full_like(x, w)
            target = lib.full_like(x, t)
            return f.binary_cross_entropy_with_logits(x, target, reduction="none", pos_weight=pos_weight)

        of_numbers(
            f"binary_cross_entropy_with_logits {_target} {_weight}",
            _bce,
            exact=_cross_entropy(_target, _weight or 1.0),
            but=("torch nan",),
        )
of_numbers("where", lambda lib, f, x: lib.where(x > 0, x, x * 2))
of_numbers("masked_fill", lambda lib, f, x: x.masked_fill(x > 0, 2.0))
of_numbers("remainder by a number", lambda lib, f, x: x % -2.5)
of_numbers("div by a number", lambda lib, f, x: x / 3)
of_numbers("reciprocal times", lambda lib, f, x: 2 / x)
of_numbers("dropout", lambda lib, f, x: f.dropout(x, 0.0))
of_numbers("to double", lambda lib, f, x: x.double() * 2)

# ---- of two numbers ---------------------------------------------------------------------------------------------

for _name in ("add", "sub", "mul", "div", "maximum", "minimum"):
    of_pairs(_name)
of_pairs("remainder", but=("value",))  # torch's own is NaN for many finite arguments
of_pairs("pow", but=("torch nan",))
of_pairs("where two", lambda lib, f, x, y: lib.where(x > y, x, y))
of_pairs("clamp low", lambda lib, f, x, y: x.clamp(min=y))
of_pairs("clamp high", lambda lib, f, x, y: x.clamp(max=y))
of_pairs("hypotenuse", lambda lib, f, x, y: (x * x + y * y + 1).sqrt(), scale=1.0)
for _loss in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"):
    of_pairs(_loss, lambda lib, f, x, y, n=_loss: getattr(f, n)(x, y, reduction="none"), but=("nan second",))

# ---- of arrays --------------------------------------------------------------------------------------------------

LARGEST = ("max",)  # where sums overflow in another place than in torch
for _dim in (None, 1, 0):
    _along = {} if _dim is None else {"dim": _dim}
    for _name in ("sum", "mean", "prod"):
        of_arrays(
            f"{_name} {_dim}", lambda lib, f, x, n=_name, d=_along: getattr(lib, n)(x, **d),
            but=("torch nonfinite", "tiny", "small") if _name == "prod" else LARGEST,
        )  # fmt: skip
    for _name in ("max", "min"):
        of_arrays(
            f"{_name} {_dim}", lambda lib, f, x, n=_name, d=_dim: getattr(x, n)() if d is None else getattr(x, n)(d)[0]
        )
        # Where torch's gradient of an extreme NaN is NaN everywhere.
        of_arrays(
            f"a{_name} {_dim}", lambda lib, f, x, n=_name, d=_dim: getattr(lib, f"a{n}")(x, dim=() if d is None else d),
            but=("torch nonfinite",),
        )  # fmt: skip
    for _correction in (0, 1):
        for _name in ("var", "std"):
            of_arrays(
                f"{_name} {_dim} {_correction}",
                lambda lib, f, x, n=_name, d=_dim, c=_correction: getattr(lib, n)(x, dim=d, correction=c),
                but=(*LARGEST, "torch nonfinite"),
            )
of_arrays(
    "std of too few",
    lambda lib, f, x: lib.std(x, dim=1, correction=5),
    but=("inf", "-inf", "infs", "allinf", "-allinf", "nan", "max"),
)
for _p in (1, 2, float("inf")):
    of_arrays(f"norm {_p}", lambda lib, f, x, p=_p: lib.norm(x, p), but=("torch nonfinite", "denormal"))
of_arrays("norm of a difference", lambda lib, f, x: lib.norm(x[0] - x[1]), but=("torch nonfinite", "denormal"))
for _p, _dim in ((1, 1), (2, 1), (2, 0)):
    of_arrays(
        f"normalize {_p} {_dim}", lambda lib, f, x, p=_p, d=_dim: f.normalize(x, p, d), but=("torch nonfinite", "max")
    )
of_arrays("softmax 1", lambda lib, f, x: f.softmax(x, 1))
of_arrays("softmax 0", lambda lib, f, x: f.softmax(x, 0))
of_arrays("log_softmax", lambda lib, f, x: f.log_softmax(x, 1))
NORMED = (
    "torch nonfinite",
    "equal",
    "max",
    "huge",
    "big",
    "denormal",
    "tiny",
)  # torch's variance in float32 overflows there
of_arrays("layer_norm", lambda lib, f, x: f.layer_norm(x, (4,)), but=NORMED)
of_arrays("layer_norm affine", lambda lib, f, x: f.layer_norm(x, (4,), x[0], x[1]), but=NORMED)
of_arrays("group_norm", lambda lib, f, x: f.group_norm(x, 2), (3, 8), scale=1.0, but=NORMED)
of_arrays("batch_norm", lambda lib, f, x: f.batch_norm(x, None, None, training=True), but=NORMED)
of_arrays("batch_norm images", lambda lib, f, x: f.batch_norm(x, None, None, training=True), (2, 2, 2, 2), but=NORMED)
of_arrays("batch_norm affine", lambda lib, f, x: f.batch_norm(x, None, None, x[0], x[1], training=True), but=NORMED)
of_arrays("batch_norm then relu", lambda lib, f, x: f.relu(f.batch_norm(x, None, None, training=True)), but=NORMED)
of_arrays(
    "batch_norm eval",
    lambda lib, f, x: f.batch_norm(x, lib.zeros(4, dtype=x.dtype), lib.ones(4, dtype=x.dtype)),
)
_CLASSES = [0, 2, 1]
for _reduction in ("mean", "sum", "none"):
    of_arrays(
        f"cross_entropy {_reduction}",
        lambda lib, f, x, r=_reduction: f.cross_entropy(x, lib.tensor(_CLASSES), reduction=r),
    )
    of_arrays(
        f"nll_loss {_reduction}",
        lambda lib, f, x, r=_reduction: f.nll_loss(x, lib.tensor(_CLASSES), reduction=r), but=LARGEST,
    )  # fmt: skip
    for _loss in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"):
        of_arrays(
            f"{_loss} {_reduction}",
            lambda lib, f, x, n=_loss, r=_reduction: getattr(f, n)(x, lib.ones_like(x), reduction=r),
            but=("nan", "torch nonfinite"),
        )
of_arrays("cross_entropy ignored", lambda lib, f, x: f.cross_entropy(x, lib.tensor([0, -100, 1])))
of_arrays("cross_entropy smoothed", lambda lib, f, x: f.cross_entropy(x, lib.tensor(_CLASSES), label_smoothing=0.1))
of_arrays("cross_entropy soft", lambda lib, f, x: f.cross_entropy(x, lib.full((3, 4), 0.25, dtype=x.dtype)))
of_arrays("embedding_bag", lambda lib, f, x: f.embedding_bag(lib.tensor([[0, 1], [1, 2]]), x))
of_arrays("linear", lambda lib, f, x: f.linear(x, x, x[:, 0]), but=("torch nonfinite",))
of_arrays("mm", lambda lib, f, x: lib.mm(x, x.t()), but=("torch nonfinite",))
of_arrays("matmul", lambda lib, f, x: lib.matmul(x, x[0]), but=("torch nonfinite",))
of_arrays("dot", lambda lib, f, x: lib.dot(x[0], x[1]), but=("torch nonfinite",))
of_arrays("bmm", lambda lib, f, x: lib.bmm(x, x), (2, 3, 3), but=("torch nonfinite",))
of_arrays("conv2d", lambda lib, f, x: f.conv2d(x, lib.ones(1, 2, 2, 2, dtype=x.dtype)), (1, 2, 3, 3), but=LARGEST)
of_arrays("max_pool2d", lambda lib, f, x: f.max_pool2d(x, 2), (1, 2, 4, 4))
of_arrays("max_pool2d overlapping", lambda lib, f, x: f.max_pool2d(x, 2, 1), (1, 2, 3, 3))
of_arrays("avg_pool2d", lambda lib, f, x: f.avg_pool2d(x, 2), (1, 2, 4, 4), but=LARGEST)
of_arrays("adaptive_avg_pool2d", lambda lib, f, x: f.adaptive_avg_pool2d(x, 2), (1, 2, 4, 4), but=LARGEST)
of_arrays("cat", lambda lib, f, x: lib.cat([x, x * 2], 0), but=LARGEST)
of_arrays("stack", lambda lib, f, x: lib.stack([x, x]))
of_arrays("getitem indices", lambda lib, f, x: x[lib.tensor([0, 0, 1])])
of_arrays("getitem mask", lambda lib, f, x: x[lib.tensor([True, False, True])])
of_arrays("gather", lambda lib, f, x: lib.gather(x, 1, lib.tensor([[0, 1], [1, 1], [2, 3]])))
of_arrays(
    "scatter_add", lambda lib, f, x: lib.scatter_add(x, 1, lib.tensor([[0, 1], [1, 1], [2, 3]]), x[:, :2]), but=LARGEST
)
of_arrays("index_put", lambda lib, f, x: x.index_put((lib.tensor([0, 1]),), x[1:] * 2), but=LARGEST)
of_arrays("index_select", lambda lib, f, x: lib.index_select(x, 0, lib.tensor([0, 1, 1])))
of_arrays("embedding", lambda lib, f, x: f.embedding(lib.tensor([0, 1, 1]), x))
of_arrays("embedding padded", lambda lib, f, x: f.embedding(lib.tensor([0, 1, 1]), x, padding_idx=1))
of_arrays("pad", lambda lib, f, x: f.pad(x, (1, 1)))
of_arrays(
    "attention", lambda lib, f, x: f.softmax(x @ x.transpose(-1, -2), -1) @ x, (2, 3, 4), but=("torch nonfinite",)
)
of_arrays("setitem", lambda lib, f, x: _assigned(x * 1, x[1]))


def _assigned(x: Any, row: Any) -> Any:
    x[0] = row
    return x


_VIEWS: dict[str, Function] = {
    "view": lambda x: x.view(-1),
    "reshape": lambda x: x.t().reshape(2, 6),
    "t": lambda x: x.t(),
    "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.permute(1, 0),
    "flatten": lambda x: x.flatten(),
    "expand": lambda x: x[None].expand(2, 3, 4),
    "slice": lambda x: x[:, ::2],
    "select": lambda x: x.select(0, 1),
    "narrow": lambda x: x.narrow(1, 0, 2),
    "unbind": lambda x: x.unbind(0)[1],
    "split": lambda x: x.split(1)[0],
    "chunk": lambda x: x.chunk(2)[0],
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "contiguous": lambda x: x.t().contiguous(),
}
for _name, _view in _VIEWS.items():
    of_arrays(_name, lambda lib, f, x, v=_view: v(x))


# ---- arguments --------------------------------------------------------------------------------------------------


def points(dtype: Any, many: bool = True) -> np.ndarray:
    """Numbers of both signs: 0, ordinary, where functions saturate, the ends of the range, infinity; and one NaN."""
    info = np.finfo(dtype)
    few = [0.0, 1.0, 0.5, 2.0, 3.0, 20.0, 100.0, float(info.max) / 2, float(info.max), np.inf, float(info.tiny)]
    few += [float(info.smallest_subnormal), 1e-3, 2.5e-20, 2.5e19]
    if many:
        few += [6.0, 10.0, 16.0, 25.0, 40.0, 50.0, 88.5, 90.0, 104.0, 300.0, 709.5, 745.5, 1e3, 1e10]
        few += [float(info.eps) / 4, float(info.eps)]
    sides = np.array(few, dtype)
    return np.concatenate([sides, -sides, [np.nan]]).astype(dtype)


def scenes(dtype: Any, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Arrays of a shape by what is special about them."""
    info, count = np.finfo(dtype), int(np.prod(shape))
    base = np.random.default_rng(0).normal(size=count)

    def with_some(value: float, *places: int) -> np.ndarray:
        x = base.copy()
        x[list(places)] = value
        return x

    made = {
        "normal": base, "zeros": 0 * base, "equal": 0 * base + 7.25, "ties": np.round(base * 2),
        "a zero": with_some(0.0, 1), "zero twice": with_some(0.0, 1, 2), "inf": with_some(np.inf, 1),
        "-inf": with_some(-np.inf, 1), "allinf": 0 * base + np.inf,
        "-allinf": 0 * base - np.inf, "nan": with_some(np.nan, 1), "huge": base * (float(info.max) / 100),
        "big": base * 2.5e19, "tiny": base * float(info.tiny) * 4, "denormal": base * float(info.smallest_subnormal) * 8,
        "small": base * 1e-20, "spread": base * 100.0, "max": 0 * base + float(info.max),
    }  # fmt: skip
    with np.errstate(all="ignore"):
        return {name: x.astype(dtype).reshape(shape) for name, x in made.items()}
