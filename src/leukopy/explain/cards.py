"""Cards of the explanation methods: papers and names, without the code that computes a map."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodCard:
    """A method that maps a network's evidence."""

    title: str
    paper: str
    licence: str
    """Licence of the code that computes it."""
    fits: str
    """Networks that it explains."""


CARDS: dict[str, MethodCard] = {
    "cam": MethodCard(
        title="Class activation map",
        paper="Zhou et al., Learning deep features for discriminative localization, CVPR 2016",
        licence="Apache-2.0 (leukopy)",
        fits="bundles whose head is linear on an averaged feature map, without torch",
    ),
    "grad-cam": MethodCard(
        title="Grad-CAM",
        paper="Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization, "
        "ICCV 2017",
        licence="MIT (pytorch-grad-cam)",
        fits="networks with a last feature map, from their training run",
    ),
    "grad-cam++": MethodCard(
        title="Grad-CAM++",
        paper="Chattopadhay et al., Grad-CAM++: generalized gradient-based visual explanations for deep convolutional "
        "networks, WACV 2018",
        licence="MIT (pytorch-grad-cam)",
        fits="networks with a last feature map, from their training run",
    ),
    "score-cam": MethodCard(
        title="Score-CAM",
        paper="Wang et al., Score-CAM: score-weighted visual explanations for convolutional neural networks, CVPR "
        "workshops 2020",
        licence="Apache-2.0 (leukopy)",
        fits="every bundle, without torch; seconds for each picture",
    ),
    "roll-out": MethodCard(
        title="Attention roll-out",
        paper="Abnar and Zuidema, Quantifying attention flow in transformers, ACL 2020",
        licence="Apache-2.0 (leukopy)",
        fits="vision transformers, from their training run; the same map for each class",
    ),
}
"""By the names of `methods.METHODS`."""
