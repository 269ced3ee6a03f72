"""What `test_derivatives` does not walk over at hostile arguments, by the reason."""

from __future__ import annotations

NOT_WALKED = {
    "say what a tensor or a dtype is": """
        can_cast count_nonzero get_device imag is_complex is_conj is_floating_point is_inference is_neg is_nonzero
        is_same_size is_signed is_storage is_tensor numel typename
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
        argsort argwhere bincount broadcast_shapes bucketize gcd isin lcm nonzero nonzero_static one_hot searchsorted tril_indices
        triu_indices unravel_index
    """,
    "make tensors": """
        asarray bartlett_window blackman_window empty_permuted empty_strided frombuffer
        hamming_window hann_window kaiser_window logspace range scalar_tensor
    """,
    "draw at random": "binomial gumbel_softmax multinomial normal poisson randint_like",
    "are flat, or have no derivative in either library": """
        detach_copy geqrf heaviside histc histogram histogramdd nextafter unique unique_consecutive
    """,
    "refuse": "complex polar view_as_complex view_as_real",
    "take other functions, or are one of them": "vmap",
    # `test_recurrent`, `test_ctc`, `test_attention` and the tests of linear algebra do so at ordinary arguments.
    "are compared by finite differences elsewhere": """
        ctc_loss fractional_max_pool2d fractional_max_pool3d gru gru_cell igamma igammac lstm lstm_cell lu lu_solve lu_unpack
        multi_head_attention_forward orgqr ormqr pca_lowrank rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell svd_lowrank
    """,
    # torch's second derivative raises; as_strided_scatter's gradients are those of other elements. See `test_combinations`
    # and the tests of their families, by finite differences.
    "have a wrong derivative in torch": "as_strided_scatter vander",
}
FUNCTIONS_NOT_WALKED = {name for names in NOT_WALKED.values() for name in names.split()}
