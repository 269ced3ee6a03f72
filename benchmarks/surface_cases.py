"""The calls that ``python -m benchmarks.surface`` times: for each public function a line of Python that both libraries run.

``lib`` is numgrad or torch, ``F`` its ``nn.functional``; the other names are operands (`surface_operands`). A test sees to it
that no public function is forgotten.
"""

from __future__ import annotations

# A call, with {} in the place of the names that follow it.
CALLS: tuple[tuple[str, str], ...] = (
    # ---- pointwise, of one tensor of values between 0.1 and 0.9
    (
        "lib.{}(x)",
        "abs acos acosh angle asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 "
        "expm1 floor frac frexp i0 isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logit "
        "logical_not nan_to_num neg positive rad2deg reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt "
        "square tan tanh trunc conj_physical clone",
    ),
    # ---- of one tensor of values between -2 and 2
    ("lib.{}(z)", "selu celu abs relu sigmoid tanh erf exp expm1 sin"),
    (
        "F.{}(z)",
        "elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu6 silu softplus softshrink "
        "softsign tanhshrink glu",
    ),
    ("lib.special.{}(x)", "entr erfcx i0e i1 i1e log_ndtr ndtr ndtri"),
    ("lib.acosh(w)", "acosh"),
    ("lib.bitwise_not(i)", "bitwise_not"),
    (
        "lib.special.{}(w)",
        "airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 "
        "scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0",
    ),
    (
        "lib.special.{}(x, i)",
        "chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w hermite_polynomial_h "
        "hermite_polynomial_he laguerre_polynomial_l legendre_polynomial_p shifted_chebyshev_polynomial_t "
        "shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w",
    ),
    # ---- pointwise, of two tensors
    (
        "lib.{}(x, y)",
        "add atan2 copysign div eq float_power floor_divide fmax fmin fmod ge gt heaviside hypot isclose le logaddexp "
        "logaddexp2 logical_and logical_or logical_xor lt maximum minimum mul ne nextafter pow remainder rsub sub xlogy "
        "allclose equal dist",
    ),
    ("lib.special.{}(x, y)", "xlog1py"),
    ("lib.special.{}(w, y)", "zeta"),
    ("lib.{}(x, y)", "igamma igammac"),
    ("lib.{}(i, j)", "bitwise_and bitwise_or bitwise_xor gcd lcm"),
    ("lib.{}(i, 2)", "bitwise_left_shift bitwise_right_shift"),
    ("lib.{}(x, i)", "ldexp"),
    ("lib.{}(1, x)", "polygamma"),
    ("lib.{}(w, 2)", "mvlgamma"),
    # ---- pointwise, of several
    ("lib.{}(x, y, 0.3)", "lerp"),
    ("lib.{}(x, y, w)", "addcdiv addcmul"),
    ("lib.{}(m, x, y)", "where"),
    ("lib.{}(x, 0.2, 0.8)", "clamp"),
    ("lib.{}(x, 0.5)", "clamp_max clamp_min fill"),
    ("lib.{}(x, m, 2.0)", "masked_fill"),
    ("F.{}(x, 0.5, 0.1)", "threshold"),
    ("F.{}(x, v)", "prelu"),
    ("F.{}(x, training=True)", "rrelu dropout"),
    ("lib.renorm(x, 2, 0, 1.0)", "renorm"),
    # ---- reductions
    (
        "lib.{}(x)",
        "all any amax amin aminmax argmax argmin max mean median min nanmean nanmedian nansum norm prod std std_mean sum "
        "var var_mean count_nonzero trace numel",
    ),
    ("lib.{}(x, dim=0)", "sum mean amax std cumsum softmax log_softmax logsumexp argmax cummax median sort"),
    (
        "lib.{}(x, dim=1)",
        "all any amax amin argmax argmin max mean median min mode nanmean nansum prod std var logsumexp "
        "count_nonzero cummax cummin cumprod cumsum logcumsumexp softmax log_softmax argsort sort norm nanmedian "
        "trapezoid cumulative_trapezoid diff",
    ),
    ("F.softmin(x, dim=1)", "softmin"),
    ("lib.{}(x, 0.3, dim=1)", "quantile nanquantile"),
    # ---- sorting and searching
    ("lib.{}(x, 5)", "topk kthvalue"),
    ("lib.{}(x)", "msort"),
    ("lib.searchsorted(sorted_v, x)", "searchsorted"),
    ("lib.bucketize(x, sorted_v)", "bucketize"),
    ("lib.unique(i)", "unique"),
    ("lib.unique_consecutive(i)", "unique_consecutive"),
    ("lib.histc(x, 50)", "histc"),
    ("lib.histogram(x, 50)", "histogram"),
    ("lib.bincount(i.reshape(-1))", "bincount"),
    ("lib.isin(i, rows)", "isin"),
    ("lib.histogramdd(points, 5)", "histogramdd"),
    ("lib.gradient(x)", "gradient"),
    # ---- indexing
    ("lib.{}(x, 1, i)", "gather"),
    ("lib.take_along_dim(x, i, 1)", "take_along_dim"),
    ("lib.{}(x, i)", "take"),
    ("lib.{}(x, 1, rows)", "index_select"),
    ("lib.index_select(x, 0, rows)", "index_select"),
    ("lib.{}(x, 0, rows, y)", "index_add index_copy"),
    ("lib.index_reduce(x, 0, rows, y, 'amax')", "index_reduce"),
    ("lib.{}(x, 0, rows, 1.0)", "index_fill"),
    ("lib.index_put(x, (rows,), y)", "index_put"),
    ("lib.{}(x, 1, i, y)", "scatter scatter_add"),
    ("lib.scatter_add(x, 0, i, y)", "scatter_add"),
    ("lib.scatter_reduce(x, 1, i, y, 'amax')", "scatter_reduce"),
    ("lib.{}(x, m)", "masked_select"),
    ("lib.masked_scatter(x, m, y)", "masked_scatter"),
    ("lib.{}(m)", "nonzero argwhere"),
    ("lib.nonzero_static(m, size=10)", "nonzero_static"),
    ("lib.put(x, i, y)", "put"),
    ("x[m]", "getitem"),
    ("x[rows]", "getitem"),
    ("x[:, rows]", "getitem"),
    ("x[::2, 1:]", "getitem"),
    ("lib.{}(x, v, 0, 1)", "select_scatter"),
    ("lib.slice_scatter(x, y[:2], 0, 0, 2)", "slice_scatter"),
    ("lib.diagonal_scatter(x, v)", "diagonal_scatter"),
    ("lib.as_strided_scatter(x, v, (len(v),), (1,), 0)", "as_strided_scatter"),
    ("lib.unravel_index(i, x.shape)", "unravel_index"),
    # ---- shapes
    (
        "lib.{}(x)",
        "atleast_1d atleast_2d atleast_3d t ravel flatten fliplr flipud squeeze triu tril rot90 diagonal diag "
        "unbind real conj resolve_conj resolve_neg",
    ),
    ("lib.{}(x, (1,))", "flip"),
    ("lib.{}(x, 7, 1)", "roll"),
    ("lib.roll(x, 7, 0)", "roll"),
    ("lib.{}(x, 0, 1)", "swapaxes swapdims transpose movedim moveaxis"),
    ("lib.transpose(x, 0, 1).contiguous()", "contiguous"),
    ("lib.{}(x, (1, 0))", "permute"),
    ("lib.{}(x, 2)", "chunk tensor_split hsplit vsplit split unsafe_chunk unsafe_split"),
    ("lib.dsplit(x[:, :, None].expand(-1, -1, 2), 2)", "dsplit"),
    ("lib.{}(x, [2, len(v) - 2])", "split_with_sizes unsafe_split_with_sizes"),
    ("lib.{}(x, (2, 1))", "tile"),
    ("x.repeat(2, 1)", "repeat"),
    ("lib.{}(x, 2, 1)", "repeat_interleave"),
    ("lib.{}(x, 0)", "unsqueeze"),
    ("lib.{}(x, (-1,))", "reshape"),
    ("lib.{}(x, 0, 1, 2)", "narrow narrow_copy"),
    ("lib.{}(x, 0, 1)", "select"),
    ("lib.{}(v)", "diag_embed diagflat vander"),
    ("lib.{}([x, y])", "cat stack hstack vstack dstack column_stack"),
    ("lib.block_diag(A, B)", "block_diag"),
    ("lib.{}(x, y)", "broadcast_tensors is_same_size"),
    ("lib.{}(v, x.shape)", "broadcast_to"),
    ("lib.meshgrid(v, v, indexing='ij')", "meshgrid"),
    ("lib.cartesian_prod(v[:30], v[:30])", "cartesian_prod"),
    ("lib.combinations(v[:30])", "combinations"),
    ("lib.as_strided(x, (2, 2), (2, 1))", "as_strided"),
    ("lib.unflatten(x, 1, (2, -1))", "unflatten"),
    ("x.unfold(1, 3, 2)", "unfold"),
    # ---- products
    ("lib.{}(x, y)", "matmul mm"),
    ("lib.{}(x, v)", "mv"),
    ("lib.{}(v, v)", "dot inner outer vdot"),
    ("lib.{}(v, x, y)", "addmm"),
    ("lib.{}(v, x, v)", "addmv"),
    ("lib.{}(x, v, v)", "addr"),
    ("lib.{}(stack, stack)", "bmm"),
    ("lib.{}(A, stack, stack)", "baddbmm addbmm"),
    ("lib.{}(A[:8, :8], A)", "kron"),
    ("lib.einsum('ij,jk->ik', x, y)", "einsum"),
    ("lib.einsum('bij,bjk->bik', stack, stack)", "einsum"),
    ("lib.einsum('ij,ij->', x, y)", "einsum"),
    ("lib.tensordot(x, y, 1)", "tensordot"),
    ("lib.chain_matmul(A, A, A)", "chain_matmul"),
    ("lib.cdist(points, points)", "cdist"),
    ("F.pdist(points)", "pdist"),
    ("lib.linalg.cross(points, points)", "cross"),
    ("lib.{}(points)", "cov corrcoef"),
    ("F.{}(x, y)", "cosine_similarity pairwise_distance"),
    ("F.linear(x, y, v)", "linear"),
    ("F.bilinear(points, points, cube)", "bilinear"),
    # ---- linear algebra
    (
        "lib.linalg.{}(A)",
        "cholesky cholesky_ex cond det eigh eigvalsh inv inv_ex matrix_exp matrix_norm matrix_rank pinv qr slogdet "
        "svd svdvals lu lu_factor lu_factor_ex norm vector_norm diagonal",
    ),
    ("lib.linalg.{}(A, B)", "solve solve_ex lstsq vecdot"),
    ("lib.linalg.solve_triangular(A, B, upper=True)", "solve_triangular"),
    ("lib.linalg.matrix_power(A, 3)", "matrix_power"),
    ("lib.linalg.multi_dot([A, B, A])", "multi_dot"),
    ("lib.linalg.vander(v[:9])", "vander"),
    ("lib.linalg.lu_solve(*lib.linalg.lu_factor(A), B)", "lu_solve"),
    ("lib.linalg.householder_product(A, A[0])", "householder_product"),
    ("lib.linalg.tensorinv(A, 1)", "tensorinv"),
    ("lib.linalg.tensorsolve(A, A[0])", "tensorsolve"),
    ("lib.linalg.solve(spd, stack)", "solve"),
    ("lib.linalg.cholesky(spd)", "cholesky"),
    ("lib.logdet(A)", "logdet"),
    ("lib.geqrf(A)", "geqrf"),
    ("lib.orgqr(A, A[0])", "orgqr"),
    ("lib.ormqr(A, A[0], B)", "ormqr"),
    ("lib.lu_unpack(*lib.linalg.lu_factor(A))", "lu_unpack"),
    ("lib.svd_lowrank(A)", "svd_lowrank"),
    ("lib.pca_lowrank(A)", "pca_lowrank"),
    ("lib.cholesky_inverse(A)", "cholesky_inverse"),
    ("lib.cholesky_solve(B, A)", "cholesky_solve"),
    ("lib.triangular_solve(B, A)", "triangular_solve"),
    # ---- making tensors
    ("lib.{}(x)", "empty_like ones_like zeros_like rand_like randn_like bernoulli poisson"),
    ("lib.{}(*x.shape)", "empty ones zeros rand randn"),
    ("lib.{}(x, 2.0)", "full_like"),
    ("lib.full(x.shape, 2.0)", "full"),
    ("lib.{}(x.numel())", "arange randperm bartlett_window blackman_window hamming_window hann_window kaiser_window"),
    ("lib.{}(0.0, 1.0, x.numel())", "linspace logspace"),
    ("lib.{}(0, 9, x.shape)", "randint"),
    ("lib.{}(x, 0, 9)", "randint_like"),
    ("lib.range(0, x.numel())", "range"),
    ("lib.eye(len(v))", "eye"),
    ("lib.normal(x, y)", "normal"),
    ("lib.multinomial(x, 3)", "multinomial"),
    ("lib.binomial(w.round() * 10, x)", "binomial"),
    ("lib.{}(len(v), len(v))", "tril_indices triu_indices"),
    ("lib.tensor([[1.0, 2.0], [3.0, 4.0]])", "tensor"),
    ("lib.as_tensor(array)", "as_tensor"),
    ("lib.from_numpy(array)", "from_numpy"),
    ("lib.scalar_tensor(2.0)", "scalar_tensor"),
    ("lib.empty_strided((2, 3), (3, 1))", "empty_strided"),
    ("lib.empty_permuted((2, 3), (1, 0))", "empty_permuted"),
    ("x.double()", "double"),
    ("x.half()", "half"),
    ("x.long()", "long"),
    ("x.new_zeros(2, 3)", "new_zeros"),
    ("x.copy_(y)", "copy_"),
    ("x.fill_(0.5)", "fill_"),
    ("e.uniform_()", "uniform_"),
    ("e.normal_()", "normal_"),
    ("e.exponential_()", "exponential_"),
    ("e.cauchy_()", "cauchy_"),
    ("e.log_normal_()", "log_normal_"),
    ("e.geometric_(0.3)", "geometric_"),
    ("e.random_()", "random_"),
    ("e.bernoulli_(0.3)", "bernoulli_"),
    ("x[0, 0].item()", "item"),
    ("v.tolist()", "tolist"),
    # ---- convolutions
    ("F.conv1d(line, kernel1)", "conv1d"),
    ("F.conv2d(image, kernel2, padding=1)", "conv2d"),
    ("F.conv3d(volume, kernel3)", "conv3d"),
    ("F.conv_transpose1d(line, kernel1)", "conv_transpose1d"),
    ("F.conv_transpose2d(image, kernel2)", "conv_transpose2d"),
    ("F.conv_transpose3d(volume, kernel3)", "conv_transpose3d"),
    ("F.unfold(image, 3)", "unfold"),
    ("F.fold(F.unfold(image, 2, stride=2), image.shape[-2:], 2, stride=2)", "fold"),
    # ---- pooling, resampling
    ("F.{}(line, 2)", "max_pool1d avg_pool1d"),
    ("F.{}(image, 2)", "max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d"),
    ("F.{}(volume, 2)", "max_pool3d avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d"),
    ("F.{}(line, 4)", "adaptive_avg_pool1d adaptive_max_pool1d"),
    ("F.{}(line, 2, 2)", "lp_pool1d"),
    ("F.lp_pool2d(image, 2, 2)", "lp_pool2d"),
    ("F.fractional_max_pool2d(image, 2, 3)", "fractional_max_pool2d"),
    ("F.fractional_max_pool3d(volume, 2, 2)", "fractional_max_pool3d"),
    ("F.lp_pool3d(volume, 2, 2)", "lp_pool3d"),
    ("F.max_unpool1d(*F.max_pool1d(line, 2, return_indices=True), 2)", "max_unpool1d"),
    ("F.max_unpool2d(*F.max_pool2d(image, 2, return_indices=True), 2)", "max_unpool2d"),
    ("F.max_unpool3d(*F.max_pool3d(volume, 2, return_indices=True), 2)", "max_unpool3d"),
    ("F.interpolate(image, scale_factor=2, mode='nearest')", "interpolate"),
    ("F.interpolate(image, scale_factor=2, mode='bilinear')", "interpolate"),
    ("F.interpolate(image, scale_factor=2, mode='bicubic')", "interpolate"),
    ("F.grid_sample(image, grid, align_corners=False)", "grid_sample"),
    ("F.affine_grid(theta, image.shape, align_corners=False)", "affine_grid"),
    ("F.pixel_shuffle(image, 2)", "pixel_shuffle"),
    ("F.pixel_unshuffle(image, 2)", "pixel_unshuffle"),
    ("F.channel_shuffle(image, 2)", "channel_shuffle"),
    ("F.pad(image, (1, 2, 3, 4))", "pad"),
    ("lib.constant_pad_nd(image, (1, 2))", "constant_pad_nd"),
    ("F.pad(image, (1, 2, 3, 2), mode='reflect')", "pad"),
    ("F.{}(image, training=True)", "alpha_dropout dropout2d feature_alpha_dropout"),
    ("F.dropout1d(line, training=True)", "dropout1d"),
    ("F.dropout3d(volume, training=True)", "dropout3d"),
    # ---- norms
    ("F.batch_norm(image, None, None, training=True)", "batch_norm"),
    ("F.group_norm(image, 2)", "group_norm"),
    ("F.instance_norm(image)", "instance_norm"),
    ("F.layer_norm(x, x.shape[1:], v, v)", "layer_norm"),
    ("F.rms_norm(x, x.shape[1:], v)", "rms_norm"),
    ("F.local_response_norm(image, 3)", "local_response_norm"),
    ("F.normalize(x)", "normalize"),
    ("F.gumbel_softmax(x)", "gumbel_softmax"),
    # ---- losses
    (
        "F.{}(x, y)",
        "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div "
        "poisson_nll_loss multilabel_soft_margin_loss",
    ),
    ("F.{}(x, signs)", "hinge_embedding_loss soft_margin_loss"),
    ("F.{}(x, classes)", "cross_entropy nll_loss multi_margin_loss"),
    ("F.cross_entropy(x, y)", "cross_entropy"),
    ("F.{}(x, y, w)", "gaussian_nll_loss triplet_margin_loss triplet_margin_with_distance_loss"),
    ("F.cosine_embedding_loss(x, y, signs[0])", "cosine_embedding_loss"),
    ("F.margin_ranking_loss(x, y, signs)", "margin_ranking_loss"),
    ("F.multilabel_margin_loss(x, i)", "multilabel_margin_loss"),
    ("F.ctc_loss(F.log_softmax(x, 1)[:, None], classes[None, :9] % 5 + 1, (len(v),), (9,))", "ctc_loss"),
    ("F.linear_cross_entropy(x, y, classes)", "linear_cross_entropy"),
    # ---- tables and attention
    ("F.embedding(rows, x)", "embedding"),
    ("F.embedding_bag(i[:, :8], x)", "embedding_bag"),
    ("F.one_hot(classes, len(v))", "one_hot"),
    ("F.scaled_dot_product_attention(queries, queries, queries)", "scaled_dot_product_attention"),
    ("F.scaled_dot_product_attention(queries, queries, queries, is_causal=True)", "scaled_dot_product_attention"),
)

# Public functions without a line, and why.
NOT_TIMED: dict[str, str] = {
    name: why
    for why, names in {
        "it asks or sets, and computes nothing": "are_deterministic_algorithms_enabled broadcast_shapes can_cast "
        "get_deterministic_debug_mode get_device get_float32_matmul_precision get_rng_state initial_seed is_complex is_conj "
        "is_contiguous is_deterministic_algorithms_warn_only_enabled is_floating_point is_inference is_neg is_pinned is_signed "
        "is_tensor manual_seed ndimension seed set_deterministic_debug_mode set_float32_matmul_precision set_flush_denormal "
        "set_printoptions set_rng_state type typename use_deterministic_algorithms "
        "dense_dim is_set_to is_shared is_storage sparse_dim",
        "it hands memory to another library": "__array_namespace__ __buffer__ __dlpack__ __dlpack_device__ from_dlpack "
        "to_device to_dlpack",
        "it is refused here": "__complex__ complex cuda eig eigvals imag polar view_as_complex view_as_real",
        "timed by benchmarks.recurrent": "gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell",
        "another name for what is timed, or the same way to it": "adjoint alias_copy asarray backward "
        "detach_copy slice_copy frombuffer gammainc gammaincc "
        "multi_head_attention_forward spmm storage to_dense untyped_storage "
        "byte char concat concatenate expand_as inverse new "
        "new_empty new_empty_strided new_full new_ones new_tensor pin_memory pinverse reshape_as resize short sum_to_size trapz "
        "upsample upsample_bilinear upsample_nearest view view_as is_nonzero",
    }.items()
    for name in names.split()
}


# Calls whose time or memory grows faster than their operands, by the first size at which they are not timed: both libraries take
# a minute for each, or tens of gigabytes.
TOO_LONG = {
    "F.multilabel_margin_loss(": "1e7", "laguerre_polynomial_l(": "1e7", "legendre_polynomial_p(": "1e7", "lib.split(": "1e7",
    "lib.unbind(": "1e7", "lib.unsafe_split(": "1e7",
}  # fmt: skip


def cases(size: str = "1e2") -> list[str]:
    """The calls that are timed at a size, as Python text."""
    texts = [template.format(name) for template, names in CALLS for name in names.split()]
    return [text for text in texts if not any(part in text and size == at for part, at in TOO_LONG.items())]
