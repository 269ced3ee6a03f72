"""A network solves Burgers' equation. Run: python examples/burgers.py [--out FILE] [--seed N]

u_t + u u_x = v u_xx with u(x, 0) = -sin(pi x), u(-1, t) = u(1, t) = 0, as in Raissi, Perdikaris and Karniadakis (2019): a wave
steepens to a front. No value of u is ever shown to the network, which has the initial and boundary values built in and is
trained on how far its derivatives are from the equation. Expected: below 1e-2 in relative L2 norm, against the exact
solution by the Cole-Hopf transform.
"""

import argparse

import numpy as np

import numgrad as ng
from numgrad import nn

VISCOSITY, POINTS, WIDTH, ADAM, LBFGS = 0.05, 1000, 20, 500, 300


class Wave(nn.Module):
    """u at x [N] and t [N]."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(),
            nn.Linear(WIDTH, 1),
        )  # fmt: skip

    def forward(self, x, t):
        free = self.layers(ng.stack([x, 2 * t - 1], 1))[:, 0]
        return -(np.pi * x).sin() + t * (1 - x**2) * free


def residual(wave, x, t):
    """u_t + u u_x - v u_xx, which is 0 where the equation holds."""
    u = wave(x, t)
    u_x, u_t = ng.autograd.grad(u.sum(), (x, t), create_graph=True)
    (u_xx,) = ng.autograd.grad(u_x.sum(), x, create_graph=True)
    return u_t + u * u_x - VISCOSITY * u_xx


def exact(x, t, order=100):
    """u at x [M] and t [K] > 0 by Cole-Hopf, the integrals by Gauss-Hermite: [K, M]."""
    nodes, weights = np.polynomial.hermite.hermgauss(order)
    y = x[:, None] - np.sqrt(4 * VISCOSITY * t)[:, None, None] * nodes
    density = weights * np.exp(-np.cos(np.pi * y) / (2 * np.pi * VISCOSITY))
    return -(np.sin(np.pi * y) * density).sum(-1) / density.sum(-1)


def main(seed=0, out=None):
    ng.manual_seed(seed)
    wave = Wave()
    x = (2 * ng.rand(POINTS) - 1).requires_grad_()
    t = ng.rand(POINTS).requires_grad_()
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = residual(wave, x, t).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer = ng.optim.Adam(wave.parameters(), lr=1e-2)
    schedule = ng.optim.lr_scheduler.CosineAnnealingLR(optimizer, ADAM)
    for step in range(ADAM):
        optimizer.step(closure)
        schedule.step()
        if step % 100 == 0:
            print(f"step {step:4}  loss {losses[-1]:.2e}")
    optimizer = ng.optim.LBFGS(wave.parameters(), max_iter=LBFGS, history_size=50, line_search_fn="strong_wolfe")
    optimizer.step(closure)
    print(f"step {len(losses):4}  loss {losses[-1]:.2e}")

    space, time = np.linspace(-1, 1, 201), np.linspace(0.01, 1, 100)
    true = exact(space, time)
    with ng.no_grad():
        grid_t, grid_x = ng.meshgrid(ng.tensor(time).float(), ng.tensor(space).float(), indexing="ij")
        found = wave(grid_x.flatten(), grid_t.flatten()).view(true.shape).numpy()
    error = np.linalg.norm(found - true) / np.linalg.norm(true)
    print(f"relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    main()
