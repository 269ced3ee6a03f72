"""``numgrad classify``: what it says of a picture, of damaged ones, and its exit codes."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import cli, models, weights
from numgrad.cli import classify
from numgrad.models import ResNet18_Weights

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed, without which no picture is read")

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """In a folder with a picture, without a network and without anybody's weights."""
    for name in ("NUMGRAD_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("NUMGRAD_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("a.png")

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["classify", *words])
        shown = capsys.readouterr()
        return code, shown.out, "".join(line for line in shown.err.splitlines(True) if "compil" not in line)

    return run


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of three classes, as a training program leaves it."""
    ng.manual_seed(0)
    state = models.resnet18(num_classes=3).state_dict()
    path = tmp_path_factory.mktemp("weights") / "three.ckpt"
    ng.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    return path


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ng.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "thousand.safetensors"
    ng.save(models.resnet18().state_dict(), path)
    return path


def expected(path: Path, pixels: np.ndarray, classes: int) -> np.ndarray:
    """The probabilities, by the documented functions one by one."""
    model = models.resnet18(num_classes=classes).eval()
    state = ng.load(path)
    state = {name.removeprefix("module."): value for name, value in state.get("state_dict", state).items()}
    model.load_state_dict(state)
    picture = ResNet18_Weights.IMAGENET1K_V1.transforms()(Image.fromarray(pixels))
    with ng.no_grad():
        scores = np.array(model(picture.unsqueeze(0))[0].tolist())
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def test_the_likeliest_classes_by_name(command: Command, thousand: Path) -> None:
    code, out, err = command("a.png", "--weights", str(thousand), "--top", "3")
    assert (code, err) == (0, "")
    wanted = expected(thousand, PIXELS, 1000)
    names = weights.categories("resnet18")
    lines = [f"{100 * wanted[index]:8.2f} %  {names[index]}" for index in np.argsort(-wanted)[:3]]
    assert out.splitlines() == ["a.png", *lines]


def test_json_and_classes_of_ones_own(command: Command, three: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\nbird\n")
    code, out, err = command("a.png", "none.png", "--weights", str(three), "--classes", "names.txt", "--json")
    assert code == 4
    good, bad = json.loads(out)
    assert bad == {"image": "none.png", "classes": [], "error": "none.png: No such file or directory"}
    assert err == "numgrad classify: none.png: No such file or directory\n"
    wanted = expected(three, PIXELS, 3)
    assert (good["image"], good["error"]) == ("a.png", None)
    assert [each["index"] for each in good["classes"]] == np.argsort(-wanted).tolist()
    for each in good["classes"]:
        assert each["probability"] == pytest.approx(wanted[each["index"]], abs=1e-5)
        assert each["name"] == ("cat", "dog", "bird")[each["index"]]
    assert "class 0" in command("a.png", "--weights", str(three))[1]
    code, _, err = command("a.png", "--weights", str(three), "--classes", "a.png.txt")
    assert (code, err) == (4, "numgrad classify: a.png.txt: No such file or directory\n")
    (tmp_path / "names.txt").write_text("cat\n")
    code, _, err = command("a.png", "--weights", str(three), "--classes", "names.txt")
    assert (code, err) == (2, "numgrad classify: --classes has 1 names, and the model has 3 classes\n")


def test_pictures_are_turned_as_their_makers_say(tmp_path: Path) -> None:
    """EXIF says where the first row and the first column of the file belong."""
    across = PIXELS.transpose(1, 0, 2)
    stored = {
        1: PIXELS, 2: PIXELS[:, ::-1], 3: PIXELS[::-1, ::-1], 4: PIXELS[::-1],
        5: across, 6: across[::-1], 7: across[::-1, ::-1], 8: across[:, ::-1],
    }  # fmt: skip
    for tag, pixels in stored.items():
        exif = Image.Exif()
        exif[0x0112] = tag
        path = tmp_path / f"turned-{tag}.png"
        Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif)
        assert np.array_equal(np.array(classify.read_picture(str(path))), PIXELS), tag


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "LA", "1", "I;16", "F", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    path = tmp_path / "picture.tiff"
    if mode in ("HSV",):  # no file has it
        read = classify._in_rgb(picture)
    else:
        picture.save(path)
        read = classify.read_picture(str(path))
    assert (read.mode, read.size) == ("RGB", (8, 8))
    if mode != "1":
        assert np.abs(np.array(read).astype(int) - grey[..., None]).max() <= 3


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:, 4:] = (10, 20, 30, 255)
    Image.fromarray(clear).save(tmp_path / "a.png")
    read = np.array(classify.read_picture(str(tmp_path / "a.png")))
    assert (read[:, :4] == 255).all()
    assert (read[:, 4:] == (10, 20, 30)).all()


def test_a_bad_picture_does_not_stop_the_others(command: Command, three: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    Image.fromarray(PIXELS).save(tmp_path / "b.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:1000])
    Image.new("RGB", (1, 5000)).save(tmp_path / "thin.png")
    code, out, err = command("text.jpg", "cut.jpg", "thin.png", ".", "a.png", "--weights", str(three), "--top", "1")
    assert code == 1
    assert out.startswith("a.png\n")
    said = err.splitlines()
    assert said[0] == "numgrad classify: text.jpg: this is not a picture in a format that Pillow reads"
    assert said[1].startswith("numgrad classify: cut.jpg: the picture cannot be read: ")
    assert said[2].endswith("1 x 5000 pixels is too narrow for a network to see")
    assert said[3] == "numgrad classify: .: Is a directory"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a.png",), 3, "resnet18.imagenet1k_v1 is not on this machine"),
        (("a.png", "--model", "resnet50"), 3, "resnet50.imagenet1k_v2 is not on this machine"),
        (("a.png", "--model", "resnet50", "--weights", "IMAGENET1K_V1"), 3, "resnet50.imagenet1k_v1 is not"),
        (("a.png", "--weights", "ResNet34_Weights.DEFAULT"), 3, "resnet34.imagenet1k_v1 is not on this machine"),
        (("a.png", "--weights", "resnet50.imagenet1k_v1"), 3, "resnet50.imagenet1k_v1 is not on this machine"),
        (("a.png", "--weights", "resnext50_32x4d"), 2, "not yet verified"),
        (
            ("a.png", "--weights", "resnet50", "--model", "resnet18"),
            2,
            "not weights of --model resnet18, but of resnet",
        ),
        (("a.png", "--weights", "resnet17"), 2, "did you mean"),
        (("a.png", "--weights", "a/resnet18"), 4, "there is no such file"),
        (("a.png", "--weights", "resnet18.pth"), 4, "there is no such file"),
        (("a.png", "--weights", "."), 4, "this is a folder"),
        (("a.png", "--weights", "a.png"), 1, "neither a torch checkpoint nor a safetensors file"),
        (("a.png", "--model", "alexnet9"), 2, "Unknown model alexnet9; did you mean alexnet"),
        (("none.png",), 4, "none.png: No such file or directory"),  # and no word of the weights
    ],
)
def test_refusals(words: tuple[str, ...], code: int, said: str, command: Command) -> None:
    got, out, err = command(*words)
    assert (got, out) == (code, "")
    assert said in err
    assert err.startswith("numgrad classify: ")


def test_a_file_that_does_not_fit_says_so_briefly(command: Command, three: Path, tmp_path: Path) -> None:
    code, _, err = command("a.png", "--weights", str(three), "--model", "resnet50")
    assert code == 1
    assert "does not fit resnet50" in err
    assert "more lines of this kind" in err
    assert len(err) < 2500
    ng.save({"epoch": 3}, tmp_path / "empty.pth")
    code, _, err = command("a.png", "--weights", "empty.pth")
    assert (code, "holds no tensors by name" in err) == (1, True)


def test_weights_that_give_no_numbers(command: Command, three: Path, tmp_path: Path) -> None:
    state = ng.load(three)["state_dict"]
    state["module.fc.bias"] = state["module.fc.bias"] * float("nan")
    ng.save(state, tmp_path / "nan.pth")
    code, out, err = command("a.png", "--weights", "nan.pth")
    assert (code, out) == (1, "")
    assert "nan.pth give NaN" in err


def test_a_published_file_under_its_name_brings_its_own_preparation(three: Path, tmp_path: Path) -> None:
    path = tmp_path / "resnet50-11ad3fa6.pth"
    assert classify._weights_of_file(path, None) is models.ResNet50_Weights.IMAGENET1K_V2
    assert classify._weights_of_file(path, "resnet18") is None
    assert classify._weights_of_file(three, None) is None


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x"])
def test_top_is_a_positive_integer(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["classify", "a.png", "--top", number])
    assert leaving.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_without_pillow_the_message_says_what_to_install(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    code, out, err = command("a.png")
    assert (code, out) == (2, "")
    assert err == "numgrad classify: Pillow is needed to read pictures: pip install 'numgrad[image]'\n"
