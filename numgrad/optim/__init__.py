"""Optimizers and learning-rate schedulers: ``from numgrad import optim``. Names and defaults are torch's."""

from numgrad.optim import lr_scheduler, swa_utils
from numgrad.optim.adadelta import Adadelta
from numgrad.optim.adafactor import Adafactor
from numgrad.optim.adagrad import Adagrad
from numgrad.optim.adam import Adam
from numgrad.optim.adamax import Adamax
from numgrad.optim.adamw import AdamW
from numgrad.optim.asgd import ASGD
from numgrad.optim.lbfgs import LBFGS
from numgrad.optim.muon import Muon
from numgrad.optim.nadam import NAdam
from numgrad.optim.optimizer import Optimizer
from numgrad.optim.radam import RAdam
from numgrad.optim.rmsprop import RMSprop
from numgrad.optim.rprop import Rprop
from numgrad.optim.sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]
