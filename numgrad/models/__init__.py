"""Models with torchvision's names, arguments and keys, and their pretrained weights."""

from numgrad.models import blocks
from numgrad.models.alexnet import *  # noqa: F403
from numgrad.models.alexnet import __all__ as _alexnet
from numgrad.models.builders import get_model, get_model_builder, get_model_weights, get_weight, list_models
from numgrad.models.convnext import *  # noqa: F403
from numgrad.models.convnext import __all__ as _convnext
from numgrad.models.densenet import *  # noqa: F403
from numgrad.models.densenet import __all__ as _densenet
from numgrad.models.efficientnet import *  # noqa: F403
from numgrad.models.efficientnet import __all__ as _efficientnet
from numgrad.models.googlenet import *  # noqa: F403
from numgrad.models.googlenet import __all__ as _googlenet
from numgrad.models.inception import *  # noqa: F403
from numgrad.models.inception import __all__ as _inception
from numgrad.models.mnasnet import *  # noqa: F403
from numgrad.models.mnasnet import __all__ as _mnasnet
from numgrad.models.mobilenetv2 import *  # noqa: F403
from numgrad.models.mobilenetv2 import __all__ as _mobilenetv2
from numgrad.models.mobilenetv3 import *  # noqa: F403
from numgrad.models.mobilenetv3 import __all__ as _mobilenetv3
from numgrad.models.regnet import *  # noqa: F403
from numgrad.models.regnet import __all__ as _regnet
from numgrad.models.regnet_weights import *  # noqa: F403
from numgrad.models.regnet_weights import __all__ as _regnet_weights
from numgrad.models.resnet import *  # noqa: F403
from numgrad.models.resnet import __all__ as _resnet
from numgrad.models.resnet_weights import *  # noqa: F403
from numgrad.models.resnet_weights import __all__ as _resnet_weights
from numgrad.models.shufflenetv2 import *  # noqa: F403
from numgrad.models.shufflenetv2 import __all__ as _shufflenetv2
from numgrad.models.squeezenet import *  # noqa: F403
from numgrad.models.squeezenet import __all__ as _squeezenet
from numgrad.models.vgg import *  # noqa: F403
from numgrad.models.vgg import __all__ as _vgg
from numgrad.models.vision_transformer import *  # noqa: F403
from numgrad.models.vision_transformer import __all__ as _vision_transformer
from numgrad.models.weights import Weights, WeightsEnum

__all__ = [
    "Weights",
    "WeightsEnum",
    "blocks",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
]
__all__ += _alexnet
__all__ += _convnext
__all__ += _densenet
__all__ += _efficientnet
__all__ += _googlenet
__all__ += _inception
__all__ += _mnasnet
__all__ += _mobilenetv2
__all__ += _mobilenetv3
__all__ += _regnet
__all__ += _regnet_weights
__all__ += _resnet
__all__ += _resnet_weights
__all__ += _shufflenetv2
__all__ += _squeezenet
__all__ += _vgg
__all__ += _vision_transformer
