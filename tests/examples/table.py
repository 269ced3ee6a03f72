"""What each example has to print, and what it shows: the one table of tests/examples, benchmarks/examples and docs/examples.md."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

Bound = tuple[float, float]


def at_least(least: float) -> Bound:
    """From here on."""
    return least, math.inf


def at_most(largest: float) -> Bound:
    """Up to here."""
    return -math.inf, largest


class Example(NamedTuple):
    """A program of examples/.

    ``result`` is a pattern of what it prints; its groups are numbers, and ``bounds`` has the least and the largest of each.
    An example that is ``drawn`` takes ``--seed`` and ``--out``, the file of its figure.
    """

    name: str
    shows: str
    result: str
    bounds: tuple[Bound, ...] = ()
    drawn: bool = False

    def found(self, printed: str) -> tuple[str, list[float]]:
        """The result's text and its numbers.

        Raises
        ------
        AssertionError
            It was not printed, or not once.
        """
        found = list(re.finditer(self.result, printed))
        assert len(found) == 1, f"{self.name}: {self.result!r} was printed {len(found)} times in\n{printed}"
        return found[0].group(), [float(number) for number in found[0].groups()]


NUMBER = r"(-?[\d.]+(?:e[-+]\d+)?)"

EXAMPLES = (
    # ---- trained, drawn, compared with torch: the page docs/examples.md ----
    Example(
        "digits",
        "handwritten digits by a small convolutional net, tested on other writers",
        rf"{NUMBER} % of 360 digits of other writers are right",
        (at_least(98.5),),
        drawn=True,
    ),
    Example(
        "vae",
        "a variational autoencoder of digits, and the map that it makes of them",
        rf"at most {NUMBER} nats a test picture; {NUMBER} with independent pixels",
        (at_most(100), (105, 105.2)),
        drawn=True,
    ),
    Example(
        "gan",
        "an adversarial pair that learns eight heaps of points, by a penalty on the critic's slope",
        rf"{NUMBER} of 8 heaps found; {NUMBER} % of points within three spreads of one",
        ((8, 8), at_least(65)),
        drawn=True,
    ),
    Example(
        "denoise",
        "noise taken out of a picture by a net that has seen no other: the deep image prior",
        rf"PSNR {NUMBER} dB before, {NUMBER} after; {NUMBER} by the best blur",
        ((19.5, 20.5), at_least(26.5), at_most(23.5)),
        drawn=True,
    ),
    Example(
        "finetune",
        "a frozen ResNet18 whose last layer learns a new question from twenty pictures",
        rf"even or odd: {NUMBER} % right before, {NUMBER} % after; {NUMBER} % with random features",
        (at_most(70), at_least(87), at_most(87)),
        drawn=True,
    ),
    # ---- sequences, control, equations ----
    Example(
        "gpt",
        "a GPT that reads sonnets character by character and writes others",
        rf"{NUMBER} nats for a character of sonnets that it has not read",
        (at_most(1.85),),
        drawn=True,
    ),
    Example(
        "lstm_adding",
        "an LSTM that adds two numbers from fifty steps of a sequence",
        rf"mean squared error {NUMBER}, {NUMBER} times below that without memory",
        (at_most(1 / 60), at_least(10)),
        drawn=True,
    ),
    Example(
        "cart_pole",
        "a cart that learns to balance a pole by REINFORCE",
        rf"mean reward {NUMBER} of 500 for 100 new carts",
        ((475, 500),),
        drawn=True,
    ),
    Example(
        "burgers",
        "Burgers' equation by a physics-informed net, against the exact solution",
        rf"relative L2 error {NUMBER}",
        (at_most(1e-2),),
        drawn=True,
    ),
    Example(
        "neural_ode",
        "the law of a pendulum, learned from noisy paths through a Runge-Kutta solver",
        rf"a swing that was not seen is {NUMBER} from the truth on average",
        (at_most(0.1),),
        drawn=True,
    ),
    Example(
        "gaussian_process",
        "the marginal likelihood of a Gaussian process, against the closed form of its gradient",
        rf"the gradients are {NUMBER} apart, the optima {NUMBER}",
        (at_most(1e-10), at_most(1e-6)),
        drawn=True,
    ),
    # ---- single ideas, in a second or two ----
    Example(
        "custom_function",
        "a `Function` with a backward of its own, that can be differentiated twice",
        rf"right: True; at 1000: tensor\(\[{NUMBER}, {NUMBER}\]\); through rounding: tensor\(\[ *{NUMBER}, *{NUMBER}\]\)",
        ((0.499, 0.501), (0.499, 0.501), (2, 2), (20, 20)),
    ),
    Example(
        "custom_op",
        "ops of one's own, from a formula and from loops",
        r"squash: True twice: True\nsmoothed: True\n",
    ),
    Example(
        "gradient_penalty",
        "a critic whose slope is held at 1, by a second derivative",
        rf"distance {NUMBER} \(2 by construction\), penalty {NUMBER} -> {NUMBER}",
        ((1.5, 2.5), at_least(0.3), at_most(0.1)),
    ),
    Example(
        "per_sample_gradients",
        "the gradient of each sample, by `vmap(grad)` and one by one",
        rf"both agree to {NUMBER}; sample {NUMBER} pulls {NUMBER} times as hard",
        (at_most(1e-4), (5, 5), at_least(2)),
    ),
    Example(
        "posterior",
        "variational inference, with the exact posterior beside it",
        rf"fitted  rate {NUMBER} \+- {NUMBER}\nexact   rate {NUMBER}",
        ((2.5, 3.5), (0.3, 0.5), (2.5, 3.5)),
    ),
    Example(
        "train_mlp",
        "a small classifier of digits that are drawn, not downloaded",
        rf"{NUMBER} of 1000 right",
        (at_least(900),),
    ),
    Example(
        "fit_loop",
        "the parameters of a loop from what it left, by `differentiable`",
        rf"friction found {NUMBER}, true 0\.250",
        ((0.24, 0.26),),
    ),
)
