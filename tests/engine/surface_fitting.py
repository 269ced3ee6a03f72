"""Arguments of the calls of `surface` where they have to fit each other: what comes first, for each function by its name."""

from __future__ import annotations

from collections.abc import Callable

from tests.engine.surface_calls import Draw


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


def _first_in_linalg(d: Draw, factors: list[str], sides: str) -> list[str]:
    return [*factors, sides] if d.home == "linalg" else [sides, *factors]


def _cell(rows: int) -> Callable[[Draw], list[str]]:
    def drawn(d: Draw) -> list[str]:
        states = f"({d.f(2, 4)}, {d.f(2, 4)})" if rows == 16 else d.f(2, 4)
        return [d.f(2, 3), states, d.f(rows, 3), d.f(rows, 4), d.f(rows), d.f(rows)]

    return drawn


def _layer(rows: int) -> Callable[[Draw], list[str]]:
    def drawn(d: Draw) -> list[str]:
        states = f"({d.f(1, 2, 4)}, {d.f(1, 2, 4)})" if rows == 16 else d.f(1, 2, 4)
        weights = f"[{d.f(rows, 3)}, {d.f(rows, 4)}, {d.f(rows)}, {d.f(rows)}]"
        return [d.f(5, 2, 3), states, weights, "True", "1", "0.0", "True", "False", "False"]

    return drawn


_LINE, _PLANE, _SPACE = (2, 3, 6), (2, 3, 5, 4), (1, 2, 4, 4, 4)
Fitting = Callable[[Draw], list[str]]
FITTING: dict[str, Fitting] = {
    # copies of views
    "as_strided_copy": lambda d: [d.f(3, 4), "(2, 2)", "(4, 1)"],
    "expand_copy": lambda d: [d.f(3, 1), "(2, 3, 4)"],
    "permute_copy": lambda d: [d.f(2, 3, 4), "(2, 0, 1)"],
    "select_copy": lambda d: [d.f(3, 4), "1", "2"],
    "slice_copy": lambda d: [d.f(3, 4), "1", "1", "3"],
    "split_copy": lambda d: [d.f(3, 4), "2", "1"],
    "transpose_copy": lambda d: [d.f(3, 4), "0", "-1"],
    "view_copy": lambda d: [d.f(3, 4), "(2, 6)"],
    "unfold_copy": lambda d: [d.f(2, 6), "1", "3", "2"],
    "constant_pad_nd": lambda d: [d.f(2, 3), "(1, 2)", "0.5"],
    "empty_permuted": lambda d: ["(2, 3)", "(1, 0)"],
    "frombuffer": lambda d: ["bytearray(8)", "dtype=lib.float32"],
    # factors
    "orgqr": lambda d: [d.f(3, 3), d.f(3)],
    "ormqr": lambda d: [d.f(3, 3), d.f(3), d.f(3, 2)],
    "spmm": lambda d: [d.f(3, 4), d.f(4, 2)],
    # recurrent networks: input, states, weights
    **{name: _cell(rows) for name, rows in {"lstm_cell": 16, "rnn_tanh_cell": 4, "rnn_relu_cell": 4}.items()},
    **{name: _layer(rows) for name, rows in {"lstm": 16, "gru": 12, "rnn_tanh": 4, "rnn_relu": 4}.items()},
    "fractional_max_pool2d": lambda d: [d.f(1, 2, 6, 6), "2", "output_size=3", f"_random_samples={d.p(1, 2, 2)}"],
    "fractional_max_pool3d": lambda d: [d.f(1, 2, 6, 6, 6), "2", "output_size=3", f"_random_samples={d.p(1, 2, 3)}"],
    "linear_cross_entropy": lambda d: [d.f(3, 4), d.f(5, 4), d.i(0, 5, 3)],
    "multi_head_attention_forward": lambda d: [
        *(d.f(3, 2, 4) for _ in range(3)),
        "4",
        "2",
        d.f(12, 4),
        d.f(12),
        "None",
        "None",
        "False",
        "0.0",
        d.f(4, 4),
        d.f(4),
    ],
    # products
    "addbmm": lambda d: [d.f(3, 2), d.f(2, 3, 4), d.f(2, 4, 2)],
    "baddbmm": lambda d: [d.f(2, 3, 2), d.f(2, 3, 4), d.f(2, 4, 2)],
    "addmm": lambda d: [d.f(3, 2), d.f(3, 4), d.f(4, 2)],
    "addmv": lambda d: [d.f(3), d.f(3, 4), d.f(4)],
    "addr": lambda d: [d.f(3, 4), d.f(3), d.f(4)],
    "bmm": lambda d: [d.f(2, 3, 4), d.f(2, 4, 2)],
    "mm": lambda d: [d.f(3, 4), d.f(4, 2)],
    "mv": lambda d: [d.f(3, 4), d.f(4)],
    "dot": lambda d: [d.f(4), d.f(4)],
    "vdot": lambda d: [d.f(4), d.f(4)],
    "inner": lambda d: [d.f(2, 4), d.f(3, 4)],
    "outer": lambda d: [d.f(3), d.f(4)],
    "ger": lambda d: [d.f(3), d.f(4)],
    "matmul": lambda d: [d.f(2, 3, 4), d.one(d.f(4), d.f(4, 2), d.f(2, 4, 3))],
    "chain_matmul": lambda d: [d.f(2, 3), d.f(3, 4), d.f(4, 2)],
    "multi_dot": lambda d: [f"[{d.f(2, 3)}, {d.f(3, 4)}, {d.f(4)}]"],
    "kron": lambda d: [d.f(2, 2), d.f(2, 3)],
    "tensordot": lambda d: [d.f(2, 3, 4), d.f(3, 4, 2), "2"],
    "einsum": lambda d: (
        d.one("'ij,jk->ik', {}, {}", "'ij,kj', {}, {}", "'ij,ij->', {}, {}", "'ii,ij', {}, {}")
        .format(d.f(3, 3), d.f(3, 3))
        .split(", ", 0)
    ),
    "linear": lambda d: [d.f(2, 3, 4), d.f(2, 4), d.one("None", d.f(2))],
    "cdist": lambda d: [d.f(3, 4), d.f(2, 4)],
    "bilinear": lambda d: [d.f(2, 3), d.f(2, 4), d.f(2, 3, 4), d.one("None", d.f(2))],
    "cross": lambda d: [d.f(2, 3), d.f(2, 3)],
    "vecdot": _losses,
    "dist": _losses,
    "cov": lambda d: [d.f(3, 4)],
    "corrcoef": lambda d: [d.f(3, 4)],
    "addcmul": lambda d: [d.f(3, 4), d.f(3, 4), d.f(4)],
    "addcdiv": lambda d: [d.f(3, 4), d.f(3, 4), f"({d.f(4)} + 7)"],
    "lerp": lambda d: [d.f(3, 4), d.f(3, 4), d.one("0.25", d.f(4))],
    # matrices
    **dict.fromkeys(
        (
            "det",
            "slogdet",
            "logdet",
            "inverse",
            "inv",
            "inv_ex",
            "matrix_exp",
            "lu_factor",
            "lu_factor_ex",
            "lu",
            "cond",
        ),
        _square,
    ),
    **dict.fromkeys(("cholesky", "cholesky_ex", "cholesky_inverse"), lambda d: [d.s(3)]),
    **dict.fromkeys(("eigh", "eigvalsh"), lambda d: [d.s(3)]),
    "trace": lambda d: [d.f(3, 4)],
    **dict.fromkeys(("eig", "eigvals"), lambda d: [d.s(3)]),
    "matrix_power": lambda d: [d.m(3, 3), d.one("0", "2", "3", "-1")],
    **dict.fromkeys(("pinv", "pinverse", "svdvals", "matrix_rank"), lambda d: [d.m(4, 3)]),
    **dict.fromkeys(("svd", "qr"), lambda d: [d.m(4, 3)]),
    "cholesky_solve": lambda d: [d.f(3, 2), f"lib.linalg.cholesky({d.s(3)})"],
    "solve": lambda d: [d.m(3, 3), d.f(3, 2)],
    "solve_ex": lambda d: [d.m(3, 3), d.f(3, 2)],
    "solve_triangular": lambda d: [d.m(3, 3), d.f(3, 2)],
    "triangular_solve": lambda d: [d.f(3, 2), d.m(3, 3)],
    "lu_solve": lambda d: _first_in_linalg(
        d, [f"lib.linalg.lu_factor({(a := d.m(3, 3))})[0]", f"lib.linalg.lu_factor({a})[1]"], d.f(3, 2)
    ),
    "lstsq": lambda d: [d.m(4, 3), d.f(4, 2)],
    "householder_product": lambda d: [d.f(4, 3), d.f(3)],
    "tensorinv": lambda d: [f"{d.m(6, 6)}.reshape(2, 3, 6)", "ind=2"],
    "tensorsolve": lambda d: [f"{d.m(6, 6)}.reshape(2, 3, 6)", d.f(2, 3)],
    "vander": lambda d: [d.f(4)],
    "matrix_norm": lambda d: [d.f(3, 4)],
    "diagonal": lambda d: [d.one(d.f(3, 4), d.f(2, 3, 4))],
    # indices
    "gather": _scattered,
    "scatter": lambda d: [*_scattered(d), d.f(3, 2)],
    "scatter_add": lambda d: [*_scattered(d), d.f(3, 2)],
    "scatter_reduce": lambda d: [*_scattered(d), d.f(3, 2), d.one("'sum'", "'prod'", "'amax'", "'amin'", "'mean'")],
    "index_add": _rows,
    "index_copy": lambda d: [d.f(3, 4), "1", "lib.tensor([2, 0, 1])", d.f(3, 3)],
    "index_fill": lambda d: [*_index(d), d.one("2.5", "0", "lib.tensor(1.5)")],
    "index_select": _index,
    "index_reduce": lambda d: [*_rows(d), d.one("'prod'", "'amax'", "'amin'", "'mean'")],
    "index_put": lambda d: [d.f(3, 4), f"({d.i(0, 3, 2)}, {d.i(0, 4, 2)})", d.one(d.f(2), d.f())],
    "take": lambda d: [d.f(3, 4), d.i(-12, 12, 2, 2)],
    "put": lambda d: [d.f(3, 4), "lib.tensor([3, 0, -1])", d.f(3)],
    "take_along_dim": lambda d: [d.f(3, 4), d.i(0, 4, 3, 2), "1"],
    "select": lambda d: [d.f(3, 4), "1", d.one("0", "-1", "4")],
    "select_scatter": lambda d: [d.f(3, 4), d.f(3), "1", "2"],
    "slice_scatter": lambda d: [d.f(3, 4), d.f(3, 2), "1", "1", "3"],
    "diagonal_scatter": lambda d: [d.f(3, 4), d.f(3)],
    "as_strided_scatter": lambda d: [d.f(3, 4), d.f(2, 2), "(2, 2)", "(4, 1)"],
    "as_strided": lambda d: [d.f(3, 4), "(2, 2)", d.one("(4, 1)", "(1, 4)", "(1, 1)")],
    "masked_select": lambda d: [d.f(3, 4), d.b(3, 4)],
    "masked_scatter": lambda d: [d.f(3, 4), d.b(3, 4), d.f(12)],
    "masked_fill": lambda d: [d.f(3, 4), d.b(3, 4), d.one("2.5", "lib.tensor(1.5)")],
    "where": lambda d: [d.f(3, 4), d.b(3, 4), d.f(4)] if d.home == "method" else [d.b(3, 4), d.f(3, 4), d.f(4)],
    "narrow": lambda d: [d.f(3, 4), "1", "1", "2"],
    "narrow_copy": lambda d: [d.f(3, 4), "1", "1", "2"],
    "unravel_index": lambda d: [d.i(0, 12, 3), "(3, 4)"],
    "bucketize": lambda d: [d.f(3), f"{d.f(4)}.sort()[0]"],
    "searchsorted": lambda d: [f"{d.f(4)}.sort()[0]", d.f(3)],
    "one_hot": lambda d: [d.i(0, 4, 3)],
    "bincount": lambda d: [d.i(0, 4, 5)],
    "histc": lambda d: [d.f(7)],
    "histogram": lambda d: [d.f(7), "4"],
    "fill_diagonal": lambda d: [d.f(3, 4), "2.5"],
    "embedding": lambda d: [d.f(4, 3), d.i(0, 4, 2, 2)] if d.home == "function" else [d.i(0, 4, 2, 2), d.f(4, 3)],
    "embedding_bag": lambda d: [d.i(0, 4, 2, 2), d.f(4, 3)],
    "unflatten": lambda d: [d.f(3, 4), "1", d.one("(2, 2)", "(-1, 2)")],
    "combinations": lambda d: [d.f(4)],
    "cartesian_prod": lambda d: [d.f(3), d.f(2)],
    "meshgrid": lambda d: [d.f(3), d.f(2)],
    "block_diag": lambda d: [d.f(2, 2), d.f(1, 3)],
    "broadcast_shapes": lambda d: ["(3, 1)", "(4,)"],
    "tril_indices": lambda d: ["3", "4"],
    "triu_indices": lambda d: ["3", "4"],
    "broadcast_to": lambda d: [d.f(3, 1), "(2, 3, 4)"],
    "expand": lambda d: [d.f(3, 1), "2", "-1", "4"],
    "expand_as": lambda d: [d.f(3, 1), d.f(3, 4)],
    "tile": lambda d: [d.f(3, 1), "(2, 2)"],
    "repeat": lambda d: [d.f(3, 1), "2", "2"],
    "roll": lambda d: [d.f(3, 4), d.one("1", "-1"), "1"],
    "rot90": lambda d: [d.f(3, 4)],
    "fliplr": lambda d: [d.f(3, 4)],
    "flipud": lambda d: [d.f(3, 4)],
    "flip": lambda d: [d.f(3, 4), d.one("0", "(0, 1)")],
    "movedim": lambda d: [d.f(2, 3, 4), "0", "-1"],
    "moveaxis": lambda d: [d.f(2, 3, 4), "0", "-1"],
    "permute": lambda d: [d.f(2, 3, 4), "(2, 0, 1)"],
    "t": lambda d: [d.f(3, 4)],
    "view": lambda d: [d.f(3, 4), d.one("(2, 6)", "(-1,)", "(4, -1)")],
    "reshape": lambda d: [d.f(3, 4), d.one("(2, 6)", "(-1,)")],
    "view_as": lambda d: [d.f(3, 4), d.f(2, 6)],
    "reshape_as": lambda d: [d.f(3, 4), d.f(2, 6)],
    "unfold": lambda d: [d.f(2, 6), "1", "3", "2"] if d.home == "method" else [d.f(2, 3, 4, 5), "2"],
    "diag": lambda d: [d.one(d.f(3), d.f(3, 4))],
    "diag_embed": lambda d: [d.f(2, 3)],
    "renorm": lambda d: [d.f(3, 4), "2", "0", "1.5"],
    "repeat_interleave": lambda d: [d.f(3, 4), d.one("2", "lib.tensor([1, 0, 2])"), "0"],
    "kthvalue": lambda d: [d.f(3, 4), "2"],
    "topk": lambda d: [d.f(3, 4), "2"],
    "quantile": lambda d: [d.f(3, 4), d.one("0.25", f"lib.tensor([0.0, 0.3, 1.0], dtype=lib.{d.dtype})")],
    "nanquantile": lambda d: [d.f(3, 4), "0.25"],
    "split": lambda d: [d.f(3, 4), d.one("2", "[1, 2]")],
    "split_with_sizes": lambda d: [d.f(3, 4), "[1, 2]"],
    "unsafe_split": lambda d: [d.f(3, 4), "2"],
    "unsafe_split_with_sizes": lambda d: [d.f(3, 4), "[1, 2]"],
    "tensor_split": lambda d: [d.f(3, 4), d.one("2", "(1, 2)")],
    "hsplit": lambda d: [d.f(3, 4), "2"],
    "vsplit": lambda d: [d.f(2, 4), "2"],
    "dsplit": lambda d: [d.f(2, 3, 4), "2"],
    **dict.fromkeys(
        ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack", "column_stack"),
        lambda d: [f"[{d.f(3, 4)}, {d.f(3, 4)}]"],
    ),
    "cumulative_trapezoid": lambda d: [d.f(3, 4)],
    "trapezoid": lambda d: [d.f(3, 4)],
    "trapz": lambda d: [d.f(3, 4)],
    "set": lambda d: [d.f(3)],
    "index": lambda d: [d.f(3)],
    "sum_to_size": lambda d: [d.f(3, 4), "1", "4"],
    "logit": lambda d: [d.p(3, 4)],
    "polygamma": lambda d: [d.p(3, 4), "2"] if d.home == "method" else ["2", d.p(3, 4)],
    "mvlgamma": lambda d: [f"({d.p(3, 4)} + 2)", "2"],
    "multigammaln": lambda d: [f"({d.p(3, 4)} + 2)", "2"],
    "zeta": lambda d: [f"({d.p(3, 4)} + 2)", d.p(3, 4)],
    **dict.fromkeys(("gcd", "lcm"), lambda d: [d.i(-9, 9, 3, 4), d.i(-9, 9, 4)]),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), lambda d: [d.i(-9, 9, 3, 4), d.i(-9, 9, 4)]),
    **dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift"), lambda d: [d.i(-9, 9, 3, 4), d.i(0, 4, 4)]),
    "bitwise_not": lambda d: [d.i(-9, 9, 3, 4)],
    "heaviside": lambda d: [d.f(3, 4), d.f(4)],
    "nextafter": _losses,
    "ldexp": lambda d: [d.f(3, 4), d.i(-3, 3, 4)],
    "can_cast": lambda d: ["lib.int64", "lib.float32"],
    "tensor": lambda d: ["[1.0, 2.5]"],
    "as_tensor": lambda d: ["[1, 2]"],
    "from_numpy": lambda d: ["np.arange(4.0)"],
    "linspace": lambda d: ["0.0", "2.0", "5"],
    "logspace": lambda d: ["0.0", "2.0", "5"],
    "arange": lambda d: ["1", "7"],
    "range": lambda d: ["1", "7"],
    "eye": lambda d: ["3"],
    "full": lambda d: ["(2, 3)", d.one("2", "0.5", "True")],
    "scalar_tensor": lambda d: ["2.5"],
    "empty_strided": lambda d: ["(2, 3)", "(1, 2)"],
    "new_full": lambda d: [d.x, "(2, 3)", "2"],
    "new_tensor": lambda d: [d.x, "[1, 2]"],
    "new_empty_strided": lambda d: [d.x, "(2, 3)", "(1, 2)"],
    "ones": lambda d: ["2", "3"],
    "zeros": lambda d: ["2", "3"],
    "new_ones": lambda d: [d.x, "2", "3"],
    "new_zeros": lambda d: [d.x, "2", "3"],
    "binomial": lambda d: [f"{d.p(3)} * 9", d.p(3)],
    "bernoulli": lambda d: [d.p(3, 4)],
    "multinomial": lambda d: [d.p(3, 4), "2"],
    "poisson": lambda d: [d.p(3, 4)],
    "randint": lambda d: ["0", "5", "(2, 3)"],
    "randperm": lambda d: ["5"],
    "normal": lambda d: [d.f(3), "0.5", "2.0"] if d.home == "method" else [d.f(3), d.p(3)],
    "resize_as": lambda d: [f"{d.f(3, 4)}.detach()", d.f(2, 2)],
    "resize": lambda d: [f"{d.f(3, 4)}.detach()", "2", "6"],
    "split_": lambda d: [d.f(3)],
    "item": lambda d: [d.f(1)],
    "is_nonzero": lambda d: [d.f(1)],
    "nonzero_static": lambda d: [d.b(3, 4), "size=4"],
    "is_set_to": lambda d: [d.x, d.tensor()],
    "type_as": lambda d: [d.x, d.tensor()],
    "copy": lambda d: [d.f(3, 4), d.f(4)],
    "to": lambda d: [d.x, f"lib.{d.one('float64', 'int64', 'bool')}"],
    "type": lambda d: [d.x, f"lib.{d.one('float64', 'int64')}"],
    "isin": lambda d: [d.i(0, 5, 3, 4), d.i(0, 5, 2)],
    "prelu": lambda d: [d.f(2, 3, 4), d.one(d.f(3), d.f(1))],
    "glu": lambda d: [d.f(3, 4)],
    # losses
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss", "kl_div"), _losses),
    "poisson_nll_loss": lambda d: [
        d.f(3, 4),
        d.p(3, 4),
        *(["True", "False", "1e-8", "1"] if d.home == "function" else []),
    ],
    "pairwise_distance": _losses,
    "cosine_similarity": _losses,
    "gaussian_nll_loss": lambda d: [d.f(3, 4), d.f(3, 4), d.p(3, 1)],
    "pdist": lambda d: [d.f(4, 3)],
    "hinge_embedding_loss": lambda d: [d.f(3, 4), d.signs(3, 4)],
    "binary_cross_entropy": lambda d: [d.p(3, 4), d.p(3, 4)],
    "binary_cross_entropy_with_logits": lambda d: [d.f(3, 4), d.p(3, 4)],
    "multilabel_soft_margin_loss": lambda d: [d.f(3, 4), d.p(3, 4)],
    "cosine_embedding_loss": lambda d: [d.f(3, 4), d.f(3, 4), d.signs(3)],
    "margin_ranking_loss": lambda d: [d.f(5), d.f(5), d.signs(5)],
    "multi_margin_loss": lambda d: [d.f(3, 4), d.i(0, 4, 3), d.one("1", "2")],
    "multilabel_margin_loss": lambda d: [d.f(3, 4), d.i(-1, 4, 3, 4)],
    "triplet_margin_loss": lambda d: [d.f(3, 4), d.f(3, 4), d.f(3, 4)],
    "cross_entropy": lambda d: [d.f(3, 4), d.i(0, 4, 3)],
    "nll_loss": lambda d: [f"{d.f(3, 4)}.log_softmax(1)", d.i(0, 4, 3)],
    "ctc_loss": lambda d: [
        f"{d.f(5, 2, 4)}.log_softmax(2)",
        d.i(1, 4, 2, 2),
        "lib.tensor([5, 4])",
        "lib.tensor([2, 1])",
    ],
    # layers
    "conv1d": _conv(False, 6),
    "conv2d": _conv(False, 5, 4),
    "conv3d": _conv(False, 4, 3, 4),
    "conv_transpose1d": _conv(True, 5),
    "conv_transpose2d": _conv(True, 3, 4),
    "conv_transpose3d": _conv(True, 3, 2, 3),
    **{
        f"{kind}_pool{rank}d": _image(*shape)
        for kind in ("avg", "max", "adaptive_avg", "adaptive_max")
        for rank, shape in ((1, _LINE), (2, _PLANE), (3, _SPACE))
    },
    **{
        f"lp_pool{rank}d": lambda d, s=shape: [d.f(*s), "2.0", "2"]
        for rank, shape in ((1, _LINE), (2, _PLANE), (3, _SPACE))
    },
    "max_unpool1d": lambda d: [d.f(1, 2, 3), "lib.tensor([[[1, 2, 5], [0, 3, 4]]])", "2"],
    "max_unpool2d": lambda d: [d.f(1, 1, 2, 2), "lib.tensor([[[[0, 3], [9, 14]]]])", "2"],
    "max_unpool3d": lambda d: [d.f(1, 1, 1, 1, 2), "lib.tensor([[[[[0, 6]]]]])", "2"],
    "batch_norm": lambda d: (
        [d.f(4, 3, 2), "None", "None", d.f(3), d.f(3), "True"]
        if d.home == "functional"
        else [d.f(4, 3, 2), d.f(3), d.f(3), "None", "None", "True", "0.1", "1e-5", "False"]
    ),
    "instance_norm": lambda d: (
        [d.f(2, 3, 4)]
        if d.home == "functional"
        else [d.f(2, 3, 4), d.f(3), d.f(3), "None", "None", "True", "0.1", "1e-5", "False"]
    ),
    "layer_norm": lambda d: [d.f(2, 3, 4), d.one("(4,)", "(3, 4)")],
    "rms_norm": lambda d: [d.f(2, 3, 4), d.one("(4,)", "(3, 4)")],
    "group_norm": lambda d: [d.f(2, 4, 3), "2"],
    "local_response_norm": lambda d: [d.f(2, 5, 3), "3"],
    "normalize": lambda d: [d.f(3, 4)],
    "interpolate": lambda d: [d.f(2, 3, 5), d.one("7", "3")],
    "upsample": lambda d: [d.f(2, 3, 5), "7"],
    "upsample_bilinear": lambda d: [d.f(1, 2, 4, 5), "7"],
    "upsample_nearest": lambda d: [d.f(2, 3, 5), "7"],
    "grid_sample": lambda d: [
        d.f(2, 3, 5, 4),
        d.f(2, 4, 3, 2),
        d.one("'bilinear'", "'nearest'", "'bicubic'"),
        d.one("'zeros'", "'border'", "'reflection'"),
        d.one("True", "False"),
    ],
    "affine_grid": lambda d: [d.f(2, 2, 3), "(2, 1, 3, 4)", d.one("True", "False")],
    "fold": lambda d: [d.f(2, 8, 6), "(3, 4)", "2"],
    "pixel_shuffle": lambda d: [d.f(2, 8, 3, 2), "2"],
    "pixel_unshuffle": lambda d: [d.f(2, 3, 4, 2), "2"],
    "channel_shuffle": lambda d: [d.f(2, 6, 3, 2), "3"],
    "pad": lambda d: [d.f(2, 3, 4), d.one("(1, 2)", "(2, 0, 0, 1)", "(-1, 2)")],
    "scaled_dot_product_attention": lambda d: [d.f(2, 3, 4), d.f(2, 5, 4), d.f(2, 5, 2)],
    "dropout1d": lambda d: [d.f(2, 3, 4)],
    "dropout2d": lambda d: [d.f(2, 3, 4, 2)],
    "dropout3d": lambda d: [d.f(1, 2, 3, 2, 2)],
    **dict.fromkeys(("alpha_dropout", "feature_alpha_dropout"), lambda d: [d.f(2, 3, 4), "0.3", "True"]),
}
