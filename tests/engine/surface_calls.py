"""Arguments of the calls of `surface`: by the names of parameters, and for each function whose arguments have to fit each other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tests.engine.statements import FLOATS, Writer

RANDOM = ("rand", "dropout", "bernoulli", "normal", "uniform", "empty", "multinomial", "gumbel", "rrelu", "poisson",
          "exponential", "geometric", "cauchy", "binomial", "resize")  # fmt: skip
NOT_RANDOM = {"normalize", "poisson_nll_loss"}
RARE = {"out", "dtype", "device", "layout", "pin_memory", "requires_grad", "generator", "size_average", "reduce", "memory_format",
        "sparse", "check_errors", "driver", "non_blocking", "copy", "antialias"}  # fmt: skip


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
        compared = any(word in self.name for word in ("max", "min", "median", "mode", "sort"))  # which is itself to the last bit
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
    "other": lambda d: d.w.operand(d.x), "exponent": ("2", "3", "0.5", "2.0", "-1"), "end": lambda d: d.tensor(),
    "target": lambda d: d.tensor(), "mask": lambda d: d.w.mask(d.x), "condition": lambda d: d.w.mask(d.x),
    "dim": lambda d: d.dims() if d.w.chance(0.3) else d.dim(), "dim0": lambda d: d.dim(), "dim1": lambda d: d.dim(),
    "dim2": lambda d: d.dim(), "axis0": lambda d: d.dim(), "axis1": lambda d: d.dim(), "source": lambda d: d.dim(),
    "destination": lambda d: d.dim(), "start_dim": lambda d: d.dim(), "end_dim": lambda d: d.dim(), "dimension": lambda d: d.dim(),
    "keepdim": ("True", "False"), "dtype": lambda d: f"lib.{d.one('float32', 'float64', 'int64', 'bool')}",
    "out": lambda d: f"lib.ones(0, dtype={d.x}.dtype)", "reduction": ("'mean'", "'sum'", "'none'"), "alpha": ("2", "0.5", "-1.5"),
    "beta": ("2.0", "0.5", "1.0"), "p": ("2.0", "1.0", "0.5", "3.0"), "eps": ("1e-6", "0.01"), "margin": ("0.5", "2.0"),
    "value": lambda d: d.w.number(d.dtype), "fill_value": ("2", "0.5", "True"), "weight": lambda d: None,
    "min": ("-1.0", "0", "0.25"), "max": ("1.0", "2", "0.75"), "rounding_mode": ("None", "'trunc'", "'floor'"),
    "correction": ("0", "1", "2"), "unbiased": ("True", "False"), "diagonal": ("0", "1", "-1"), "offset": ("0", "1", "-1"),
    "k": ("1", "2"), "n": ("1", "2", "3"), "N": ("3", "2"), "decimals": ("0", "1", "2", "-1"), "q": ("0.25", "0.5", "1.0"),
    "interpolation": ("'linear'", "'lower'", "'higher'", "'nearest'", "'midpoint'"), "chunks": ("2", "3"),
    "indices_or_sections": ("2", "[1, 2]", "1"), "split_size": ("2", "1", "[1, 2]"), "split_sizes": ("[1, 2]", "[2, 2]", "[3]"),
    "sections": ("2",), "shifts": ("1", "-1", "2"), "repeats": ("2", "3"), "dims": lambda d: d.dim(), "size": ("(2, 3)", "(4,)"),
    "shape": ("(2, 3)", "(4,)"), "start": ("0", "1", "0.5"), "step": ("1", "2", "0.5"), "steps": ("3", "4"), "base": ("2.0", "10.0"),
    "length": ("1", "2"), "window_length": ("4", "5", "1"), "descending": ("True", "False"), "approximate": ("'none'", "'tanh'"),
    "negative_slope": ("0.1", "0.5"), "lambd": ("0.25", "1.0"), "threshold": ("0.5", "0.25"), "min_val": ("-0.5", "-2.0"),
    "max_val": ("0.5", "2.0"), "sizes": ("(2, -1)", "(-1, 1)"), "nan": ("1.5", "0.0"), "posinf": ("3.0",), "neginf": ("-3.0",),
    "ord": ("2", "1", "'fro'", "inf", "3"), "memory_format": ("lib.contiguous_format", "lib.preserve_format"),
    "include_self": ("True", "False"), "requires_grad": ("True", "False"), "layout": ("lib.strided",), "device": ("'cpu'", "None"),
    "pin_memory": ("False",), "to": ("5", "3"), "from_": ("0", "1"), "a": ("0", "1"), "b": ("5", "7"), "low": ("0",), "high": ("5",),
    "bins": ("4", "3"), "minlength": ("0", "6"), "rcond": ("1e-6",), "tol": ("1e-6",), "atol": ("1e-6", "0.1"), "rtol": ("1e-5", "0.1"),
    "dx": ("0.5", "2.0"), "periodic": ("True", "False"), "maxnorm": ("1.0", "2.5"), "dim_": ("0",), "norm_type": ("2.0", "3.0"),
    "momentum": ("0.1",), "training": ("False",), "delta": ("0.5", "2.0"), "scale": ("0.5", "2.0"), "label_smoothing": ("0.1",),
    "ignore_index": ("1", "-100"), "num_classes": ("-1", "7"), "mode": ("'constant'",), "other_": ("2",), "s": ("2.5", "3"),
    "type1": ("lib.float32", "lib.int64"), "type2": ("lib.float64", "lib.bool"), "to_": ("lib.float64",), "row": ("3", "2"),
    "col": ("4", "2"), "mean": ("0.0", "1.0"), "std": ("1.0", "2.0"), "lower": ("0.1",), "upper": lambda d: d.one("0.4") if "rrelu" in d.name else d.one("True", "False"), "inplace": ("True",),
    "as_tuple": ("False", "True"), "ind": ("1",), "left": ("True", "False"), "accumulate": ("True", "False"), "size_average": ("None",),
    "reduce": ("None",), "generator": ("None",), "the_template": lambda d: d.tensor(), "storage_offset": ("0", "1"),
    "copy": ("True", "False"), "non_blocking": ("True",), "groups": lambda d: None, "attn_mask": lambda d: None,
    "scale_factor": ("2", "1.5"), "edgeitems": lambda d: None, "weights": lambda d: None, "stride": lambda d: None,
    "sorter": lambda d: None, "dropout_p": ("0.0",), "prepend": lambda d: None, "append": lambda d: None, "driver": lambda d: None,
    "per_sample_weights": lambda d: None, "max_norm": lambda d: None, "_stacklevel": ("3",), "bias": lambda d: None,
    "pos_weight": lambda d: None, "running_mean": lambda d: None, "running_var": lambda d: None, "output_size": lambda d: None,
    "fweights": lambda d: None, "aweights": lambda d: None, "divisor_override": ("3", "2"), "padding_idx": ("1", "0"),
    "offsets": lambda d: None, "range": lambda d: None, "hermitian": lambda d: None, "sparse": ("False",), "antialias": ("False",),
    "compute_mode": ("'donot_use_mm_for_euclid_dist'",), "side": ("'right'", "'left'"), "grad": lambda d: None,
    "gradient": lambda d: None, "n_": ("2",), "tau": ("1.0",), "density": ("True",),
}  # fmt: skip


def _index(d: Draw) -> list[str]:
    return [d.f(3, 4), "1", d.i(0, 4, 3)]


def _rows(d: Draw) -> list[str]:
    return [*_index(d), d.f(3, 3)]


def _scattered(d: Draw) -> list[str]:
    return [d.f(3, 4), "1", d.i(0, 4, 3, 2)]


def _image(*shape: int) -> Callable[[Draw], list[str]]:
    return lambda d: [d.f(*shape), d.one("2", "3", "1")]


def _conv(spread: bool, *extents: int) -> Callable[[Draw], list[str]]:
    def drawn(d: Draw) -> list[str]:
        groups = d.w.below(2) + 1
        weight = (4, 4 // groups, *(2 for _ in extents))
        result = [d.f(2, 4, *extents), d.f(*weight), d.one("None", d.f(4 if not spread else 4 // groups * groups))]
        result += [d.one("1", "2"), d.one("0", "1")]
        return [*result, *(["0", str(groups)] if spread else [d.one("1", "2"), str(groups)])]

    return drawn


def _square(d: Draw) -> list[str]:
    return [d.one(d.m(3, 3), d.m(2, 3, 3), d.s(3))]


def _losses(d: Draw) -> list[str]:
    return [d.f(3, 4), d.f(3, 4)]


_LINE, _PLANE, _SPACE = (2, 3, 6), (2, 3, 5, 4), (1, 2, 4, 4, 4)
Fitting = Callable[[Draw], list[str]]
FITTING: dict[str, Fitting] = {
    # products
    "addbmm": lambda d: [d.f(3, 2), d.f(2, 3, 4), d.f(2, 4, 2)], "baddbmm": lambda d: [d.f(2, 3, 2), d.f(2, 3, 4), d.f(2, 4, 2)],
    "addmm": lambda d: [d.f(3, 2), d.f(3, 4), d.f(4, 2)], "addmv": lambda d: [d.f(3), d.f(3, 4), d.f(4)],
    "addr": lambda d: [d.f(3, 4), d.f(3), d.f(4)], "bmm": lambda d: [d.f(2, 3, 4), d.f(2, 4, 2)],
    "mm": lambda d: [d.f(3, 4), d.f(4, 2)], "mv": lambda d: [d.f(3, 4), d.f(4)], "dot": lambda d: [d.f(4), d.f(4)],
    "vdot": lambda d: [d.f(4), d.f(4)], "inner": lambda d: [d.f(2, 4), d.f(3, 4)], "outer": lambda d: [d.f(3), d.f(4)],
    "ger": lambda d: [d.f(3), d.f(4)], "matmul": lambda d: [d.f(2, 3, 4), d.one(d.f(4), d.f(4, 2), d.f(2, 4, 3))],
    "chain_matmul": lambda d: [d.f(2, 3), d.f(3, 4), d.f(4, 2)], "multi_dot": lambda d: [f"[{d.f(2, 3)}, {d.f(3, 4)}, {d.f(4)}]"],
    "kron": lambda d: [d.f(2, 2), d.f(2, 3)], "tensordot": lambda d: [d.f(2, 3, 4), d.f(3, 4, 2), "2"],
    "einsum": lambda d: d.one("'ij,jk->ik', {}, {}", "'ij,kj', {}, {}", "'ij,ij->', {}, {}", "'ii,ij', {}, {}")
    .format(d.f(3, 3), d.f(3, 3)).split(", ", 0),
    "linear": lambda d: [d.f(2, 3, 4), d.f(2, 4), d.one("None", d.f(2))], "cdist": lambda d: [d.f(3, 4), d.f(2, 4)],
    "bilinear": lambda d: [d.f(2, 3), d.f(2, 4), d.f(2, 3, 4), d.one("None", d.f(2))],
    "cross": lambda d: [d.f(2, 3), d.f(2, 3)], "vecdot": _losses, "dist": _losses, "cov": lambda d: [d.f(3, 4)],
    "corrcoef": lambda d: [d.f(3, 4)], "addcmul": lambda d: [d.f(3, 4), d.f(3, 4), d.f(4)],
    "addcdiv": lambda d: [d.f(3, 4), d.f(3, 4), f"({d.f(4)} + 7)"], "lerp": lambda d: [d.f(3, 4), d.f(3, 4), d.one("0.25", d.f(4))],
    # matrices
    **dict.fromkeys(("det", "slogdet", "logdet", "inverse", "inv", "inv_ex", "matrix_exp", "lu_factor", "lu_factor_ex", "lu", "cond"),
                    _square),
    **dict.fromkeys(("cholesky", "cholesky_ex", "cholesky_inverse"), lambda d: [d.s(3)]),
    **dict.fromkeys(("eigh", "eigvalsh"), lambda d: [d.s(3)]), "trace": lambda d: [d.f(3, 4)],
    **dict.fromkeys(("eig", "eigvals"), lambda d: [d.s(3)]), "matrix_power": lambda d: [d.m(3, 3), d.one("0", "2", "3", "-1")],
    **dict.fromkeys(("pinv", "pinverse", "svdvals", "matrix_rank"), lambda d: [d.m(4, 3)]),
    **dict.fromkeys(("svd", "qr"), lambda d: [d.m(4, 3)]),
    "cholesky_solve": lambda d: [d.f(3, 2), f"lib.linalg.cholesky({d.s(3)})"], "solve": lambda d: [d.m(3, 3), d.f(3, 2)],
    "solve_ex": lambda d: [d.m(3, 3), d.f(3, 2)], "solve_triangular": lambda d: [d.m(3, 3), d.f(3, 2)],
    "triangular_solve": lambda d: [d.f(3, 2), d.m(3, 3)], "lu_solve": lambda d: [f"lib.linalg.lu_factor({(a := d.m(3, 3))})[0]", f"lib.linalg.lu_factor({a})[1]", d.f(3, 2)],
    "lstsq": lambda d: [d.m(4, 3), d.f(4, 2)],
    "householder_product": lambda d: [d.f(4, 3), d.f(3)], "tensorinv": lambda d: [f"{d.m(6, 6)}.reshape(2, 3, 6)", "ind=2"],
    "tensorsolve": lambda d: [f"{d.m(6, 6)}.reshape(2, 3, 6)", d.f(2, 3)], "vander": lambda d: [d.f(4)],
    "matrix_norm": lambda d: [d.f(3, 4)], "diagonal": lambda d: [d.one(d.f(3, 4), d.f(2, 3, 4))],
    # indices
    "gather": _scattered, "scatter": lambda d: [*_scattered(d), d.f(3, 2)], "scatter_add": lambda d: [*_scattered(d), d.f(3, 2)],
    "scatter_reduce": lambda d: [*_scattered(d), d.f(3, 2), d.one("'sum'", "'prod'", "'amax'", "'amin'", "'mean'")],
    "index_add": _rows, "index_copy": lambda d: [d.f(3, 4), "1", "lib.tensor([2, 0, 1])", d.f(3, 3)],
    "index_fill": lambda d: [*_index(d), d.one("2.5", "0", "lib.tensor(1.5)")], "index_select": _index,
    "index_reduce": lambda d: [*_rows(d), d.one("'prod'", "'amax'", "'amin'", "'mean'")],
    "index_put": lambda d: [d.f(3, 4), f"({d.i(0, 3, 2)}, {d.i(0, 4, 2)})", d.one(d.f(2), d.f())],
    "take": lambda d: [d.f(3, 4), d.i(-12, 12, 2, 2)], "put": lambda d: [d.f(3, 4), "lib.tensor([3, 0, -1])", d.f(3)],
    "take_along_dim": lambda d: [d.f(3, 4), d.i(0, 4, 3, 2), "1"], "select": lambda d: [d.f(3, 4), "1", d.one("0", "-1", "4")],
    "select_scatter": lambda d: [d.f(3, 4), d.f(3), "1", "2"], "slice_scatter": lambda d: [d.f(3, 4), d.f(3, 2), "1", "1", "3"],
    "diagonal_scatter": lambda d: [d.f(3, 4), d.f(3)], "as_strided_scatter": lambda d: [d.f(3, 4), d.f(2, 2), "(2, 2)", "(4, 1)"],
    "as_strided": lambda d: [d.f(3, 4), "(2, 2)", d.one("(4, 1)", "(1, 4)", "(1, 1)")],
    "masked_select": lambda d: [d.f(3, 4), d.b(3, 4)], "masked_scatter": lambda d: [d.f(3, 4), d.b(3, 4), d.f(12)],
    "masked_fill": lambda d: [d.f(3, 4), d.b(3, 4), d.one("2.5", "lib.tensor(1.5)")], "where": lambda d: [d.f(3, 4), d.b(3, 4), d.f(4)] if d.home == "method" else [d.b(3, 4), d.f(3, 4), d.f(4)],
    "narrow": lambda d: [d.f(3, 4), "1", "1", "2"], "narrow_copy": lambda d: [d.f(3, 4), "1", "1", "2"],
    "unravel_index": lambda d: [d.i(0, 12, 3), "(3, 4)"], "bucketize": lambda d: [d.f(3), f"{d.f(4)}.sort()[0]"],
    "searchsorted": lambda d: [f"{d.f(4)}.sort()[0]", d.f(3)], "one_hot": lambda d: [d.i(0, 4, 3)],
    "bincount": lambda d: [d.i(0, 4, 5)], "histc": lambda d: [d.f(7)], "histogram": lambda d: [d.f(7), "4"],
    "fill_diagonal": lambda d: [d.f(3, 4), "2.5"], "embedding": lambda d: [d.f(4, 3), d.i(0, 4, 2, 2)] if d.home == "function" else [d.i(0, 4, 2, 2), d.f(4, 3)],
    "embedding_bag": lambda d: [d.i(0, 4, 2, 2), d.f(4, 3)], "unflatten": lambda d: [d.f(3, 4), "1", d.one("(2, 2)", "(-1, 2)")],
    "combinations": lambda d: [d.f(4)], "cartesian_prod": lambda d: [d.f(3), d.f(2)], "meshgrid": lambda d: [d.f(3), d.f(2)],
    "block_diag": lambda d: [d.f(2, 2), d.f(1, 3)], "broadcast_shapes": lambda d: ["(3, 1)", "(4,)"], "tril_indices": lambda d: ["3", "4"],
    "triu_indices": lambda d: ["3", "4"], "broadcast_to": lambda d: [d.f(3, 1), "(2, 3, 4)"], "expand": lambda d: [d.f(3, 1), "2", "-1", "4"],
    "expand_as": lambda d: [d.f(3, 1), d.f(3, 4)], "tile": lambda d: [d.f(3, 1), "(2, 2)"], "repeat": lambda d: [d.f(3, 1), "2", "2"],
    "roll": lambda d: [d.f(3, 4), d.one("1", "-1"), "1"], "rot90": lambda d: [d.f(3, 4)], "fliplr": lambda d: [d.f(3, 4)],
    "flipud": lambda d: [d.f(3, 4)], "flip": lambda d: [d.f(3, 4), d.one("0", "(0, 1)")], "movedim": lambda d: [d.f(2, 3, 4), "0", "-1"],
    "moveaxis": lambda d: [d.f(2, 3, 4), "0", "-1"], "permute": lambda d: [d.f(2, 3, 4), "(2, 0, 1)"], "t": lambda d: [d.f(3, 4)],
    "view": lambda d: [d.f(3, 4), d.one("(2, 6)", "(-1,)", "(4, -1)")], "reshape": lambda d: [d.f(3, 4), d.one("(2, 6)", "(-1,)")],
    "view_as": lambda d: [d.f(3, 4), d.f(2, 6)], "reshape_as": lambda d: [d.f(3, 4), d.f(2, 6)], "unfold": lambda d: [d.f(2, 6), "1", "3", "2"] if d.home == "method" else [d.f(2, 3, 4, 5), "2"],
    "diag": lambda d: [d.one(d.f(3), d.f(3, 4))], "diag_embed": lambda d: [d.f(2, 3)], "renorm": lambda d: [d.f(3, 4), "2", "0", "1.5"],
    "repeat_interleave": lambda d: [d.f(3, 4), d.one("2", "lib.tensor([1, 0, 2])"), "0"], "kthvalue": lambda d: [d.f(3, 4), "2"],
    "topk": lambda d: [d.f(3, 4), "2"], "quantile": lambda d: [d.f(3, 4), d.one("0.25", f"lib.tensor([0.0, 0.3, 1.0], dtype=lib.{d.dtype})")],
    "nanquantile": lambda d: [d.f(3, 4), "0.25"], "split": lambda d: [d.f(3, 4), d.one("2", "[1, 2]")],
    "split_with_sizes": lambda d: [d.f(3, 4), "[1, 2]"], "unsafe_split": lambda d: [d.f(3, 4), "2"],
    "unsafe_split_with_sizes": lambda d: [d.f(3, 4), "[1, 2]"], "tensor_split": lambda d: [d.f(3, 4), d.one("2", "(1, 2)")],
    "hsplit": lambda d: [d.f(3, 4), "2"], "vsplit": lambda d: [d.f(2, 4), "2"], "dsplit": lambda d: [d.f(2, 3, 4), "2"],
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack", "column_stack"),
                    lambda d: [f"[{d.f(3, 4)}, {d.f(3, 4)}]"]),
    "cumulative_trapezoid": lambda d: [d.f(3, 4)], "trapezoid": lambda d: [d.f(3, 4)], "trapz": lambda d: [d.f(3, 4)],
    "set": lambda d: [d.f(3)], "index": lambda d: [d.f(3)], "sum_to_size": lambda d: [d.f(3, 4), "1", "4"],
    "logit": lambda d: [d.p(3, 4)], "polygamma": lambda d: [d.p(3, 4), "2"] if d.home == "method" else ["2", d.p(3, 4)], "mvlgamma": lambda d: [f"({d.p(3, 4)} + 2)", "2"],
    "multigammaln": lambda d: [f"({d.p(3, 4)} + 2)", "2"], "zeta": lambda d: [f"({d.p(3, 4)} + 2)", d.p(3, 4)],
    **dict.fromkeys(("gcd", "lcm"), lambda d: [d.i(-9, 9, 3, 4), d.i(-9, 9, 4)]),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), lambda d: [d.i(-9, 9, 3, 4), d.i(-9, 9, 4)]),
    **dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift"), lambda d: [d.i(-9, 9, 3, 4), d.i(0, 4, 4)]),
    "bitwise_not": lambda d: [d.i(-9, 9, 3, 4)], "heaviside": lambda d: [d.f(3, 4), d.f(4)], "nextafter": _losses,
    "ldexp": lambda d: [d.f(3, 4), d.i(-3, 3, 4)], "can_cast": lambda d: ["lib.int64", "lib.float32"], "tensor": lambda d: ["[1.0, 2.5]"],
    "as_tensor": lambda d: ["[1, 2]"], "from_numpy": lambda d: ["np.arange(4.0)"], "linspace": lambda d: ["0.0", "2.0", "5"],
    "logspace": lambda d: ["0.0", "2.0", "5"], "arange": lambda d: ["1", "7"], "range": lambda d: ["1", "7"], "eye": lambda d: ["3"],
    "full": lambda d: ["(2, 3)", d.one("2", "0.5", "True")], "scalar_tensor": lambda d: ["2.5"], "empty_strided": lambda d: ["(2, 3)", "(1, 2)"],
    "new_full": lambda d: [d.x, "(2, 3)", "2"], "new_tensor": lambda d: [d.x, "[1, 2]"], "new_empty_strided": lambda d: [d.x, "(2, 3)", "(1, 2)"],
    "ones": lambda d: ["2", "3"], "zeros": lambda d: ["2", "3"], "new_ones": lambda d: [d.x, "2", "3"], "new_zeros": lambda d: [d.x, "2", "3"],
    "binomial": lambda d: [f"{d.p(3)} * 9", d.p(3)], "bernoulli": lambda d: [d.p(3, 4)], "multinomial": lambda d: [d.p(3, 4), "2"],
    "poisson": lambda d: [d.p(3, 4)], "randint": lambda d: ["0", "5", "(2, 3)"], "randperm": lambda d: ["5"], "normal": lambda d: [d.f(3), "0.5", "2.0"] if d.home == "method" else [d.f(3), d.p(3)],
    "resize_as": lambda d: [f"{d.f(3, 4)}.detach()", d.f(2, 2)], "resize": lambda d: [f"{d.f(3, 4)}.detach()", "2", "6"],
    "split_": lambda d: [d.f(3)], "item": lambda d: [d.f(1)], "is_nonzero": lambda d: [d.f(1)], "nonzero_static": lambda d: [d.b(3, 4), "size=4"],
    "is_set_to": lambda d: [d.x, d.tensor()], "type_as": lambda d: [d.x, d.tensor()], "copy": lambda d: [d.f(3, 4), d.f(4)],
    "to": lambda d: [d.x, f"lib.{d.one('float64', 'int64', 'bool')}"], "type": lambda d: [d.x, f"lib.{d.one('float64', 'int64')}"],
    "isin": lambda d: [d.i(0, 5, 3, 4), d.i(0, 5, 2)], "prelu": lambda d: [d.f(2, 3, 4), d.one(d.f(3), d.f(1))],
    "glu": lambda d: [d.f(3, 4)],
    # losses
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss", "kl_div"), _losses),
    "poisson_nll_loss": lambda d: [d.f(3, 4), d.p(3, 4), *(["True", "False", "1e-8", "1"] if d.home == "function" else [])], "pairwise_distance": _losses, "cosine_similarity": _losses,
    "gaussian_nll_loss": lambda d: [d.f(3, 4), d.f(3, 4), d.p(3, 1)], "pdist": lambda d: [d.f(4, 3)],
    "hinge_embedding_loss": lambda d: [d.f(3, 4), d.signs(3, 4)], "binary_cross_entropy": lambda d: [d.p(3, 4), d.p(3, 4)],
    "binary_cross_entropy_with_logits": lambda d: [d.f(3, 4), d.p(3, 4)], "multilabel_soft_margin_loss": lambda d: [d.f(3, 4), d.p(3, 4)],
    "cosine_embedding_loss": lambda d: [d.f(3, 4), d.f(3, 4), d.signs(3)], "margin_ranking_loss": lambda d: [d.f(5), d.f(5), d.signs(5)],
    "multi_margin_loss": lambda d: [d.f(3, 4), d.i(0, 4, 3), d.one("1", "2")], "multilabel_margin_loss": lambda d: [d.f(3, 4), d.i(-1, 4, 3, 4)],
    "triplet_margin_loss": lambda d: [d.f(3, 4), d.f(3, 4), d.f(3, 4)], "cross_entropy": lambda d: [d.f(3, 4), d.i(0, 4, 3)],
    "nll_loss": lambda d: [f"{d.f(3, 4)}.log_softmax(1)", d.i(0, 4, 3)], "ctc_loss": lambda d: [
        f"{d.f(5, 2, 4)}.log_softmax(2)", d.i(1, 4, 2, 2), "lib.tensor([5, 4])", "lib.tensor([2, 1])"],
    # layers
    "conv1d": _conv(False, 6), "conv2d": _conv(False, 5, 4), "conv3d": _conv(False, 4, 3, 4), "conv_transpose1d": _conv(True, 5),
    "conv_transpose2d": _conv(True, 3, 4), "conv_transpose3d": _conv(True, 3, 2, 3),
    **{f"{kind}_pool{rank}d": _image(*shape) for kind in ("avg", "max", "adaptive_avg", "adaptive_max")
       for rank, shape in ((1, _LINE), (2, _PLANE), (3, _SPACE))},
    **{f"lp_pool{rank}d": lambda d, s=shape: [d.f(*s), "2.0", "2"] for rank, shape in ((1, _LINE), (2, _PLANE), (3, _SPACE))},
    "max_unpool1d": lambda d: [d.f(1, 2, 3), "lib.tensor([[[1, 2, 5], [0, 3, 4]]])", "2"],
    "max_unpool2d": lambda d: [d.f(1, 1, 2, 2), "lib.tensor([[[[0, 3], [9, 14]]]])", "2"],
    "max_unpool3d": lambda d: [d.f(1, 1, 1, 1, 2), "lib.tensor([[[[[0, 6]]]]])", "2"],
    "batch_norm": lambda d: [d.f(4, 3, 2), "None", "None", d.f(3), d.f(3), "True"] if d.home == "functional"
    else [d.f(4, 3, 2), d.f(3), d.f(3), "None", "None", "True", "0.1", "1e-5", "False"],
    "instance_norm": lambda d: [d.f(2, 3, 4)] if d.home == "functional"
    else [d.f(2, 3, 4), d.f(3), d.f(3), "None", "None", "True", "0.1", "1e-5", "False"],
    "layer_norm": lambda d: [d.f(2, 3, 4), d.one("(4,)", "(3, 4)")], "rms_norm": lambda d: [d.f(2, 3, 4), d.one("(4,)", "(3, 4)")],
    "group_norm": lambda d: [d.f(2, 4, 3), "2"], "local_response_norm": lambda d: [d.f(2, 5, 3), "3"], "normalize": lambda d: [d.f(3, 4)],
    "interpolate": lambda d: [d.f(2, 3, 5), d.one("7", "3")], "upsample": lambda d: [d.f(2, 3, 5), "7"],
    "upsample_bilinear": lambda d: [d.f(1, 2, 4, 5), "7"], "upsample_nearest": lambda d: [d.f(2, 3, 5), "7"],
    "grid_sample": lambda d: [d.f(2, 3, 5, 4), d.f(2, 4, 3, 2), d.one("'bilinear'", "'nearest'", "'bicubic'"),
                              d.one("'zeros'", "'border'", "'reflection'"), d.one("True", "False")],
    "affine_grid": lambda d: [d.f(2, 2, 3), "(2, 1, 3, 4)", d.one("True", "False")],
    "fold": lambda d: [d.f(2, 8, 6), "(3, 4)", "2"], "pixel_shuffle": lambda d: [d.f(2, 8, 3, 2), "2"],
    "pixel_unshuffle": lambda d: [d.f(2, 3, 4, 2), "2"], "channel_shuffle": lambda d: [d.f(2, 6, 3, 2), "3"],
    "pad": lambda d: [d.f(2, 3, 4), d.one("(1, 2)", "(2, 0, 0, 1)", "(-1, 2)")],
    "scaled_dot_product_attention": lambda d: [d.f(2, 3, 4), d.f(2, 5, 4), d.f(2, 5, 2)], "dropout1d": lambda d: [d.f(2, 3, 4)],
    "dropout2d": lambda d: [d.f(2, 3, 4, 2)], "dropout3d": lambda d: [d.f(1, 2, 3, 2, 2)], **dict.fromkeys(("alpha_dropout", "feature_alpha_dropout"), lambda d: [d.f(2, 3, 4), "0.3", "True"]),
}  # fmt: skip
