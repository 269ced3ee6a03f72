"""`Attributes`: what a tensor says of its device, its memory and its kind, which is much the same for each one here."""

from __future__ import annotations

from typing import Any

from numgrad import devices


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
