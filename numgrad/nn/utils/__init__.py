"""What surrounds modules: clipping of gradients, parameters as one vector, modules without initial values."""

from numgrad.nn.utils import clip_grad, convert_parameters, init
from numgrad.nn.utils.clip_grad import *  # noqa: F403
from numgrad.nn.utils.convert_parameters import *  # noqa: F403
from numgrad.nn.utils.init import *  # noqa: F403

__all__: list[str] = []
__all__ += clip_grad.__all__
__all__ += convert_parameters.__all__
__all__ += init.__all__
