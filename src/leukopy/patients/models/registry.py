"""The registry of patients' networks: each has a card and one contract (``leukopy.patients.models.contract``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from leukopy.core.registry import Registry
from leukopy.patients.models.attention import AttentionPooling
from leukopy.patients.models.contract import BagShape
from leukopy.patients.models.experts import Experts
from leukopy.patients.models.patient_net import PatientNet
from leukopy.patients.models.plain_pooling import MaxPooling, MeanPooling
from leukopy.patients.models.set_transformer import TransformerPooling


@dataclass(frozen=True)
class BagEntry:
    """One entry: its card, and how it is built."""

    paper: str
    licence: str
    """Of its code."""
    description: str
    """One sentence."""
    build: Callable[[BagShape], PatientNet | Experts]


_OURS = "Apache-2.0 (leukopy)"
_PLAIN = "Wang et al., Revisiting multiple instance neural networks, Pattern Recognition 2018"
_ATTENTION = "Ilse, Tomczak & Welling, Attention-based deep multiple instance learning, ICML 2018"
_GATED = partial(AttentionPooling, gated=True)

BAG_NETS: Registry[BagEntry] = Registry(
    "bag network",
    {
        "mean": BagEntry(
            paper=_PLAIN,
            licence=_OURS,
            description="The mean of the cells: every cell counts the same.",
            build=lambda shape: PatientNet(shape, MeanPooling),
        ),
        "max": BagEntry(
            paper=_PLAIN,
            licence=_OURS,
            description="The maximum of each feature over the cells: one striking cell is enough.",
            build=lambda shape: PatientNet(shape, MaxPooling),
        ),
        "attention": BagEntry(
            paper=_ATTENTION,
            licence=_OURS,
            description="A weighted mean whose weights are learnt from each cell.",
            build=lambda shape: PatientNet(shape, partial(AttentionPooling, gated=False)),
        ),
        "gated_attention": BagEntry(
            paper=_ATTENTION,
            licence=_OURS,
            description="Attention with a gate on each of its units, for weights that are less linear.",
            build=lambda shape: PatientNet(shape, _GATED),
        ),
        "clam": BagEntry(
            paper="Lu et al., Data-efficient and weakly supervised computational pathology on whole-slide images, "
            "Nature Biomedical Engineering 2021",
            licence=_OURS,
            description="Gated attention that also learns to tell the cells it attends to most from those it attends "
            "to least.",
            build=lambda shape: PatientNet(shape, _GATED, clustering=True),
        ),
        "transformer": BagEntry(
            paper="Lee et al., Set Transformer, ICML 2019",
            licence=_OURS,
            description="Cells see each other by self-attention before a class token attends to them.",
            build=lambda shape: PatientNet(shape, TransformerPooling),
        ),
        "experts": BagEntry(
            paper="Sahasrabudhe et al., Deep multi-instance learning using multi-modal data for diagnosis of "
            "lymphocytosis, IEEE J. Biomedical and Health Informatics 2021",
            licence=_OURS,
            description="One expert reads the cells and one the clinical numbers; a gate says how much to trust each.",
            build=Experts,
        ),
    },
)
"""One entry a network, by name."""
