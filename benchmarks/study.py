"""Each figure of the 2021 study next to ours, in one table, from the result files of the runs.

    python benchmarks/study.py

Nothing is measured here: every figure is read from a file that the command of its row wrote.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

RESULTS = Path(__file__).parent / "results"
TARGET = RESULTS / "study.md"

COMPARED = {
    "umap_knn": ("embeddings of EfficientNet-lite0 (ImageNet), UMAP, nearest neighbours", "accuracy .65 to .70"),
    "logistic": ("the same embeddings, logistic regression", "(shallow: .65 to .70)"),
    "svm": ("the same, support-vector machine", "(shallow: .65 to .70)"),
    "random_forest": ("the same, random forest", "(shallow: .65 to .70)"),
    "gradient_boosting": ("the same, gradient boosting", "(shallow: .65 to .70)"),
    "vgg16": ("VGG16", "no figure of its own"),
    "vgg16_svm": ("features of the VGG16 above, SVM", "accuracy .98 (8 classes, three sources)"),
    "vgg16_svm_no_background": ("the same, background removed", "accuracy .96"),
    "vgg16_svm_two_stage": ("the same with background, in two stages", "the 6 sub-classes alone: .91, macro F1 .79"),
    "vgg19": ("VGG19", "macro F1 .90 (11 classes, three sources, 360 px)"),
    "efficientnet_b0": ("EfficientNet-B0", "tried, no figure"),
    "efficientnet_b3": ("EfficientNet-B3", "tried, no figure"),
    "xception": ("Xception", "tried, no figure"),
    "vit_b16": ("ViT-B/16", "accuracy .916, macro F1 .848 (11, three sources, 320 px)"),
    "vit_b32": ("ViT-B/32", "tried, no figure"),
    "groupnorm": ("EfficientNet-lite0 with GroupNorm, from ImageNet weights", "not tried"),
}
"""Name in a comparison -> what it is, the study's figure; in the table's order."""

F1 = {
    "LeNet, 11 classes": (
        "lenet11",
        "SNE .691 BNE .657 EO .966 BA .872 LY .952 MO .788 MMY .462 MY .449 PMY .610 ERB .886 PLT .988",
    ),
    "LeNet, 8 classes": ("lenet8", "NEU .947 EO .970 BA .925 LY .944 MO .851 IG .843 ERB .900 PLT .986"),
    "VGG19, 11 classes": (
        "vgg19",
        "SNE .956 BNE .782 EO .990 BA .960 LY .982 MO .952 MMY .758 MY .739 PMY .763 ERB .976 PLT .998",
    ),
}
"""Description -> name of our run, the study's F1 of each class."""


def comparisons() -> dict[str, tuple[dict[str, Any], str]]:
    """Name -> its figures, and the command and file they come from; whichever were run."""
    found = {}
    for path in sorted(RESULTS.glob("zoo-*/compare.json")):
        content = json.loads(path.read_text())
        where = path.parent.relative_to(TARGET.parent)
        command = f"`{content['provenance']['command']}`, [{where}]({where}/compare.md)"
        found.update({row["name"]: (row, command) for row in content["rows"] if not row["failure"]})
    return found


def compared() -> Iterator[list[str]]:
    """Rows of the comparisons, in the order of the study."""
    found = comparisons()
    for name, (title, study) in COMPARED.items():
        if name in found:
            row, command = found[name]
            ours = [
                _number(row[figure])
                for figure in ("coarse_accuracy", "coarse_macro_f1", "fine_accuracy", "fine_macro_f1")
            ]
            yield [title, study, *ours, command]


def by_class() -> Iterator[str]:
    """For each network of which the study gives F1 by class: its line above ours."""
    found = comparisons()
    for title, (name, figures) in F1.items():
        codes, study = figures.split()[::2], figures.split()[1::2]
        key = "fine" if "SNE" in codes else "coarse"
        if name in found:
            level = found[name][0][f"{key}_f1"]
        else:
            report = json.loads((RESULTS / f"{name}-on-pbc" / "report.json").read_text())
            classes = report["levels"][key]["classes"]
            level = {code: classes[code]["f1"]["value"] for code in codes}
        ours = [_number(level[code]) for code in codes]
        yield from _table([title, *codes], [["the study", *study], ["ours", *ours]])


def evaluated() -> Iterator[list[str]]:
    """LeNet as in the study, and the model that ships."""
    both = ("coarse", "fine")
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
    """PBC-only training in Raabin: accuracy, balanced accuracy and the eosinophils' recall, means over seeds."""
    with (RESULTS / "transfer" / "recalls.csv").open() as table:
        cells = [row for row in csv.DictReader(table) if (row["laboratory"], row["code"]) == ("raabin", "EO")]
    figures = json.loads((RESULTS / "transfer" / "transfer.json").read_text())["figures"]
    for row in figures:
        if row["split"] == "all" and row["answers"] == "held" and row["laboratory"] == "raabin" and "pbc" in row["arm"]:
            study = ".474 (VGG19, whole Raabin), eosinophils .377" if row["arm"] == "pbc-mild" else ""
            eosinophils = [float(c["recall"]) for c in cells if (c["arm"], c["answers"]) == (row["arm"], "held")]
            ours = (row["accuracy"], row["balanced_accuracy"], fmean(eosinophils))
            yield [row["title"], str(row["seeds"]), study, *map(_number, ours)]


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}".lstrip("0")


def _table(head: list[str], body: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in body), ""]


def main() -> None:
    head = [
        "model",
        "the 2021 study",
        "coarse accuracy",
        "coarse macro F1",
        "fine accuracy",
        "fine macro F1",
        "command, file",
    ]
    lines = [
        "# The 2021 study's figures beside ours",
        "",
        "Ours: PBC Barcelona's test split (2,564 images), trained on its training split alone. The study began its",
        "large networks with ImageNet weights, at 224 to 360 px, and merged three sources where it says so. Without",
        "those weights and without an accelerator ours started from scratch, at the size and for the images that the",
        "command says: their figures say what two cores reach in minutes, not what the networks can do. Many of them",
        "had not yet learnt a rare class at all (F1 0 in the linked file), and their order is that of quick learners.",
        "The same holds of VGG16's features, which are of that short training. The GroupNorm network did begin with",
        "ImageNet weights; with twice the images it learnt less than Xception and VGG did from scratch, likely because",
        "those weights were learnt with BatchNorm (not tested), and was still getting better at the end. Minutes and",
        "images/s in the linked files were taken beside other work.",
        "",
        *_table(head, [*evaluated(), *compared()]),
        "## F1 of each class, where the study gives it",
        "",
        *by_class(),
        "## Trained on PBC, tested on Raabin (the 5 classes it holds)",
        "",
        "Ours: 500 images of Raabin, 100 of each class, so that accuracy and balanced accuracy are one.",
        "",
        *_table(
            ["trained", "seeds", "the 2021 study: accuracy", "accuracy", "balanced accuracy", "eosinophils: recall"],
            list(transferred()),
        ),
        "`leukopy study transfer configs/transfer.yaml --out runs/transfer`, [transfer](transfer/summary.md)",
        "",
    ]
    TARGET.write_text("\n".join(lines))
    print(TARGET.read_text())


if __name__ == "__main__":
    main()
