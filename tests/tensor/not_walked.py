"""What `test_derivatives` does not walk over at hostile arguments, by the reason."""

from __future__ import annotations

<<<<<<< HEAD
NOT_WALKED = {
    "say what a tensor or a dtype is": """
        can_cast count_nonzero get_device imag is_complex is_conj is_floating_point is_inference is_neg is_nonzero
        is_same_size is_signed is_tensor numel typename
    """,
    "are about the process": """
        are_deterministic_algorithms_enabled get_default_device get_deterministic_debug_mode get_float32_matmul_precision
        is_deterministic_algorithms_warn_only_enabled set_default_device set_default_tensor_type set_deterministic_debug_mode
        set_float32_matmul_precision set_flush_denormal set_printoptions use_deterministic_algorithms
    """,
    "give bools": """
        greater greater_equal isclose isinf isneginf isposinf isreal less less_equal logical_and logical_or logical_xor
        not_equal signbit
    """,
    "give integers or positions": """
        argsort argwhere bincount broadcast_shapes bucketize gcd lcm nonzero nonzero_static one_hot searchsorted tril_indices
        triu_indices unravel_index
    """,
    "make tensors": """
        bartlett_window blackman_window empty_strided hamming_window hann_window kaiser_window logspace range scalar_tensor
    """,
    "draw at random": "binomial gumbel_softmax multinomial normal poisson randint_like",
    "are flat, or have no derivative in either library": "heaviside histc histogram nextafter unique unique_consecutive",
    # torch's second derivative raises; as_strided_scatter's gradients are those of other elements. See `test_combinations`
    # and the tests of their families, by finite differences.
    "have a wrong derivative in torch": "as_strided_scatter vander",
}
FUNCTIONS_NOT_WALKED = {name for names in NOT_WALKED.values() for name in names.split()}
=======
# Ops.
OPS_NOT_WALKED = set(
    """
    acos acosh addcdiv addcmul angle asin asinh atan atan2 atanh band binary_cross_entropy celu cofactor copysign
    cosh ctc_loss cummax cummin cumprod cumsum diagonal digamma entr erfc erfcx erfinv exp2 flip fmax fmin fmod frac
    frexp_mantissa gru_layer hardshrink hardsigmoid hardswish hardtanh hypot i0 i0e i1 i1e igamma igammac
    kl_divergence kl_divergence_of_logs kthvalue lerp lgamma linalg_cholesky_ex linalg_det linalg_eigh
    linalg_eigvalsh linalg_inv_ex linalg_lstsq linalg_lu_factor_ex linalg_matrix_exp linalg_pinv linalg_qr
    linalg_slogdet linalg_solve_ex linalg_solve_triangular linalg_svd linalg_svdvals log10 log2 log_ndtr log_odds
    logaddexp logaddexp2 logcumsumexp lstm_layer mish nan_to_num ndtr ndtri polygamma recurrence resample rnn_layer
    scatter scatter_amax scatter_amin scatter_prod selu sinc sinh softshrink softsign sort tan threshold topk unfold
    with_diagonal xlog1py xlogy zeta
    """.split()
)

# Functions of numgrad and of nn.functional.
FUNCTIONS_NOT_WALKED = set(
    """
    absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    adaptive_max_pool3d addbmm addcdiv addcmul addmm addmv addr adjoint affine_grid alias_copy alpha_dropout aminmax
    angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh are_deterministic_algorithms_enabled argsort argwhere
    as_strided as_strided_copy as_strided_scatter asarray asin asinh atan atan2 atanh atleast_1d atleast_2d
    atleast_3d avg_pool1d avg_pool3d baddbmm bartlett_window bilinear binary_cross_entropy bincount binomial
    blackman_window block_diag broadcast_shapes broadcast_tensors broadcast_to bucketize can_cast cartesian_prod
    cdist celu chain_matmul channel_shuffle cholesky cholesky_inverse cholesky_solve clip column_stack combinations
    complex concat concatenate conj conj_physical constant_pad_nd conv1d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d copysign corrcoef cosh cosine_embedding_loss cosine_similarity count_nonzero cov cross ctc_loss
    cummax cummin cumprod cumsum cumulative_trapezoid deg2rad det detach_copy diag diag_embed diagflat diagonal
    diagonal_copy diagonal_scatter diff digamma dist divide dropout1d dropout2d dropout3d dsplit dstack einsum
    embedding_bag empty_permuted empty_strided erfc erfinv exp2 expand_copy feature_alpha_dropout fill fix flip
    fliplr flipud float_power fmax fmin fmod fold frac fractional_max_pool2d fractional_max_pool3d frexp frombuffer
    gaussian_nll_loss gcd geqrf ger get_default_device get_deterministic_debug_mode get_device
    get_float32_matmul_precision glu gradient greater greater_equal grid_sample gru gru_cell gumbel_softmax
    hamming_window hann_window hardshrink hardsigmoid hardswish hardtanh heaviside hinge_embedding_loss histc
    histogram histogramdd hsplit hstack hypot i0 igamma igammac imag index_add index_copy index_fill index_reduce
    inner instance_norm interpolate inverse is_complex is_conj is_deterministic_algorithms_warn_only_enabled
    is_floating_point is_inference is_neg is_nonzero is_same_size is_signed is_storage is_tensor isclose isin isinf
    isneginf isposinf isreal kaiser_window kl_div kron kthvalue lcm ldexp lerp less less_equal lgamma
    linear_cross_entropy local_response_norm log10 log2 logaddexp logaddexp2 logcumsumexp logdet logical_and
    logical_or logical_xor logit logspace logsumexp lp_pool1d lp_pool2d lp_pool3d lstm lstm_cell lu lu_solve
    lu_unpack margin_ranking_loss masked_scatter masked_select matrix_exp matrix_power max_pool1d max_pool3d
    max_unpool1d max_unpool2d max_unpool3d median meshgrid mish mode moveaxis movedim msort
    multi_head_attention_forward multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss multinomial
    multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile nansum narrow_copy negative nextafter nonzero
    nonzero_static normal not_equal numel one_hot orgqr ormqr outer pairwise_distance pca_lowrank pdist permute_copy
    pinverse pixel_shuffle pixel_unshuffle poisson poisson_nll_loss polar polygamma positive prelu put qr quantile
    rad2deg randint_like range ravel real relu6 renorm repeat_interleave resolve_conj resolve_neg rms_norm rnn_relu
    rnn_relu_cell rnn_tanh rnn_tanh_cell roll rot90 row_stack rrelu rsub scalar_tensor scatter scatter_reduce
    searchsorted select_copy select_scatter selu set_default_device set_default_tensor_type
    set_deterministic_debug_mode set_float32_matmul_precision set_flush_denormal set_printoptions sgn signbit sinc
    sinh slice_copy slice_scatter slogdet soft_margin_loss softmin softshrink softsign sort split_copy
    split_with_sizes split_with_sizes_copy spmm squeeze_copy std_mean subtract svd svd_lowrank swapaxes swapdims
    t_copy take take_along_dim tan tanhshrink tensor_split tensordot threshold tile topk trace transpose_copy
    trapezoid trapz triangular_solve tril tril_indices triplet_margin_loss triplet_margin_with_distance_loss triu
    triu_indices true_divide typename unbind_copy unflatten unfold unfold_copy unique unique_consecutive
    unravel_index unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze_copy upsample upsample_bilinear
    upsample_nearest use_deterministic_algorithms vander var_mean vdot view_as_complex view_as_real view_copy vmap
    vsplit vstack xlogy
    """.split()
)
>>>>>>> w-modules
