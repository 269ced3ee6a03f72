"""A network solves Burgers' equation: a physics-informed net, as of Raissi, Perdikaris and Karniadakis (2019).

u_t + u u_x = v u_xx for -1 < x < 1 and 0 < t < 1, from u = -sin(pi x), with u = 0 at both ends: a wave that steepens to a front.
The network is never told a value of u. It has the initial and the boundary values built in, and learns by how far its
derivatives are from the equation. Its relative L2 error is less than 1e-2, against the exact solution of Cole and Hopf.

Run: python examples/burgers.py [--seed N] [--out FIGURE.png]
"""

import argparse

import numpy as np

import numgrad as ng
from numgrad import nn, optim

VISCOSITY, POINTS, WIDTH = 0.02, 1000, 20


class Wave(nn.Module):
    """u at x [N] and t [N]."""

    def __init__(self):
        super().__init__()
        hidden = [layer for _ in range(2) for layer in (nn.Linear(WIDTH, WIDTH), nn.Tanh())]
        self.layers = nn.Sequential(nn.Linear(2, WIDTH), nn.Tanh(), *hidden, nn.Linear(WIDTH, 1))

    def forward(self, x, t):
        free = self.layers(ng.stack([x, 2 * t - 1], 1)).squeeze(1)
        return t * (1 - x**2) * free - (ng.pi * x).sin()


def residual(wave, x, t):
    """u_t + u u_x - v u_xx: 0 where the equation holds."""
    u = wave(x, t)
    u_x, u_t = ng.autograd.grad(u.sum(), (x, t), create_graph=True)
    (u_xx,) = ng.autograd.grad(u_x.sum(), x, create_graph=True)
    return u_t + u * u_x - VISCOSITY * u_xx


def exact(x, t):
    """u at all x [M] and t [K] > 0, in NumPy [K, M]; the integrals are sums over the nodes of Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite.hermgauss(100)
    y = x[:, None] - np.sqrt(4 * VISCOSITY * t)[:, None, None] * nodes
    density = weights * np.exp(-np.cos(np.pi * y) / (2 * np.pi * VISCOSITY))
    return -(np.sin(np.pi * y) * density).sum(-1) / density.sum(-1)


def main(seed=0, out=None):
    ng.manual_seed(seed)
    wave = Wave()
    x, t = (2 * ng.rand(POINTS) - 1).requires_grad_(), ng.rand(POINTS).requires_grad_()
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = residual(wave, x, t).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer = optim.Adam(wave.parameters(), lr=5e-3)
    for _ in range(500):
        optimizer.step(closure)
    optimizer = optim.LBFGS(wave.parameters(), max_iter=500, history_size=50, line_search_fn="strong_wolfe")
    optimizer.step(closure)
    print(f"after {len(losses)} steps  loss {losses[-1]:.2e}")

    places, times = np.linspace(-1, 1, 201), np.linspace(0.01, 1, 100)
    true = exact(places, times)
    at_t, at_x = (each.float() for each in ng.meshgrid(ng.tensor(times), ng.tensor(places), indexing="ij"))
    found = wave(at_x.flatten(), at_t.flatten()).detach().view(at_x.shape).numpy()
    print(f"relative L2 error {np.linalg.norm(found - true) / np.linalg.norm(true):.1e}")
    if out:
        draw(out, losses, places, times, found, true)


def draw(out, losses, places, times, found, true):
    """The loss, the wave over place and time, and three moments with the exact solution."""
    import matplotlib.pyplot as plt

    from numgrad import viz

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    viz.curves(losses, log=True, ax=left)
    middle.contourf(times, places, found.T, 16, cmap="RdBu")
    middle.set(xlabel="t", ylabel="x")
    for moment, color in ((24, "C0"), (49, "C1"), (99, "C2")):
        right.plot(places, found[moment], color, label=f"t = {times[moment]:.2f}")
        right.plot(places[::8], true[moment, ::8], "o", color=color, markersize=3)
    right.set(xlabel="x", ylabel="u: network (lines), exact (dots)")
    right.legend(frameon=False)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
