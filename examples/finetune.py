"""Finetuning, as in the autograd tutorial: freeze a ResNet18, replace its last layer, train that. Ten classes.

Run: python examples/finetune.py          (random weights, no network)
     python examples/finetune.py DEFAULT  (ImageNet weights, downloaded on first use)
"""

import sys

import numgrad as ng
from numgrad import nn, optim
from numgrad.models import resnet18


def main(weights=None, steps=5):
    ng.manual_seed(0)
    model = resnet18(weights=weights)
    for param in model.parameters():
        param.requires_grad = False
    model.fc = nn.Linear(512, 10)  # a new layer, so it requires a gradient
    images, labels = ng.rand(8, 3, 64, 64), ng.randint(0, 10, (8,))

    optimizer = optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    loss_function = nn.CrossEntropyLoss()
    model.eval()  # the frozen batch norms keep their statistics
    losses = []
    for step in range(steps):
        loss = loss_function(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step}  loss {losses[-1]:.4f}")
    trained = [name for name, param in model.named_parameters() if param.grad is not None]
    print("parameters with a gradient:", ", ".join(trained))
    return losses, trained


if __name__ == "__main__":
    main(*sys.argv[1:2])
