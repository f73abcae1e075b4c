"""Each figure of the 2021 study beside ours, from the result files of the runs.

    python benchmarks/study.py

Measures nothing. Writes ``study.json`` with a row for each model and arm, the tables of ``study.md`` and of the page
``docs/study-2021.md`` from these rows, and the plot ``study.png``. A new run in ``results/zoo-*`` is a new row.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
import yaml

from leukopy.evaluation.intervals import clopper_pearson
from results_file import RESULTS, write

CONFIGS = Path(__file__).parents[1] / "configs"
PAGE = Path(__file__).parents[1] / "docs" / "study-2021.md"
BEGIN, END = "<!-- table: benchmarks/study.py -->", "<!-- end -->"
IMAGES = 2533
"""Labelled images of PBC's test split with a fine class: `images` in the reports."""
FIGURES = ("accuracy8", "macro_f1_8", "accuracy11", "macro_f1_11")

MODELS: dict[str, tuple[str, str, dict[str, float]]] = {
    "lenet11": ("LeNet, 11 classes", "accuracy .798, macro F1 .755", {"accuracy11": 0.798, "macro_f1_11": 0.755}),
    "lenet8": ("LeNet, 8 classes", "accuracy .92 to .93, macro F1 .921", {"accuracy8": 0.92, "macro_f1_8": 0.921}),
    "umap_knn": ("UMAP and nearest neighbours", "shallow: accuracy .65 to .70", {"accuracy8": 0.65}),
    "logistic": ("logistic regression", "shallow: accuracy .65 to .70", {"accuracy8": 0.65}),
    "svm": ("support-vector machine", "shallow: accuracy .65 to .70", {"accuracy8": 0.65}),
    "random_forest": ("random forest", "shallow: accuracy .65 to .70", {"accuracy8": 0.65}),
    "gradient_boosting": ("gradient boosting", "shallow: accuracy .65 to .70", {"accuracy8": 0.65}),
    "vgg16": ("VGG16", "no figure of its own", {}),
    "vgg16_svm": ("VGG16 features, SVM", "accuracy .98 (three sources)", {"accuracy8": 0.98}),
    "vgg16_svm_no_background": ("VGG16 features, SVM, background removed", "accuracy .96", {"accuracy8": 0.96}),
    "vgg16_svm_two_stage": ("VGG16 features, SVMs in two stages", "6 sub-classes alone: .91, macro F1 .79", {}),
    "vgg19": ("VGG19", "macro F1 .896 (three sources, 360 px)", {"macro_f1_11": 0.896}),
    "efficientnet_b0": ("EfficientNet-B0", "no figure", {}),
    "efficientnet_b3": ("EfficientNet-B3", "no figure", {}),
    "xception": ("Xception", "no figure", {}),
    "vit_b16": (
        "ViT-B/16", "accuracy .916, macro F1 .848 (three sources, 320 px)", {"accuracy11": 0.916, "macro_f1_11": 0.848}
    ),
    "vit_b32": ("ViT-B/32", "accuracy .86 to .88, .60 frozen (classes not stated)", {"accuracy8": 0.86}),
    "groupnorm": ("EfficientNet-lite0 with GroupNorm", "not tried", {}),
    "default": ("the default model", "not tried", {}),
}  # fmt: skip
"""Name of the recipe -> model, the study's figures as it states them, and as numbers; in the order of the table."""

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


def rows() -> list[dict[str, Any]]:
    """One row for each model and arm; its figures are None where it does not answer at that level."""
    found = [*evaluated(), *compared()]
    return sorted(found, key=lambda row: (list(MODELS).index(row["name"]), row["file"]))


def compared() -> Iterator[dict[str, Any]]:
    """The runs of `leukopy study compare`."""
    for path in sorted(RESULTS.glob("zoo-*/compare.json")):
        content = json.loads(path.read_text("utf-8"))
        command = content["provenance"]["command"]
        for row in content["rows"]:
            if not row["failure"]:
                keys = ("coarse_accuracy", "coarse_macro_f1", "fine_accuracy", "fine_macro_f1")
                values = dict(zip(FIGURES, (row[key] for key in keys), strict=True))
                classes = {level: row[f"{level}_f1"] for level in ("coarse", "fine")}
                origin = (command, f"{path.parent.name}/compare.md")
                yield _row(row["name"], arm(row["name"], command), values, classes, origin)


def evaluated() -> Iterator[dict[str, Any]]:
    """The runs of `leukopy evaluate`: LeNet as in the study, and the default model."""
    for name in ("lenet11", "lenet8", "default"):
        levels = json.loads((RESULTS / f"{name}-on-pbc" / "report.json").read_text("utf-8"))["levels"]
        if name == "lenet8":  # it answers coarse classes alone
            del levels["fine"]
        asked = [(level, key) for level in ("coarse", "fine") for key in ("accuracy", "macro F1")]
        shown = dict(
            zip(FIGURES, (levels[level][key] if level in levels else None for level, key in asked), strict=True)
        )
        values = {figure: one and one["value"] for figure, one in shown.items()}
        upper = {figure: one and one["high"] for figure, one in shown.items()}
        classes = {
            level: {code: one["f1"]["value"] for code, one in content["classes"].items()}
            for level, content in levels.items()
        }
        model = "default" if name == "default" else f"runs/{name}/bundle"
        command = f"leukopy evaluate pbc --root $LEUKOPY_DATA/cells/pbc --model {model} --out runs/{name}/test"
        yield _row(name, arm(name, ""), values, classes, (command, f"{name}-on-pbc/summary.md"), upper)


def _row(
    name: str,
    how: str,
    values: dict[str, Any],
    classes: dict[str, Any],
    origin: tuple[str, str],
    upper: dict[str, Any] | None = None,
) -> dict[str, Any]:
    model, study, figures = MODELS[name]
    return {
        "name": name, "model": model, "arm": how, "data": "all sources" if name == "default" else "PBC",
        **values, "reached": reached(upper or upper_limits(values), figures), "study": study, "study_figures": figures,
        "f1": classes, "command": origin[0], "file": origin[1],
    }  # fmt: skip


def arm(name: str, command: str) -> str:
    """How a run was trained, from its recipe and the changes of its command."""
    if name == "default":
        return "ImageNet weights, all sources, drawn cells"
    recipe = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text("utf-8"))
    changes = dict(re.findall(r"--set (\S+)=(\S+)", command))
    if "features" in recipe:
        of = changes.get("features.model", recipe["features"].get("model", ""))
        return "features of our VGG16" if "vgg16" in of else "ImageNet features, frozen"
    start = "ImageNet weights" if recipe["backbone"].get("pretrained") else "from scratch"
    if changes.get("backbone.name", "").endswith("_convolutional"):
        start += " with a convolutional stem"
    if teacher := changes.get("distillation.teacher"):
        start += f", taught by the {teacher} model"
    size = changes.get("preprocess.size", recipe["preprocess"]["size"])
    if "optimisation.epoch_images" not in changes:
        return f"{start}, {size} px, {changes.get('optimisation.epochs', recipe['optimisation']['epochs'])} epochs"
    images = int(changes["optimisation.epochs"]) * int(changes["optimisation.epoch_images"])
    return f"{start}, {size} px, {images:,} images"


def reached(upper: dict[str, Any], study: dict[str, float]) -> bool | None:
    """Whether no figure of the study lies above our 95 % interval; None where the study gives no figure."""
    return all(upper[name] >= figure for name, figure in study.items()) if study else None


def upper_limits(values: dict[str, Any]) -> dict[str, Any]:
    """The upper end of the interval of an accuracy; of a macro F1 without an interval, the value."""
    return {
        name: clopper_pearson(round(value * IMAGES), IMAGES)[1] if value and name.startswith("accuracy") else value
        for name, value in values.items()
    }


def transferred() -> list[dict[str, Any]]:
    """Networks that learnt PBC, in Raabin: accuracy, balanced accuracy and recall of eosinophils, means over seeds."""
    with (RESULTS / "transfer" / "recalls.csv").open() as table:
        cells = [row for row in csv.DictReader(table) if (row["laboratory"], row["code"]) == ("raabin", "EO")]
    figures = json.loads((RESULTS / "transfer" / "transfer.json").read_text("utf-8"))["figures"]
    found = []
    for row in figures:
        if row["split"] == "all" and row["answers"] == "held" and row["laboratory"] == "raabin" and "pbc" in row["arm"]:
            eosinophils = [float(c["recall"]) for c in cells if (c["arm"], c["answers"]) == (row["arm"], "held")]
            kept = {name: row[name] for name in ("title", "seeds", "accuracy", "balanced_accuracy")}
            found.append({**kept, "eosinophils": fmean(eosinophils)})
    return found


def models_table(found: list[dict[str, Any]]) -> list[str]:
    """The study and ours, one line for each model and arm."""
    words = {True: "yes", False: "**no**", None: ""}
    head = ["model", "our training", "the 2021 study", "coarse accuracy", "coarse macro F1", "fine accuracy",
            "fine macro F1", "reached", "file"]  # fmt: skip
    body = [
        [row["model"], row["arm"], row["study"], *(_number(row[figure]) for figure in FIGURES), words[row["reached"]],
         f"[{row['file'].split('/')[0]}]({row['file']})"]
        for row in found
    ]  # fmt: skip
    return _table(head, body)


def classes_tables(found: list[dict[str, Any]]) -> Iterator[str]:
    """For each network whose F1 by class the study gives: its line above ours."""
    for title, (name, figures) in F1.items():
        codes, study = figures.split()[::2], figures.split()[1::2]
        level = "fine" if "SNE" in codes else "coarse"
        for row in (row for row in found if row["name"] == name):
            ours = [_number(row["f1"][level][code]) for code in codes]
            yield from _table([title, *codes], [["the study", *study], [f"ours, {row['arm']}", *ours]])


def transfer_table(found: list[dict[str, Any]]) -> list[str]:
    """Trained on PBC, tested on Raabin."""
    figures = ("accuracy", "balanced_accuracy", "eosinophils")
    body = [
        ["the 2021 study: VGG19, whole Raabin", "1", ".474", "", ".377"],
        *([row["title"], str(row["seeds"]), *(_number(row[name]) for name in figures)] for row in found),
    ]
    return _table(["trained", "seeds", "accuracy", "balanced accuracy", "eosinophils: recall"], body)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}".lstrip("0")


def _table(head: list[str], body: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in body), ""]


def study_md(figures: dict[str, Any]) -> str:
    """The content of ``study.md``: every table, and the command of every row."""
    commands = {row["file"].split("/")[0]: row["command"] for row in figures["rows"]}
    return "\n".join([
        "# The 2021 study's figures beside ours",
        "",
        "Made from `study.json` by `python benchmarks/study.py`. Ours: PBC Barcelona's test split (2,564 images).",
        "[The 2021 study](../../docs/study-2021.md) explains the rows and what each needs to reach the study.",
        "",
        *models_table(figures["rows"]),
        "## F1 of each class",
        "",
        *classes_tables(figures["rows"]),
        "## Trained on PBC, tested on Raabin",
        "",
        *transfer_table(figures["transfer"]),
        "## Commands",
        "",
        *_table(["run", "command"], [[name, f"`{command}`"] for name, command in sorted(commands.items())]),
    ])  # fmt: skip


def with_table(page: str, figures: dict[str, Any]) -> str:
    """The page of the documentation with the table of these figures between its two marks."""
    text = re.sub(r"\]\((?=[\w-]+/)", "](../benchmarks/results/", "\n".join(models_table(figures["rows"])))
    before, after = page.split(BEGIN, 1)[0], page.split(END, 1)[1]
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def plot(figures: dict[str, Any], path: Path) -> None:
    """Coarse accuracy of each model beside the study's, and F1 by class of LeNet."""
    shown = [row for row in reversed(figures["rows"]) if row["accuracy8"] is not None]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), width_ratios=[3, 2], layout="constrained")
    places = range(len(shown))
    left.scatter([row["accuracy8"] for row in shown], places, color="#1f5fa8", label="ours, coarse accuracy", zorder=3)
    for place, row in zip(places, shown, strict=True):
        if "accuracy8" in row["study_figures"]:
            left.plot(row["study_figures"]["accuracy8"], place, "D", color="#b3401f", mfc="none", ms=9)
    left.plot([], [], "D", color="#b3401f", mfc="none", ms=9, label="the study, coarse accuracy")
    left.set_yticks(places, [f"{row['model']} ({row['arm']})" for row in shown], fontsize=7)
    left.set_xlim(0.4, 1)
    left.grid(axis="x", alpha=0.3)
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncol=2, fontsize=8, frameon=False)
    name, text = F1["LeNet, 11 classes"]
    codes, study = text.split()[::2], [float(value) for value in text.split()[1::2]]
    ours = next(row for row in figures["rows"] if row["name"] == name)["f1"]["fine"]
    right.plot(study, codes, "D", color="#b3401f", mfc="none", ms=9, label="the study")
    right.plot([ours[code] for code in codes], codes, "o", color="#1f5fa8", label="ours")
    right.set(title="LeNet, F1 of each class", xlim=(0.4, 1))
    right.invert_yaxis()
    right.grid(axis="x", alpha=0.3)
    right.legend(loc="lower left", fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    figures: dict[str, Any] = {"rows": rows(), "transfer": transferred()}
    write("study", figures)
    (RESULTS / "study.md").write_text(study_md(figures), "utf-8")
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), figures), "utf-8")
    plot(figures, RESULTS / "study.png")
    print((RESULTS / "study.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
