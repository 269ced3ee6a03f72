"""torchvision's other models: keys, shapes and text of all, numbers of small ones, and what loading them takes."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import models, nn, weights
from numgrad.models.blocks import Sequential, stochastic_depth
from numgrad.models.vision_transformer import interpolate_embeddings
from numgrad.runtime import helpers
from tests.models import recorded_models as recorded
from tests.nn.twins import array


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """The facts of all models, from a process that computes nothing, so that the largest takes neither time nor memory."""
    answer = helpers.ask(f"{recorded.__name__}:every_model", {})
    assert "error" not in answer, answer
    return answer["result"]  # type: ignore[no-any-return]


def test_the_models_are_torchvisions() -> None:
    assert models.list_models() == sorted(recorded.read()["models"])


@pytest.mark.parametrize("name", models.list_models())
def test_keys_shapes_text_and_multiply_adds(name: str, found: dict[str, Any]) -> None:
    """The names and shapes of torchvision's state dict in its order, its text, and the published number of operations."""
    mult_adds = found[name].pop("mult_adds")
    assert found[name] == recorded.read()["models"][name]
    assert mult_adds / 1e9 == pytest.approx(weights.entry(name).gmacs, abs=6e-4)


@pytest.mark.parametrize("name", recorded.NETWORKS)
def test_numbers_are_torchvisions(name: str) -> None:
    """Scores, loss and the gradient of every parameter, in float64."""
    make, shape = recorded.NETWORKS[name]
    with nn.init.skipped():
        model = make(models).double()
    values = recorded.filled((key, tuple(value.shape)) for key, value in model.state_dict().items())
    model.load_state_dict(values)
    found = recorded.numbers(model, shape, ng.tensor)
    wanted = recorded.read()["numbers"][name]
    for part, expected in wanted.items():
        expected = np.array(expected)
        assert np.abs(np.array(found[part]) - expected).max() <= 1e-7 * np.abs(expected).max(), part


# ---- files of older versions ------------------------------------------------------------------------------------


def _values(model: Any) -> dict[str, np.ndarray]:
    return recorded.filled((key, tuple(value.shape)) for key, value in model.state_dict().items())


def _scores(model: Any, state: dict[str, np.ndarray]) -> np.ndarray:
    model.load_state_dict(state)
    return array(model.eval()(ng.ones(1, 3, 32, 32)))


def test_densenets_old_names() -> None:
    """The published files have ``norm.1`` where the modules are called ``norm1``."""
    model = models.DenseNet(8, (1, 2, 1, 1), 16, num_classes=3)
    new = _values(model)
    dotted = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])\.")
    old = {dotted.sub(r"\1.\2.", key): value for key, value in new.items() if not key.endswith("tracked")}
    assert "features.denseblock2.denselayer2.norm.2.running_var" in old
    wanted = _scores(model, new)
    again = models.DenseNet(8, (1, 2, 1, 1), 16, num_classes=3)
    assert np.array_equal(_scores(again, old), wanted)
    del old["features.denseblock1.denselayer1.conv.1.weight"]
    with pytest.raises(RuntimeError, match="Missing.*denselayer1.conv1.weight"):
        again.load_state_dict(old)


SMALL_VIT: dict[str, Any] = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16, "num_classes": 3}


def test_vits_old_names() -> None:
    """The first version called the perceptron's layers ``linear_1`` and ``linear_2``."""
    model = models.VisionTransformer(32, 16, **SMALL_VIT)
    new = _values(model)
    old = {key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): new[key] for key in new}
    assert sum("linear_" in key for key in old) == 4
    assert np.array_equal(_scores(models.VisionTransformer(32, 16, **SMALL_VIT), old), _scores(model, new))


def test_positions_of_other_images(torch: ModuleType) -> None:
    state = models.VisionTransformer(32, 8, **SMALL_VIT).state_dict()
    resized = interpolate_embeddings(48, 8, state, reset_heads=True)
    assert set(state) - set(resized) == {"heads.head.weight", "heads.head.bias"}
    before, after = (array(each["encoder.pos_embedding"]) for each in (state, resized))
    grid = torch.tensor(before[:, 1:]).permute(0, 2, 1).reshape(1, 8, 4, 4)
    wanted = torch.nn.functional.interpolate(grid, size=6, mode="bicubic", align_corners=True)
    np.testing.assert_allclose(after[:, 1:], wanted.reshape(1, 8, 36).permute(0, 2, 1).numpy(), atol=1e-6)
    assert np.array_equal(after[:, 0], before[:, 0])
    assert interpolate_embeddings(32, 8, state)["encoder.pos_embedding"] is state["encoder.pos_embedding"]
    key = "encoder.pos_embedding"
    for wrong, text in ((ng.ones(2, 5, 8), "Unexpected position embedding"), (ng.ones(1, 6, 8), "square grid")):
        with pytest.raises(ValueError, match=text):
            interpolate_embeddings(32, 8, {key: wrong})


# ---- what differs between training and use ----------------------------------------------------------------------


def test_further_classifiers() -> None:
    """Only in training, and only where they were asked for."""
    image = ng.ones(2, 3, 32, 32)
    with nn.init.skipped():
        model = models.googlenet(num_classes=3)
    out = model(image)
    assert [each.shape for each in out] == [(2, 3)] * 3
    assert out.logits is out[0]
    assert model.eval()(image).shape == (2, 3)
    with nn.init.skipped():
        plain = models.googlenet(num_classes=3, aux_logits=False)
    assert plain(image).shape == (2, 3)
    assert plain.aux1 is None
    with nn.init.skipped():
        assert models.inception_v3(num_classes=3, aux_logits=False).AuxLogits is None


def test_stochastic_depth() -> None:
    x = ng.ones(400, 2, 1, 1)
    ng.manual_seed(0)
    rows = array(stochastic_depth(x, 0.25, "row"))
    assert set(np.unique(rows)) == {np.float32(0), np.float32(1 / 0.75)}
    assert np.array_equal(rows[:, 0], rows[:, 1])
    assert 0.65 < (rows > 0).mean() < 0.85
    assert len(np.unique(array(stochastic_depth(x, 0.5, "batch")))) == 1
    assert stochastic_depth(x, 0.5, "row", training=False) is x
    assert stochastic_depth(x, 0.0, "row") is x
    assert not array(stochastic_depth(x, 1.0, "batch")).any()
    for p, mode, text in ((1.5, "row", "between 0 and 1, but got 1.5"), (0.5, "column", "either 'batch' or 'row'")):
        with pytest.raises(ValueError, match=text):
            stochastic_depth(x, p, mode)


def test_a_norm_and_relu_in_one_pass_are_both() -> None:
    """Also behind a hook, and where one of them stands alone."""
    layers = [nn.BatchNorm2d(2), nn.ReLU(), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2)]
    fused, plain = Sequential(*layers).eval(), nn.Sequential(*layers).eval()
    x = ng.randn(2, 2, 3, 3)
    assert ng.equal(fused(x), plain(x))
    seen: list[Any] = []
    layers[1].register_forward_hook(lambda *call: seen.append(call))
    assert ng.equal(fused(x), plain(x))
    assert len(seen) == 2
    assert repr(fused).replace("Sequential", "") == repr(plain).replace("Sequential", "")
    assert fused[:2].__class__ is Sequential


# ---- initial values ---------------------------------------------------------------------------------------------


def test_initial_values() -> None:
    ng.manual_seed(0)
    model = models.mobilenet_v2(num_classes=50, width_mult=0.25)
    wide, last = model.features[5].conv[0][0], model.classifier[1]
    assert array(wide.weight).std() == pytest.approx((2 / wide.out_channels) ** 0.5, rel=0.1)
    assert array(last.weight).std() == pytest.approx(0.01, rel=0.1)
    assert not array(last.bias).any()
    bound = 1 / 50**0.5
    stage = models.efficientnet.MBConvConfig(1, 3, 1, 8, 8, 1)
    linear = array(models.EfficientNet([stage], 0.2, num_classes=50).classifier[1].weight)
    assert 0.95 * bound < np.abs(linear).max() <= bound
    dense = models.DenseNet(8, (1, 1, 1, 1), 16, num_classes=3)
    conv = dense.features.denseblock4.denselayer1.conv2
    assert array(conv.weight).std() == pytest.approx((2 / (conv.in_channels * 9)) ** 0.5, rel=0.1)
    assert not array(dense.classifier.bias).any()
    vit = models.VisionTransformer(32, 16, **SMALL_VIT, representation_size=64)
    assert not array(vit.heads.head.weight).any()
    assert not array(vit.class_token).any()
    assert array(vit.encoder.pos_embedding).std() == pytest.approx(0.02, rel=0.4)
    assert array(vit.conv_proj.weight).std() == pytest.approx((3 * 16 * 16) ** -0.5, rel=0.1)
    squeeze = models.SqueezeNet("1_1", num_classes=20)
    assert array(squeeze.classifier[1].weight).std() == pytest.approx(0.01, rel=0.1)
    assert not array(squeeze.features[0].bias).any()
    shown = array(
        models.ConvNeXt([models.convnext.CNBlockConfig(8, None, 1)], num_classes=3).features[1][0].layer_scale
    )
    assert set(np.unique(shown)) == {np.float32(1e-6)}


# ---- arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: models.SqueezeNet("2_0"), ValueError, "Unsupported SqueezeNet version 2_0"),
        (lambda: models.MobileNetV2(inverted_residual_setting=[]), ValueError, "non-empty or a 4-element list"),
        (lambda: models.MobileNetV2(inverted_residual_setting=[[6, 8, 1, 3]]), ValueError, "1 or 2 instead of 3"),
        (lambda: models.MobileNetV3([], 8), ValueError, "should not be empty"),
        (lambda: models.MobileNetV3([(16, 3)], 8), TypeError, "List.InvertedResidualConfig"),
        (lambda: models.EfficientNet([], 0.2), ValueError, "should not be empty"),
        (lambda: models.EfficientNet([3], 0.2), TypeError, "List.MBConvConfig"),
        (lambda: models.ConvNeXt([]), ValueError, "should not be empty"),
        (lambda: models.ConvNeXt([3]), TypeError, "List.CNBlockConfig"),
        (lambda: models.ShuffleNetV2([1], [1] * 5), ValueError, "list of 3 positive ints, got .1."),
        (lambda: models.ShuffleNetV2([1] * 3, [1]), ValueError, "list of 5 positive ints"),
        (lambda: models.shufflenetv2.InvertedResidual(3, 4, 1), ValueError, "Invalid combination of stride 1"),
        (lambda: models.MNASNet(0.0), ValueError, "alpha should be greater than 0.0"),
        (lambda: models.GoogLeNet(blocks=[nn.Conv2d]), ValueError, "blocks length should be 3 instead of 1"),
        (lambda: models.Inception3(inception_blocks=[]), ValueError, "should be 7 instead of 0"),
        (lambda: models.regnet.BlockParams.from_init_params(4, 9, 8.0, 2.0, 8), ValueError, "got w_0=9"),
        (lambda: models.VisionTransformer(30, 16, 1, 1, 8, 8), AssertionError, "indivisible by patch size"),
        (lambda: models.VisionTransformer(32, 16, **SMALL_VIT)(ng.ones(1, 3, 32, 16)), AssertionError, "image width"),
        (lambda: models.vit_b_16(weights="IMAGENET1K_SWAG_E2E_V1", image_size=224), ValueError, "'image_size' .* 384"),
        (lambda: models.regnet_y_128gf(pretrained=True), ValueError, "pretrained=True has no meaning here"),
        (lambda: models.vgg16(weights="DEFAULT", num_classes=5), ValueError, "'num_classes' expected value 1000"),
        (lambda: models.efficientnet_b1(weights="IMAGENET1K_V1"), weights.NotVerifiedError, "numgrad.load.path."),
    ],
)
def test_refusals(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_a_stem_of_convolutions() -> None:
    rows = [models.vision_transformer.ConvStemConfig(4, 3, 2), models.vision_transformer.ConvStemConfig(8, 3, 2)]
    model = models.VisionTransformer(16, 4, **SMALL_VIT, conv_stem_configs=rows)
    assert list(dict(model.conv_proj.named_children())) == ["conv_bn_relu_0", "conv_bn_relu_1", "conv_last"]
    assert model(ng.ones(2, 3, 16, 16)).shape == (2, 3)


def test_facts_of_weights() -> None:
    best = models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1
    prepare = best.transforms()
    assert (prepare.crop_size, prepare.resize_size, prepare.interpolation) == (384, 384, "bicubic")
    assert best.meta["min_size"] == (384, 384)
    assert models.EfficientNet_V2_L_Weights.DEFAULT.transforms().mean == (0.5, 0.5, 0.5)
    assert models.get_weight("MobileNet_V2_Weights.DEFAULT") is models.MobileNet_V2_Weights.IMAGENET1K_V2
    assert models.Inception_V3_Weights.DEFAULT.meta["min_size"] == (75, 75)
