"""`AdaptiveLogSoftmaxWithLoss`: a softmax over many classes that spends less on rare ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn.containers import ModuleList, Sequential
from numgrad.nn.linear import Linear
from numgrad.nn.module import Module
from numgrad.tensor import creation, joining, pointwise, reductions, shaping
from numgrad.tensor.tensor import Tensor

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    """The log-probability of each target, and the mean of their negatives."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """The log-likelihood of classes that are sorted by frequency: Grave et al., 2017.

    The most frequent classes have their scores in one linear layer, the head, beside one score for each cluster of the rarer
    ones, whose scores come from two narrower layers, the tail.

    Parameters
    ----------
    in_features
        Extent of the input [N, in_features].
    n_classes
        Number of classes.
    cutoffs
        The first class of each cluster, rising.
    div_value
        How many times narrower the layers of a cluster are than those of the one before.
    head_bias
        Whether the head has an offset.
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    Raises
    ------
    ValueError
        The cutoffs do not rise from 1 to at most n_classes - 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs=[3, 6], div_value=2.0)
    >>> output, loss = layer(ng.ones(4, 8), ng.tensor([0, 2, 5, 9]))
    >>> output.shape, layer.log_prob(ng.ones(4, 8)).shape
    (numgrad.Size([4]), numgrad.Size([4, 10]))
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        rising = cutoffs == sorted(set(cutoffs)) and all(int(cutoff) == cutoff for cutoff in cutoffs)
        if not rising or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1:
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is "
                "between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        common: dict[str, Any] = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **common)
        self.tail = ModuleList()
        for number, (begin, end) in enumerate(pairwise(self.cutoffs), 1):
            width = int(in_features // div_value**number)
            first = Linear(in_features, width, bias=False, **common)
            self.tail.append(Sequential(first, Linear(width, end - begin, bias=False, **common)))

    def reset_parameters(self) -> None:
        """Redraw all weights."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        """The log-probability of each target of input [N, in_features] and target [N], or of one, and the mean loss.

        Raises
        ------
        RuntimeError
            The shapes do not fit, or a target is no class.
        """
        if target_.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if target_.ndim == 1 and input_.shape[0] != target_.shape[0]:
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input_.ndim != target_.ndim + 1:
            raise RuntimeError(
                f"{target_.ndim}D target tensor expects {target_.ndim + 1}D input tensors, but found inputs with size "
                f"{input_.shape}"
            )
        is_batched = target_.ndim == 1
        input, target = (x if is_batched else shaping.unsqueeze(x, 0) for x in (input_, target_))
        classes = target._array()
        if classes.size and (classes.min() < 0 or classes.max() >= self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{classes.min()}, "
                f"{classes.max()}] were found. "
            )
        in_head = classes.copy()  # the column of the head that each target has: its own, or its cluster's
        log_probs: list[Tensor] = []
        rows: list[Tensor] = []
        for number, (begin, end) in enumerate(pairwise(self.cutoffs)):
            members = ((classes >= begin) & (classes < end)).nonzero()[0]
            if members.size:
                in_head[members] = self.shortlist_size + number
                rows.append(creation.tensor(members))
                local = F.log_softmax(self.tail[number](input[rows[-1]]), 1)
                log_probs.append(local.gather(1, creation.tensor(classes[members] - begin).unsqueeze(1)).squeeze(1))
        head = F.log_softmax(self.head(input), 1)
        output = head.gather(1, creation.tensor(in_head).unsqueeze(1)).squeeze(1)
        if rows:
            output = output.index_add(0, joining.cat(rows), joining.cat(log_probs))
        loss = reductions.mean(pointwise.mul(output, -1))
        return _ASMoutput(output if is_batched else shaping.squeeze(output, 0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities [N, n_classes] of all classes."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for number, layers in enumerate(self.tail):
            own = head[:, self.shortlist_size + number].unsqueeze(1)
            parts.append(pointwise.add(F.log_softmax(layers(input), 1), own))
        return joining.cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The class of the highest log-probability for each row of the input.

        Where the head's best is a class of its own, that is the one: no class of a cluster is more likely than its cluster.
        """
        return reductions.argmax(self.log_prob(input), 1)
