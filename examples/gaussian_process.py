"""A Gaussian process finds its length scale, its signal and its noise: the marginal likelihood of 60 noisy values is maximized.

The gradient goes through a Cholesky decomposition, and L-BFGS follows it. NumPy does the same with the closed form of the
gradient (Rasmussen and Williams, 2006, equation 5.9) and Fisher's scoring. Both gradients agree to 1e-10 of their size, and
both optima, which are logarithms, to 1e-6.

Run: python examples/gaussian_process.py [--seed N] [--out FIGURE.png]
"""

import argparse

import numpy as np

import numgrad as ng
from numgrad import optim


def kernel(a, b, logs):
    """The covariances of the curve at a [N] and at b [M]: [N, M]. `logs` are the logarithms of length, signal and noise."""
    return (2 * logs[1] - ((a[:, None] - b) / logs[0].exp()).square() / 2).exp()


def decompose(logs, x):
    """The Cholesky factor of the covariance of noisy values at x [N]."""
    return ng.linalg.cholesky(kernel(x, x, logs) + (2 * logs[2]).exp() * ng.eye(len(x), dtype=x.dtype))


def cost(logs, x, y):
    """Minus the logarithm of the density of y [N] at x [N]."""
    factor = decompose(logs, x)
    white = ng.linalg.solve_triangular(factor, y[:, None], upper=False)
    return white.square().sum() / 2 + factor.diagonal().log().sum() + len(x) / 2 * np.log(2 * np.pi)


def predict(logs, x, y, points):
    """The mean and the standard deviation of the curve at `points` [M]."""
    factor, across = decompose(logs, x), kernel(x, points, logs)
    white = ng.linalg.solve_triangular(factor, across, upper=False)
    spread = ((2 * logs[1]).exp() - white.square().sum(0)).clamp(min=0).sqrt()
    return across.T @ ng.cholesky_solve(y[:, None], factor)[:, 0], spread


def by_hand(logs, x, y):
    """In NumPy: the gradient of the cost [3], and the expectation of its second derivatives [3, 3]."""
    squares = (x[:, None] - x) ** 2 / np.exp(2 * logs[0])
    signal, noise = np.exp(2 * logs[1] - squares / 2), np.exp(2 * logs[2]) * np.eye(len(x))
    inverse = np.linalg.inv(signal + noise)
    changes = [inverse @ change for change in (signal * squares, 2 * signal, 2 * noise)]
    gradient = [(np.trace(change) - y @ change @ inverse @ y) / 2 for change in changes]
    return np.array(gradient), np.array([[np.trace(a @ b) / 2 for a in changes] for b in changes])


def main(seed=0, out=None):
    ng.manual_seed(seed)
    x = 10 * ng.rand(60, dtype=ng.float64)
    y = x.sin() + (x / 2).cos() + 0.2 * ng.randn(60, dtype=ng.float64)
    logs = ng.zeros(3, dtype=ng.float64, requires_grad=True)
    optimizer = optim.LBFGS([logs], max_iter=100, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = cost(logs, x, y)
        loss.backward()
        return loss

    closure()
    found, gradient = np.zeros(3), by_hand(np.zeros(3), x.numpy(), y.numpy())[0]
    apart = np.abs(logs.grad.numpy() - gradient).max() / np.abs(gradient).max()
    optimizer.step(closure)
    for _ in range(100):
        gradient, curvature = by_hand(found, x.numpy(), y.numpy())
        found -= np.clip(np.linalg.solve(curvature, gradient), -0.5, 0.5)
    print("length {:.2f}, signal {:.2f}, noise {:.3f} where it was 0.2".format(*logs.exp().tolist()))
    print(f"the gradients are {apart:.1e} apart, the optima {np.abs(logs.detach().numpy() - found).max():.1e}")
    if out:
        draw(out, logs.detach(), x, y)


def draw(out, logs, x, y):
    """The values, the curve behind them, and what the process says of it: before and after."""
    import matplotlib.pyplot as plt

    points = ng.linspace(-1, 13, 300, dtype=ng.float64)
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for ax, each, title in ((panels[0], 0 * logs, "before"), (panels[1], logs, "after")):
        mean, spread = predict(each, x, y, points)
        ax.fill_between(points, mean - 2 * spread, mean + 2 * spread, alpha=0.25, label="two standard deviations")
        ax.plot(points, mean, label="mean")
        ax.plot(points, points.sin() + (points / 2).cos(), "k--", linewidth=1, label="true")
        ax.plot(x, y, "k.", markersize=4)
        ax.set_title(title)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
