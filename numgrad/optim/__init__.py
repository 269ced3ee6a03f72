"""Optimizers and learning-rate schedulers: ``from numgrad import optim``. Names and defaults are torch's."""

from numgrad.optim import lr_scheduler
from numgrad.optim.adam import Adam, AdamW
from numgrad.optim.optimizer import Optimizer
from numgrad.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
