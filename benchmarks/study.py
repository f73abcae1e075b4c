"""Each figure of the 2021 study next to ours, in one table, from the result files of the runs.

    python benchmarks/study.py

Nothing is measured here: every figure is read from a file that the command of its row wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
TARGET = RESULTS / "study.md"

COMPARED = {
    "umap_knn": ("UMAP and nearest neighbours on embeddings", "accuracy .65 to .70"),
    "logistic": ("the same embeddings, logistic regression", "(shallow: .65 to .70)"),
    "svm": ("the same, support-vector machine", "(shallow: .65 to .70)"),
    "random_forest": ("the same, random forest", "(shallow: .65 to .70)"),
    "gradient_boosting": ("the same, gradient boosting", "(shallow: .65 to .70)"),
    "vgg16": ("VGG16", ""),
    "vgg16_svm": ("VGG16 features and SVM", "accuracy .98 (8 classes, three sources)"),
    "vgg16_svm_no_background": ("the same, background removed", "accuracy .96"),
    "vgg16_svm_two_stage": ("the same, in two stages", "sub-classes .91, macro F1 .79"),
    "vgg19": ("VGG19", "macro F1 .90 (11 classes, three sources, 360 px)"),
    "efficientnet_b0": ("EfficientNet-B0", "tried, no figure"),
    "efficientnet_b3": ("EfficientNet-B3", "tried, no figure"),
    "xception": ("Xception", "tried, no figure"),
    "vit_b16": ("ViT-B/16", "accuracy .916, macro F1 .848 (11, three sources, 320 px)"),
    "vit_b32": ("ViT-B/32", "tried, no figure"),
    "groupnorm": ("EfficientNet-lite0 with GroupNorm", "not tried"),
}
"""Name in a comparison -> what it is, the study's figure."""


def compared() -> Iterator[list[str]]:
    """Rows of the comparisons, whichever were run."""
    for path in sorted(RESULTS.glob("zoo-*/compare.json")):
        content = json.loads(path.read_text())
        where = path.parent.relative_to(TARGET.parent)
        for row in content["rows"]:
            if row["name"] in COMPARED and not row["failure"]:
                title, study = COMPARED[row["name"]]
                ours = [_number(row[name]) for name in ("accuracy8", "macro_f1_8", "accuracy11", "macro_f1_11")]
                command = f"`{content['provenance']['command']}`, [{where}]({where}/compare.md)"
                yield [title, study, *ours, command]


def evaluated() -> Iterator[list[str]]:
    """LeNet as in the study, and the model that ships."""
    both = ("8 classes", "11 classes")
    for folder, title, study, taught in (
        ("lenet11-on-pbc", "LeNet, 256 px, 11 classes", "accuracy .798", both),
        ("lenet8-on-pbc", "LeNet, 256 px, 8 classes", "accuracy .92 to .93", both[:1]),
        ("default-on-pbc", "the model that ships", "not tried", both),
    ):
        levels = json.loads((RESULTS / folder / "report.json").read_text())["levels"]
        ours = [
            _number(levels[level][figure]["value"]) if level in taught else ""
            for level in both
            for figure in ("accuracy", "macro F1")
        ]
        yield [title, study, *ours, f"[{folder}]({folder}/summary.md)"]


def transferred() -> Iterator[list[str]]:
    """Accuracy and balanced accuracy of PBC-only training in Raabin."""
    figures = json.loads((RESULTS / "transfer" / "transfer.json").read_text())["figures"]
    for row in figures:
        if row["split"] == "all" and row["answers"] == "held" and row["laboratory"] == "raabin" and "pbc" in row["arm"]:
            study = ".474 (VGG19, whole Raabin)" if row["arm"] == "pbc-mild" else ""
            yield [row["title"], study, _number(row["accuracy"]), _number(row["balanced_accuracy"])]


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}".lstrip("0")


def _table(head: list[str], body: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in body), ""]


def main() -> None:
    head = [
        "model",
        "the 2021 study",
        "accuracy, 8",
        "macro F1, 8",
        "accuracy, 11",
        "macro F1, 11",
        "command, file",
    ]
    lines = [
        "# The 2021 study's figures beside ours",
        "",
        "Ours: PBC Barcelona's test split (2,564 images), trained on its training split alone. The study began its",
        "large networks with ImageNet weights, at 224 to 360 px, and merged three sources where it says so. Without",
        "those weights and without an accelerator ours started from scratch, at the size and for the images that the",
        "command says: their figures say what two cores reach in minutes, not what the networks can do.",
        "",
        *_table(head, [*evaluated(), *compared()]),
        "## Trained on PBC, tested on Raabin (the 5 classes it holds)",
        "",
        *_table(["trained", "the 2021 study: accuracy", "accuracy", "balanced accuracy"], list(transferred())),
        "`leukopy evaluate configs/transfer.yaml --transfer --out runs/transfer`, [transfer](transfer/summary.md)",
        "",
    ]
    TARGET.write_text("\n".join(lines))
    print(TARGET.read_text())


if __name__ == "__main__":
    main()
