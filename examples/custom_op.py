"""Ops of your own, in two ways: from scalar formulas, and from loops over arrays. Run: python examples/custom_op.py"""

import numpy as np

import numgrad as ng
from numgrad import scalar

# ---- a formula for one element: broadcasting, strides, dtypes and threads come by themselves --------------------

squash = ng.elementwise("squash", oracle=lambda x: x / (1 + np.abs(x)), doc="input / (1 + |input|).")


@squash.forward
def _(x):
    return x / (1 + scalar.absolute(x))


@squash.backward
def _(g, x):  # g is the gradient of the output; x is saved because it is named here
    d = 1 + scalar.absolute(x)
    return g / (d * d)


# ---- loops over arrays: whatever Numba compiles -----------------------------------------------------------------


def forward(x, decay, out):
    """Exponential moving average along each row, which no composition of ops does in one pass."""
    for i in range(x.shape[0]):
        level = x[i, 0]
        for t in range(x.shape[1]):
            level += (1 - decay) * (x[i, t] - level)
            out[i, t] = level


def backward(grad_out, decay, grad_x):
    for i in range(grad_x.shape[0]):
        later = grad_out[i, 0] * 0
        for t in range(grad_x.shape[1] - 1, -1, -1):
            later += grad_out[i, t]
            grad_x[i, t] = later * (1 - decay)
            later *= decay
        grad_x[i, 0] += later


smoothed = ng.custom_op("smoothed", forward, backward, params={"decay": 0.9})


if __name__ == "__main__":
    ng.manual_seed(0)
    x = ng.randn(3, 5, dtype=ng.float64, requires_grad=True)
    print("squash:", ng.autograd.gradcheck(squash, x), "twice:", ng.autograd.gradgradcheck(squash, x))
    print("smoothed:", ng.autograd.gradcheck(lambda x: smoothed(x, decay=0.5), x))
    smoothed(squash(x), decay=0.8).sum().backward()
    print("gradient:", x.grad[0])
