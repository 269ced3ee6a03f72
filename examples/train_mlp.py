"""A small classifier of noisy digits, which are drawn and not downloaded. Run: python examples/train_mlp.py"""

import numpy as np

import numgrad as ng
from numgrad import nn, optim

# Seven-segment digits on a 7 x 5 grid: which of the segments a b c d e f g are lit.
LIT = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
CELLS = {"a": (0, slice(1, 4)), "g": (3, slice(1, 4)), "d": (6, slice(1, 4)), "f": (slice(1, 3), 0),
         "b": (slice(1, 3), 4), "e": (slice(4, 6), 0), "c": (slice(4, 6), 4)}  # fmt: skip


def digits(count, random):
    """Noisy pictures [count, 35] and their labels [count]."""
    patterns = np.zeros((10, 7, 5), np.float32)
    for digit, segments in enumerate(LIT):
        for segment in segments:
            patterns[(digit, *CELLS[segment])] = 1
    labels = random.integers(0, 10, count)
    noise = random.normal(0, 0.3, (count, 35)).astype(np.float32)
    return ng.from_numpy(patterns.reshape(10, 35)[labels] + noise), ng.from_numpy(labels)


def main(steps=150):
    ng.manual_seed(0)
    random = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(35, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss_function = nn.CrossEntropyLoss()
    for step in range(steps):
        images, labels = digits(64, random)
        loss = loss_function(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 30 == 0:
            print(f"step {step:3}  loss {loss.item():.3f}")
    images, labels = digits(1000, random)
    with ng.no_grad():
        right = (model(images).argmax(1) == labels).sum().item()
    print(f"{right} of 1000 right")
    return right


if __name__ == "__main__":
    main()
