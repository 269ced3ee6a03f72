"""What surrounds modules: clipping of gradients, parameters as one vector, other ways of keeping them, packed sequences."""

from numgrad.nn.utils import (
    clip_grad,
    convert_parameters,
    fusion,
    init,
    memory_format,
    parametrizations,
    parametrize,
    prune,
    rnn,
    stateless,
)
from numgrad.nn.utils.clip_grad import *  # noqa: F403
from numgrad.nn.utils.convert_parameters import *  # noqa: F403
from numgrad.nn.utils.fusion import *  # noqa: F403
from numgrad.nn.utils.init import *  # noqa: F403
from numgrad.nn.utils.memory_format import *  # noqa: F403
from numgrad.nn.utils.spectral_norm import remove_spectral_norm, spectral_norm
from numgrad.nn.utils.weight_norm import remove_weight_norm, weight_norm

__all__: list[str] = ["parametrizations", "parametrize", "prune", "rnn", "stateless"]
__all__ += ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]
__all__ += clip_grad.__all__
__all__ += convert_parameters.__all__
__all__ += fusion.__all__
__all__ += init.__all__
__all__ += memory_format.__all__
