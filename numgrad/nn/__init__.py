"""Modules, layers, losses, and what belongs to them: ``from numgrad import nn``. Names and defaults are torch's."""

from numgrad.nn import functional, init, utils
from numgrad.nn.activation import (
    ELU,
    GELU,
    Dropout,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from numgrad.nn.attention import MultiheadAttention
from numgrad.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from numgrad.nn.conv import Conv2d
from numgrad.nn.linear import Embedding, Flatten, Identity, Linear
from numgrad.nn.loss import BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, L1Loss, MSELoss, NLLLoss, SmoothL1Loss
from numgrad.nn.module import Module
from numgrad.nn.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from numgrad.nn.parameter import Parameter
from numgrad.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from numgrad.nn.transformer import TransformerEncoderLayer

__all__ = [
    "ELU",
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "ParameterList",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Tanh",
    "TransformerEncoderLayer",
    "functional",
    "init",
    "utils",
]
