"""Losses for labels at two levels: cross-entropy, focal loss, class weights and mixup, all for partial labels.

A label allows one or several fine classes: a fine label one, ``neutrophil`` SNE and BNE, ``ig`` three. Only the
probability that falls on the allowed classes together counts, so a coarse label trains the coarse level (partial
labels: Cour et al., JMLR 2011). Where one class is allowed, each loss here is the ordinary one of its paper.
"""

from __future__ import annotations

import torch
from torch import Tensor


def partial_label_loss(
    logits: Tensor, members: Tensor, smoothing: float = 0.0, *, focus: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Mean over images of ``-(1 - p)^focus log p``, where p is the probability that falls on the allowed classes.

    Args:
        logits: float (N, F).
        members: bool (N, F), the allowed classes; at least one a row.
        smoothing: share of the target spread evenly over all classes (Szegedy et al., CVPR 2016); the focus does not
            touch it.
        focus: gamma of the focal loss (Lin et al., ICCV 2017): it reduces the weight of images that are already
            right; 0 is cross-entropy.
        weights: float (F,), one per fine class. An image weighs the mean of its allowed classes; the mean over images
            is weighted, as in ``torch.nn.CrossEntropyLoss``.
    """
    log_probability = torch.log_softmax(logits.float(), dim=1)
    on_members = torch.logsumexp(log_probability.masked_fill(~members, -torch.inf), dim=1)
    # 1 - p, kept from 0, where the gradient of a power below 1 is infinite.
    focal = on_members if focus == 0 else on_members * (-torch.expm1(on_members)).clamp_min(1e-6) ** focus
    losses = -((1 - smoothing) * focal + smoothing * log_probability.mean(dim=1))
    if weights is None:
        return losses.mean()
    weight = image_weights(members, weights)
    return (weight * losses).sum() / weight.sum()


def image_weights(members: Tensor, weights: Tensor) -> Tensor:
    """float (N,): the mean weight of each image's allowed classes; arguments as in ``partial_label_loss``."""
    return (members * weights).sum(dim=1) / members.sum(dim=1)


def balanced_weights(members: Tensor, groups: Tensor) -> Tensor:
    """float (F,): N / (G n) for the classes of a group with n images, with G groups present; 0 for an empty group.

    As scikit-learn's ``class_weight="balanced"``. An image whose label allows several classes counts in equal parts
    for each.

    Args:
        members: bool (N, F), of the training images.
        groups: 0/1 (F, G): the identity to balance the fine classes, ``taxonomy.coarse_matrix()`` the coarse ones.
    """
    images = (members / members.sum(dim=1, keepdim=True)).sum(dim=0) @ groups
    present = images > 0
    return groups @ torch.where(present, len(members) / (present.sum() * images.clamp_min(1e-12)), 0.0)


def mix(images: Tensor, alpha: float) -> tuple[Tensor, Tensor, Tensor]:
    """Blend each image with another of its batch (mixup: Zhang et al., ICLR 2018).

    The loss of a blend is ``share * loss(labels) + (1 - share) * loss(labels[partner])``.

    Args:
        images: (N, S, S, 3).
        alpha: parameter of the Beta(alpha, alpha) distribution of the share, drawn once a batch.

    Returns:
        float images (N, S, S, 3); partner (N,), the index of the other image; share (), of the image itself.
    """
    concentration = torch.tensor(alpha)
    share = torch.distributions.Beta(concentration, concentration).sample().to(images.device)
    partner = torch.randperm(len(images)).to(images.device)
    blended = torch.lerp(images[partner].float(), images.float(), share)
    return blended, partner, share
