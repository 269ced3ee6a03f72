"""Learning rates that change from step to step. Formulas and names are torch's, so the rates are the same bits.

The formulas go from one rate to the next where they can ("chained"), so that several schedulers may act on one
optimizer.
"""

from numgrad.optim.lr_scheduler.base import LRScheduler
from numgrad.optim.lr_scheduler.one_cycle import OneCycleLR
from numgrad.optim.lr_scheduler.plateau import ReduceLROnPlateau
from numgrad.optim.lr_scheduler.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    StepLR,
)

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "StepLR",
]
