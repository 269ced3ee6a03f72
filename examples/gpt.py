"""A GPT writes sonnets, character by character, after reading 138 of Shakespeare's (sonnets.txt, 1609, in the public domain).

It is GPT-2 in small, as in nanoGPT: blocks that normalize first, learned positions, one matrix for what goes in and comes out.
A character out of 61 costs 4.11 nats by chance, 3.1 if it is known how often each comes, 2.4 after which other, 2.0 after
which two. The characters of the other 16 sonnets cost less than 1.85. What it writes has verses and words, but little sense.

Run: python examples/gpt.py [--seed N] [--out FIGURE.png]
"""

import argparse
from pathlib import Path

import numgrad as ng
from numgrad import nn, optim
from numgrad.nn import functional as F

CONTEXT, LAYERS, HEADS, WIDTH = 64, 2, 4, 128


class Block(nn.Module):
    """[N, T, WIDTH] to the same: each position reads from those before it, then thinks by itself."""

    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(self.ln_1(x)).chunk(3, -1))
        read = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(read.transpose(1, 2).flatten(2))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Characters [N, T] to the scores of the next ones [N, T, vocabulary]."""

    def __init__(self, vocabulary):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, vocabulary, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:  # what adds to the stream of the blocks starts smaller, the more blocks there are
                nn.init.normal_(p, std=0.08 / (2 * LAYERS) ** 0.5 if "proj" in name or "mlp.2" in name else 0.08)
        self.head.weight = self.token.weight

    def forward(self, tokens):
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        return self.head(self.norm(self.blocks(x)))

    @ng.no_grad()
    def generate(self, tokens, count):
        for _ in range(count):
            scores = self(tokens[:, -CONTEXT:])[:, -1]
            tokens = ng.cat([tokens, ng.multinomial((scores / 0.8).softmax(-1), 1)], 1)
        return tokens


def cost(model, text, starts):
    """The mean nats of the characters after the first of each piece, which begin at `starts` [N]."""
    pieces = text[starts[:, None] + ng.arange(CONTEXT + 1)]
    return F.cross_entropy(model(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())


def main(seed=0, out=None, steps=600):
    ng.manual_seed(seed)
    sonnets = Path(__file__).with_name("sonnets.txt").read_text("utf-8")
    letters = sorted(set(sonnets))
    numbers = ng.tensor([letters.index(letter) for letter in sonnets])
    read, unread = numbers.tensor_split([len("\n\n".join(sonnets.split("\n\n")[:138]))])
    model = GPT(len(letters))
    optimizer = optim.AdamW(model.parameters(), lr=6e-3, betas=(0.9, 0.99), weight_decay=0.1)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps, pct_start=0.1)
    losses = []
    for step in range(steps):
        loss = cost(model, read, ng.randint(0, len(read) - CONTEXT, (16,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 99:
            print(f"step {step + 1}  loss {losses[-1]:.3f}")
    with ng.no_grad():
        nats = cost(model, unread, ng.arange(0, len(unread) - CONTEXT, CONTEXT)).item()
    print("".join(letters[i] for i in model.generate(ng.tensor([[letters.index("\n")]]), 300)[0].tolist()))
    print(f"{nats:.3f} nats for a character of sonnets that it has not read")
    if out:
        from numgrad import viz

        viz.curves(losses, smooth=15, ylabel="nats a character").figure.savefig(out, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a file for the figure")
    main(**vars(parser.parse_args()))
