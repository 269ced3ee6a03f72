"""Why a call is slower than torch's: by kind, so that a reason is right or wrong for all that it names."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.surface_operands import Point


class Reason(NamedTuple):
    """A reason, the calls that it is of (parts of their texts), and the points at which it holds; "" is any."""

    why: str
    calls: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    direction: str = ""

    def holds(self, text: str, point: Point) -> bool:
        """Whether it is the reason of a call at a point."""
        return (
            any(part in text for part in self.calls)
            and (not self.sizes or point.size in self.sizes)
            and (not self.layouts or point.layout in self.layouts)
            and self.direction in ("", point.direction)
        )


def reason(text: str, point: Point) -> str:
    """Why a call is slow at a point; "" where nobody has said so."""
    return next((each.why for each in REASONS if each.holds(text, point)), "")


def _lib(names: str) -> tuple[str, ...]:
    return tuple(f"lib.{name}(" for name in names.split())


_LARGE = ("1e6", "1e7")

# The first that holds is the reason.
REASONS: tuple[Reason, ...] = (
    Reason("torch stops at the first difference", _lib("equal")),
    Reason(
        "Integrals, sums and recurrences of float64, each element with as many terms as it needs, one after the other",
        (
            "modified_bessel_k",
            "special.zeta(",
            "igamma",
            "lgamma(",
            "chebyshev_polynomial_",
            "hermite_polynomial_",
            "laguerre_polynomial_",
            "legendre_polynomial_",
            "log_ndtr(",
        ),
    ),
    Reason(
        "In vectors both the polynomial near 0 and the wave far out are computed for each element; torch takes one of them",
        ("special.bessel_",),
        _LARGE,
    ),
    Reason(
        "Computed in float64 and rounded once, to half a unit in the last place of float32; torch computes in float32",
        (*_lib("erfc erfinv"), "special.ndtr(", *(f"lib.{name}_window(" for name in "bartlett hann hamming".split())),
        _LARGE,
    ),
    Reason(
        "Each element goes to, or comes from, the place that its index names, of which none is known before",
        (
            *_lib("index_reduce index_fill take put gather scatter scatter_add scatter_reduce index_add index_put"),
            "index_select(x, 1",
            "F.embedding_bag(",
        ),
        _LARGE,
    ),
    Reason("Of a row, elements are picked by their indices one by one", ("index_select(x, 1",), ("1e4",)),
    Reason("The input is copied before it is overwritten", _lib("fill"), _LARGE),
    Reason(
        "NumPy's LAPACK, not MKL's",
        (
            *(
                f"linalg.{name}("
                for name in "cond matrix_rank svdvals svd pinv eigh eigvalsh lstsq matrix_exp det".split()
            ),
        ),
    ),
    Reason(
        "How many results there are is known when elements have been counted: two launches, and a read between them",
        (*_lib("nonzero argwhere unique unique_consecutive bincount isin masked_select count_nonzero"), "x[m]"),
        ("1e2", "1e4"),
    ),
    Reason(
        "NumPy, on one thread", _lib("unique unique_consecutive bincount histc histogram histogramdd"), ("1e4", *_LARGE)
    ),
    Reason("NumPy draws, from a stream that has to be set up", _lib("poisson binomial multinomial")),
    Reason(
        "One generator of numbers by position, the same for any number of threads; and a look at what may be written",
        (*_lib("randint randint_like randperm"), "e.normal_(", "e.uniform_(", "e.random_(", "F.rrelu("),
    ),
    Reason("Products of float32 are multiplied in float64", _lib("prod")),
    Reason("With a gradient the input is copied before it is overwritten", _lib("fill"), direction="backward"),
    Reason(
        "torch's gradient is the memory that the caller has given; here a leaf's gradient is its own",
        (
            *_lib("reshape flatten ravel unflatten squeeze unsqueeze atleast_3d cat stack hstack vstack dstack"),
            *_lib(
                "select_scatter diagonal_scatter as_strided_scatter slice_scatter swapaxes swapdims moveaxis movedim t"
            ),
            *_lib("transpose permute unbind split column_stack"),
        ),
        _LARGE,
        direction="backward",
    ),
    Reason(
        "The gradient of several ops goes through each of them, with Python between",
        ("",),
        ("1e2", "1e4"),
        direction="backward",
    ),
    Reason(
        "Boxes of a few elements that numbers place: where they lie is computed for each image, and takes longer than they do",
        ("F.fractional_max_pool",),
        ("1e4", *_LARGE),
    ),
    Reason(
        "Each vector of outputs has to be set up, which takes longer than its two elements a window",
        ("F.max_pool1d(line, 2)",),
        _LARGE,
    ),
    Reason(
        "Rows of a hundred are compared in vectors that they do not fill; a running extreme waits for the one before it",
        _lib("sort argsort msort topk cummax cummin quantile nanquantile mode"),
        ("1e4",),
    ),
    Reason("Euclid's steps, as many as a pair needs, one pair after the other", _lib("gcd lcm"), ("1e4", *_LARGE)),
    Reason(
        "Elements with gaps between them are written one by one",
        (*_lib("dstack"), "x.copy_(", "x.fill_("),
        _LARGE,
        ("strided",),
    ),
    Reason(
        "A pixel's few channels are a loop of their own",
        ("F.dropout2d(", "mode='bilinear'"),
        _LARGE,
        ("channels_last",),
    ),
    Reason(
        "MKL's functions look coefficients up in registers, a few for each interval; here one polynomial serves all arguments",
        (
            *_lib("erf erfinv erfc exp exp2 log log2 log10 tanh sin cos tan asin acos atan"),
            "special.ndtr(",
        ),
        ("1e4", *_LARGE),
    ),
    Reason(
        "The divider's root, which is rounded correctly; MKL's comes from an estimate", _lib("sqrt"), ("1e4", *_LARGE)
    ),
    Reason(
        "MKL has products for each CPU of Intel's; here tiles are those of all CPUs with such vectors",
        (
            *_lib("mm matmul addmm bmm baddbmm addbmm tensordot einsum inner kron"),
            *(f"linalg.{name}(" for name in "multi_dot matrix_power".split()),
            "F.linear(",
            "F.linear_cross_entropy(",
            "F.scaled_dot_product_attention(",
        ),
        ("1e4", *_LARGE),
    ),
    Reason(
        "Where the pixels of a point lie, and the transpositions, take longer than sums: 16 channels take no more time than 8",
        ("F.grid_sample(",),
        ("1e4", *_LARGE),
    ),
    Reason("torch's gradient is a tensor of zeros without memory", _lib("sgn"), _LARGE, direction="backward"),
    Reason(
        "Convolutions of lines and volumes are those of images of few rows or channels: eight channels fill half a vector "
        "of float32, and planes or lines are laid side by side before",
        ("F.conv3d(", "F.conv_transpose1d(", "F.conv_transpose3d("),
        ("1e4", *_LARGE),
    ),
    Reason(
        "Rows of every second element, which are shorter than what a loop of vectors takes at once",
        ("F.pixel_unshuffle(",),
        ("1e4", *_LARGE),
    ),
    Reason(
        "Lines with gaps are copied before they are looked through", _lib("max min"), ("1e4", *_LARGE), ("strided",)
    ),
    Reason(
        "Rows of a hundred: what is beyond whole loops of vectors takes longer than these; rows of 128 are done sooner",
        _lib("log_softmax"),
        ("1e4",),
    ),
    Reason(
        "Along the rows it is done in squares that are transposed and transposed back, and then once more along columns, so that "
        "memory is written twice",
        ("mode='bilinear'",),
        _LARGE,
        ("contiguous", "strided"),
        "forward",
    ),
    Reason("The points before the affine map are NumPy's", ("F.affine_grid(",), _LARGE),
    Reason(
        "Several ops, each of which reads and writes memory; of more than 65,536 elements they are not joined",
        (
            *_lib("chain_matmul index_fill index_put as_strided_scatter addmv diff gradient aminmax"),
            *_lib("fill diag cdist"),
            *(
                f"F.{name}("
                for name in "ctc_loss cosine_similarity cross_entropy feature_alpha_dropout pad soft_margin_loss".split()
            ),
            "linalg.vecdot(",
        ),
        ("1e4", *_LARGE),
    ),
    Reason(
        "NumPy's LAPACK or triangles of our own, not MKL's",
        (
            *(
                f"linalg.{name}("
                for name in "cholesky cholesky_ex inv inv_ex solve solve_ex slogdet solve_triangular lu lu_factor lu_factor_ex "
                "lu_solve tensorinv tensorsolve qr householder_product".split()
            ),
            *_lib(
                "cholesky_inverse cholesky_solve lu_unpack triangular_solve svd_lowrank pca_lowrank geqrf orgqr ormqr"
            ),
        ),
        ("1e4", *_LARGE),
    ),
    Reason(
        "A few microseconds, of which the call takes a part: x.copy_(y), x.fill_ and v.tolist() ask what may be written and read",
        ("x.copy_(", "x.fill_(", "v.tolist()"),
        ("1e4",),
    ),
    Reason(
        "Views and small results: Python between a call and what it does",
        (
            *_lib(
                "vdot dot inner scalar_tensor moveaxis movedim select hsplit vsplit tensor_split flatten reshape "
                "broadcast_tensors ravel dsplit from_numpy unflatten as_strided narrow_copy empty empty_like empty_strided "
                "permute broadcast_to trace tensor diagonal swapaxes swapdims t transpose as_tensor chunk unsafe_chunk meshgrid "
                "unsafe_split_with_sizes split_with_sizes squeeze unsqueeze narrow unsafe_split split unbind atleast_1d "
                "atleast_2d atleast_3d real conj resolve_conj resolve_neg numel is_same_size"
            ),
            "linalg.diagonal(A)",
            "empty_permuted(",
            "x[0, 0].item()",
            "x[::2, 1:]",
            "x.new_zeros(",
            "x.unfold(",
        ),
    ),
    Reason(
        "Small: arguments that are checked in Python at each call, or a call of NumPy's or LAPACK's, take a microsecond or more",
        ("",),
        ("1e2",),
    ),
    Reason(
        "Made of other functions, each of which reads and writes memory",
        (
            *_lib("vander nansum renorm cartesian_prod block_diag triu_indices tril_indices"),
            "F.pdist(",
            "linalg.cross(",
            "linalg.vander(",
            "F.one_hot(",
            *_lib("cov corrcoef addr logdet combinations"),
        ),
    ),
)
