"""Every loss against its literal version, and on partial labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from leukopy.models.losses import balanced_weights, image_weights, mix, partial_label_loss
from leukopy.taxonomy import coarse_matrix, fine_members

ALLOWED = [fine_members(code) for code in ("SNE", "NEU", "IG", "PLT", "EO")]


def mask(allowed: list[tuple[int, ...]]) -> torch.Tensor:
    members = torch.zeros(len(allowed), 11, dtype=torch.bool)
    for row, classes in enumerate(allowed):
        members[row, list(classes)] = True
    return members


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (5, 11))


def literal_loss(logits: np.ndarray, focus: float = 0.0, weights: np.ndarray | None = None) -> float:
    """Minus the logarithm of the allowed classes' summed probability, times what the focus says, written out."""
    weights = np.ones(11) if weights is None else weights
    total, weight_of_all = 0.0, 0.0
    for row, classes in zip(logits, ALLOWED, strict=True):
        probability = np.exp(row) / np.exp(row).sum()
        right = sum(probability[c] for c in classes)
        weight = sum(weights[c] for c in classes) / len(classes)
        total += weight * (1 - right) ** focus * -np.log(right)
        weight_of_all += weight
    return total / weight_of_all


@pytest.mark.parametrize("focus", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_equals_its_literal_version(logits: np.ndarray, focus: float, weighted: bool) -> None:
    weights = np.linspace(0.2, 2, 11) if weighted else None
    given = None if weights is None else torch.from_numpy(weights).float()
    found = partial_label_loss(torch.from_numpy(logits), mask(ALLOWED), focus=focus, weights=given)
    assert float(found) == pytest.approx(literal_loss(logits, focus, weights), rel=1e-4)


def test_where_one_class_is_allowed_it_is_the_loss_of_the_papers() -> None:
    """Cross-entropy with smoothing and weights as torch has it; the focal loss as Lin et al. write it."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 11, generator=generator)
    target = torch.randint(0, 11, (20,), generator=generator)
    members, weights = functional.one_hot(target, 11).bool(), torch.linspace(0.5, 3, 11)
    torch.testing.assert_close(
        partial_label_loss(logits, members, weights=weights), functional.cross_entropy(logits, target, weights)
    )
    torch.testing.assert_close(
        partial_label_loss(logits, members, 0.1), functional.cross_entropy(logits, target, label_smoothing=0.1)
    )
    right = logits.softmax(1).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(
        partial_label_loss(logits, members, focus=2.0), (-((1 - right) ** 2) * right.log()).mean()
    )


def test_a_coarse_label_trains_only_the_sum() -> None:
    """The gradient of a ``neutrophil`` pushes SNE and BNE up together, in proportion to what they already have."""
    logits = torch.zeros(1, 11, requires_grad=True)
    partial_label_loss(logits, mask([fine_members("NEU")])).backward()
    assert logits.grad is not None
    gradient = logits.grad[0]
    assert gradient[0] == gradient[1] < 0
    assert (gradient[2:] > 0).all()
    assert coarse_matrix()[:2, 0].tolist() == [1, 1]


def test_smoothing_keeps_confidence_finite() -> None:
    members = torch.eye(11, dtype=torch.bool)[:1]
    sure = torch.tensor([[50.0] + [0.0] * 10])
    assert float(partial_label_loss(sure, members, smoothing=0.1)) > float(partial_label_loss(sure, members)) + 1


@pytest.mark.parametrize("focus", [0.5, 1.0, 2.0])
def test_the_focal_gradient_is_finite_where_all_is_right(focus: float) -> None:
    sure = torch.tensor([[200.0] + [0.0] * 10], requires_grad=True)
    partial_label_loss(sure, torch.eye(11, dtype=torch.bool)[:1], focus=focus).backward()
    assert sure.grad is not None
    assert torch.isfinite(sure.grad).all()


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    target = np.repeat(np.arange(11), np.arange(1, 12))
    expected = compute_class_weight("balanced", classes=np.arange(11), y=target)
    members = functional.one_hot(torch.from_numpy(target), 11).bool()
    np.testing.assert_allclose(balanced_weights(members, torch.eye(11)).numpy(), expected, rtol=1e-5)


def test_balanced_weights_at_eight_classes_are_those_of_eight_classes() -> None:
    codes = ["NEU"] * 6 + ["IG"] * 3 + ["EO"]
    expected = compute_class_weight("balanced", classes=np.array(["EO", "IG", "NEU"]), y=np.array(codes))
    members = mask([fine_members(code) for code in codes])
    weights = balanced_weights(members, torch.from_numpy(coarse_matrix()))
    found = image_weights(members, weights)
    np.testing.assert_allclose([found[9], found[6], found[0]], expected, rtol=1e-5)


def test_a_label_of_several_classes_counts_in_parts() -> None:
    """Two SNE and two NEU are three SNE and one BNE."""
    members = mask([fine_members(code) for code in ("SNE", "SNE", "NEU", "NEU")])
    weights = balanced_weights(members, torch.eye(11))
    assert weights[:2].tolist() == pytest.approx([4 / (2 * 3), 4 / (2 * 1)])
    assert weights[2:].tolist() == [0] * 9  # no image, no weight, no division by nothing


def test_mix_blends_each_image_with_its_partner() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (6, 4, 4, 3), dtype=torch.uint8)
    blended, partner, share = mix(images, 0.4)
    assert sorted(partner.tolist()) == list(range(6))
    assert 0 <= float(share) <= 1
    for row in range(6):
        expected = float(share) * images[row].float() + (1 - float(share)) * images[int(partner[row])].float()
        torch.testing.assert_close(blended[row], expected, atol=1e-3, rtol=1e-4)


def test_mix_draws_its_share_from_a_symmetric_beta() -> None:
    torch.manual_seed(0)
    shares = np.array([float(mix(torch.zeros(2, 1, 1, 3), 0.4)[2]) for _ in range(2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.1)
