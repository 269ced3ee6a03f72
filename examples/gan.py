"""A generative adversarial net that learns eight heaps of points in a ring, and finds every one of them.

The critic is held back by the square of its slope at real points, a second derivative (the R1 penalty of Mescheder et al.,
2018); without it the generator runs from heap to heap and forgets most of them.

Run: python examples/gan.py [--seed N] [--out FIGURE.png]
"""

import argparse
import math

import numgrad as ng
from numgrad import nn, optim

SPREAD = 0.1


def heaps(count):
    """Points [count, 2] of eight normal distributions around a circle, and the centers [8, 2]."""
    angles = ng.arange(8) * (2 * math.pi / 8)
    centers = 2 * ng.stack([angles.cos(), angles.sin()], 1)
    return centers[ng.randint(0, 8, (count,))] + SPREAD * ng.randn(count, 2), centers


def net(inputs, outputs, width=64):
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LeakyReLU(0.2),
        nn.Linear(width, width), nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )  # fmt: skip


def judged(points):
    """How many of the eight heaps have at least 4 % of the points within three spreads, and the share of points that lie so."""
    centers = heaps(1)[1]
    distance, nearest = ng.cdist(points, centers).min(1)
    close = distance < 3 * SPREAD
    counts = ng.bincount(nearest[close], minlength=8)
    return (counts >= 0.04 * len(points)).sum().item(), close.float().mean().item()


def main(seed=0, out=None, steps=2000, batch=256):
    ng.manual_seed(seed)
    generator, critic = net(8, 2), net(2, 1)
    for_generator = optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.99))
    for_critic = optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.99))
    history, seen = [], []
    for step in range(steps + 1):
        real = heaps(batch)[0].requires_grad_()
        fake = generator(ng.randn(batch, 8))
        score = critic(real)
        (slope,) = ng.autograd.grad(score.sum(), real, create_graph=True)
        penalty = slope.square().sum(1).mean()
        loss = nn.functional.softplus(-score).mean() + nn.functional.softplus(critic(fake.detach())).mean()
        for_critic.zero_grad()
        (loss + 0.1 * penalty).backward()
        for_critic.step()

        wanted = nn.functional.softplus(-critic(fake)).mean()
        for_generator.zero_grad()
        wanted.backward()
        for_generator.step()
        history.append((loss.item(), wanted.item()))
        if step in (0, steps // 10, steps):
            with ng.no_grad():
                seen.append((step, generator(ng.randn(2000, 8))))
        if step % 500 == 0:
            print(f"step {step:4}  critic {history[-1][0]:.3f}  generator {history[-1][1]:.3f}")
    found, close = judged(seen[-1][1])
    print(f"{found} of 8 heaps found; {100 * close:.1f} % of points within three spreads of one")
    if out:
        draw(out, history, seen)


def draw(out, history, seen):
    """The losses, and what the generator made at three times."""
    import matplotlib.pyplot as plt

    from numgrad import viz

    figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
    critic, generator = zip(*history, strict=True)
    viz.curves({"critic": critic, "generator": generator}, smooth=50, ax=axes[0])
    for ax, (step, points) in zip(axes[1:], seen, strict=True):
        viz.scatter(heaps(500)[0], ax=ax, size=4, color="0.8", label="real")
        viz.scatter(points[:500], ax=ax, size=4, color="C1", label="made")
        ax.set(title=f"step {step}", xlim=(-3, 3), ylim=(-3, 3))
    axes[-1].legend(loc="center", frameon=False, markerscale=3)
    figure.savefig(out, dpi=80, bbox_inches="tight")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
