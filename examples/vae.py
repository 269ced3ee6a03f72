"""A variational autoencoder of handwritten digits with two hidden numbers: what it has learned is drawn as a map.

A pixel has one of 17 greys, and the decoder gives each a probability, so the bound on a picture's probability also bounds
what it takes to store it: below 100 nats for a test picture, where independent pixels need 105.

Run: python examples/vae.py [--seed N] [--out FIGURE.png]
"""

import argparse

import numgrad as ng
from numgrad import nn, optim
from numgrad.datasets import Digits
from numgrad.distributions import Categorical, Normal, kl_divergence


class VAE(nn.Module):
    """Pictures [N, 64] of greys to normal distributions of codes [N, 2], and codes to distributions of greys."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.SiLU(), nn.Dropout(0.2), nn.Linear(128, 4))
        self.decoder = nn.Sequential(
            nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 64 * 17)
        )

    def encode(self, greys):
        mean, log_scale = self.encoder(greys / 8 - 1).chunk(2, 1)
        return Normal(mean, log_scale.exp())

    def decode(self, codes):
        return Categorical(logits=self.decoder(codes).reshape(-1, 64, 17))

    def bound(self, greys):
        """The evidence's lower bound for each picture, in nats: [N]."""
        codes = self.encode(greys)
        likelihood = self.decode(codes.rsample()).log_prob(greys).sum(1)
        return likelihood - kl_divergence(codes, Normal(ng.zeros(2), ng.ones(2))).sum(1)


def independent(train, test):
    """Nats of a test picture if each pixel is drawn by itself, from its histogram in the training set."""
    seen = nn.functional.one_hot(train.long(), 17).float().mean(0) + 1e-3
    return -seen.log().gather(1, test.long().T).sum(0).mean().item()


def main(seed=0, out=None, epochs=60):
    ng.manual_seed(seed)
    train, test = Digits(train=True), Digits(train=False)
    greys, unseen = train.data.flatten(1).float(), test.data.flatten(1).float()
    model = VAE()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for epoch in range(epochs):
        for batch in ng.randperm(len(greys)).split(64):
            loss = -model.bound(greys[batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:2}  {losses[-1]:.1f} nats a picture")
    model.eval()
    with ng.no_grad():
        nats = -ng.stack([model.bound(unseen) for _ in range(20)]).mean().item()
    print(f"at most {nats:.1f} nats a test picture; {independent(greys, unseen):.1f} with independent pixels")
    if out:
        draw(out, losses, model, unseen, test.targets)


def draw(out, losses, model, unseen, labels):
    """The loss, the codes of the test pictures, and the pictures all over the plane of codes."""
    import matplotlib.pyplot as plt

    from numgrad import viz

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained")
    viz.curves(losses, smooth=23, ax=left, ylabel="nats a picture")
    with ng.no_grad():
        viz.scatter(model.encode(unseen).mean, labels, ax=middle)
        for digit in range(10):
            middle.scatter([], [], color=f"C{digit}", label=str(digit))
        middle.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False, handletextpad=0)
        side = Normal(0.0, 1.0).icdf((ng.arange(12) + 0.5) / 12)  # as many codes between two as between any others
        across, up = ng.meshgrid(side, -side, indexing="xy")
        pictures = model.decode(ng.stack([across, up], -1).reshape(-1, 2)).probs @ ng.arange(17.0)
    viz.images(pictures.reshape(-1, 8, 8), nrow=12, cmap="gray_r", ax=right)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
