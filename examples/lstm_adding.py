"""An LSTM adds two numbers that it saw long ago. Run: python examples/lstm_adding.py [--out FILE] [--seed N]

The adding problem (Hochreiter and Schmidhuber, 1997): 50 random numbers go by, two of them marked; wanted is the sum of these
two at the end. Whoever does not remember can say 1 at best, with a mean squared error of 1/6. Expected: below 1/60.
"""

import argparse

import numgrad as ng
from numgrad import nn

LENGTH, BATCH, WIDTH, STEPS = 50, 50, 48, 800


class Adder(nn.Module):
    """Sequences [N, LENGTH, 2] to sums [N]."""

    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(2, WIDTH, batch_first=True), nn.Linear(WIDTH, 1)
        with ng.no_grad():  # gates that forget little at the beginning: gradients reach far back
            self.lstm.bias_ih_l0[WIDTH : 2 * WIDTH] = 1.0

    def forward(self, x):
        states, _ = self.lstm(x)
        return self.out(states[:, -1]).squeeze(-1)


def problems(count):
    """Sequences of numbers and marks, one mark in each half, and what they add up to."""
    numbers, marks, rows = ng.rand(count, LENGTH), ng.zeros(count, LENGTH), ng.arange(count)
    marks[rows, ng.randint(0, LENGTH // 2, (count,))] = 1.0
    marks[rows, ng.randint(LENGTH // 2, LENGTH, (count,))] = 1.0
    return ng.stack([numbers, marks], -1), (numbers * marks).sum(-1)


def main(seed=0, out=None):
    ng.manual_seed(seed)
    model = Adder()
    optimizer = ng.optim.Adam(model.parameters(), lr=5e-3)
    errors = []
    for step in range(STEPS):
        x, wanted = problems(BATCH)
        loss = nn.functional.mse_loss(model(x), wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        errors.append(loss.item())
        if step % 100 == 0:
            print(f"step {step:3}  error {errors[-1]:.4f}")
    x, wanted = problems(1000)
    with ng.no_grad():
        error = nn.functional.mse_loss(model(x), wanted).item()
    print(f"error {error:.5f}, {1 / 6 / error:.0f} times below 1/6, the best without memory")
    return error


if __name__ == "__main__":
    main()
