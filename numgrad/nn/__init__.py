"""Modules, layers, losses, and what belongs to them: ``from numgrad import nn``. Names and defaults are torch's."""

from numgrad.nn import (
    activation,
    adaptive,
    attention,
    batchnorm,
    common_types,
    containers,
    conv,
    convolutions,
    distances,
    embeddings,
    functional,
    grad,
    init,
    lazy,
    likelihoods,
    linear,
    loss,
    module,
    modules,
    norm,
    padding,
    parallel,
    parameter,
    parameter_containers,
    pooling,
    pooling_fractions,
    pooling_volumes,
    rearranging,
    rectifiers,
    recurrent,
    recurrent_cells,
    summaries,
    transformer,
    utils,
)
from numgrad.nn.activation import *  # noqa: F403
from numgrad.nn.adaptive import *  # noqa: F403
from numgrad.nn.attention import *  # noqa: F403
from numgrad.nn.batchnorm import *  # noqa: F403
from numgrad.nn.containers import *  # noqa: F403
from numgrad.nn.conv import *  # noqa: F403
from numgrad.nn.convolutions import *  # noqa: F403
from numgrad.nn.distances import *  # noqa: F403
from numgrad.nn.embeddings import *  # noqa: F403
from numgrad.nn.lazy import *  # noqa: F403
from numgrad.nn.likelihoods import *  # noqa: F403
from numgrad.nn.linear import *  # noqa: F403
from numgrad.nn.loss import *  # noqa: F403
from numgrad.nn.module import *  # noqa: F403
from numgrad.nn.norm import *  # noqa: F403
from numgrad.nn.padding import *  # noqa: F403
from numgrad.nn.parallel import DataParallel as DataParallel
from numgrad.nn.parameter import *  # noqa: F403
from numgrad.nn.parameter import factory_kwargs as factory_kwargs
from numgrad.nn.parameter_containers import *  # noqa: F403
from numgrad.nn.pooling import *  # noqa: F403
from numgrad.nn.pooling_fractions import *  # noqa: F403
from numgrad.nn.pooling_volumes import *  # noqa: F403
from numgrad.nn.rearranging import *  # noqa: F403
from numgrad.nn.rectifiers import *  # noqa: F403
from numgrad.nn.recurrent import *  # noqa: F403
from numgrad.nn.recurrent_cells import *  # noqa: F403
from numgrad.nn.summaries import *  # noqa: F403
from numgrad.nn.transformer import *  # noqa: F403

__all__ = ["common_types", "factory_kwargs", "functional", "grad", "init", "modules", "parallel", "parameter", "utils"]
__all__ += activation.__all__
__all__ += adaptive.__all__
__all__ += attention.__all__
__all__ += batchnorm.__all__
__all__ += containers.__all__
__all__ += conv.__all__
__all__ += ["DataParallel"]
__all__ += embeddings.__all__
__all__ += lazy.__all__
__all__ += linear.__all__
__all__ += loss.__all__
__all__ += module.__all__
__all__ += norm.__all__
__all__ += parameter.__all__
__all__ += parameter_containers.__all__
__all__ += pooling.__all__
__all__ += distances.__all__
__all__ += likelihoods.__all__
__all__ += padding.__all__
__all__ += pooling_fractions.__all__ + pooling_volumes.__all__
__all__ += rearranging.__all__
__all__ += rectifiers.__all__
__all__ += convolutions.__all__
__all__ += recurrent.__all__
__all__ += recurrent_cells.__all__
__all__ += summaries.__all__
__all__ += transformer.__all__
