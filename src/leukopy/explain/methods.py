"""The registry of explanation methods, behind one interface, `Explainer`.

Nothing here imports torch before a method that needs it is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.errors import BundleError, InputError, MissingExtraError, SettingsError
from leukopy.core.files import read_json
from leukopy.core.registry import Registry
from leukopy.core.runs import RUN_FILE
from leukopy.explain.cards import CARDS, MethodCard
from leukopy.explain.class_activation import class_activation
from leukopy.explain.heat import Explainer, noise
from leukopy.explain.score_cam import score_cam
from leukopy.inference import activations

if TYPE_CHECKING:
    from leukopy.models.cell_net import CellNet

TOLERANCE = 1e-2
"""Largest difference between a bundle's logits and those of the checkpoint it was exported from."""

_ROUNDING = 0.05
"""The same for a bundle in 8-bit integers, as a share of the largest logit: rounding changed one by .013, and other
weights of the same recipe give .37."""


@dataclass(frozen=True)
class Subject:
    """A network to explain: its bundle and, where gradients or attention are wanted, the run that trained it."""

    bundle: Bundle
    run: Path | None = None
    """Holds ``run.json`` and ``checkpoints/best.ckpt``."""


@dataclass(frozen=True)
class Method:
    """One entry: its card, and how it is opened."""

    card: MethodCard
    open: Callable[[Subject], Explainer]
    from_net: Callable[[CellNet], Explainer] | None = None
    """The same for a network in torch, where there is such a way; also used to explain one with random weights."""


def open_subject(model: str) -> Subject:
    """The network that ``--model`` names: a bundled model, a bundle folder, or the folder of a training run.

    Raises:
        BundleError: no such model, or its bundle is absent, broken or foreign.
    """
    folder = Path(model)
    if not (folder / RUN_FILE).is_file():
        return Subject(open_bundle(model))
    try:
        record = read_json(folder / RUN_FILE)
    except InputError as error:
        raise BundleError(f"{error} Give a bundle, or the folder of a run of 'leukopy train'.") from error
    if not isinstance(record, dict) or record.get("command") != "train":
        raise BundleError(f"{folder}: holds the results of another command. Give the folder of a 'leukopy train' run.")
    if not (folder / "bundle").is_dir():
        raise BundleError(f"{folder}: this training has written no bundle yet. Finish it: 'leukopy train … --resume'.")
    return Subject(open_bundle(folder / "bundle"), folder)


def randomised(subject: Subject, method: str, seed: int = 0) -> Explainer | None:
    """A method on a network of the same architecture with random weights (Adebayo et al., NeurIPS 2018).

    Returns:
        None where the method has no such way, or no training run says what the architecture is.
    """
    from_net = METHODS[method].from_net
    if from_net is None or subject.run is None or not torch_installed():
        return None
    from leukopy.models.checkpoints import fresh_net  # noqa: PLC0415

    return from_net(fresh_net(subject.run, seed))


def torch_installed() -> bool:
    """True where torch can be imported."""
    try:
        import torch  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def open_net(subject: Subject, method: str) -> CellNet:
    """The network in torch, checked to be that of the bundle.

    Raises:
        SettingsError: there is no training run to read it from.
        MissingExtraError: torch is not installed.
        InputError: its checkpoint is damaged or foreign.
        BundleError: the bundle was exported from other weights.
    """
    name = subject.bundle.card.name
    if subject.run is None:
        raise SettingsError(
            f"{method} needs the network's weights in torch, and {name!r} is a bundle. Give the folder of its training "
            "run (--model runs/…), or use --method cam or score-cam, which explain bundles."
        )
    if not torch_installed():
        raise MissingExtraError(method, "train")
    import torch  # noqa: PLC0415

    from leukopy.models.checkpoints import load_net  # noqa: PLC0415

    net = load_net(subject.run)
    pictures = noise(subject.bundle.card.preprocess.size)
    with torch.inference_mode():
        logits = net(torch.from_numpy(pictures)).logits.numpy()
    allowed = _ROUNDING * np.abs(logits).max() if subject.bundle.card.recipe.get("deploy") == "int8" else TOLERANCE
    if not np.abs(activations(subject.bundle, pictures, ["logits"])["logits"] - logits).max() <= allowed:
        raise BundleError(f"{subject.run}: its bundle and its checkpoint are not the same network. Train it again.")
    return net


def _cam(subject: Subject) -> Explainer:
    """Class activation maps, or an error that names the methods that fit instead."""
    side = subject.bundle.card.preprocess.size
    none = np.zeros((0, side, side, 3), np.uint8)
    activations(subject.bundle, none, ["logits"])  # a network that cannot be run at all says so itself
    try:
        activations(subject.bundle, none, ["class_activation"])
    except BundleError as error:
        instead = "score-cam" if subject.run is None else "grad-cam or score-cam"
        raise BundleError(
            f"cam: {subject.bundle.card.name!r} has no class activation, since its head is not linear on an averaged "
            f"feature map, or it was exported before leukopy wrote it. Use --method {instead}."
        ) from error
    return class_activation(subject.bundle)


def _score_cam(subject: Subject) -> Explainer:
    return score_cam(subject.bundle)


def _grad_cam(net: CellNet) -> Explainer:
    from leukopy.explain.gradients import grad_cam  # noqa: PLC0415

    return grad_cam(net)


def _grad_cam_plus_plus(net: CellNet) -> Explainer:
    from leukopy.explain.gradients import grad_cam_plus_plus  # noqa: PLC0415

    return grad_cam_plus_plus(net)


def _roll_out(net: CellNet) -> Explainer:
    from leukopy.explain.roll_out import roll_out  # noqa: PLC0415

    return roll_out(net)


METHODS: Registry[Method] = Registry(
    "method",
    {
        # Of a linear head on an averaged map Grad-CAM is the same map (Selvaraju et al., section 3.1).
        "cam": Method(CARDS["cam"], _cam, from_net=_grad_cam),
        "grad-cam": Method(CARDS["grad-cam"], lambda subject: _grad_cam(open_net(subject, "grad-cam")), _grad_cam),
        "grad-cam++": Method(
            CARDS["grad-cam++"],
            lambda subject: _grad_cam_plus_plus(open_net(subject, "grad-cam++")),
            _grad_cam_plus_plus,
        ),
        "score-cam": Method(CARDS["score-cam"], _score_cam),
        "roll-out": Method(CARDS["roll-out"], lambda subject: _roll_out(open_net(subject, "roll-out")), _roll_out),
    },
)
