"""A Gaussian process finds its own length scale, signal and noise. Run: python examples/gaussian_process.py [--out FILE] [--seed N]

The marginal likelihood of 60 noisy values of a curve is maximized over three logarithms by L-BFGS; its gradient goes through
a Cholesky decomposition (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, ch. 5.4.1). NumPy does the
same by the closed form of the gradient and Fisher scoring. Expected: gradients and optima agree to 1e-8 of their size.
"""

import argparse

import numpy as np

import numgrad as ng

COUNT, NOISE = 60, 0.2


def kernel(a, b, logs):
    """exp(-distance² / 2 length²) signal² between points [N] and [M]: [N, M]. `logs` is (length, signal, noise), in logarithms."""
    return (2 * logs[1] - ((a[:, None] - b) / logs[0].exp()) ** 2 / 2).exp()


def loss(logs, x, y):
    """Minus the log of the density that the process gives to y [N] at x [N]."""
    covariance = kernel(x, x, logs) + (2 * logs[2]).exp() * ng.eye(len(x), dtype=x.dtype)
    root = ng.linalg.cholesky(covariance)
    weights = ng.cholesky_solve(y[:, None], root)[:, 0]
    return y @ weights / 2 + root.diagonal().log().sum() + len(x) / 2 * np.log(2 * np.pi)


def predict(logs, x, y, points):
    """Mean and standard deviation of the curve at `points` [M], given y at x."""
    covariance = kernel(x, x, logs) + (2 * logs[2]).exp() * ng.eye(len(x), dtype=x.dtype)
    root = ng.linalg.cholesky(covariance)
    across = kernel(x, points, logs)
    mean = across.T @ ng.cholesky_solve(y[:, None], root)[:, 0]
    explained = ng.linalg.solve_triangular(root, across, upper=False)
    return mean, ((2 * logs[1]).exp() - (explained**2).sum(0)).clamp(min=0).sqrt()


def closed_form(logs, x, y):
    """In NumPy: the same loss, its gradient [3], and the expected second derivatives [3, 3]."""
    length, signal, noise = np.exp(logs)
    squares = (x[:, None] - x) ** 2 / length**2
    part = signal**2 * np.exp(-squares / 2)
    covariance = part + noise**2 * np.eye(len(x))
    inverse = np.linalg.inv(covariance)
    weights = inverse @ y
    slopes = [part * squares, 2 * part, 2 * noise**2 * np.eye(len(x))]
    gradient = [(np.trace(inverse @ s) - weights @ s @ weights) / 2 for s in slopes]
    fisher = [[np.trace(inverse @ a @ inverse @ b) / 2 for a in slopes] for b in slopes]
    value = (y @ weights + np.linalg.slogdet(covariance)[1] + len(x) * np.log(2 * np.pi)) / 2
    return value, np.array(gradient), np.array(fisher)


def main(seed=0, out=None):
    ng.manual_seed(seed)
    x = ng.rand(COUNT, dtype=ng.float64) * 10
    y = x.sin() + (x / 2).cos() + NOISE * ng.randn(COUNT, dtype=ng.float64)

    logs = ng.zeros(3, dtype=ng.float64, requires_grad=True)
    optimizer = ng.optim.LBFGS(
        [logs], max_iter=100, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )
    losses = []

    def closure():
        optimizer.zero_grad()
        value = loss(logs, x, y)
        value.backward()
        losses.append(value.item())
        return value

    closure()
    begin = logs.grad.clone().numpy()
    optimizer.step(closure)

    found = np.zeros(3)
    _, slope, fisher = closed_form(found, x.numpy(), y.numpy())
    gap = np.abs(begin - slope).max() / np.abs(slope).max()
    for _ in range(200):
        _, slope, fisher = closed_form(found, x.numpy(), y.numpy())
        found -= np.clip(np.linalg.solve(fisher, slope), -0.5, 0.5)
    apart = np.abs(logs.detach().numpy() - found).max()

    length, signal, noise = logs.detach().exp().tolist()
    print(f"length {length:.3f}, signal {signal:.3f}, noise {noise:.3f} ({NOISE} by construction), loss {losses[-1]:.4f}")
    print(f"gradients differ by {gap:.1e}, optima by {apart:.1e}")
    return gap, apart, noise


if __name__ == "__main__":
    print(main())
