"""What torchvision says of its models, for machines without it: keys and shapes of all, numbers of small ones.

``python -m tests.models.recorded_models`` writes `torchvision_says.json`, where torch and torchvision are installed.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

RECORD = Path(__file__).with_name("torchvision_says.json")

# Networks that are small enough to be compared: how each library's `models` makes one, and the shape of the images.
NETWORKS: dict[str, tuple[Callable[[ModuleType], Any], tuple[int, ...]]] = {
    "squeezenet1_1": (lambda models: models.squeezenet1_1(num_classes=7), (2, 3, 33, 33)),
    "mobilenet_v2": (lambda models: models.mobilenet_v2(num_classes=7, width_mult=0.5), (2, 3, 48, 48)),
    "mobilenet_v3_small": (lambda models: models.mobilenet_v3_small(num_classes=7), (2, 3, 64, 64)),
    "mobilenet_v3_large": (
        lambda models: models.mobilenet_v3_large(num_classes=7, width_mult=0.5, reduced_tail=True, dilated=True),
        (2, 3, 48, 48),
    ),
    "densenet": (lambda models: models.DenseNet(8, (2, 3, 2, 2), 16, num_classes=7), (2, 3, 64, 64)),
    "densenet, memory efficient": (
        lambda models: models.DenseNet(8, (2, 2, 2, 2), 16, num_classes=7, memory_efficient=True),
        (2, 3, 64, 64),
    ),
    "efficientnet_b0": (lambda models: models.efficientnet_b0(num_classes=7), (2, 3, 64, 64)),
    "efficientnet, fused": (
        lambda models: models.EfficientNet(
            [
                models.efficientnet.FusedMBConvConfig(1, 3, 1, 8, 8, 2),
                models.efficientnet.FusedMBConvConfig(4, 3, 2, 8, 16, 2),
                models.efficientnet.MBConvConfig(4, 3, 2, 16, 24, 2),
            ],
            dropout=0.2,
            num_classes=7,
        ),
        (2, 3, 32, 32),
    ),
    "shufflenet_v2_x0_5": (lambda models: models.shufflenet_v2_x0_5(num_classes=7), (2, 3, 64, 64)),
    "mnasnet0_5": (lambda models: models.mnasnet0_5(num_classes=7), (2, 3, 64, 64)),
    "regnet_y_400mf": (lambda models: models.regnet_y_400mf(num_classes=7), (2, 3, 64, 64)),
    "convnext": (
        lambda models: models.ConvNeXt(
            [models.convnext.CNBlockConfig(8, 16, 1), models.convnext.CNBlockConfig(16, None, 2)], num_classes=7
        ),
        (2, 3, 32, 32),
    ),
    "vit": (
        lambda models: models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=7, representation_size=12),
        (2, 3, 32, 32),
    ),
    "googlenet": (lambda models: models.googlenet(num_classes=7, init_weights=False), (2, 3, 64, 64)),
    "inception_v3": (
        lambda models: models.inception_v3(num_classes=7, init_weights=False, aux_logits=False, transform_input=True),
        (2, 3, 80, 75),
    ),
    "vgg": (
        lambda models: models.VGG(models.vgg11_bn(init_weights=False).features[:15], num_classes=7).features,
        (2, 3, 32, 32),
    ),
}


def filled(state: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """Values for a state dict, from its names and shapes alone, so that both libraries get the same."""
    rng = np.random.default_rng(1)
    values = {}
    for name, shape in state:
        if name.endswith("num_batches_tracked"):
            values[name] = np.zeros((), np.int64)
        elif len(shape) == 1 and name.endswith(("weight", "running_var")):
            values[name] = rng.uniform(0.5, 1.5, shape)
        elif len(shape) <= 1:
            values[name] = rng.normal(0, 0.1, shape)
        else:
            values[name] = rng.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape)
    return values


def numbers(model: Any, shape: tuple[int, ...], tensor: Callable[[np.ndarray], Any]) -> dict[str, list[float]]:
    """Scores in eval mode, and in train mode the loss and for each parameter one number of its gradient."""
    rng = np.random.default_rng(2)
    image = tensor(rng.normal(size=shape))
    for module in model.modules():  # random numbers are not the same in both libraries
        if hasattr(module, "p"):
            module.p = 0.0
    model.eval()
    scores = _array(model(image)).ravel()[:8]
    model.train()
    out = model(image)
    loss = sum((each * each).sum() for each in (out if isinstance(out, tuple) else (out,)))
    loss.backward()
    gradients = [_array(parameter.grad) for parameter in model.parameters()]
    shares = [float((gradient * rng.normal(size=gradient.shape)).sum()) for gradient in gradients]
    return {"eval": scores.tolist(), "loss": [loss.item()], "gradients": shares}


def _array(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach().numpy(), dtype=np.float64)


def digest(value: Any) -> str:
    """A short fingerprint of names and shapes, or of a text."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def facts(model: Any) -> dict[str, Any]:
    """Numbers of entries and of parameters, the fingerprints of names with shapes and of the model's text."""
    state = [[name, list(value.shape)] for name, value in model.state_dict().items()]
    return {
        "entries": len(state),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "state": digest(state),
        "text": digest(repr(model)),
    }


def every_model() -> dict[str, Any]:
    """The facts of numgrad's models, and the multiply-adds for an image of the size that they were trained on.

    It is called where nothing is computed; see `numgrad.runtime.helpers`.
    """
    from numgrad import models, nn, weights

    found = {}
    for name in models.list_models():
        crop = weights.entry(name).preprocessing.crop
        with nn.init.skipped():
            model = models.get_model(name)
            found[name] = facts(model)
            if getattr(model, "image_size", crop) != crop:
                model = models.get_model(name, image_size=crop)
        found[name]["mult_adds"] = nn.summary(model, (1, 3, crop, crop)).total_mult_adds
    return found


def read() -> dict[str, Any]:
    """The record."""
    record: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return record


def write() -> None:
    """Ask torchvision."""
    import torch
    import torchvision

    models = torchvision.models
    warnings.simplefilter("ignore")

    def bare(name: str) -> Any:
        construct = models.regnet.RegNet.__init__

        def without_memory(self: Any, *args: Any, **config: Any) -> None:
            with torch.device("meta"):
                construct(self, *args, **config)

        if name.startswith("regnet"):  # whose widths are computed with tensors
            models.regnet.RegNet.__init__ = without_memory
            try:
                return models.get_model(name)
            finally:
                models.regnet.RegNet.__init__ = construct
        with torch.device("meta"):
            return models.get_model(name)

    families = ("maxvit", "swin")
    names = [name for name in models.list_models(module=models) if not name.startswith(families)]
    every = {name: facts(bare(name)) for name in names}
    small = {}
    for name, (make, shape) in NETWORKS.items():
        model = make(models).double()
        values = filled((key, tuple(value.shape)) for key, value in model.state_dict().items())
        for key, value in model.state_dict().items():
            value.copy_(torch.tensor(values[key]))
        small[name] = numbers(model, shape, torch.tensor)
    lines = [f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in every.items()]
    rows = [
        f"  {json.dumps(name)}: {json.dumps({k: [float(f'{x:.10g}') for x in v] for k, v in each.items()})}"
        for name, each in small.items()
    ]
    version = json.dumps(torchvision.__version__.partition("+")[0])
    RECORD.write_text(
        f'{{"torchvision": {version},\n"models": {{\n' + ",\n".join(lines) + '\n},\n"numbers": {\n' + ",\n".join(rows)
        + "\n}}\n",
        "utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    write()
