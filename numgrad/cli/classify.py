"""``numgrad classify``: name the object in a picture, with a network trained on ImageNet or a checkpoint of your own."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numgrad.cli import FAILED, FILE_SYSTEM, NETWORK, OK, USAGE
from numgrad.cli.convert import SUFFIXES
from numgrad.cli.train_step import positive

if TYPE_CHECKING:
    from numgrad.models import WeightsEnum
    from numgrad.nn import Module

_GRAVEST_FIRST = (FAILED, FILE_SYSTEM, NETWORK, USAGE)
# The shorter side is resized to about 232 pixels: a picture of 1 x 10,000 pixels would grow to 1.6 GB.
_MOST_RATIO = 100
_MODEL = "resnet18"
_PILLOW = "Pillow is needed to read pictures: pip install 'numgrad[image]'"

Row = dict[str, Any]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the ``classify`` command to a parser's subcommands.

    >>> parser = argparse.ArgumentParser()
    >>> _ = add_parser(parser.add_subparsers())
    >>> parser.parse_args(["classify", "cat.jpg"]).top
    5
    """
    parser = subparsers.add_parser(
        "classify",
        help="name what is in a picture",
        description="Name what is in pictures, the likeliest class first, with its probability. The weights are "
        "downloaded on first use. Needs Pillow: pip install 'numgrad[image]'.",
        epilog="Exit codes: 0 fine, 1 a picture or checkpoint is corrupt or does not fit, 2 usage, 3 network, 4 file "
        "system, 130 interrupted. With several pictures, the others are done all the same.",
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="a picture's file, of any format that Pillow reads")
    add("--top", type=positive, default=5, metavar="N", help="classes to show (default: %(default)s)")
    add("--model", metavar="NAME",
        help="a model of numgrad.models (default: that of --weights, or resnet18)")  # fmt: skip
    add("--weights", default="DEFAULT", metavar="NAME|FILE",
        help="pretrained weights, such as IMAGENET1K_V1, ResNet50_Weights.DEFAULT or a name of `numgrad weights list`, "
        "or a checkpoint's file (default: %(default)s)")  # fmt: skip
    add("--classes", type=Path, metavar="FILE",
        help="names of the classes, one a line (default: ImageNet's, for weights of 1000 classes)")  # fmt: skip
    add("--json", action="store_true", help="print one JSON list, and nothing else, on stdout")
    return parser


class _RefusedError(Exception):
    """The command cannot do what the arguments say; ``code`` is the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments of `add_parser` and return the exit code. Expected errors take one line."""
    from numgrad.cli import interrupt
    from numgrad.cli.progress import CompileProgress
    from numgrad.serialization.errors import WeightsFormatError
    from numgrad.weights import WeightsError

    rows: list[Row] = []
    codes: list[int] = []
    try:
        network = _Network(args)
        for name in args.images:
            interrupt.check()
            try:
                picture = read_picture(name)
            except _RefusedError as error:
                rows.append({"image": name, "classes": [], "error": str(error)})
                codes.append(_tell(str(error), error.code))
                continue
            # The network is made here, after the first picture is read: a mistyped name is reported before a download.
            with CompileProgress():
                classes = network(picture, args.top)
            rows.append({"image": name, "classes": classes, "error": None})
            if not args.json:
                print(as_text(rows[-1]))
    except WeightsError as error:
        from numgrad.cli.weights import exit_code

        return _tell(str(error), exit_code(error))
    except WeightsFormatError as error:
        return _tell(str(error), FAILED)
    except _RefusedError as error:
        return _tell(str(error), error.code)
    except OSError as error:
        return _tell(f"{error.filename}: {error.strerror}" if error.filename else str(error), FILE_SYSTEM)
    except ValueError as error:  # an invalid environment variable
        return _tell(str(error), USAGE)
    if args.json:
        print(json.dumps(rows, indent=2))
    return next((code for code in _GRAVEST_FIRST if code in codes), OK)


def _tell(text: str, code: int) -> int:
    print(f"numgrad classify: {text}", file=sys.stderr)
    return code


def as_text(row: Row) -> str:
    """One picture's classes as text.

    >>> print(as_text({"image": "a.jpg", "classes": [{"index": 281, "name": "tabby", "probability": 0.8125}]}))
    a.jpg
       81.25 %  tabby
    """
    return "\n".join(
        [row["image"], *(f"{100 * each['probability']:8.2f} %  {each['name']}" for each in row["classes"])]
    )


def read_picture(name: str) -> Any:
    """Read a picture completely, in RGB and turned as its EXIF data say.

    Raises
    ------
    _RefusedError
        The picture cannot be read, or Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise _RefusedError(_PILLOW, USAGE) from None
    try:
        with open(name, "rb") as file, Image.open(file) as picture:
            # Cameras store a portrait on its side, with the rotation in the EXIF data.
            return _in_rgb(ImageOps.exif_transpose(picture))
    except Image.UnidentifiedImageError:
        raise _RefusedError(f"{name}: this is not a picture in a format that Pillow reads", FAILED) from None
    except Exception as error:  # Pillow does not document what its formats raise for damaged files
        if isinstance(error, OSError) and error.errno:
            raise _RefusedError(f"{name}: {error.strerror}", FILE_SYSTEM) from None
        raise _RefusedError(f"{name}: the picture cannot be read: {error}", FAILED) from error


def _in_rgb(picture: Any) -> Any:
    """Convert to three channels of bytes; transparent parts become white."""
    from PIL import Image

    narrow, wide = sorted(picture.size)
    if wide > _MOST_RATIO * narrow:
        raise ValueError(f"{picture.width} x {picture.height} pixels is too narrow for a network to see")
    if picture.mode.startswith("I"):  # 16-bit grey, which Pillow's conversion would clip to 255
        picture = picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        layered = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    return picture.convert("RGB")


class _Network:
    """A model with its weights, built for the first picture.

    Invalid arguments are refused by the constructor.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._file = Path(args.weights) if Path(args.weights).exists() else None
        self._weights = _weights_of_file(self._file, args.model) if self._file else _named(args.weights, args.model)
        self._name = args.model or (_model_of(self._weights) if self._weights else _MODEL)
        self._names = args.classes.read_text(encoding="utf-8").splitlines() if args.classes else None
        self._model: Module | None = None
        self._prepare: Any = None

    def __call__(self, picture: Any, top: int) -> list[Row]:
        """The likeliest classes of a picture."""
        from numgrad.autograd import no_grad

        if self._model is None:
            self._model = self._build()
        with no_grad():
            probabilities = self._model(self._prepare(picture).unsqueeze(0)).softmax(1)[0].tolist()
        if any(math.isnan(probability) for probability in probabilities):
            raise _RefusedError(f"the weights of {self._file or self._weights} give NaN", FAILED)
        likeliest = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])[:top]
        return [
            {"index": index, "name": self._name_of(index), "probability": probabilities[index]} for index in likeliest
        ]

    def _build(self) -> Module:
        from numgrad import models

        builder = models.get_model_builder(self._name)
        if self._file is None:
            model = builder(weights=self._weights)
        else:
            from numgrad.cli.state_files import load_state, read_state

            state = read_state(self._file)
            model = builder(**self._config(state))
            load_state(model, state, self._file, self._name)
        facts = self._weights or _likely(models.get_model_weights(self._name), model)
        *_, last = model.state_dict().values()
        classes = last.shape[0]
        if self._names is None and classes == len(facts.meta["categories"]):
            self._names = facts.meta["categories"]
        if self._names is not None and len(self._names) != classes:
            raise _RefusedError(f"--classes has {len(self._names)} names, and the model has {classes} classes", USAGE)
        self._prepare = facts.transforms()
        return model.eval()

    def _config(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments for a model that a checkpoint fits: the number of classes, and the size of the images."""
        from numgrad import models
        from numgrad.nn import init

        with init.skipped():
            usual = models.get_model(self._name)
        *_, last = usual.state_dict()  # the offset of the last layer
        config = {}
        if last in state and state[last].ndim == 1:
            config["num_classes"] = state[last].shape[0]
        if self._weights and hasattr(usual, "image_size"):
            config["image_size"] = self._weights.meta["min_size"][0]
        return config

    def _name_of(self, index: int) -> str:
        return self._names[index] if self._names else f"class {index}"


def _named(text: str, model: str | None) -> WeightsEnum:
    """The pretrained weights called ``text``; they have to belong to ``model``, unless that is None."""
    from numgrad import models, weights

    enum = models.get_model_weights(model or _MODEL)
    if text in enum.__members__:
        return enum[text]
    try:
        weight = models.get_weight(weights.entry(text).torchvision)
    except weights.UnknownWeightsError as error:
        raise _RefusedError(
            f"--weights {text}: there is no such file, and {error}; {model or _MODEL} has {', '.join(enum.__members__)}",
            FILE_SYSTEM if Path(text).suffix in SUFFIXES or len(Path(text).parts) > 1 else USAGE,
        ) from None
    if model and not isinstance(weight, enum):
        raise _RefusedError(f"--weights {text} are not weights of --model {model}, but of {_model_of(weight)}", USAGE)
    return weight


def _weights_of_file(path: Path, model: str | None) -> WeightsEnum | None:
    """The pretrained weights whose file has this name, for the sake of their preprocessing; None for other files."""
    from numgrad import models, weights

    if path.is_dir():
        raise _RefusedError(f"--weights {path}: this is a folder, expected a checkpoint's file", FILE_SYSTEM)
    models.get_model_builder(model or _MODEL)
    for entry in weights.list_weights():
        if any(source.file == path.name for source in entry.sources) and model in (None, entry.model):
            return models.get_weight(entry.torchvision)
    return None


def _likely(enum: type[WeightsEnum], model: Module) -> WeightsEnum:
    """The weights whose preprocessing is that of an unknown file: the first that were trained on images of the model's size."""
    members = list(enum)
    size = getattr(model, "image_size", None)
    return next((each for each in members if each.transforms().crop_size == size), members[0])


def _model_of(chosen: WeightsEnum) -> str:
    from numgrad import weights

    return weights.entry(chosen.value.name).model
