"""Functions that programs seldom call: what they refuse, what they share, and gradients, beside torch.

Their values are compared in `tests/contracts/test_op_database`.
"""

from __future__ import annotations

import array
import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.errors import ABSENT

# ---- refusals ---------------------------------------------------------------------------------------------------

REFUSED = """
lib.cross(lib.ones(2), lib.ones(2))
lib.cross(lib.ones(2, 3), lib.ones(2, 3, dtype=lib.float64))
lib.cross(lib.ones(2, 3), lib.ones(3))
lib.cross(lib.ones(3, 3), lib.ones(3, 3), dim=5)
lib.isin(1, 2)
lib.isin(lib.tensor([True]), lib.tensor([1]))
lib.isin([1], lib.ones(2))
lib.ones(3).H
lib.ones(2, 2, 2).H
lib.ones(3).mH
lib.ones(3).adjoint()
lib.norm(lib.ones(2, 2, 2), "nuc")
lib.norm(lib.ones(2), "nuc")
lib.asarray([1], copy=False)
lib.asarray(lib.ones(2), dtype=lib.float64, copy=False)
lib.asarray(None)
lib.asarray([1], requires_grad=True)
lib.frombuffer(bytearray(8), dtype=lib.float32, count=3)
lib.frombuffer(bytearray(8), dtype=lib.float32, offset=9)
lib.frombuffer(bytearray(8), dtype=lib.float32, offset=3)
lib.frombuffer(bytearray(0), dtype=lib.float32)
lib.frombuffer(3, dtype=lib.float32)
lib.empty_permuted((2, 3), (0, 0))
lib.empty_permuted((2, 3), (0,))
lib.empty_permuted((2, 3), (0, 2))
lib.constant_pad_nd(lib.ones(2), (1,))
lib.gradient(lib.ones(2, 3), edge_order=2)
lib.gradient(lib.ones(2, 3), edge_order=3)
lib.gradient(lib.ones(2, 3), spacing=[1.0, 2.0], dim=1)
lib.gradient(lib.ones(2, 3), dim=(0, 0))
lib.gradient(lib.ones(3), dim=4)
lib.histogramdd(lib.ones(4), 3)
lib.histogramdd(lib.ones(4, 2), [3])
lib.histogramdd(lib.ones(4, 2), [3, 3], range=[0.0, 1.0])
lib.geqrf(lib.ones(2))
lib.ormqr(lib.ones(3, 2), lib.ones(2), lib.ones(2, 3))
lib.lu(lib.ones(2))
lib.lu_unpack(lib.ones(3, 3), lib.tensor([1, 2, 3]))
lib.lu_solve(lib.ones(3), *lib.linalg.lu_factor(lib.eye(3)))
lib.pca_lowrank(lib.ones(5, 4), q=9)
lib.pca_lowrank(lib.ones(5, 4), niter=-1)
lib.slice_copy(lib.ones(3), step=0)
lib.select_copy(lib.ones(3), 0, 5)
lib.view_as_real(lib.ones(3))
lib.spmm(lib.ones(3, 2), lib.ones(3, 3))
lib.signal.windows.hann(-1)
lib.signal.windows.hann(3, dtype=lib.int64)
lib.signal.windows.gaussian(3, std=-1.0)
lib.signal.windows.exponential(3, center=1.0)
lib.signal.windows.general_cosine(3, a=[])
lib.ones(2).untyped_storage()["a"]
lib.ones(2).untyped_storage()[100]
""".strip().splitlines()


def refusal(text: str, lib: Any) -> str:
    """The class of the error, of those that both libraries have."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 (which one is compared)
        eval(text, {"lib": lib})
    kinds = (IndexError, TypeError, ValueError, RuntimeError)
    return next(kind.__name__ for kind in kinds if isinstance(caught.value, kind))


@pytest.mark.parametrize("text", REFUSED)
def test_the_refusals_are_torchs(text: str, torch_says: Any) -> None:
    assert refusal(text, ng) == torch_says(lambda lib: refusal(text, lib))


# ---- values that the database does not have ---------------------------------------------------------------------

SAME = """
lib.cross(lib.arange(6.0).view(3, 2), lib.ones(3, 1))
lib.isin(lib.tensor([1, 2, 3]), 2, invert=True)
lib.isin(2, lib.tensor([1, 2]))
lib.isin(lib.tensor([1.0, float("nan")]), lib.tensor([float("nan"), 1.0]))
lib.isin(element=3, test_elements=lib.tensor([3]))
lib.asarray(bytearray(b"abcd"), dtype=lib.uint8)
lib.asarray([1, 2.5])
lib.asarray(3)
lib.norm(lib.arange(8.0).view(2, 2, 2), "nuc", dim=(0, 1))
lib.norm(lib.arange(4.0).view(2, 2), "nuc", keepdim=True)
lib.gradient(lib.tensor([1.0, 4.0, 9.0, 7.0]), spacing=(lib.tensor([0.0, 1.0, 3.0, 3.5]),), edge_order=2)[0]
lib.gradient(lib.arange(6).view(2, 3), spacing=2.0, dim=1)[0]
lib.histogramdd(lib.tensor([[0.1, 0.2], [0.5, 0.9], [2.0, 0.5]]), (2, 3), range=[0.0, 1.0, 0.0, 1.0], density=True).hist
lib.tensor([[1.0, 2.0], [3.0, 4.0]]).float(memory_format=lib.contiguous_format)
lib.take_along_dim(lib.arange(6).view(2, 3), lib.tensor([[-1], [0]]), 1)
lib.gather(lib.ones(5), 0, lib.zeros(2, 0, dtype=lib.int64))
lib.nn.functional.pad(lib.arange(16.0).view(1, 1, 4, 4), (-1, 1, -2, 1), "circular")
lib.lu(lib.tensor([[1.0, 2.0], [3.0, 4.0]]), get_infos=True)[2]
lib.lu_unpack(*lib.linalg.lu_factor(lib.tensor([[1.0, 2.0], [3.0, 4.0]])), unpack_data=False)[0]
lib.transpose_copy(lib.arange(6).view(2, 3), 0, 1)
lib.special.gammainc(lib.tensor([0.0, 2.0, 0.0]), lib.tensor([1.0, 0.0, 0.0]))
lib.igammac(lib.tensor([float("inf"), 2.0, -1.0]), lib.tensor([1.0, float("inf"), 1.0]))
lib.ones(2, 3).to_dense(dtype=lib.float64)
""".strip().splitlines()


@pytest.mark.parametrize("text", SAME)
def test_the_values_are_torchs(text: str, torch_says: Any) -> None:
    def value(lib: Any) -> Any:
        result = eval(text, {"lib": lib})
        if not hasattr(result, "tolist"):
            return result
        flat = [repr(round(float(each), 5)) for each in result.reshape(-1).tolist()]
        return [list(result.shape), str(result.dtype).partition(".")[2], flat]

    assert value(ng) == torch_says(value)


# torch's, once in a process.
@pytest.mark.filterwarnings(
    "ignore:Using torch.cross without:UserWarning", "ignore:torch.lu_solve is deprecated:UserWarning"
)
@pytest.mark.parametrize("text", ["x.cross(y)", "lib.cross(x, y, 1)", "lib.norm(x, 'nuc')", "lib.gradient(x, edge_order=2)[0]",
                                  "lib.permute_copy(x, (1, 0))", "lib.ormqr(x, x[0], y)", "lib.igamma(y.detach(), x * x + 1)",
                                  "lib.lu_solve(x, *lib.linalg.lu_factor(y + 3 * lib.eye(3)))", "lib.constant_pad_nd(x, (1, -1))",
                                  "lib.nn.functional.pad(x.view(1, 3, 3), (2, -1), 'circular')"])  # fmt: skip
def test_gradients_are_torchs(text: str, torch: ModuleType) -> None:
    results = []
    for lib in (ng, torch):
        x, y = (lib.tensor(np.cos(np.arange(9.0) ** 2 * k).reshape(3, 3)).requires_grad_() for k in (1, 2))
        out = eval(text, {"lib": lib, "x": x, "y": y})
        (out * out).sum().backward()
        results.append([out.detach().numpy(), *(each.grad.numpy() for each in (x, y) if each.grad is not None)])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-9, 1e-9)


# ---- memory -----------------------------------------------------------------------------------------------------


def test_copies_have_memory_of_their_own() -> None:
    x = ng.arange(6.0).view(2, 3)
    for copy in (
        ng.alias_copy(x),
        ng.view_copy(x, (3, 2)),
        ng.expand_copy(x[:1], (2, 3)),
        *ng.unbind_copy(x),
        *ng.split_copy(x, 1),
    ):
        assert copy.is_contiguous()
        assert copy.untyped_storage() != x.untyped_storage()
        assert copy._base is None


def test_arrays_and_buffers_share_their_memory() -> None:
    numbers, given, memory = array.array("d", [1.0, 2.0]), np.zeros(2), bytearray(4)
    x, y, z = ng.asarray(numbers, dtype=ng.float64), ng.asarray(given), ng.frombuffer(memory, dtype=ng.uint8, offset=1)
    x[0], y[0], z[0] = 5, 6, 7
    assert (numbers[0], given[0], memory[1]) == (5, 6, 7)
    assert ng.asarray(given, copy=True).data_ptr() != y.data_ptr()
    read_only = ng.asarray(b"ab", dtype=ng.uint8)
    read_only[0] = 0
    assert read_only.tolist() == [0, 98]
    with pytest.raises(ValueError, match="read-only"):
        ng.asarray(b"ab", dtype=ng.uint8, copy=False)


def test_asarray_and_gradients() -> None:
    x = ng.ones(2, requires_grad=True)
    y = x * 2
    assert ng.asarray(y) is y
    assert ng.asarray(y, requires_grad=False).grad_fn is None
    assert ng.asarray(y, dtype=ng.float64).grad_fn is not None
    assert ng.asarray(ng.ones(2), requires_grad=True).requires_grad


def test_storages() -> None:
    x = ng.arange(6.0).view(2, 3)
    storage = x.t().storage()
    assert (len(storage), storage.tolist(), storage.dtype) == (6, [0, 1, 2, 3, 4, 5], ng.float32)
    assert storage == x[1].storage() != x.clone().storage()
    assert x[1].untyped_storage().data_ptr() == x.data_ptr()
    assert len(set(map(hash, (x.storage(), x[0].storage())))) == 1
    assert bytes(x.untyped_storage())[:8] == np.arange(2, dtype=np.float32).tobytes()
    assert ng.is_storage(storage)
    assert ng.is_storage(storage.untyped())
    assert ng.zeros(0).storage().tolist() == []
    assert ng.tensor([1.5]).bfloat16().storage().tolist() == [1.5]


def test_tensors_are_swapped() -> None:
    x, p = ng.zeros(2), ng.nn.Parameter(ng.ones(3))
    x.label = "x"
    p.grad = ng.ones(3)
    ng.utils.swap_tensors(x, p)
    assert isinstance(x, ng.nn.Parameter)
    assert type(p) is ng.Tensor
    assert (x.tolist(), p.tolist(), p.label, x.grad.tolist()) == ([1, 1, 1], [0, 0], "x", [1, 1, 1])
    (x * 2).sum().backward()
    assert x.grad.tolist() == [3, 3, 3]


def test_what_refers_to_a_tensor_keeps_it_from_being_swapped() -> None:
    x, y = ng.zeros(2, requires_grad=True), ng.ones(2)
    z = x * 2
    for other, match in ((z, "part of a graph"), (y[:1], "is a view"), (3, "must be Tensor")):
        with pytest.raises((RuntimeError, TypeError), match=match):
            ng.utils.swap_tensors(y, other)
    with pytest.raises(RuntimeError, match="part of a graph"):
        ng.utils.swap_tensors(y, x)
    assert y.tolist() == [1, 1]


# ---- others -----------------------------------------------------------------------------------------------------


def test_the_largest_components_are_those_of_the_whole_decomposition() -> None:
    ng.manual_seed(0)
    a = ng.randn(3, 8, 3, dtype=ng.float64) @ ng.randn(3, 3, 6, dtype=ng.float64)
    for matrix in (a, a.mT):
        u, s, v = ng.svd_lowrank(matrix, q=3)
        ng.testing.assert_close((u * s.unsqueeze(-2)) @ v.mT, matrix)
        ng.testing.assert_close(s, ng.linalg.svdvals(matrix)[..., :3])
    centred = a - a.mean(-2, keepdim=True)
    u, s, v = ng.pca_lowrank(a, q=3)
    ng.testing.assert_close((u * s.unsqueeze(-2)) @ v.mT, centred)


def test_reflections_of_a_factorization_give_it_back() -> None:
    a = ng.randn(2, 5, 3, dtype=ng.float64)
    reflections, tau = ng.geqrf(a)
    upper = ng.cat([reflections.triu()[:, :3], ng.zeros(2, 2, 3, dtype=ng.float64)], 1)
    ng.testing.assert_close(ng.ormqr(reflections, tau, upper), a)
    ng.testing.assert_close(ng.orgqr(reflections, tau), ng.linalg.qr(a).Q)
    with pytest.raises(RuntimeError, match="derivative for 'geqrf'"):
        ng.geqrf(a.requires_grad_())


def test_gradients_of_halves_are_clipped() -> None:
    for dtype in (ng.float16, ng.bfloat16):
        p = ng.zeros(2, dtype=dtype, requires_grad=True)
        p.grad = ng.tensor([3.0, 4.0], dtype=dtype)
        norm = ng.nn.utils.clip_grad_norm_([p], 1.0)
        assert (norm.dtype, norm.item(), p.grad.dtype) == (dtype, 5.0, dtype)
        np.testing.assert_allclose(p.grad.tolist(), [0.6, 0.8], 1e-2)


@pytest.mark.parametrize("name", ["rand_like", "randn_like", "empty_like", "zeros_like"])
def test_what_is_like_a_tensor_lies_like_it(name: str) -> None:
    image = ng.zeros(2, 3, 4, 5).to(memory_format=ng.channels_last)
    for x in (image, ng.zeros(3, 2).t()):
        like = getattr(ng, name)(x)
        assert like.stride() == x.stride()
        assert getattr(ng, name)(x, memory_format=ng.contiguous_format).is_contiguous()
    assert ng.randint_like(ng.zeros(3, 2).t(), 3).stride() == (1, 2)


def test_infinite_medians_share_their_gradient_among_themselves() -> None:
    for values, expected in (([-math.inf, -math.inf, 2.0], [0.5, 0.5, 0]), ([math.inf, 1.0, math.inf], [0.5, 0, 0.5])):
        x = ng.tensor(values, requires_grad=True)
        x.median().backward()
        assert x.grad.tolist() == expected


def test_bessels_functions_far_out_and_at_their_ends() -> None:
    far = ng.tensor([1e300, math.inf, -math.inf, 0.0], dtype=ng.float64)
    assert ng.special.bessel_j0(far).tolist()[1:] == [0, 0, pytest.approx(1, rel=3e-16)]
    assert abs(ng.special.bessel_j0(far)[0].item()) < 1e-150
    assert ng.special.modified_bessel_k0(far).tolist()[3] == math.inf
    assert ng.special.airy_ai(ng.tensor([-1e5, 1e5], dtype=ng.float64))[1].item() == 0
    assert ng.special.legendre_polynomial_p(2.0, ng.tensor([1e18])).isnan().all()
    assert ng.special.chebyshev_polynomial_t(0.5, ng.tensor([1e18], dtype=ng.float64)).abs().item() <= 1


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_what_is_absent_says_why(name: str) -> None:
    assert not hasattr(ng, name)
    with pytest.raises(AttributeError, match=f"module 'numgrad' has no attribute '{name}': "):
        getattr(ng, name)
