"""Modules, layers, losses, and what belongs to them: ``from numgrad import nn``. Names and defaults are torch's."""

from numgrad.nn import (
    activation,
    attention,
    containers,
    conv,
    convolutions,
    distances,
    functional,
    init,
    likelihoods,
    linear,
    loss,
    module,
    norm,
    padding,
    parameter,
    pooling,
    pooling_fractions,
    pooling_volumes,
    rearranging,
    rectifiers,
    transformer,
    utils,
)
from numgrad.nn.activation import *  # noqa: F403
from numgrad.nn.attention import *  # noqa: F403
from numgrad.nn.containers import *  # noqa: F403
from numgrad.nn.conv import *  # noqa: F403
from numgrad.nn.convolutions import *  # noqa: F403
from numgrad.nn.distances import *  # noqa: F403
from numgrad.nn.likelihoods import *  # noqa: F403
from numgrad.nn.linear import *  # noqa: F403
from numgrad.nn.loss import *  # noqa: F403
from numgrad.nn.module import *  # noqa: F403
from numgrad.nn.norm import *  # noqa: F403
from numgrad.nn.padding import *  # noqa: F403
from numgrad.nn.parameter import *  # noqa: F403
from numgrad.nn.pooling import *  # noqa: F403
from numgrad.nn.pooling_fractions import *  # noqa: F403
from numgrad.nn.pooling_volumes import *  # noqa: F403
from numgrad.nn.rearranging import *  # noqa: F403
from numgrad.nn.rectifiers import *  # noqa: F403
from numgrad.nn.transformer import *  # noqa: F403

__all__ = ["functional", "init", "utils"]
__all__ += activation.__all__
__all__ += attention.__all__
__all__ += containers.__all__
__all__ += conv.__all__
__all__ += linear.__all__
__all__ += loss.__all__
__all__ += module.__all__
__all__ += norm.__all__
__all__ += parameter.__all__
__all__ += pooling.__all__
__all__ += distances.__all__
__all__ += likelihoods.__all__
__all__ += padding.__all__
__all__ += pooling_fractions.__all__ + pooling_volumes.__all__
__all__ += rearranging.__all__
__all__ += rectifiers.__all__
__all__ += convolutions.__all__
__all__ += transformer.__all__
