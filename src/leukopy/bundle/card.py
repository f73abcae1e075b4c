"""``card.json``: identity of a model, training data, preprocessing, and metrics.

The fields follow Mitchell et al., "Model Cards for Model Reporting" (FAccT 2019), plus the fields that serving needs.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.core.settings import Settings
from leukopy.imaging.preprocess import Preprocess
from leukopy.taxonomy import CellClass, find


class ModelFile(Settings):
    """The network in ``model.onnx``."""

    architecture: str
    parameters: int
    sha256: str
    """SHA-256 of ``model.onnx``; checked each time the bundle is opened."""
    pretrained: str | None = None
    """Origin of its first weights, with their licence."""


class Calibration(Settings):
    """Conversion of logits to probabilities: softmax(logits / temperature) (Guo et al., ICML 2017)."""

    temperature: float = Field(gt=0)
    fitted_on: str
    """The images the temperature was fitted on; never a test split."""
    foreign_temperature_factor: float | None = Field(default=None, ge=1)
    """Factor of the temperature for a cell whose output ``foreign_probability`` is 1. None: one temperature for all."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The network's outputs from which calibrated probabilities are computed."""
        return ("logits",) if self.foreign_temperature_factor is None else ("logits", "foreign_probability")


class Thresholds(Settings):
    """Decisions on the calibrated probabilities."""

    uncertain_below: float = Field(ge=0, le=1)
    """A cell whose coarse probability is lower is flagged ``uncertain``."""
    set_from: float | None = Field(default=None, ge=0, le=1)
    """Probability from which a fine class is in the cell's set. The set holds the cell's class with a chance of 90 %
    for cells like those of the validation (`leukopy.evaluation.conformal`); None: not fitted."""


class DatasetUse(Settings):
    """One data set that training read."""

    name: str
    licence: str
    citation: str
    images: int
    note: str = ""


class Metric(Settings):
    """One measured figure, with its protocol."""

    name: str
    value: float
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    data: str
    """The images, and their relation to the training images."""
    command: str = ""


class AttributeHead(Settings):
    """One attribute of the network's ``attributes`` output."""

    name: str
    values: tuple[str, ...] = Field(min_length=2)
    """In the order of its logits."""
    temperature: float = Field(gt=0)
    """Temperature as in `Calibration.temperature`, fitted on the validation part."""
    min_confidence: float = Field(ge=0, le=1)
    """Calibrated probability from which the value is stated in words; below it, the value is omitted."""


class Attributes(Settings):
    """Heads of the ``attributes`` output: the logits of each head, one head after the other."""

    heads: tuple[AttributeHead, ...] = Field(min_length=1)
    classes: tuple[str, ...]
    """Coarse codes of the cells that have attributes; other cells have none."""
    method: str
    """Description of the heads, and of the data they were fitted on."""
    trained_on: DatasetUse
    metrics: tuple[Metric, ...] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)


class OpenSet(Settings):
    """The output ``ood_score`` and the threshold above which a cell is out of distribution."""

    threshold: float = Field(gt=0)
    """A cell whose out-of-distribution score is greater is flagged ``unidentified``."""
    keep_rate: float = Field(gt=0, lt=1)
    """Share of the known cells that the threshold keeps."""
    baseline: tuple[float, float] | None = None
    """First quartiles over known cells of the output ``ood_score.far`` and of the rest of the score: the baseline of
    `leukopy.slides.ood_correction`. None: no such output; each cell is scored alone."""
    fitted_on: str
    """The cells the threshold was set on; never a test split."""
    method: str
    """Definition of the score, with the number and the sources of its training cells."""
    metrics: tuple[Metric, ...] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)


class OutsideClasses(Settings):
    """Classes of the output ``outside``: cells in none of the fine classes, each against all of these together."""

    classes: tuple[str, ...] = Field(min_length=1)
    """Codes of `taxonomy.OUTSIDE` and of ``own``, in the order of the output."""
    own: tuple[CellClass, ...] = ()
    """Definitions of the laboratory's own classes among them (`taxonomy.declare`)."""
    prior: tuple[float, ...]
    """Shares of the fine classes together, then of each class outside, for which the output holds; they sum to 1."""
    prior_cells: float = Field(default=200, gt=0)
    """Number of a slide's cells that weigh as much as ``prior`` in its own shares (`leukopy.slides.outside`)."""
    method: str
    """Description of the head."""
    fitted_on: str
    """Cells behind the head; never a test split."""
    extends: str = ""
    """Digest (sha256) of the network before; this one gives its outputs bit for bit, and `outside` beside them. Empty:
    the network learnt these classes together with the fine ones."""
    trained_on: tuple[DatasetUse, ...] = ()
    """Data sets whose cells the head learnt from and the network did not."""
    metrics: tuple[Metric, ...] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)


class Confusion(Settings):
    """Answers to the cells of each class, and their variation between slides (`leukopy.evaluation.count_error`)."""

    shares: tuple[tuple[float, ...], ...]
    """Mean share of each answer, by class; each row sums to 1."""
    overdispersion: tuple[float, ...]
    """Intra-slide correlation of the answers to each class."""
    cells: tuple[int, ...]
    """Cells of each class behind its row."""
    fitted_on: str
    """Cells behind the confusion, which the network did not learn from; never a test split."""


class CountError(Settings):
    """Classification error of a count: the limits of a differential hold it beside the sampling error
    (`leukopy.slides.count_error`)."""

    classes: tuple[str, ...]
    """True classes, in the order of the rows: `Card.answers`."""
    answers: tuple[str, ...]
    """Answers, in the order of the columns: ``classes``, then ``UNIDENTIFIED``."""
    unseen: Confusion
    """Confusion in laboratories that the model has not seen."""
    home: Confusion | None = None
    """Confusion in the reference laboratory."""
    home_below: float = Field(default=0.25, ge=0, le=1)
    """Mean ``foreign_probability`` of a slide below which ``home`` applies."""
    method: str
    """Description of the limits."""
    metrics: tuple[Metric, ...] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)


class SlideClasses(Settings):
    """Re-estimation of the class means of a foreign slide from its own unlabelled cells
    (`leukopy.slides.class_means`), by the outputs ``traits`` and ``class_traits``."""

    weight: float = Field(gt=0)
    """Weight of the class means against the logits, on a slide whose cells scatter no more than known ones."""
    foreign_temperature_factor: float = Field(ge=1)
    """`Calibration.foreign_temperature_factor` on slides whose class means are re-estimated."""
    spread: float = Field(gt=0)
    """Mean squared distance, in traits, of known cells from the mean of their class."""
    fitted_on: str
    """Cells behind these means and this covariance; never a test split."""


class LaboratoryAppearance(Settings):
    """Appearance of the cells of a laboratory, with the effect of their classes removed."""

    name: str
    images: int
    mean: tuple[float, ...]
    """Mean of each of `SlideCheck.measures`."""
    covariance: tuple[tuple[float, ...], ...]
    """Covariance between cells."""


class SlideCheck(Settings):
    """Check for slides that look unlike the laboratories of the training (`leukopy.slides.laboratory_check`)."""

    measures: tuple[str, ...]
    """The ``leukopy.imaging.appearance.APPEARANCE_FEATURES`` of the leukopy that fitted it."""
    laboratories: tuple[LaboratoryAppearance, ...]
    classes: dict[str, tuple[float, ...]]
    """Coarse code -> difference of its cells from the mean class."""
    between: float = Field(gt=0)
    """Variance between the slides of a laboratory, in units of the variance between its cells."""
    limit: float = Field(gt=0)
    """Squared distance, in deviations, that counts as 1."""
    method: str
    """Description of the distance."""
    metrics: tuple[Metric, ...] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)


class Card(Settings):
    """The whole of ``card.json``."""

    format: Literal[1] = 1
    name: str
    title: str
    description: str
    intended_use: str = RESEARCH_USE_ONLY
    limits: tuple[str, ...] = ()
    """Known failures and forbidden uses of the model, one sentence each."""
    licence: str
    taxonomy: str
    """Digest of the taxonomy that defines the class order of the outputs."""
    classes: tuple[str, ...]
    """Fine class codes, in the order of the ``logits`` output."""
    preprocess: Preprocess
    romanowsky: bool = True
    """True for models of smears with a Romanowsky stain (Wright, Giemsa, May-Grünwald): pictures without a cell of such
    a stain then have no class (`leukopy.imaging.content`)."""
    cell_sizes: dict[str, float] | None = None
    """Coarse code -> diameter of the typical cell in sides of the network's input. The crop of each slide brings its
    cells to this size (`leukopy.slides.magnification`). None: every slide uses ``preprocess.crop``."""
    model: ModelFile
    calibration: Calibration
    thresholds: Thresholds
    trained_on: tuple[DatasetUse, ...]
    metrics: tuple[Metric, ...] = ()
    attributes: Attributes | None = None
    """Heads of the network's ``attributes`` output; None without this output."""
    open_set: OpenSet | None = None
    """Threshold of the network's ``ood_score`` output; None without this output."""
    outside: OutsideClasses | None = None
    """Classes of the network's ``outside`` output; None: the model answers the fine classes alone."""
    count_error: CountError | None = None
    """Classification error of a count; None: the limits of a differential state sampling error alone."""
    slide_classes: SlideClasses | None = None
    """None: class means are never re-estimated."""
    slide_check: SlideCheck | None = None
    """None: slides are not checked."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """The training settings, whole."""
    provenance: dict[str, Any] = Field(default_factory=dict)

    @property
    def answers(self) -> tuple[str, ...]:
        """Codes of all classes that the model answers: the fine ones, then those outside."""
        return (*self.classes, *(self.outside.classes if self.outside else ()))

    @property
    def learnt_outside(self) -> tuple[CellClass, ...]:
        """Classes outside that an evaluation scores beside the fine ones: own classes, and those that the network
        learnt together with the fine ones."""
        outside = self.outside
        if outside is None:
            return ()
        own = {cell.code for cell in outside.own}
        return tuple(find(code) for code in outside.classes if code in own or not outside.extends)

    def gives_outputs_of(self, sha256: str) -> bool:
        """True where this network, or the one that it extends, has this digest."""
        return sha256 in (self.model.sha256, self.outside.extends if self.outside else None)

    @model_validator(mode="after")
    def _fitting_together(self) -> Self:
        if self.count_error and self.count_error.classes != self.answers:
            raise ValueError("count_error: its classes are not those that the model answers; fit it again")
        if self.slide_classes and self.calibration.foreign_temperature_factor is None:
            raise ValueError("slide_classes: needs calibration.foreign_temperature_factor beside it")
        return self
