"""`Attributes`: what a tensor says of its device, its memory and its kind, the same for each one here; and its transposes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import devices, ops
from numgrad.tensor import known, shaping

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@known.knowing
def _in_reverse(tensor: Any) -> Any:
    return ops.view.permute.apply((tensor,), tuple(range(tensor._spec.ndim - 1, -1, -1)))


@known.knowing
def _matrices(tensor: Any) -> Any:
    return shaping.of_matrices("mT", tensor)


class Attributes:
    """A base of Tensor: attributes that programs ask for before they choose a way."""

    __slots__ = ()

    _spec: Any

    @property
    def device(self) -> devices.device:
        """Where the tensor is: the CPU.

        >>> import numgrad as ng
        >>> ng.ones(2).device
        device(type='cpu')
        """
        return devices.CPU

    @property
    def layout(self) -> devices.layout:
        """`numgrad.strided`.

        >>> import numgrad as ng
        >>> ng.ones(2).layout is ng.strided
        True
        """
        return devices.strided

    @property
    def is_cpu(self) -> bool:
        """True.

        >>> import numgrad as ng
        >>> ng.ones(2).is_cpu, ng.ones(2).is_cuda
        (True, False)
        """
        return True

    @property
    def is_cuda(self) -> bool:
        """False; `is_mps`, `is_xpu`, `is_meta`, `is_mkldnn`, `is_sparse`, `is_sparse_csr`, `is_quantized` and `is_nested` likewise.

        >>> import numgrad as ng
        >>> ng.ones(2).is_cuda, ng.ones(2).is_sparse
        (False, False)
        """
        return False

    is_mps = is_xpu = is_meta = is_mkldnn = is_sparse = is_sparse_csr = is_quantized = is_nested = is_cuda

    @property
    def itemsize(self) -> int:
        """Bytes of one element, as `element_size`.

        >>> import numgrad as ng
        >>> ng.ones(2).itemsize
        4
        """
        return self._spec.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """Bytes of all elements.

        >>> import numgrad as ng
        >>> ng.ones(2, 3).nbytes
        24
        """
        return self._spec.numel * self._spec.dtype.itemsize  # type: ignore[no-any-return]

    # ---- transposes ----------------------------------------------------------------------------------------------

    @property
    def T(self: Any) -> Tensor:  # noqa: N802
        """A view with the dimensions in reverse order.

        >>> import numgrad as ng
        >>> ng.zeros(2, 3).T.shape
        numgrad.Size([3, 2])
        """
        return _in_reverse(self)  # type: ignore[no-any-return]

    @property
    def mT(self: Any) -> Tensor:  # noqa: N802
        """A view with the last two dimensions exchanged.

        Raises
        ------
        RuntimeError
            There is only one dimension.

        >>> import numgrad as ng
        >>> ng.zeros(4, 2, 3).mT.shape
        numgrad.Size([4, 3, 2])
        """
        return _matrices(self)  # type: ignore[no-any-return]

    @property
    def H(self: Any) -> Tensor:  # noqa: N802
        """The transposed matrix, a view; of real numbers it is the adjoint.

        Raises
        ------
        RuntimeError
            The tensor has one dimension, or more than two.

        >>> import numgrad as ng
        >>> ng.zeros(2, 3).H.shape
        numgrad.Size([3, 2])
        """
        if self.ndim not in (0, 2):
            hint = ". For batches of matrices, consider using tensor.mH" if self.ndim > 2 else ""
            raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor{hint}")
        return shaping.adjoint(self)

    @property
    def mH(self: Any) -> Tensor:  # noqa: N802
        """As `mT`: the adjoint matrices, of real numbers.

        Raises
        ------
        RuntimeError
            There is only one dimension.

        >>> import numgrad as ng
        >>> ng.zeros(4, 2, 3).mH.shape
        numgrad.Size([4, 3, 2])
        """
        return shaping.of_matrices("mH", self)
