"""`measure`: the training steps that ``numgrad train-step`` runs, and their `Report`."""

from __future__ import annotations

import argparse
import functools
import math
import operator
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numgrad import dtypes, models, optim
from numgrad.autograd import no_grad
from numgrad.cli.machine import peak_resident_bytes
from numgrad.cli.progress import CompileProgress
from numgrad.cli.state_files import load_state, read_state
from numgrad.nn import Module, init
from numgrad.runtime import helpers
from numgrad.runtime.memory import memory_stats
from numgrad.runtime.threads import get_num_threads
from numgrad.tensor import random
from numgrad.tensor.tensor import Tensor

_CLASSES = 1000
PARTS = ("forward", "backward", "optimizer")


@dataclass
class Report:
    """Results and costs of the steps. ``seconds`` has for each part the first time, the median of the others (None if there
    are none) and all times. ``replay`` is what `replayed` says, if it was asked for."""

    model: str
    weights: str
    batch_size: int
    image_size: int
    dtype: str
    threads: int
    seed: int
    lr: float
    momentum: float
    seconds: dict[str, dict[str, Any]]
    loss: dict[str, float]
    gradient_norm: float
    memory: dict[str, int | None]
    compiled: dict[str, float]
    replay: dict[str, Any] | None = None


def measure(args: argparse.Namespace, checkpoint: Path | None, check: Callable[[], None] = lambda: None) -> Report:
    """Build the model, run the steps, and report on them.

    Parameters
    ----------
    args
        The arguments of ``numgrad train-step``.
    checkpoint
        A file with the model's state dict; None: random weights from the seed.
    check
        Called between steps; it raises an exception to stop.

    Raises
    ------
    OSError
        The checkpoint cannot be read.
    WeightsFormatError
        The checkpoint is damaged, or does not fit the model.
    ValueError
        The images are too small for the model.
    """
    with CompileProgress() as progress, helpers.on_demand(RECIPE, recipe_arguments(args, checkpoint)):
        model, images, labels, optimizer = prepare(args, checkpoint)
        spent: list[tuple[float, ...]] = []
        for number in range(args.steps):
            check()
            times, loss = step(model, images, labels, optimizer)
            spent.append(times)
            if number == 0:
                before, norm = loss.item(), math.sqrt(math.fsum(gradient_squares(model)))
        check()
        with no_grad():
            after = loss_of(model(images), labels).item()
        memory = {"peak_resident_bytes": peak_resident_bytes(), "peak_storage_bytes": memory_stats()["peak"]}
        del model, images, labels, optimizer
        replay = replayed(args, checkpoint, after, check) if getattr(args, "jit", False) else None
    return Report(
        model=args.model,
        weights=f"random (seed {args.seed})" if checkpoint is None else str(checkpoint),
        batch_size=args.batch_size,
        image_size=args.image_size,
        dtype=args.dtype,
        threads=get_num_threads(),
        seed=args.seed,
        lr=args.lr,
        momentum=args.momentum,
        seconds=_by_part(spent),
        loss={"before": before, "after": after},
        gradient_norm=norm,
        memory=memory,
        compiled={"kernels": progress.kernels, "seconds": progress.seconds},
        replay=replay,
    )


def replayed(
    args: argparse.Namespace, checkpoint: Path | None, eager: float, check: Callable[[], None]
) -> dict[str, Any]:
    """Make the same steps from the same beginning as one program (`numgrad.jit`), and report on them.

    The result has the seconds of the call that was captured, the median (None if there are none) and all times of the replays,
    the number of launches of one, the bytes of their memory plan, the loss after all steps, and whether it has the bits of
    ``eager``, the loss after the steps that ran op by op.
    """
    from numgrad.compile import jit  # it is loaded for those that ask for it

    model, images, labels, optimizer = prepare(args, checkpoint)

    @jit
    def whole_step(images: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    times: list[float] = []
    capture = 0.0
    for _ in range(args.steps):
        check()
        before, begin = jit.stats(whole_step).replays, time.perf_counter()
        whole_step(images, labels)
        spent = time.perf_counter() - begin
        if jit.stats(whole_step).replays > before:
            times.append(spent)
        else:
            capture = spent
    with no_grad():
        after = loss_of(model(images), labels).item()
    stats = jit.stats(whole_step)
    return {
        "capture": capture,
        "median": statistics.median(times) if times else None,
        "all": times,
        "launches": stats.launches,
        "planned_bytes": stats.planned,
        "loss_after": after,
        "has_the_same_bits": repr(after) == repr(eager),
    }


def prepare(args: argparse.Namespace, checkpoint: Path | None, batch: int = 0) -> tuple[Module, Tensor, Tensor, Any]:
    """Model, images, labels and optimizer; which images depends on ``batch``."""
    dtype = getattr(dtypes, args.dtype)
    model = build_model(args.model, args.seed, checkpoint).to(dtype)
    random.manual_seed(args.seed + 1 + batch)
    images = random.rand(args.batch_size, 3, args.image_size, args.image_size, dtype=dtype)
    labels = random.rand(args.batch_size, _CLASSES, dtype=dtype)
    return model, images, labels, optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)


def build_model(name: str, seed: int, checkpoint: Path | None) -> Module:
    """A model with the weights of a checkpoint, or random ones from a seed.

    Raises
    ------
    OSError
        The checkpoint cannot be read.
    WeightsFormatError
        The checkpoint is damaged, or does not fit the model.
    """
    random.manual_seed(seed)
    with nullcontext() if checkpoint is None else init.skipped():
        model = models.get_model(name, weights=None)
    if checkpoint is not None:
        load_state(model, read_state(checkpoint), checkpoint, name)
    return model


def step(model: Module, images: Tensor, labels: Tensor, optimizer: Any) -> tuple[tuple[float, ...], Tensor]:
    """Make one training step; return the seconds of its parts, and the loss."""
    optimizer.zero_grad()
    begin = time.perf_counter()
    loss = loss_of(model(images), labels)
    predicted = time.perf_counter()
    loss.backward()
    derived = time.perf_counter()
    optimizer.step()
    end = time.perf_counter()
    return (predicted - begin, derived - predicted, end - derived), loss


def loss_of(predictions: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """The sum of the predictions minus the labels, over all classifiers of a model that has further ones."""
    if isinstance(predictions, Tensor):
        return (predictions - labels).sum()
    return functools.reduce(operator.add, [(each - labels).sum() for each in predictions])


def gradient_squares(model: Module) -> list[float]:
    """The sum of squares of each parameter's gradient."""
    with no_grad():
        return [(p.grad * p.grad).sum().item() for p in model.parameters() if p.grad is not None]


# ---- what has to be compiled for it -------------------------------------------------------------------------------

RECIPE = "numgrad.cli.step:rehearse"  # for `numgrad.runtime.helpers`


def recipe_arguments(args: argparse.Namespace, checkpoint: Path | None = None) -> dict[str, Any]:
    """The arguments of `rehearse` for a run of `measure`."""
    return {
        "model": args.model,
        "batch_size": args.batch_size,
        "image_size": args.image_size,
        "dtype": args.dtype,
        "checkpoint": None if checkpoint is None else str(checkpoint),
    }


def rehearse(checkpoint: str | None, **options: Any) -> None:
    """Run the ops of `measure`, so that their kernels are compiled; the numbers do not matter."""
    args = argparse.Namespace(**options, seed=0, lr=1e-2, momentum=0.9)
    model, images, labels, optimizer = prepare(args, None if checkpoint is None else Path(checkpoint))
    for _ in range(2):  # an optimizer's second step may differ from its first
        step(model, images, labels, optimizer)[1].item()
        gradient_squares(model)
    with no_grad():
        loss_of(model(images), labels).item()


def _by_part(spent: list[tuple[float, ...]]) -> dict[str, dict[str, Any]]:
    columns = {**dict(zip(PARTS, zip(*spent, strict=True), strict=True)), "total": tuple(map(sum, spent))}
    return {
        part: {
            "first": times[0],
            "median": statistics.median(times[1:]) if len(times) > 1 else None,
            "all": list(times),
        }
        for part, times in columns.items()
    }
