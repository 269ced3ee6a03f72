"""A Function with a backward of its own, that can be differentiated twice. Run: python examples/custom_function.py"""

import numgrad as ng
from numgrad.autograd import Function, gradcheck, gradgradcheck


class LogSumExp(Function):
    """log(sum(exp(x))) over the last dimension, without overflow; its gradient is a softmax."""

    @staticmethod
    def forward(ctx, x):
        top = x.amax(-1, keepdim=True)
        out = (x - top).exp().sum(-1).log() + top.squeeze(-1)
        ctx.save_for_backward(x, out)  # saved, not set as attributes: so that changes in place are noticed
        return out

    @staticmethod
    def backward(ctx, grad):
        x, out = ctx.saved_tensors  # both have their history: what is computed here can be differentiated again
        return grad.unsqueeze(-1) * (x - out.unsqueeze(-1)).exp()


class Round(Function):
    """Rounds, and lets the gradient pass as if it did not: the straight-through estimator."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


def main() -> tuple[bool, list[float]]:
    """Whether the derivatives are right, and the gradient of the rounded sum."""
    ng.manual_seed(0)
    x = ng.randn(3, 4, dtype=ng.float64, requires_grad=True)
    right = gradcheck(LogSumExp.apply, x) and gradgradcheck(LogSumExp.apply, x)
    large = ng.tensor([1000.0, 1000.0], requires_grad=True)
    LogSumExp.apply(large).backward()
    scale = ng.tensor([0.4, 1.6], requires_grad=True)
    (Round.apply(scale * 2) * ng.tensor([1.0, 10.0])).sum().backward()
    print(f"derivatives right: {right}; at 1000: {large.grad}; through rounding: {scale.grad}")
    return right, [*large.grad.tolist(), *scale.grad.tolist()]


if __name__ == "__main__":
    main()
