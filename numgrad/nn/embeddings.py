"""Tables of vectors, looked up by integers: `Embedding` and `EmbeddingBag`."""

from __future__ import annotations

from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation
from numgrad.tensor.arguments import as_int
from numgrad.tensor.tensor import Tensor

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """A table [num_embeddings, embedding_dim] whose entries are drawn from the standard normal distribution."""

    weight: Parameter

    def _build(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Tensor | None,
        frozen: bool,
        device: Any,
        dtype: Dtype | None,
        word: str,
    ) -> None:
        name = type(self).__name__
        on_cpu(name, device)
        if sparse:
            raise NotImplementedError(
                f"{name}: sparse=True is not implemented, since there are no sparse tensors; leave it False"
            )
        if padding_idx is not None:
            padding_idx = as_int(name, "padding_idx", padding_idx)
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise AssertionError(f"{word} must be within num_embeddings")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if weight is None:
            self.weight = Parameter(creation.empty(num_embeddings, embedding_dim, dtype=dtype), not frozen)
            self.reset_parameters()
        elif tuple(weight.shape) != (num_embeddings, embedding_dim):
            raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
        else:
            self.weight = Parameter(weight, not frozen)

    def reset_parameters(self) -> None:
        """Redraw the table."""
        init.normal_(self.weight)
        self._fill_padding_idx_with_zero()

    def _fill_padding_idx_with_zero(self) -> None:
        if self.padding_idx is not None:
            init.zeros_(self.weight.detach()[self.padding_idx])


class Embedding(_Table):
    """A table [num_embeddings, embedding_dim] of vectors, looked up by integers of any shape.

    Parameters
    ----------
    num_embeddings, embedding_dim
        Size of the table, whose entries are drawn from the standard normal distribution.
    padding_idx
        A row that starts as zeros and gets no gradient.
    max_norm, norm_type
        Rows whose norm is larger are made as long as ``max_norm``, in the table, before they are looked up.
    scale_grad_by_freq
        Whether the gradient of a row is divided by the number of times it was looked up.
    sparse
        Has to stay False.
    device
        'cpu', the only device, or None.
    dtype
        Of the table; None: the default dtype.

    Raises
    ------
    AssertionError
        padding_idx is not a row.
    NotImplementedError
        sparse is True.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Embedding(10, 3)(ng.tensor([[1, 2]])).shape
    numgrad.Size([1, 2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        self._build(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, _freeze,
            device, dtype, "Padding_idx",
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("padding_idx", None), ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            value = getattr(self, name)
            text += "" if value == usual else f", {name}={value}"
        return text

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer over a table that is there, which is not learnt unless ``freeze`` is False.

        Raises
        ------
        AssertionError
            ``embeddings`` is not two-dimensional.

        >>> import numgrad as ng
        >>> from numgrad import nn
        >>> nn.Embedding.from_pretrained(ng.tensor([[1.0, 2.0], [3.0, 4.0]]))(ng.tensor([1]))
        tensor([[3., 4.]])
        """
        if embeddings.ndim != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        return cls(
            rows,
            columns,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows of a table; see `functional.embedding_bag`. The table is drawn as `Embedding`'s.

    Raises
    ------
    AssertionError
        padding_idx is not a row, or the given table has another shape.
    NotImplementedError
        sparse is True.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.EmbeddingBag(10, 3)(ng.tensor([[1, 2], [3, 4]])).shape
    numgrad.Size([2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        self._build(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, False,
            device, dtype, "padding_idx",
        )  # fmt: skip
        self.mode = mode
        self.include_last_offset = include_last_offset

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False), ("mode", None),
                            ("padding_idx", None)):  # fmt: skip
            value = getattr(self, name)
            text += "" if value == usual else f", {name}={value!r}"
        return text

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer over a table that is there, which is not learnt unless ``freeze`` is False.

        Raises
        ------
        AssertionError
            ``embeddings`` is not two-dimensional.

        >>> import numgrad as ng
        >>> from numgrad import nn
        >>> nn.EmbeddingBag.from_pretrained(ng.tensor([[1.0, 2.0], [3.0, 4.0]]))(ng.tensor([[0, 1]]))
        tensor([[2., 3.]])
        """
        if embeddings.ndim != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        layer = cls(
            rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset,
            padding_idx,
        )  # fmt: skip
        layer.weight.requires_grad = not freeze
        return layer
