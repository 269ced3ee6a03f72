"""An LSTM adds two numbers that it saw long ago: the adding problem of Hochreiter and Schmidhuber (1997).

Fifty random numbers go by, two of them marked; wanted at the end is the sum of these two. Whoever does not remember can do no
better than to say 1, with a mean squared error of 1/6. The error of the LSTM is less than a tenth of that,
mostly less than a hundredth.

Run: python examples/lstm_adding.py [--seed N] [--out FIGURE.png]
"""

import argparse

import numgrad as ng
from numgrad import nn, optim

LENGTH, WIDTH = 50, 48


class Adder(nn.Module):
    """Sequences [N, LENGTH, 2] to sums [N]."""

    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(2, WIDTH, batch_first=True), nn.Linear(WIDTH, 1)
        # A unit whose forget gate starts at k / (k + 1) remembers for k steps: all spans up to the whole length are there
        # (Tallec and Ollivier, 2018). Without this, some seeds stay at 1/6 for very long.
        with ng.no_grad():
            bias = (1 + (LENGTH - 2) * ng.rand(WIDTH)).log()
            self.lstm.bias_hh_l0.zero_()
            self.lstm.bias_ih_l0[:WIDTH] = -bias
            self.lstm.bias_ih_l0[WIDTH : 2 * WIDTH] = bias

    def forward(self, x):
        states, _ = self.lstm(x)
        return self.out(states[:, -1]).squeeze(-1)


def problems(count):
    """Numbers and marks [count, LENGTH, 2], one mark in each half, and the sums of what is marked [count]."""
    numbers, marks, rows = ng.rand(count, LENGTH), ng.zeros(count, LENGTH), ng.arange(count)
    marks[rows, ng.randint(0, LENGTH // 2, (count,))] = 1.0
    marks[rows, ng.randint(LENGTH // 2, LENGTH, (count,))] = 1.0
    return ng.stack([numbers, marks], -1), (numbers * marks).sum(-1)


def main(seed=0, out=None, steps=1000):
    ng.manual_seed(seed)
    model = Adder()
    optimizer = optim.Adam(model.parameters(), lr=2e-2)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    errors = []
    for step in range(steps):
        x, wanted = problems(50)
        loss = nn.functional.mse_loss(model(x), wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        errors.append(loss.item())
        if step % 100 == 99:
            print(f"step {step + 1}  error {errors[-1]:.4f}")
    x, wanted = problems(1000)
    with ng.no_grad():
        found = model(x)
    error = nn.functional.mse_loss(found, wanted).item()
    print(f"mean squared error {error:.5f}, {1 / 6 / error:.0f} times below that without memory")
    if out:
        draw(out, errors, wanted, found)


def draw(out, errors, wanted, found):
    """The error in training, and the sums that were wanted and found."""
    import matplotlib.pyplot as plt

    from numgrad import viz

    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    viz.curves(errors, smooth=15, log=True, ax=left, ylabel="mean squared error")
    left.axhline(1 / 6, color="gray", linestyle="--", linewidth=1)
    left.text(len(errors), 1 / 6, "without memory", ha="right", va="bottom", color="gray")
    right.plot([0, 2], [0, 2], color="gray", linewidth=1)
    viz.scatter(ng.stack([wanted, found], 1), ax=right, size=8)
    right.set(xlabel="wanted", ylabel="found")
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
