"""One battery for every backbone of the registry. The large ones run on torch's "meta" device: shapes, no numbers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from leukopy.core.errors import SettingsError, TrainingError
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.backbones import BACKBONES
from leukopy.models.cell_net import CellNet
from leukopy.models.convolutional import lite0, lite0_groupnorm
from leukopy.models.losses import partial_label_loss
from leukopy.models.vit import PatchFeatures, vit
from leukopy.models.weights import create
from support.cards import year_of

SMALL = [name for name, entry in BACKBONES.items() if entry.parameters < 4.1]


def build(name: str, size: int = 64) -> CellNet:
    with torch.device("meta"):
        return CellNet(name, Preprocess(size=size), pretrained=False)


def images(count: int, device: str = "cpu") -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 64, 64, 3), dtype=torch.uint8, generator=generator).to(device)


@pytest.mark.parametrize("name", list(BACKBONES))
class TestEveryBackbone:
    def test_has_a_complete_card(self, name: str) -> None:
        entry = BACKBONES[name]
        assert year_of(entry.paper)
        assert entry.licence
        assert entry.pretrained is None or "ImageNet" in entry.pretrained
        assert all(0 < value < 256 for value in (*entry.mean, *entry.std))

    def test_has_the_parameters_of_its_card(self, name: str) -> None:
        found = sum(parameter.numel() for parameter in build(name).backbone.parameters())
        assert found / 1e6 == pytest.approx(BACKBONES[name].parameters, rel=0.02)

    def test_keeps_the_contract(self, name: str) -> None:
        net = build(name)
        logits, embedding, feature_map = net(images(3, "meta"))
        assert logits.shape == (3, 11)
        assert embedding.shape == (3, net.backbone.embedding_size)
        assert feature_map.ndim == 4
        assert feature_map.shape[0] == 3
        assert name == "lenet" or feature_map.shape[1] == embedding.shape[1]  # the neck is a mean over positions

    def test_learns_with_every_parameter(self, name: str) -> None:
        net = build(name)
        members = torch.eye(11, dtype=torch.bool)[:4].to("meta")
        partial_label_loss(net(images(4, "meta")).logits, members).backward()
        assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []

    def test_freezes_its_first_stages_and_no_more(self, name: str) -> None:
        backbone = build(name).backbone
        with pytest.raises(TrainingError, match="frozen_stages"):
            backbone.freeze(99)
        if name == "lenet":
            return
        backbone.freeze(2)
        frozen = [parameter for parameter in backbone.parameters() if not parameter.requires_grad]
        assert 0 < len(frozen) < sum(1 for _ in backbone.parameters()) / 2


@pytest.mark.parametrize("name", SMALL)
def test_an_answer_depends_on_its_image_alone(name: str) -> None:
    """Always the same, and untouched by the other images of the batch."""
    net = CellNet(name, Preprocess(size=64), pretrained=False).eval()
    with torch.inference_mode():
        first, second = net(images(3)), net(images(3))
        alone = net(images(3)[:1])
    for name_, together in first._asdict().items():
        assert torch.isfinite(together).all()
        assert torch.equal(together, getattr(second, name_))
        torch.testing.assert_close(together[:1], getattr(alone, name_), atol=1e-4, rtol=1e-4)


def test_an_unknown_backbone_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'vgg11' is unknown; known: lenet, .*vit_base"):
        build("vgg11")


def test_lenet_has_no_pretrained_weights() -> None:
    with pytest.raises(TrainingError, match="no pretrained weights"):
        BACKBONES["lenet"].build(64, True)


class TestGroupNorm:
    def test_takes_the_place_of_every_batch_norm(self) -> None:
        with torch.device("meta"):
            kinds = [type(module) for module in lite0_groupnorm(64, False).modules()]
        assert not any(issubclass(kind, nn.BatchNorm2d) for kind in kinds)
        assert sum(issubclass(kind, nn.GroupNorm) for kind in kinds) == 49

    def test_keeps_pretrained_convolutions_and_their_padding(self) -> None:
        group, batch = lite0_groupnorm(64, True).features.net, lite0(64, True).features.net
        assert torch.equal(group.blocks[3][1].conv_dw.weight, batch.blocks[3][1].conv_dw.weight)
        picture = torch.rand(1, 3, 63, 63)  # odd: where a different padding would show
        with torch.inference_mode():
            torch.testing.assert_close(group.conv_stem(picture), batch.conv_stem(picture))

    def test_answers_alike_in_training_and_in_use(self) -> None:
        """No running statistics: the same numbers in both modes, up to dropped paths (there are none)."""
        net = lite0_groupnorm(64, False)
        picture = torch.rand(2, 3, 64, 64)
        with torch.inference_mode():
            torch.testing.assert_close(net.train()(picture)[1], net.eval()(picture)[1])


@pytest.fixture(scope="module")
def thin() -> nn.Module:
    torch.manual_seed(0)
    net: nn.Module = create("vit_tiny_patch16_224", depth=2, img_size=64)
    return net.eval()


class TestVisionTransformer:
    """Numbers of the patch map, on a transformer of two thin blocks."""

    def test_equals_the_tokens_of_timm(self, thin: nn.Module) -> None:
        picture = torch.rand(2, 3, 64, 64)
        with torch.inference_mode():
            found = PatchFeatures(thin, 64)(picture)
            tokens = thin.forward_features(picture)[:, 1:]
        assert found.shape == (2, 192, 4, 4)
        for row in range(4):
            for column in range(4):
                torch.testing.assert_close(found[:, :, row, column], tokens[:, 4 * row + column])

    def test_takes_smaller_pictures(self, thin: nn.Module) -> None:
        with torch.inference_mode():
            assert PatchFeatures(thin, 64)(torch.rand(1, 3, 32, 32)).shape == (1, 192, 2, 2)

    def test_is_the_same_in_onnx(self, thin: nn.Module, tmp_path: Path) -> None:
        features = PatchFeatures(thin, 64)
        found, expected = onnx_and_torch(features, torch.rand(3, 3, 64, 64), tmp_path)
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_takes_a_stem_of_convolutions(self, tmp_path: Path) -> None:
        features = vit("vit_tiny_patch16_224", 16, 64, False, convolutional=True).features.eval()
        assert features(torch.rand(1, 3, 32, 32)).shape == (1, 192, 2, 2)
        found, expected = onnx_and_torch(features, torch.rand(3, 3, 64, 64), tmp_path)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        with pytest.raises(TrainingError, match="with a convolutional stem it has no pretrained weights"):
            vit("vit_tiny_patch16_224", 16, 64, True, convolutional=True)

    def test_refuses_a_size_its_patches_do_not_fill(self) -> None:
        with pytest.raises(TrainingError, match=r"size 360 is not a multiple of its patch of 32 px; try 352"):
            vit("vit_base_patch32_224", 32, 360, False)


def test_group_norm_is_the_same_in_onnx(tmp_path: Path) -> None:
    net = lite0_groupnorm(64, False).features.net.eval()
    first = nn.Sequential(net.conv_stem, net.bn1, *net.blocks[:2])
    found, expected = onnx_and_torch(first, torch.rand(3, 3, 64, 64), tmp_path)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def onnx_and_torch(module: nn.Module, pictures: torch.Tensor, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What the module gives after its export, for another batch size than it was exported with, and before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        torch.onnx.export(
            module, (pictures[:2],), folder / "m.onnx", input_names=["x"], external_data=False, dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        return session.run(None, {"x": pictures.numpy()})[0], module(pictures).numpy()
