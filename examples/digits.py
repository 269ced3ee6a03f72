"""Handwritten digits by a small convolutional net, tested on digits of other writers: 98.5 % of them and more are right.

Run: python examples/digits.py [--seed N] [--out FIGURE.png]
"""

import argparse

import numgrad as ng
from numgrad import nn, optim
from numgrad.datasets import Digits


class Net(nn.Module):
    """Three convolutions and a linear layer: images [N, 1, 8, 8] to scores [N, 10]."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.dropout = nn.Dropout(0.3)
        self.classify = nn.Linear(128 * 2 * 2, 10)

    def forward(self, x):
        return self.classify(self.dropout(self.features(x).flatten(1)))


def rewritten(images):
    """The images as other hands would write them: each turned, slanted, stretched and moved a little, by chance."""

    def between(limit, *shape):
        return limit * (2 * ng.rand(len(images), *shape) - 1)

    turn, slant, stretch, move = between(0.2), between(0.2), 1 + between(0.15, 2), between(0.2, 2)
    rows = [
        turn.cos() * stretch[:, 0],
        slant - turn.sin(),
        move[:, 0],
        turn.sin(),
        turn.cos() * stretch[:, 1],
        move[:, 1],
    ]
    places = nn.functional.affine_grid(ng.stack(rows, 1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, places, align_corners=False)


def main(seed=0, out=None, epochs=30):
    ng.manual_seed(seed)
    train, test = Digits(train=True), Digits(train=False)
    images, labels = train.data.unsqueeze(1) / 16, train.targets
    model = Net()
    optimizer = optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    steps = epochs * (len(images) // 64)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    losses = []
    for epoch in range(epochs):
        model.train()
        for batch in ng.randperm(len(images))[: len(images) // 64 * 64].split(64):
            loss = nn.functional.cross_entropy(model(rewritten(images[batch])), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:2}  loss {losses[-1]:.3f}")

    model.eval()
    with ng.no_grad():
        found = model(test.data.unsqueeze(1) / 16).argmax(1)
    right = (found == test.targets).float().mean().item()
    print(f"{100 * right:.2f} % of {len(test)} digits of other writers are right")
    if out:
        draw(out, losses, test, found)


def draw(out, losses, test, found):
    """The loss, the confusion matrix and the digits that were wrong."""
    import matplotlib.pyplot as plt

    from numgrad import viz

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    viz.curves(losses, smooth=22, ax=left)
    viz.confusion_matrix(test.targets, found, ax=middle)
    wrong = (found != test.targets).nonzero()[:, 0]
    if len(wrong):
        titles = [f"{test.targets[i]}, not {found[i]}" for i in wrong.tolist()]
        viz.images(test.data[wrong], titles=titles, nrow=2, cmap="gray_r", value_range=(0, 16), ax=right)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
