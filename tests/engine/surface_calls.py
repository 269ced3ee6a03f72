"""Arguments of the calls of `surface`, by the names of parameters; see `surface_fitting` for those that have to fit each other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tests.engine.statements import FLOATS, Writer

RANDOM = ("rand", "dropout", "bernoulli", "normal", "uniform", "empty", "multinomial", "gumbel", "rrelu", "poisson",
          "exponential", "geometric", "cauchy", "binomial", "resize")  # fmt: skip
NOT_RANDOM = {"normalize", "poisson_nll_loss"}
RARE = {
    "out",
    "dtype",
    "device",
    "layout",
    "pin_memory",
    "requires_grad",
    "generator",
    "size_average",
    "reduce",
    "memory_format",
    "sparse",
    "check_errors",
    "driver",
    "non_blocking",
    "copy",
    "antialias",
}


def is_random(name: str) -> bool:
    """Whether numbers are drawn, or memory is shown that nobody wrote: only dtype and shape are compared."""
    return any(word in name for word in RANDOM) and name not in NOT_RANDOM


class Draw:
    """Texts of arguments for one call."""

    def __init__(self, w: Writer, x: str, home: str, name: str) -> None:
        self.w, self.x, self.home, self.name = w, x, home, name
        self.dtype = w.choice(FLOATS)

    # ---- tensors of a shape ---------------------------------------------------------------------------------------

    def f(self, *shape: int) -> str:
        """Numbers of a tensor of the program, over and over, in this shape."""
        name = self.w.pick(lambda t: t.numel() > 0 and str(t.dtype).removeprefix("torch.") in FLOATS)
        if name is None:
            return f"lib.ones({shape}, dtype=lib.{self.dtype})"
        same = str(self.w[name].dtype) == f"torch.{self.dtype}"
        return f"fit({name}, {shape})" + ("" if same else f".to(lib.{self.dtype})")

    def p(self, *shape: int) -> str:
        """Between 0 and 1."""
        return f"{self.f(*shape)}.sigmoid()"

    def s(self, n: int) -> str:
        """A symmetric matrix with positive eigenvalues."""
        m = self.f(n, n)
        return f"definite({m})"

    def m(self, *shape: int) -> str:
        """Matrices that are far from singular, and whose singular values differ."""
        return f"well({self.f(*shape)})"

    def i(self, low: int, high: int, *shape: int, dtype: str = "int64") -> str:
        """Integers from low up to, not including, high."""
        return f"lib.tensor({self._nested(shape, lambda: int(self.w.rng.integers(low, high)))}, dtype=lib.{dtype})"

    def b(self, *shape: int) -> str:
        """Bools."""
        return f"lib.tensor({self._nested(shape, lambda: bool(self.w.below(2)))})"

    def signs(self, *shape: int) -> str:
        """1 and -1."""
        values = self._nested(shape, lambda: 1 - 2 * self.w.below(2))
        return f"lib.tensor({values}, dtype=lib.{self.dtype})"

    def _nested(self, shape: tuple[int, ...], of: Callable[[], Any]) -> Any:
        return of() if not shape else [self._nested(shape[1:], of) for _ in range(shape[0])]

    # ---- others ---------------------------------------------------------------------------------------------------

    def any(self) -> str:
        """The tensor itself, sometimes brought between 0 and 1, where more functions are defined."""
        is_float = str(self.w[self.x].dtype).removeprefix("torch.") in FLOATS
        compared = any(
            word in self.name for word in ("max", "min", "median", "mode", "sort", "unique")
        )  # which is itself to the last bit
        inside = is_float and not compared and not self.name.endswith("_")
        return f"{self.x}.sigmoid()" if inside and self.w.chance(0.35) else self.x

    def tensor(self) -> str:
        """A tensor that broadcasts with it."""
        text = self.w.operand(self.x)
        return text if text.isidentifier() else self.x

    def one(self, *options: str) -> str:
        return str(self.w.choice(options))

    def dim(self) -> str:
        return str(self.w.dim(self.x))

    def dims(self) -> str:
        return self.w.dims(self.x) or "None"


def by_name(d: Draw, parameter: inspect.Parameter, number: int) -> str | None:
    """An argument for a parameter of this name; None where there is none but the default."""
    name = parameter.name
    if number == 0 and name in FIRST:
        return d.any()
    known = BY_NAME.get(name)
    if known is not None:
        return known(d) if callable(known) else d.one(*known)
    if isinstance(parameter.default, bool):
        return d.one("True", "False")
    return None if parameter.default is not parameter.empty else d.tensor()


def several(d: Draw, parameter: inspect.Parameter) -> list[str]:
    """Arguments for a parameter that takes any number of them."""
    if parameter.name in ("tensors", "matrices", "values"):
        return [d.any(), *[d.tensor() for _ in range(d.w.below(2))]]
    if parameter.name in ("size", "shape"):
        return [d.one("2", "3", "-1"), d.one("2", "1", "4")] if d.w.chance(0.7) else ["-1"]
    if parameter.name == "dims":
        return [d.dim()]
    return []


FIRST = {"input", "self", "x", "A", "y", "tensor", "obj", "x1", "data", "input1", "query", "logits", "indices", "array"}
Chosen = Callable[[Draw], "str | None"]
BY_NAME: dict[str, Chosen | tuple[str, ...]] = {
    "other": lambda d: d.w.operand(d.x),
    "exponent": ("2", "3", "0.5", "2.0", "-1"),
    "end": lambda d: d.tensor(),
    "target": lambda d: d.tensor(),
    "mask": lambda d: d.w.mask(d.x),
    "condition": lambda d: d.w.mask(d.x),
    "dim": lambda d: d.dims() if d.w.chance(0.3) else d.dim(),
    "dim0": lambda d: d.dim(),
    "dim1": lambda d: d.dim(),
    "dim2": lambda d: d.dim(),
    "axis0": lambda d: d.dim(),
    "axis1": lambda d: d.dim(),
    "source": lambda d: d.dim(),
    "destination": lambda d: d.dim(),
    "start_dim": lambda d: d.dim(),
    "end_dim": lambda d: d.dim(),
    "dimension": lambda d: d.dim(),
    "keepdim": ("True", "False"),
    "dtype": lambda d: f"lib.{d.one('float32', 'float64', 'int64', 'bool')}",
    "out": lambda d: f"lib.ones(0, dtype={d.x}.dtype)",
    "reduction": ("'mean'", "'sum'", "'none'"),
    "alpha": ("2", "0.5", "-1.5"),
    "beta": ("2.0", "0.5", "1.0"),
    "p": ("2.0", "1.0", "0.5", "3.0"),
    "eps": ("1e-6", "0.01"),
    "margin": ("0.5", "2.0"),
    "value": lambda d: d.w.number(d.dtype),
    "fill_value": ("2", "0.5", "True"),
    "weight": lambda d: None,
    "min": ("-1.0", "0", "0.25"),
    "max": ("1.0", "2", "0.75"),
    "rounding_mode": ("None", "'trunc'", "'floor'"),
    "correction": ("0", "1", "2"),
    "unbiased": ("True", "False"),
    "diagonal": ("0", "1", "-1"),
    "offset": ("0", "1", "-1"),
    "k": ("1", "2"),
    "n": ("1", "2", "3"),
    "N": ("3", "2"),
    "decimals": ("0", "1", "2", "-1"),
    "q": ("0.25", "0.5", "1.0"),
    "interpolation": ("'linear'", "'lower'", "'higher'", "'nearest'", "'midpoint'"),
    "chunks": ("2", "3"),
    "indices_or_sections": ("2", "[1, 2]", "1"),
    "split_size": ("2", "1", "[1, 2]"),
    "split_sizes": ("[1, 2]", "[2, 2]", "[3]"),
    "sections": ("2",),
    "shifts": ("1", "-1", "2"),
    "repeats": ("2", "3"),
    "dims": lambda d: d.dim(),
    "size": ("(2, 3)", "(4,)"),
    "shape": ("(2, 3)", "(4,)"),
    "start": ("0", "1", "0.5"),
    "step": ("1", "2", "0.5"),
    "steps": ("3", "4"),
    "base": ("2.0", "10.0"),
    "length": ("1", "2"),
    "window_length": ("4", "5", "1"),
    "descending": ("True", "False"),
    "approximate": ("'none'", "'tanh'"),
    "negative_slope": ("0.1", "0.5"),
    "lambd": ("0.25", "1.0"),
    "threshold": ("0.5", "0.25"),
    "min_val": ("-0.5", "-2.0"),
    "max_val": ("0.5", "2.0"),
    "sizes": ("(2, -1)", "(-1, 1)"),
    "nan": ("1.5", "0.0"),
    "posinf": ("3.0",),
    "neginf": ("-3.0",),
    "ord": ("2", "1", "'fro'", "inf", "3"),
    "memory_format": ("lib.contiguous_format", "lib.preserve_format"),
    "include_self": ("True", "False"),
    "requires_grad": ("True", "False"),
    "layout": ("lib.strided",),
    "device": ("'cpu'", "None"),
    "pin_memory": ("False",),
    "to": ("5", "3"),
    "from_": ("0", "1"),
    "a": ("0", "1"),
    "b": ("5", "7"),
    "low": ("0",),
    "high": ("5",),
    "bins": ("4", "3"),
    "minlength": ("0", "6"),
    "rcond": ("1e-6",),
    "tol": ("1e-6",),
    "atol": ("1e-6", "0.1"),
    "rtol": ("1e-5", "0.1"),
    "dx": ("0.5", "2.0"),
    "periodic": ("True", "False"),
    "maxnorm": ("1.0", "2.5"),
    "dim_": ("0",),
    "norm_type": ("2.0", "3.0"),
    "momentum": ("0.1",),
    "training": ("False",),
    "delta": ("0.5", "2.0"),
    "scale": ("0.5", "2.0"),
    "label_smoothing": ("0.1",),
    "ignore_index": ("1", "-100"),
    "num_classes": ("-1", "7"),
    "mode": ("'constant'",),
    "other_": ("2",),
    "s": ("2.5", "3"),
    "type1": ("lib.float32", "lib.int64"),
    "type2": ("lib.float64", "lib.bool"),
    "to_": ("lib.float64",),
    "row": ("3", "2"),
    "col": ("4", "2"),
    "mean": ("0.0", "1.0"),
    "std": ("1.0", "2.0"),
    "lower": ("0.1",),
    "upper": lambda d: d.one("0.4") if "rrelu" in d.name else d.one("True", "False"),
    "inplace": ("True",),
    "as_tuple": ("False", "True"),
    "ind": ("1",),
    "left": ("True", "False"),
    "accumulate": ("True", "False"),
    "size_average": ("None",),
    "reduce": ("None",),
    "generator": ("None",),
    "the_template": lambda d: d.tensor(),
    "storage_offset": ("0", "1"),
    "copy": ("True", "False"),
    "non_blocking": ("True",),
    "groups": lambda d: None,
    "attn_mask": lambda d: None,
    "scale_factor": ("2", "1.5"),
    "edgeitems": lambda d: None,
    "weights": lambda d: None,
    "stride": lambda d: None,
    "sorter": lambda d: None,
    "dropout_p": ("0.0",),
    "prepend": lambda d: None,
    "append": lambda d: None,
    "driver": lambda d: None,
    "per_sample_weights": lambda d: None,
    "max_norm": lambda d: None,
    "_stacklevel": ("3",),
    "bias": lambda d: None,
    "pos_weight": lambda d: None,
    "running_mean": lambda d: None,
    "running_var": lambda d: None,
    "output_size": lambda d: None,
    "fweights": lambda d: None,
    "aweights": lambda d: None,
    "divisor_override": ("3", "2"),
    "padding_idx": ("1", "0"),
    "offsets": lambda d: None,
    "range": lambda d: None,
    "hermitian": lambda d: None,
    "sparse": ("False",),
    "antialias": ("False",),
    "compute_mode": ("'donot_use_mm_for_euclid_dist'",),
    "side": ("'right'", "'left'"),
    "grad": lambda d: None,
    "gradient": lambda d: None,
    "n_": ("2",),
    "tau": ("1.0",),
    "density": ("True",),
}
