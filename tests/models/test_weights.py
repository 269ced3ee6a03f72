"""The weights enums, models by name, and loading a checkpoint through them."""

from __future__ import annotations

import copy
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

import numgrad as ng
from numgrad import models, serialization, weights
from numgrad.models import ResNet18_Weights, ResNet50_Weights, Wide_ResNet50_2_Weights
from numgrad.models.builders import BUILDERS, ENUMS
from tests.nn.twins import array


def test_every_known_set_of_weights_has_a_member() -> None:
    members = {f"{enum.__name__}.{name}": m for enum in ENUMS.values() for name, m in enum.__members__.items()}
    for entry in weights.list_weights():
        member = members.pop(entry.torchvision)
        assert member.value.name == entry.name
        assert member.meta["num_params"] == entry.parameters
        assert member.url == (entry.usable or entry.sources)[0].urls[0]
        assert member.meta["_metrics"]["ImageNet-1K"]["acc@1"] == entry.acc1
        default = type(member).DEFAULT
        assert (member is default) == entry.default
        assert ENUMS[entry.model] is type(member)
    assert all(name.endswith(".DEFAULT") for name in members)
    assert set(BUILDERS) == set(ENUMS) == set(models.list_models())


def test_a_member_knows_its_facts() -> None:
    best = ResNet18_Weights.DEFAULT
    assert best is ResNet18_Weights.IMAGENET1K_V1
    assert best.url == "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert best.meta["categories"][207] == "golden retriever"
    assert len(best.meta["categories"]) == 1000
    assert str(best) == repr(best) == "ResNet18_Weights.IMAGENET1K_V1"
    assert ResNet50_Weights.DEFAULT is ResNet50_Weights.IMAGENET1K_V2
    assert ResNet50_Weights.IMAGENET1K_V1.transforms().resize_size == 256
    assert ResNet50_Weights.IMAGENET1K_V2.transforms().resize_size == 232
    assert ResNet50_Weights.IMAGENET1K_V2.transforms(crop_size=100).crop_size == 100
    assert copy.deepcopy(best) is best
    assert pickle.loads(pickle.dumps(best)) is best


def test_verify() -> None:
    assert ResNet18_Weights.verify(None) is None
    assert ResNet18_Weights.verify("DEFAULT") is ResNet18_Weights.DEFAULT
    assert ResNet18_Weights.verify("ResNet18_Weights.IMAGENET1K_V1") is ResNet18_Weights.DEFAULT
    with pytest.raises(TypeError, match="expected ResNet18_Weights but received ResNet50_Weights"):
        models.resnet18(weights=ResNet50_Weights.DEFAULT)
    with pytest.raises(TypeError, match="received int"):
        models.resnet18(weights=3)
    with pytest.raises(KeyError, match="ResNet18_Weights has no member 'V9'; it has IMAGENET1K_V1, DEFAULT"):
        models.resnet18(weights="V9")


def test_models_by_name() -> None:
    assert models.list_models("resnext*", exclude="*8d") == ["resnext101_64x4d", "resnext50_32x4d"]
    assert models.list_models(["resnet18", "wide*"]) == ["resnet18", "wide_resnet101_2", "wide_resnet50_2"]
    assert models.get_model("ResNet18", num_classes=3).fc.out_features == 3
    assert models.get_model_builder("resnet18") is models.resnet18
    assert models.get_model_weights("resnet50") is models.get_model_weights(models.resnet50) is ResNet50_Weights
    assert models.get_weight("Wide_ResNet50_2_Weights.DEFAULT") is Wide_ResNet50_2_Weights.IMAGENET1K_V2
    with pytest.raises(ValueError, match="Unknown model resnet19; did you mean resnet18 or .* has the 73 names"):
        models.get_model("resnet19")
    with pytest.raises(ValueError, match="Unknown model 42; numgrad"):
        models.get_model_weights("42")
    for wrong in ("resnet18", "Nothing_Weights.DEFAULT", "ResNet18_Weights.V9"):
        with pytest.raises(ValueError, match=r"weight|member"):
            models.get_weight(wrong)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> models.ResNet:
    """A network whose state is what numgrad finds when it looks for ResNet-18's weights."""
    ng.manual_seed(9)
    model = models.resnet18()
    state = {name: array(value) for name, value in model.state_dict().items()}
    # As the real file, which is older than the counters.
    kept = {name: np.ascontiguousarray(value) for name, value in state.items() if "num_batches" not in name}
    entry = weights.entry("resnet18")
    path = tmp_path / "weights" / entry.usable[0].file
    path.parent.mkdir()
    serialization.save(kept, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = type(entry.usable[0])(**{**vars(entry.usable[0]), "sha256": digest, "size": path.stat().st_size})
    from numgrad.weights import entries

    changed = type(entry)(**{**vars(entry), "sources": (source,)})
    monkeypatch.setitem(entries.table(), entry.name, changed)
    monkeypatch.setenv("NUMGRAD_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("NUMGRAD_OFFLINE", "1")
    return model


def test_a_checkpoint_loads_strictly(checkpoint: models.ResNet) -> None:
    model = models.resnet18(weights=ResNet18_Weights.DEFAULT, progress=False)
    assert model.conv1.weight.is_contiguous()
    assert model.conv1.weight._spec.is_private, "no kernel would find it as it wants it"
    for name, value in checkpoint.state_dict().items():
        assert np.array_equal(array(value), array(model.state_dict()[name])), name
    with pytest.warns(UserWarning, match="'pretrained' is deprecated"):
        other = models.resnet18(pretrained=True)
    assert ng.equal(other.fc.bias, model.fc.bias)
    with pytest.raises(ValueError, match="'num_classes' expected value 1000 but got 10"):
        models.resnet18(weights="DEFAULT", num_classes=10)


def test_not_pretrained() -> None:
    with pytest.warns(UserWarning, match="'pretrained' is deprecated"):
        assert models.resnet18(pretrained=False, num_classes=3).fc.out_features == 3


def test_without_the_file_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("NUMGRAD_OFFLINE", "1")
    monkeypatch.setattr(models.resnet, "ResNet", None)
    with pytest.raises(weights.OfflineError, match=r"resnet18-f37072fd\.pth"):
        models.resnet18(weights=ResNet18_Weights.DEFAULT)
    with pytest.raises(weights.NotVerifiedError, match="not yet verified"):
        models.resnext50_32x4d(weights="DEFAULT")
