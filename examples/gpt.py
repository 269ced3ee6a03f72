"""A GPT learns to write sonnets, character by character. Run: python examples/gpt.py [--out FILE] [--seed N]

A causal transformer of the shape of GPT-2 (pre-norm blocks, learned positions, one matrix for embedding and output) reads
Shakespeare's sonnets (examples/sonnets.txt, 1609, in the public domain). 4.11 nats a character is chance, 3.3 knows how
often each letter comes, 2.5 knows pairs of letters. Expected: below 1.90 on the sonnets that it has not seen.
"""

import argparse
import math
from pathlib import Path

import numgrad as ng
from numgrad import nn
from numgrad.nn import functional as F

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, STEPS, RATE = 3, 4, 96, 64, 24, 700, 4e-3


class Attention(nn.Module):
    """Each position reads from those before it: [N, T, C] to [N, T, C]."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(out.transpose(1, 2).reshape(n, t, c))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Characters [N, T], int64, to the logits of the next ones [N, T, vocabulary]."""

    def __init__(self, vocabulary, context=CONTEXT, layers=LAYERS, heads=HEADS, width=WIDTH):
        super().__init__()
        self.context = context
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight
        for name, p in self.named_parameters():
            if p.ndim == 2:  # what adds to the residual stream starts smaller, the more such layers there are
                into_stream = name.endswith(("proj.weight", "mlp.2.weight"))
                nn.init.normal_(p, 0.0, 0.02 / math.sqrt(2 * layers) if into_stream else 0.02)

    def forward(self, tokens):
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        return self.head(self.norm(self.blocks(x)))

    @ng.no_grad()
    def generate(self, tokens, count, temperature=0.8):
        for _ in range(count):
            logits = self(tokens[:, -self.context :])[:, -1] / temperature
            tokens = ng.cat([tokens, ng.multinomial(logits.softmax(-1), 1)], 1)
        return tokens


def windows(data, starts):
    """What the model reads and what comes next, both [N, CONTEXT]."""
    rows = data[starts[:, None] + ng.arange(CONTEXT + 1)]
    return rows[:, :-1], rows[:, 1:]


def main(seed=0, out=None):
    ng.manual_seed(seed)
    text = Path(__file__).with_name("sonnets.txt").read_text()
    letters = sorted(set(text))
    data = ng.tensor([letters.index(c) for c in text])
    train, held_out = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]

    model = GPT(len(letters))
    optimizer = ng.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.1)
    schedule = ng.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS, pct_start=0.1)
    losses = []
    for step in range(STEPS):
        x, y = windows(train, ng.randint(0, len(train) - CONTEXT, (BATCH,)))
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step:3}  loss {losses[-1]:.3f}")
    with ng.no_grad():
        x, y = windows(held_out, ng.arange(0, len(held_out) - CONTEXT, CONTEXT))
        held = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
    sample = model.generate(ng.tensor([[letters.index("\n")]]), 300)[0].tolist()
    print("".join(letters[i] for i in sample))
    print(f"loss {held:.3f} on held-out sonnets, {losses[-1]:.3f} on the others")
    return held


if __name__ == "__main__":
    main()
