"""A network learns the law of a motion from its paths: a neural ODE, as of Chen et al. (2018).

Four swings of a damped pendulum are seen for ten seconds, angle and speed with noise. A network stands for the law of motion;
it is integrated by four-stage Runge-Kutta steps, and the gradient goes through these. The learned law then says how a fifth
swing goes, for twenty seconds from its first point alone: within 0.1 of the truth on average, where the swing is 4 wide.

Run: python examples/neural_ode.py [--seed N] [--out FIGURE.png]
"""

import argparse

import numgrad as ng
from numgrad import nn, optim

STEP, SEEN, SHOWN, NOISE = 0.1, 100, 200, 0.01
PIECE = 20  # the steps of a training path: long enough to see the law through the noise, short enough to train


def pendulum(y):
    """The derivatives of (angle, speed) [..., 2]."""
    angle, speed = y.unbind(-1)
    return ng.stack([speed, -2 * angle.sin() - 0.1 * speed], -1)


def rk4(law, y, count):
    """The states [count + 1, ...] that follow y under y' = law(y)."""
    path = [y]
    for _ in range(count):
        a = law(y)
        b = law(y + STEP / 2 * a)
        c = law(y + STEP / 2 * b)
        d = law(y + STEP * c)
        y = y + STEP / 6 * (a + 2 * b + 2 * c + d)
        path.append(y)
    return ng.stack(path)


def main(seed=0, out=None):
    ng.manual_seed(seed)
    seen = rk4(pendulum, ng.tensor([[-2.5, 0.0], [-1.5, 0.0], [0.5, 0.0], [2.5, 0.0]]), SEEN)
    seen = seen + NOISE * ng.randn(seen.shape)
    starts = ng.arange(0, SEEN - PIECE + 1, PIECE // 2)
    pieces = seen[starts + ng.arange(PIECE + 1)[:, None]].flatten(1, 2)  # [PIECE + 1, N, 2]

    law = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = (rk4(law, pieces[0], PIECE) - pieces).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer = optim.Adam(law.parameters(), lr=2e-2)
    for _ in range(100):
        optimizer.step(closure)
    print(f"after {len(losses)} steps  loss {losses[-1]:.5f}")
    optimizer = optim.LBFGS(law.parameters(), max_iter=200, tolerance_change=1e-12, line_search_fn="strong_wolfe")
    optimizer.step(closure)
    print(f"after {len(losses)} steps  loss {losses[-1]:.5f}")

    start = ng.tensor([2.0, 0.0])
    true = rk4(pendulum, start, SHOWN)
    with ng.no_grad():
        found = rk4(law, start, SHOWN)
    distance = (found - true).norm(dim=1).mean().item()
    print(f"a swing that was not seen is {distance:.4f} from the truth on average")
    if out:
        draw(out, losses, seen, true, found)


def draw(out, losses, seen, true, found):
    """The loss, all that was seen in the plane of angle and speed, and the new swing in time."""
    import matplotlib.pyplot as plt

    from numgrad import viz

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    viz.curves(losses, log=True, ax=left)
    middle.plot(*seen.permute(2, 0, 1).numpy(), "o", color="lightgray", markersize=2)
    for ax, columns in ((middle, (0, 1)), (right, (None, 0))):
        for path, style, name in ((true, "k--", "true"), (found, "C0", "learned")):
            x, y = (STEP * ng.arange(len(path)) if c is None else path[:, c] for c in columns)
            ax.plot(x.numpy(), y.numpy(), style, linewidth=1.2, label=name)
    middle.set(xlabel="angle", ylabel="speed")
    right.set(xlabel="seconds", ylabel="angle")
    right.legend(frameon=False)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
