"""Differences between random programs in numgrad and in torch that are known, each with its reason."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.engine.statements import Statement


class Excuse(NamedTuple):
    """A difference that docs/autograd.md tells of, or that lies in torch: patterns of all that is known of it."""

    reason: str
    what: str = ""
    statement: str = ""
    ours: str = ""  # the error; "-" is none
    theirs: str = ""

    def holds(self, what: str, statement: Statement, ours: Exception | None, theirs: Exception | None) -> bool:
        return all(
            re.search(pattern, text)
            for pattern, text in (
                (self.what, what),
                (self.statement, statement.text),
                (self.ours, described(ours)),
                (self.theirs, described(theirs)),
            )
        )


def described(error: Exception | None) -> str:
    return "-" if error is None else f"{type(error).__name__}: {error}"


NONE, REFUSED = "^-$", "^(refused|class)"
SIGNATURE = (
    r"TypeError.*(unexpected keyword|invalid combination of arguments|missing|must be [\w ]+, not|takes \d+ positional)"
)
FLAT = "(heaviside|nextafter|floor_divide)"
DECOMPOSITIONS = (
    r"inv|solve|lstsq|cholesky|eig|svd|qr|lu_factor|\blu\(|lu_unpack|householder|matrix_power|pinv|lu_solve"
)
EXCUSES = [
    Excuse(
        "to torch a view made before its base required a gradient is a leaf",
        REFUSED,
        "",
        NONE,
        "a leaf Variable that requires grad",
    ),
    Excuse(
        "an operand that overlaps with what is written is read as it was before",
        REFUSED,
        "",
        "",
        "unsupported operation: some elements of",
    ),
    Excuse(
        "what an expanded view shows many times is written by fill_ alone",
        REFUSED,
        "",
        "more than one element of the written-to tensor",
        NONE,
    ),
    Excuse("numgrad's backward reads less than torch's", REFUSED, "", NONE, "modified by an inplace operation"),
    Excuse("numbers of NumPy are assigned as Python's are", REFUSED, "", "", "can't assign a numpy"),
    Excuse("torch has written a part before it refuses", "^values", "", "[a-z]", "[a-z]"),
    Excuse(
        "torch changes a leaf that requires a gradient, if by a flat function",
        REFUSED,
        r"logical_\w+_\(|(ceil|floor|round|trunc|sign)_\(",
        "a leaf Variable that requires grad",
        NONE,
    ),
    Excuse("what an index takes is row-major", "^(strides|contiguous)", r"\w\[.*(tensor|array|\[\d|t\d|>)"),
    Excuse("with two bounds it is two changes", "^version", r"clamp_\(.*, "),
    Excuse("bools are clamped by numbers, too", REFUSED, "clamp", NONE, "not implemented for 'Bool'"),
    Excuse(
        "torch's assignment of a number by bytes", REFUSED, "uint8", NONE, "masked_fill_ only supports boolean masks"
    ),
    Excuse("a bool of NumPy's is a bool", "^(dtype|values|refused|class)", "np.bool_"),
    Excuse(
        "what is assigned is converted",
        REFUSED,
        r"\[",
        NONE,
        "Index put requires the source and destination dtypes match",
    ),
    Excuse("what is assigned is converted", REFUSED, r"\[", NONE, "value cannot be converted to type"),
    Excuse("bools have a largest", REFUSED, "argm", NONE, "does not support bool input"),
    Excuse(
        "numbers that the dtype does not have are refused",
        REFUSED,
        "",
        "cannot be converted to type .* without overflow",
        NONE,
    ),
    Excuse("an integer is no part of a graph", REFUSED, "", NONE, "Autograd not support dtype"),
    Excuse("channels that are last stay so in fewer layers", "^(strides|contiguous)", r"F\.(group_norm|pad)"),
    Excuse("torch takes a softmax of no integers", REFUSED, "softmax", "softmax. not implemented", NONE),
    Excuse(
        "torch wraps numbers to compare",
        "^values",
        r"\b(eq|ne|lt|le|gt|ge|less|less_equal|greater|greater_equal|not_equal)_?\(",
    ),
    Excuse("gelu of infinity is infinite", "^values", "gelu"),
    Excuse("what is filled by a mask lies as it did", "^(strides|contiguous)", r"masked_fill\(|where\("),
    Excuse("a power lies as its exponent", "^(strides|contiguous)", r"\*\* t"),
    Excuse("squares of large numbers do not overflow", "^values", "normalize"),
    Excuse("of two faults another is told first", "^class", "argm", "", "does not support bool"),
    Excuse("a quotient by 0 is refused", REFUSED, r"\*\*|np.bool_", "ZeroDivisionError", NONE),
    Excuse("a product changes no shape in place", REFUSED, "@=", "@=: the product has shape", NONE),
    Excuse(
        "numbers are converted to the dtype of a new tensor", REFUSED, "new_tensor", NONE, "cannot be interpreted as an"
    ),
    Excuse("bools have powers", REFUSED, r"pow|\*\*", NONE, "\"pow\" not implemented for 'Bool'"),
    Excuse("new data of another shape or dtype counts as a change", "^version", r"\.data( [^=]*)?= "),
    Excuse(
        "of two faults another is told first",
        "^class",
        "",
        "IndexError",
        "a leaf Variable that requires grad|shape mismatch|Index put requires",
    ),
    Excuse("numbers are taken where torch wants tensors", REFUSED, r"(maximum|minimum)\(", NONE, "must be Tensor, not"),
]
# Of the calls of `surface`, on top of these.
SURFACE_EXCUSES = [
    Excuse("complex numbers are refused", REFUSED, r"lib\.(complex|polar|view_as_complex)\("),
    Excuse(
        "geqrf has no derivative in either library",
        REFUSED,
        "geqrf",
        "the derivative for 'geqrf' is not implemented",
        NONE,
    ),
    Excuse("pivots are no matrix of integers to cut triangles from", REFUSED, "lu_unpack", "band: Expected", NONE),
    Excuse("what is NaN stays so", "^values", "igamma|polynomial|bessel"),
    Excuse("attention adds examples first", "^(strides|contiguous)", "multi_head_attention_forward"),
    Excuse("of two faults another is told first", "^class", "(gru|lstm|rnn_tanh|rnn_relu)(_cell)?"),
    Excuse("what is not implemented says so", REFUSED, "", "NotImplementedError"),
    Excuse("torch factors on the CPU with pivots alone", REFUSED, "lu", NONE, "not implemented on the CPU"),
    Excuse("parts that torch calls unsafe are views like others", "^version", "unsafe_"),
    Excuse(
        "torch has no kernel for a dtype",
        REFUSED,
        "",
        NONE,
        "not implemented for '|supported for (Bool|bool)|not differentiable with",
    ),
    Excuse("a function takes what its other homes take, and numbers as tensors", REFUSED, "", NONE, SIGNATURE),
    Excuse("of two faults another is told first", "^class", "", "", SIGNATURE),
    Excuse(
        "torch's functions beside those of nn.functional reduce nothing by default",
        "^shape",
        r"lib\.(\w+_loss|kl_div|\w+_logits)\(",
    ),
    Excuse("of equal elements another is shown", "^values", r"topk|kthvalue|sort\(|mode\("),
    Excuse(
        "a flat function has no gradient, also in place",
        REFUSED,
        FLAT + r"_\(",
        "derivative for .* is not implemented",
        NONE,
    ),
    Excuse("what is not finite is refused by LAPACK's callers alike", REFUSED, "", "LinAlgError.*non-finite", NONE),
    Excuse("a result that is written elsewhere has no gradient", REFUSED, "out=", "functions with out=", NONE),
    Excuse("a result is converted to out's dtype", REFUSED, "out=", NONE, "out, but got"),
    Excuse("memory that a result is given is row-major", "^(strides|contiguous)", "out="),
    Excuse("rows that differ are row-major", "^(strides|contiguous)", "unique"),
    Excuse("losses take their reduction by name", REFUSED, "_loss", "which stands before 'reduction'", NONE),
    Excuse(
        "of several NaN the first is the largest", "^values", "adaptive_max_pool.*return_indices|adaptive_max_pool1d"
    ),
    Excuse("the determinant of NaN has a sign", "^values", "slogdet"),
    Excuse("what is dropped out is of floating point", REFUSED, "dropout", "expected numgrad.float32", NONE),
    Excuse("i0 of infinity is infinite", "^values", "i0"),
    Excuse("factors and solutions are row-major", "^(strides|contiguous)", DECOMPOSITIONS),
    Excuse("positions are row-major", "^(strides|contiguous)", "nonzero|unravel_index|argwhere"),
    Excuse("integers do not become bools again", REFUSED, r"cum(sum|prod)_\(", "Long can't be cast"),
]

# In programs of `surface`: what torch takes for differentiable, though its backward is refused or forgotten.
FORGOTTEN = re.compile(
    rf"{FLAT}|(logical_(not|and|or|xor)|ge|gt|le|lt|eq|ne|less|greater|less_equal|greater_equal|not_equal)_\("
    "|as_strided_scatter|lstsq|unique|histogram|bessel|matrix_power"
    # Where torch's gradient is wrong: by 2 to a negative power; of exponentials of matrices, if it is large; of sinc near 0; of
    # extremes without the tensor's own; beside integers whose squares overflow; of prelu's at 0, in the
    # second order; and where the function itself is NaN.
    r"|ldexp|matrix_exp|sinc|_reduce.*am.*include_self=False|a(rc)?tan2_\(|prelu|a(rc)?cosh"
)
# What torch's backward alone refuses.
NOT_OURS = (
    "modified by an inplace operation",
    "derivative for .* is not implemented",
    "In-place (elu|leakyReLu) backward calculation",
    "INTERNAL ASSERT FAILED",
    "Negation, the `-` operator, on a bool tensor",
    "is not differentiable with respect to argument",
    "This view is the output of a function that returns multiple views",
    "Subtraction, the `-` operator, with a bool tensor is not supported",
)
