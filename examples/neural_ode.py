"""A network learns the law of a motion from its path: a neural ODE. Run: python examples/neural_ode.py [--out FILE] [--seed N]

A damped pendulum is seen for ten seconds, its angle and its speed with noise. A network stands for the law of motion and is
integrated by four-stage Runge-Kutta steps along pieces of the path; the gradient goes through the solver (Chen et al., 2018).
Expected: from the first point alone, the learned law follows the pendulum for twenty seconds, the last ten of them never seen,
with a mean distance below 0.05; the path starts at a distance of 2 from its end.
"""

import argparse

import numgrad as ng
from numgrad import nn

STEP, SEEN, POINTS = 0.1, 100, 200
PIECE, BATCH, STEPS, NOISE = 10, 32, 500, 0.02


def pendulum(y):
    """(angle, speed)' for states [..., 2]."""
    angle, speed = y.unbind(-1)
    return ng.stack([speed, -2 * angle.sin() - 0.1 * speed], -1)


def rk4(law, y, count):
    """The states [count + 1, ...] to which y' = law(y) leads from y."""
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
    start = ng.tensor([2.0, 0.0])
    true = rk4(pendulum, start, POINTS)
    seen = true[: SEEN + 1] + NOISE * ng.randn(SEEN + 1, 2)

    law = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = ng.optim.Adam(law.parameters(), lr=2e-2)
    schedule = ng.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    losses = []
    for update in range(STEPS):
        starts = ng.randint(0, SEEN - PIECE + 1, (BATCH,))
        wanted = seen[starts + ng.arange(PIECE + 1)[:, None]]
        loss = (rk4(law, wanted[0], PIECE) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if update % 100 == 0:
            print(f"step {update:3}  loss {losses[-1]:.5f}")
    with ng.no_grad():
        path = rk4(law, start, POINTS)
    distances = (path - true).norm(dim=1)
    error = distances.mean().item()
    print(f"mean distance {error:.4f} from the true path, {distances[SEEN:].mean():.4f} where it was not seen")
    return error


if __name__ == "__main__":
    main()
