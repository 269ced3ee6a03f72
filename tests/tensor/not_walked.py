"""What `test_derivatives` does not walk over at hostile arguments, by the reason."""

from __future__ import annotations

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
