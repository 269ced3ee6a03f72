"""Finetuning, as in the autograd tutorial: a ResNet18 is frozen, its last layer replaced, and only that is trained.

The net has learned to tell ten digits apart. From twenty pictures its frozen features then learn a new question, whether a digit
is even, for the digits of other writers: from chance to 90 % and more. Random features in their place come to about 70 %.

Run: python examples/finetune.py [--seed N] [--out FIGURE.png]
"""

import argparse

import numgrad as ng
from numgrad import nn, optim
from numgrad.datasets import Digits
from numgrad.models import resnet18


def pictures(data):
    """Pictures [N, 3, 32, 32] and their labels."""
    images = data.data.unsqueeze(1) / 8 - 1
    large = nn.functional.interpolate(images, size=(32, 32), mode="bilinear", align_corners=False)
    return large.expand(-1, 3, -1, -1).contiguous(), data.targets


def train(model, optimizer, images, labels, epochs, batch):
    losses = []
    for _ in range(epochs):
        for chosen in ng.randperm(len(images))[: len(images) // batch * batch].split(batch):
            loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@ng.no_grad()
def accuracy(model, images, labels):
    model.eval()
    return 100 * (model(images).argmax(1) == labels).float().mean().item()


def finetune(model, images, labels, unseen):
    """Freeze the model, replace its last layer, train that; accuracy before and after, and the losses."""
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(512, 2)  # a new layer, so it requires a gradient
    before = accuracy(model, *unseen)  # and the frozen batch norms keep their statistics from here on
    optimizer = optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    losses = train(model, optimizer, images, labels, epochs=60, batch=20)
    return before, accuracy(model, *unseen), losses


def main(seed=0, out=None):
    ng.manual_seed(seed)
    images, labels = pictures(Digits(train=True))
    others, their_labels = pictures(Digits(train=False))
    model, blank = resnet18(num_classes=10), resnet18(num_classes=10)
    losses = train(model, optim.Adam(model.parameters(), lr=1e-3), images, labels, epochs=4, batch=32)
    print(f"which digit: {accuracy(model, others, their_labels):.1f} % right")

    few = ng.cat([(labels == digit).nonzero()[:2, 0] for digit in range(10)])
    unseen = others, their_labels % 2
    _, without, curve_without = finetune(blank, images[few], labels[few] % 2, unseen)
    before, after, curve = finetune(model, images[few], labels[few] % 2, unseen)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    print(f"trained: {', '.join(trained)}")
    print(f"even or odd: {before:.1f} % right before, {after:.1f} % after; {without:.1f} % with random features")
    if out:
        draw(out, losses, {"learned features": curve, "random features": curve_without}, model, unseen)


def draw(out, losses, curves, model, unseen):
    """The losses of both trainings, and which of the new digits were taken for which."""
    import matplotlib.pyplot as plt

    from numgrad import viz

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    viz.curves(losses, smooth=15, ax=left, log=True).set_title("all layers: which digit")
    viz.curves(curves, ax=middle, log=True).set_title("the last layer: even or odd")
    with ng.no_grad():
        viz.confusion_matrix(unseen[1], model(unseen[0]), classes=["even", "odd"], ax=right)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
