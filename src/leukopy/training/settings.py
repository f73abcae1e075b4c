"""The settings of a training run, as in ``configs/*.yaml``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from leukopy.bundle import Card, read_card
from leukopy.core.errors import SettingsError, TrainingError
from leukopy.core.files import file_digest
from leukopy.core.settings import Settings
from leukopy.imaging.augmentation import Augmentation
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.backbones import BACKBONES
from leukopy.taxonomy import OUTSIDE, fine_members


def _of_fine(codes: tuple[str, ...]) -> tuple[str, ...]:
    for code in codes:
        try:
            fine_members(code)
        except SettingsError as error:
            raise ValueError(str(error)) from error
    return codes


class Source(Settings):
    """One laboratory that the training reads."""

    dataset: str
    """A data set's name (``leukopy study datasets``), or ``drawn`` for cells drawn by leukopy."""
    root: str = ""
    """Its folder, absolute or below the data folder; nothing for drawn cells."""
    share: float = Field(gt=0, le=1)
    """Share of the images of an epoch that come from it; shares are scaled to sum to 1."""
    images: int = Field(default=0, ge=0)
    """For drawn cells: how many are drawn."""
    validation_share: float = Field(default=0.2, ge=0, lt=1)
    """Share of the groups reserved for validation, where the data set has no validation images."""
    test_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the groups kept for tests, where the data set has no split. The manifest that a training writes has the
    split."""
    label_map: str | None = None
    """Data set whose class names the labels are, or a table with columns label and code, absolute or below the data
    folder, that may define classes of your own (`leukopy.taxonomy.read_label_table`); None: the data set's own."""
    crop: float | None = Field(default=None, gt=0.1, le=1)
    """Share of the short side of its pictures to crop to, so that its cells are as large as those of the others;
    None: ``preprocess.crop``."""
    left_out: Path | None = None
    """Table with a column ``cell_id``: cells that neither train nor validate, such as those of doubtful label."""
    without: tuple[str, ...] = ()
    """Codes of classes, fine or coarse, whose cells neither train nor validate: its laboratory names them otherwise."""

    @field_validator("without")
    @classmethod
    def _codes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return _of_fine(codes)


class BackboneChoice(Settings):
    """The network and its initial weights."""

    name: str
    pretrained: bool = False
    """Start from the published weights of its card. False, and no ``weights``: it is trained from scratch."""
    weights: Path | None = None
    """Start from the weights of this file, under timm's names (``leukopy.models.weights.load_file``)."""
    run: Path | None = None
    """Start from the network of this earlier run of `leukopy train`, head included: its folder."""
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if sum(map(bool, (self.pretrained, self.weights, self.run))) > 1:
            raise ValueError("give one of pretrained, weights and run")
        return self

    @property
    def first_weights(self) -> str | None:
        """Origin of its initial weights, for the card; None: from scratch."""
        earlier = self.earlier
        if earlier:
            before = f", which starts from {earlier.model.pretrained}" if earlier.model.pretrained else ""
            return f"the training run {earlier.name!r}, network sha256 {earlier.model.sha256[:16]}{before}"
        if self.weights:
            if not self.weights.is_file():
                raise TrainingError(f"{self.weights}: there is no such file of weights. Check the path.")
            return f"the file {self.weights.name}, sha256 {file_digest(self.weights)[:16]}"
        return BACKBONES[self.name].pretrained if self.pretrained else None

    @property
    def earlier(self) -> Card | None:
        """The card of the run that it starts from; None: of none."""
        return read_card(self.run / "bundle") if self.run else None


class Optimisation(Settings):
    """Settings of the optimisation: the optimiser, a warm-up, then a cosine to zero."""

    optimiser: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov & Hutter, ICLR 2019), or stochastic gradient descent with momentum .9."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16: mixed precision, faster on a GPU and on a CPU with instructions for bfloat16
    (`leukopy.training.depthwise`). auto: bf16 on a GPU, fp32 on a CPU."""
    epochs: int = Field(default=30, ge=1)
    epoch_images: int = Field(default=0, ge=0)
    """Images drawn for one epoch; 0: as many as the training split holds."""
    small_epochs: int = Field(default=0, ge=0)
    """First epochs, trained on pictures shrunk to ``small_size``: cheaper (Tan & Le, EfficientNetV2, ICML 2021)."""
    small_size: int = Field(default=96, ge=32)
    """Pixels."""
    frozen_stages: int = Field(default=0, ge=0)
    """First stages of the backbone that learn no more once the small epochs are over: half the time of a step."""
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps during which the rate rises."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_balance: float = Field(default=0.5, ge=0, le=1)
    """0: classes as often as they are; 1: all equally often, within each source."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the exponential average of the weights; 0: none."""
    gradient_clip: float = Field(default=1.0, ge=0)
    epoch: Literal["best", "last"] = "best"
    """Epoch whose weights are exported. best: lowest validation loss. last: for several laboratories of which one
    validates, since its loss would choose against the others."""
    runs: int = Field(default=1, ge=1, le=10)
    """Trainings, each with the next seed, whose weights are averaged (model soup; Wortsman et al., ICML 2022)."""
    start_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the initial weights in that average, against forgetting (Wortsman et al., CVPR 2022)."""
    patience: int = Field(default=0, ge=0)
    """Epochs without a better validation loss before it stops; 0: never."""


class Loss(Settings):
    """Settings of the partial-label loss (``leukopy.models.losses``)."""

    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    """balanced: inverse to how many training images each class has, at the recipe's level. Or class code -> weight,
    1 for those not named; NEU and IG name all their classes. ``optimisation.class_balance`` draws rare classes more
    often instead: balance by one of the two."""
    focal_gamma: float = Field(default=0.0, ge=0, le=10)
    """Focal loss (Lin et al., ICCV 2017); 0: cross-entropy."""
    mixup_alpha: float = Field(default=0.0, ge=0)
    """Mixup (Zhang et al., ICLR 2018); 0: none."""

    @field_validator("class_weights")
    @classmethod
    def _known(cls, weights: str | dict[str, float]) -> str | dict[str, float]:
        if isinstance(weights, dict):
            for code, weight in weights.items():
                try:
                    known = bool(fine_members(code))
                except SettingsError:
                    known = False
                if not known or not 0 <= weight < math.inf:
                    raise ValueError(f"{code}: {weight}: takes codes of fine or coarse classes and weights from 0 up")
        return weights


class Distillation(Settings):
    """A teacher whose answers are learnt beside the labels (`leukopy.training.teacher`)."""

    teacher: str
    """Name or folder of its bundle. What it learnt from must hold none of the images that this run is tested on."""
    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the loss that measures the distance from its answers; the labels have the rest."""
    temperature: float = Field(default=2.0, gt=0)
    """Divides the logits of both: above 1, what the teacher thinks of the other classes counts for more."""


class SlideClassesChoice(Settings):
    """Settings of the re-estimated class means of a foreign slide (`leukopy.slides.class_means`).

    Both are measured on laboratories left out.
    """

    weight: float = Field(gt=0)
    """Weight of the class means' evidence against the logits."""
    foreign_temperature_factor: float = Field(ge=1)
    """Replaces ``foreign_temperature_factor`` of the recipe where class means are re-estimated."""


class Recipe(Settings):
    """Common settings of all recipes: name, level, sources, card texts."""

    name: str
    title: str
    description: str
    level: Literal["fine", "coarse"] = "fine"
    """``coarse``: every label is brought to the coarse classes first, as in the coarse runs of the 2021 study."""
    sources: tuple[Source, ...] = Field(min_length=1)
    without: tuple[str, ...] = ()
    """Codes of classes, fine or coarse, left out of the training, to test their out-of-distribution detection."""
    seed: int = 0
    limits: tuple[str, ...] = ()
    """Sentences for the model card."""

    @field_validator("without")
    @classmethod
    def _codes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return _of_fine(codes)

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [source.dataset for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError("each source may be listed once")
        return self


class PictureRecipe(Recipe):
    """Settings of the trainings on prepared pictures of cells."""

    preprocess: Preprocess
    outside: tuple[str, ...] = ()
    """Codes of classes outside (``BLAST``) that the network learns to tell from the fine classes. Its logits are those
    of the fine classes alone; `leukopy model fit-outside` adds the output for classes outside."""
    augmentation: Augmentation | None = None
    """None: none, as in the study's LeNet."""
    optimisation: Optimisation = Optimisation()


class TrainSettings(PictureRecipe):
    """One training run of a classifier, whole."""

    backbone: BackboneChoice
    loss: Loss = Loss()
    distillation: Distillation | None = None
    """None: the labels alone are learnt."""
    uncertain_share: float = Field(default=0.03, gt=0, lt=1)
    """Share of validation cells that the ``uncertain`` threshold flags."""
    foreign_temperature_factor: float = Field(default=1.0, ge=1)
    """Factor of the temperature for foreign cells (`leukopy.training.domain_classifier`); 1: one temperature for all.
    It is measured on laboratories left out."""
    slide_classes: SlideClassesChoice | None = None
    """None: class means are not re-estimated."""
    deploy: Literal["float32", "int8"] = "float32"
    """int8: the bundle's network works in 8-bit integers (`leukopy.network.quantise`): half the time, for about a
    tenth of a point of accuracy."""
    licence: str = "Apache-2.0"

    @field_validator("outside")
    @classmethod
    def _outside(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        known = [cell.code for cell in OUTSIDE if not cell.coarse]
        if wrong := [code for code in codes if code not in known]:
            raise ValueError(f"{', '.join(wrong)}: no class outside; known: {', '.join(known)}")
        return codes

    @model_validator(mode="after")
    def _fitting_together(self) -> Self:
        if self.outside and (self.level == "coarse" or self.loss.class_weights != "none"):
            raise ValueError("outside: needs the level fine, and no loss.class_weights; class_balance balances them")
        if self.optimisation.start_share and not self.backbone.run:
            raise ValueError("start_share: averages with the earlier run that backbone.run names; name one")
        if self.slide_classes and self.foreign_temperature_factor == 1:
            raise ValueError("slide_classes: needs the domain classifier; set foreign_temperature_factor above 1")
        crops = [source.crop for source in self.sources if source.dataset != "drawn"]
        if any(source.crop for source in self.sources) and all(crops):
            raise ValueError("every source has a crop: leave it out of the source whose cell size the others match")
        return self
