"""The contract of every backbone, and the loss of labels at two levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leukopy.core.errors import TrainingError
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.backbones import BACKBONES
from leukopy.models.cell_net import CellNet, partial_label_loss
from leukopy.taxonomy import coarse_matrix, fine_members


@pytest.mark.parametrize("name", list(BACKBONES))
class TestBackbone:
    def test_has_a_card(self, name: str) -> None:
        entry = BACKBONES[name]
        assert entry.paper
        assert entry.licence

    def test_keeps_the_contract(self, name: str) -> None:
        net = CellNet(name, Preprocess(size=64), pretrained=False).eval()
        images = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
        with torch.inference_mode():
            logits, embedding, feature_map = net(images)
            alone = net(images[:1]).logits
        assert logits.shape == (3, 11)
        assert embedding.shape == (3, net.backbone.embedding_size)
        assert feature_map.ndim == 4
        assert torch.isfinite(logits).all()
        torch.testing.assert_close(logits[:1], alone, atol=1e-4, rtol=1e-4)  # no image changes another's answer

    def test_learns(self, name: str) -> None:
        """Every parameter receives a gradient."""
        net = CellNet(name, Preprocess(size=64), pretrained=False)
        images = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
        partial_label_loss(net(images).logits, torch.eye(11, dtype=torch.bool)[:4]).backward()
        assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_pretrained_weights_are_the_published_ones() -> None:
    """On noise, the pretrained features are far from those of fresh weights, and always the same."""
    spec = Preprocess(size=64)
    images = torch.full((1, 64, 64, 3), 200, dtype=torch.uint8)
    with torch.inference_mode():
        first = CellNet("tf_efficientnet_lite0", spec, pretrained=True).eval()(images).embedding
        second = CellNet("tf_efficientnet_lite0", spec, pretrained=True).eval()(images).embedding
        fresh = CellNet("tf_efficientnet_lite0", spec, pretrained=False).eval()(images).embedding
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, fresh, atol=1e-2)


def test_no_pretrained_lenet() -> None:
    with pytest.raises(TrainingError, match="no pretrained weights"):
        CellNet("lenet", Preprocess(size=64), pretrained=True)


def literal_loss(logits: np.ndarray, allowed: list[tuple[int, ...]]) -> float:
    """Minus the logarithm of the allowed classes' summed probability, written out."""
    losses = []
    for row, classes in zip(logits, allowed, strict=True):
        probability = np.exp(row) / np.exp(row).sum()
        losses.append(-np.log(sum(probability[c] for c in classes)))
    return float(np.mean(losses))


def test_loss_equals_its_literal_version() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (5, 11))
    allowed = [fine_members(code) for code in ("SNE", "NEU", "IG", "PLT", "EO")]
    members = torch.zeros(5, 11, dtype=torch.bool)
    for row, classes in enumerate(allowed):
        members[row, list(classes)] = True
    found = partial_label_loss(torch.from_numpy(logits), members)
    assert float(found) == pytest.approx(literal_loss(logits, allowed), rel=1e-5)


def test_a_coarse_label_trains_only_the_sum() -> None:
    """The gradient of a ``neutrophil`` pushes SNE and BNE up together, in proportion to what they already have."""
    logits = torch.zeros(1, 11, requires_grad=True)
    members = torch.zeros(1, 11, dtype=torch.bool)
    members[0, list(fine_members("NEU"))] = True
    partial_label_loss(logits, members).backward()
    assert logits.grad is not None
    gradient = logits.grad[0]
    assert gradient[0] == gradient[1] < 0
    assert (gradient[2:] > 0).all()
    assert coarse_matrix()[:2, 0].tolist() == [1, 1]


def test_smoothing_keeps_confidence_finite() -> None:
    members = torch.eye(11, dtype=torch.bool)[:1]
    sure = torch.tensor([[50.0] + [0.0] * 10])
    assert float(partial_label_loss(sure, members, smoothing=0.1)) > float(partial_label_loss(sure, members)) + 1
