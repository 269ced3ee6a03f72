"""A critic whose slope is held at 1, by a second derivative (as in WGAN-GP). Run: python examples/gradient_penalty.py"""

import numgrad as ng
from numgrad import nn


def penalty(critic: nn.Module, real: ng.Tensor, fake: ng.Tensor) -> ng.Tensor:
    """The mean of (slope - 1)² at random points between real and fake samples [N, D]."""
    share = ng.rand(len(real), 1)
    points = (share * real + (1 - share) * fake).requires_grad_()
    (slopes,) = ng.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (((slopes * slopes).sum(1) + 1e-12).sqrt() - 1).square().mean()


def main(steps: int = 300) -> tuple[float, float, float]:
    """Train; the distance that the critic finds, the penalty before, and after."""
    ng.manual_seed(0)
    critic = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = ng.optim.Adam(critic.parameters(), lr=3e-3)
    before = 0.0
    for _ in range(steps):
        real = ng.randn(64, 2) * 0.3 + ng.tensor([2.0, 0.0])
        fake = ng.randn(64, 2) * 0.3
        distance = critic(real).mean() - critic(fake).mean()
        excess = penalty(critic, real, fake)
        before = before or excess.item()
        optimizer.zero_grad()
        (10 * excess - distance).backward()
        optimizer.step()
    print(f"distance {distance.item():.2f} (2 by construction), penalty {before:.3f} -> {excess.item():.3f}")
    return distance.item(), before, excess.item()


if __name__ == "__main__":
    main()
