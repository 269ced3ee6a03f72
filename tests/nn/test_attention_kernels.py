"""What asks for a kernel of attention changes nothing."""

from __future__ import annotations

import pytest

import numgrad as ng
from numgrad.nn.attention import SDPBackend, sdpa_kernel


def test_contexts_leave_attention_as_it_is() -> None:
    q = ng.randn(2, 3, 4, 8)
    plain = ng.nn.functional.scaled_dot_product_attention(q, q, q)
    for context in (
        sdpa_kernel(SDPBackend.MATH),
        sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION], set_priority=True),
        ng.backends.cuda.sdp_kernel(enable_flash=True, enable_math=False, enable_mem_efficient=False),
    ):
        with context:
            assert ng.equal(ng.nn.functional.scaled_dot_product_attention(q, q, q), plain)
    ng.backends.cuda.enable_flash_sdp(True)
    ng.backends.cuda.enable_mem_efficient_sdp(False)
    assert ng.backends.cuda.math_sdp_enabled()
    assert not ng.backends.cuda.flash_sdp_enabled()


def test_numbers_are_those_of_torch() -> None:
    torch_attention = pytest.importorskip("torch.nn.attention")
    for each in SDPBackend:
        assert int(getattr(torch_attention.SDPBackend, each.name)) == each


@pytest.mark.parametrize("backends", ["flash", 1, [1], ["flash"], None])
def test_other_names_are_refused(backends: object) -> None:
    with pytest.raises(AssertionError, match="Backend must be an instance of SDPBackend"), sdpa_kernel(backends):  # type: ignore[arg-type]
        pass
