"""Parameters of a loop from what it left: a swinging pendulum with friction. Run: python examples/fit_loop.py"""

import math

import numpy as np

import numgrad as ng


@ng.differentiable
def swing(angle, length, friction, dt, steps):
    """The pendulum's angle after each step; it stops for good when it is as good as still."""
    seen = np.zeros(steps)
    speed = 0.0
    for t in range(steps):
        speed -= dt * (9.81 / length * math.sin(angle) + friction * speed)
        angle += dt * speed
        if abs(angle) < 1e-4 and abs(speed) < 1e-4:
            break
        seen[t] = angle
    return seen


def main():
    """Find length and friction from noisy angles; what was found and what is true."""
    ng.manual_seed(0)
    truth = ng.tensor([1.3, 0.25], dtype=ng.float64)
    data = swing(1.0, truth[0], truth[1], 0.01, 600)
    data = data + 0.02 * ng.randn_like(data)

    found = ng.tensor([1.2, 0.1], dtype=ng.float64, requires_grad=True)
    optimizer = ng.optim.LBFGS([found], max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (swing(1.0, found[0], found[1], 0.01, 600) - data).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return found.detach(), truth


if __name__ == "__main__":
    found, truth = main()
    for name, f, t in zip(("length", "friction"), found, truth, strict=True):
        print(f"{name:8} found {f.item():.3f}, true {t.item():.3f}")
