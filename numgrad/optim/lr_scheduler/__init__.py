"""Learning rates that change from step to step. Formulas and names are torch's, so the rates are the same bits.

Where possible the formulas compute a rate from the one before ("chained"), so that several schedulers may act on one
optimizer.
"""

from numgrad.optim.lr_scheduler.base import LRScheduler
from numgrad.optim.lr_scheduler.base import _LRScheduler as _LRScheduler
from numgrad.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from numgrad.optim.lr_scheduler.cycles import CosineAnnealingWarmRestarts, CyclicLR
from numgrad.optim.lr_scheduler.one_cycle import OneCycleLR
from numgrad.optim.lr_scheduler.plateau import ReduceLROnPlateau
from numgrad.optim.lr_scheduler.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
